"""The graph interpreter: sizes, errors, and graphs too deep for recursion."""

from __future__ import annotations

import numpy as np
import pytest

from weftc.ir.interpret import interpret
from weftc.ir.location import Location, at
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim
from weftc.ops import get
from weftrt import dtypes
from weftrt.errors import DTypeError, OutOfBoundsError, ShapeError

N = Dim.symbol("n")


def make_input(index: int, *shape: object, dtype: dtypes.DType = dtypes.float32) -> Node:
    return get("input")(index=index, name=f"x{index}", dtype=dtype, shape=shape)


def test_sizes_are_read_from_the_inputs() -> None:
    x = make_input(0, N, 2)
    flat = get("reshape")(x, shape=(N * 2,))
    length = get("size")(size=N * 2 + 1)
    for n in (0, 3):
        array = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
        values = interpret(Graph("f", (x,), (flat, length)), [array])
        np.testing.assert_array_equal(values[0], array.reshape(-1))
        assert values[1] == 2 * n + 1


def test_sizes_may_be_given() -> None:
    length = get("size")(size=N)
    assert interpret(Graph("f", (), (length,)), [], {"n": 7})[0] == 7


def test_wrong_arrays_are_refused() -> None:
    x, y = make_input(0, N), make_input(1, N)
    graph = Graph("f", (x, y), (get("add")(x, y),))
    three, four = np.zeros(3, np.float32), np.zeros(4, np.float32)
    with pytest.raises(ShapeError, match="x1"):
        interpret(graph, [three, four])
    with pytest.raises(DTypeError, match="x0"):
        interpret(graph, [three.astype(np.float64), three])
    with pytest.raises(ShapeError, match="2 inputs"):
        interpret(graph, [three])


def test_outputs_do_not_alias_inputs() -> None:
    x = make_input(0, 3)
    array = np.zeros(3, np.float32)
    for output in interpret(Graph("f", (x,), (x, get("identity")(x))), [array]):
        output += 1
    assert not array.any()


def test_out_of_bounds_names_the_place() -> None:
    x, i = make_input(0, 3), make_input(1, 4, dtype=dtypes.int64)
    with at(Location(make_input.__code__, 0)):
        taken = get("take")(x, i, axis=0)
    graph = Graph("f", (x, i), (taken,))
    array = np.arange(3, dtype=np.float32)
    (value,) = interpret(graph, [array, np.array([0, -1, -3, 2])])
    np.testing.assert_array_equal(value, [0, 2, 0, 2])
    with pytest.raises(OutOfBoundsError, match=r"test_interpret.*index 3 \(number 2\).*size 3"):
        interpret(graph, [array, np.array([0, -3, 3, -4])])


def test_deep_graphs_do_not_recurse() -> None:
    x = y = make_input(0)
    for _ in range(5000):
        y = get("neg")(y)
    assert interpret(Graph("f", (x,), (y,)), [np.float32(2)[()].reshape(())])[0] == 2
