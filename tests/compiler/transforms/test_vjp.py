"""Reverse-mode differentiation of whole graphs; the single rules are in tests/registry."""

from __future__ import annotations

import numpy as np
import pytest

from weftc.ir.interpret import interpret
from weftc.ir.location import Location, at
from weftc.ir.node import Graph, Node, toposort
from weftc.ir.opdef import Family, OpDef
from weftc.ops import build, get
from weftc.transforms.vjp import vjp
from weftrt import dtypes
from weftrt.errors import TraceError


def make_input(index: int, *shape: int, dtype: dtypes.DType = dtypes.float64) -> Node:
    return get("input")(index=index, name=f"x{index}", dtype=dtype, shape=shape)


def gradient(output: Node, inputs: list[Node], arrays: list[object]) -> list[object]:
    found = vjp([output], [build.constant(1.0, output.type.dtype)], inputs)
    nodes = tuple(f for f in found if f is not None)
    return interpret(Graph("g", tuple(inputs), nodes), [np.asarray(a) for a in arrays])


def test_uses_add_up() -> None:
    x = make_input(0)
    cube = get("mul")(get("mul")(x, x), x)
    assert gradient(cube, [x], [2.0]) == [12.0]


def test_the_walk_stops_at_inputs() -> None:
    x = make_input(0)
    y = get("mul")(x, x)
    z = get("mul")(y, x)
    assert gradient(z, [x, y], [3.0, 9.0]) == [9.0, 3.0]


def test_an_output_that_is_an_input() -> None:
    x = make_input(0)
    assert gradient(x, [x], [3.0]) == [1.0]


def test_inputs_that_do_not_count_give_none() -> None:
    x, unused = make_input(0, 3), make_input(1, 3)
    i = make_input(2, 2, dtype=dtypes.int64)
    y = get("take")(x, i, axis=0)
    g = build.like(1.0, y)
    found = vjp([y], [g], [x, unused, i])
    assert found[0] is not None and found[1:] == [None, None]
    assert vjp([y], [None], [x]) == [None]
    assert vjp([get("floor")(x)], [x], [x]) == [None]


def test_gradients_do_not_pass_through_integers() -> None:
    x = make_input(0)
    whole = get("convert")(x, dtype=dtypes.int64)
    back = get("convert")(whole, dtype=dtypes.float64)
    assert gradient(get("mul")(back, x), [x], [2.5]) == [2.0]


def test_no_nodes_are_kept_for_inputs_that_are_not_asked_for() -> None:
    x, y = make_input(0), make_input(1)
    product = get("mul")(x, y)
    (found,) = vjp([product], [build.constant(1.0, dtypes.float64)], [x])
    assert found is not None
    assert x not in toposort([found])


def test_gradients_belong_to_the_line_of_the_primal() -> None:
    x = make_input(0)
    place = Location(make_input.__code__, 0)
    with at(place):
        y = get("mul")(x, x)
    (found,) = vjp([y], [build.constant(1.0, dtypes.float64)], [x])
    assert found is not None and found.location is place


def test_an_op_without_a_gradient_is_named_where_it_is_needed() -> None:
    rule = get("neg")
    opaque = OpDef("opaque", Family.POINTWISE, rule.infer, rule.reference)
    x, y = make_input(0), make_input(1)
    with at(Location(make_input.__code__, 0)):
        hidden = opaque(x)
    total = get("add")(hidden, y)
    g = build.constant(1.0, dtypes.float64)
    assert vjp([total], [g], [y]) == [g]
    with pytest.raises(TraceError, match=r"opaque has no gradient \(at .*test_vjp"):
        vjp([total], [g], [x])


def test_second_derivatives() -> None:
    x = make_input(0)
    (first,) = vjp([get("mul")(get("mul")(x, x), x)], [build.constant(1.0, dtypes.float64)], [x])
    assert first is not None
    assert gradient(first, [x], [2.0]) == [12.0]


def test_deep_graphs_do_not_recurse() -> None:
    x = y = make_input(0)
    for _ in range(3000):
        y = get("neg")(y)
    assert gradient(y, [x], [1.0]) == [1.0]
