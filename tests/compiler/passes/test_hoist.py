"""What never changes in a loop is made once, with the bits of before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.assembly.graphs import Body, full, graph, integer, loop, over_rows, repeat

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.types import TensorType
from weftc.ir.verify import verify
from weftc.ops import build
from weftc.ops.contraction import contract
from weftc.ops.indexing import take
from weftc.ops.movement import broadcast, transpose
from weftc.ops.pointwise import add, lt, mul
from weftc.ops.reduction import sum as total
from weftc.ops.source import constant
from weftc.passes.hoist import hoist_invariants
from weftrt import dtypes

MATRIX = TensorType(dtypes.float64, (3, 3))


def tanh(x: Node) -> Node:
    return build.call("tanh", x)


def sums(x: Node) -> Node:
    """The sums over columns, in each row."""
    return broadcast(total(x, axes=(0,)), shape=(3, 3), axes=(1,))


def crosswise(x: Node, w: Node) -> Node:
    """x @ w.T"""
    return contract(x, w, batch=((), ()), contracted=((1,), (1,)))


def inside(graph: Graph) -> list[str]:
    """What the bodies of the hoisted graph still compute; it has the bits of before."""
    hoisted = hoist_invariants(graph)
    verify(hoisted)
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(node.type.shape) for node in graph.inputs]
    for found, wanted in zip(interpret(hoisted, arrays), interpret(graph, arrays), strict=True):
        assert_same_bits(found, wanted)
    bodies = [inner for node in hoisted.nodes() for inner in node.graphs()]
    ops = [node.op.name for body in bodies for node in body.all_nodes()]
    return [name for name in ops if name not in ("input", "constant", "project")]


def turned(body: Body) -> Graph:
    """Three turns of a body of a state and something fixed."""

    def whole(x: Node, w: Node) -> Sequence[Node]:
        return loop(integer(0), integer(3), [x], lambda i, x, w: [body(x, w)], w)

    return graph("turned", whole, MATRIX, MATRIX)


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (lambda x, w: add(x, tanh(w)), ["add"]),
        (lambda x, w: add(x, mul(w, w)), ["mul", "add"]),
        (lambda x, w: add(x, sums(w)), ["broadcast", "add"]),
        (lambda x, w: crosswise(x, mul(w, w)), ["contract"]),
        (lambda x, w: crosswise(x, w), ["contract"]),
        (lambda x, w: crosswise(x, transpose(w, permutation=(1, 0))), ["contract"]),
        (lambda x, w: crosswise(w, x), ["contract"]),
        (lambda x, w: crosswise(x, crosswise(w, w)), ["contract"]),
    ],
)  # fmt: skip
def test_what_is_dear_and_fixed_is_made_once(body: Body, left: list[str]) -> None:
    assert inside(turned(body)) == left


def test_what_may_fail_stays_where_it_may_never_run() -> None:
    def body(x: Node, w: Node) -> Node:
        place = constant(value=1, dtype=dtypes.int64)
        row = take(w, place, axis=0)
        return add(x, broadcast(tanh(row), shape=(3, 3), axes=(1,)))

    assert {"take", "tanh"} <= set(inside(turned(body)))


def test_every_loop_and_loops_in_loops() -> None:
    def whole(x: Node, w: Node, xs: Node) -> Sequence[Node]:
        def condition(x: Node, w: Node) -> Sequence[Node]:
            return (lt(total(tanh(w), axes=(0, 1)), total(x, axes=(0, 1))),)

        def shrinking(x: Node, w: Node) -> Sequence[Node]:
            return (add(x, full(-1.0, dtypes.float64, (3, 3))),)

        def outer(x: Node, row: Node, w: Node) -> Sequence[Node]:
            (y,) = loop(integer(0), integer(2), [x], lambda i, x, w: [crosswise(x, w)], w)
            return add(y, row), crosswise(row, w)

        (small,) = repeat(condition, [x], shrinking, w)
        return over_rows([small], [xs], outer, w, length=2)

    stack = MATRIX.with_shape((2, 3, 3))
    found = inside(graph("loops", whole, MATRIX, MATRIX, stack))
    assert "transpose" not in found
    assert found.count("tanh") == 1, "a condition's own is not looked for"
