"""Routines of the runtime, callbacks and checks as instructions, in the order of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.compiler.assembly.graphs import INT, graph, integer, loop, parts
from tests.compiler.assembly.test_control import INTS, check, over

from weftc import pipeline
from weftc.ir.hosts import host_functions
from weftc.ir.location import Location
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import HostFunction
from weftc.ir.types import TensorType
from weftc.ops import effects
from weftc.ops.elementary import exp
from weftc.ops.movement import broadcast, transpose
from weftc.ops.pointwise import add, lt, mul, neg
from weftc.ops.reduction import sum as total
from weftc.ops.sorting import argsort, sort, top_k
from weftc.ops.structure import token
from weftrt import array, dtypes
from weftrt.cpu.executable import load
from weftrt.cpu.host import host_options
from weftrt.errors import CheckError

ROWS = TensorType(dtypes.float32, (5, 7))
MATRIX = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)


def test_routines_read_what_kernels_write_and_the_other_way_round() -> None:
    def whole(x: Node) -> Sequence[Node]:
        ordered = sort(exp(x), descending=False)
        return add(ordered, x), total(ordered, axes=(1,)), argsort(neg(x), descending=True)

    check(graph("sorted", whole, ROWS), MATRIX)


def test_routines_of_inputs_of_movement_and_of_constants() -> None:
    def whole(x: Node) -> Sequence[Node]:
        turned = transpose(x, permutation=(1, 0))
        same = broadcast(integer(3), shape=(2, 4), axes=())
        return (
            sort(x, descending=True),
            sort(turned, descending=False),
            argsort(same, descending=False),
        )

    check(graph("sorted", whole, ROWS), MATRIX)


@pytest.mark.parametrize("kept", [slice(0, 1), slice(1, 2), slice(0, 2)])
def test_several_results(kept: slice) -> None:
    check(graph("largest", lambda x: parts(top_k(x, k=3))[kept], ROWS), MATRIX)


def test_routines_in_loops() -> None:
    def body(i: Node, x: Node) -> Sequence[Node]:
        return (sort(mul(x, over(i, x)), descending=False),)

    whole = graph("sorts", lambda a, b, x: loop(a, b, [x], body), INT, INT, INTS)
    for upper in range(-2, 3):
        check(whole, np.int64(-2), np.int64(upper), np.array([3, 1, 2]))


class Log:
    """What was called back, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any]]] = []

    def function(self, name: str) -> HostFunction:
        """A function that gives back twice what it is given."""

        def twice(*arrays: Any) -> list[Any]:
            given = [np.asarray(a) for a in arrays]
            self.calls.append((name, [a.tolist() for a in given]))
            return [np.asarray(a * 2) for a in given]

        return HostFunction(twice)


def call(function: HostFunction, order: Node, *arrays: Node) -> list[Node]:
    """The results of a callback, then the token."""
    types = tuple((a.type.dtype, a.type.shape) for a in arrays)
    return parts(effects.callback(order, *arrays, function=function, types=types))


def run(graph: Graph, *arrays: Any) -> list[Any]:
    """What the compiled graph gives, without its token."""
    functions = [f.function for f in host_functions(graph)]
    executable = load(pipeline.compile(graph, host_options()), functions)
    given = [array.from_numpy(np.asarray(a), True) for a in arrays]
    return [array.to_numpy(found) for found in executable.run(given)]


def test_callbacks_run_in_order_and_their_results_are_read_on() -> None:
    log = Log()

    def whole(x: Node) -> Sequence[Node]:
        first, order = call(log.function("first"), token(), add(x, x))
        second, third, order = call(log.function("second"), order, x, first)
        (order,) = call(log.function("last"), order)
        return add(second, third), order

    (found,) = run(graph("calls", whole, INTS), np.arange(3))
    assert log.calls == [
        ("first", [[0, 2, 4]]),
        ("second", [[0, 1, 2], [0, 4, 8]]),
        ("last", []),
    ]
    assert found.tolist() == [0, 10, 20]


def test_effects_in_loops() -> None:
    log = Log()
    show = log.function("show")

    def body(i: Node, x: Node, order: Node) -> Sequence[Node]:
        _, order = call(show, order, i)
        return add(x, over(i, x)), order

    def whole(x: Node) -> Sequence[Node]:
        return loop(integer(2), integer(5), [x, token()], body)

    (found,) = run(graph("loop", whole, INTS), np.arange(3))
    assert found.tolist() == [9, 10, 11]
    assert log.calls == [("show", [2]), ("show", [3]), ("show", [4])]


def test_a_check_ends_the_program_where_it_stands() -> None:
    log = Log()
    place = Location(Log.function.__code__, 0)

    def whole(x: Node) -> Sequence[Node]:
        _, order = call(log.function("before"), token(), x)
        small = lt(total(x, axes=(0,)), integer(9))
        order = effects.check(order, small, message="the sum is {large}", at=place)
        _, order = call(log.function("after"), order, x)
        return neg(x), order

    program = graph("checked", whole, INTS)
    (found,) = run(program, np.arange(3))
    assert found.tolist() == [0, -1, -2] and len(log.calls) == 2
    with pytest.raises(CheckError, match=r"test_regions.py:\d+.*: the sum is \{large\}"):
        run(program, np.arange(9, 12))
    assert [name for name, _ in log.calls[2:]] == ["before"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_token_alone(sign: int) -> None:
    """No effect comes before it, and it takes no place among the results."""
    whole = graph("nothing", lambda x: [x if sign > 0 else neg(x), token()], INTS)
    (found,) = run(whole, np.arange(3))
    assert found.tolist() == [0, sign, 2 * sign]
