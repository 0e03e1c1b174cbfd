"""Scans that make the same of the state become one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tests.bits import assert_same_bits
from tests.compiler.assembly.graphs import INT, graph, integer, loop, over_rows

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.types import TensorType
from weftc.ir.verify import verify
from weftc.ops.pointwise import add, mul, neg
from weftc.ops.source import iota
from weftc.passes.merge import merge_scans
from weftrt import dtypes

SCALAR, ROWS = TensorType(dtypes.float64, ()), TensorType(dtypes.float64, (4,))


def sums(c: Node, x: Node) -> Sequence[Node]:
    return add(c, x), c


def products(c: Node, x: Node) -> Sequence[Node]:
    return add(c, x), mul(c, x), c, neg(c)


def other(c: Node, x: Node) -> Sequence[Node]:
    return add(x, c), neg(c)


def loops_of(graph: Graph) -> list[str]:
    """The loops of a merged graph, which has the bits of before."""
    merged = merge_scans(graph)
    verify(merged)
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(node.type.shape) for node in graph.inputs]
    for found, wanted in zip(interpret(merged, arrays), interpret(graph, arrays), strict=True):
        assert_same_bits(found, wanted)
    return [node.op.name for node in merged.nodes() if node.op.loop is not None]


def test_stacks_of_all_come_from_one_scan() -> None:
    def whole(c: Node, xs: Node) -> Sequence[Node]:
        found = [over_rows([c], [xs], body, length=4) for body in (sums, products, sums, other)]
        return [part for parts in found for part in parts]

    graph_ = graph("whole", whole, SCALAR, ROWS)
    assert loops_of(graph_) == ["scan", "scan"]  # c + x is not x + c
    (merged, _) = (n for n in merge_scans(graph_).nodes() if n.op.name == "scan")
    assert len(merged["body"].outputs) == 1 + 3


def test_scans_of_other_directions_and_rows_stay_apart() -> None:
    def whole(c: Node, xs: Node, ys: Node) -> Sequence[Node]:
        first = over_rows([c], [xs], sums, length=4)
        second = over_rows([c], [xs], sums, length=4, reverse=True)
        return [*first, *second, *over_rows([c], [ys], sums, length=4)]

    assert loops_of(graph("apart", whole, SCALAR, ROWS, ROWS)) == ["scan"] * 3


def test_scans_over_results_of_one_are_merged_too() -> None:
    def whole(c: Node, xs: Node) -> Sequence[Node]:
        first, second = (over_rows([c], [xs], body, length=4) for body in (sums, products))
        again = [
            over_rows([c], [ys], body, length=4)
            for ys in (first[1], second[2])
            for body in (sums, products)
        ]
        return [part for parts in again for part in parts]

    assert loops_of(graph("chain", whole, SCALAR, ROWS)) == ["scan", "scan"]


def test_scans_in_bodies_are_merged() -> None:
    def whole(c: Node, xs: Node) -> Sequence[Node]:
        def outer(i: Node, c: Node, xs: Node) -> Sequence[Node]:
            one, two = (over_rows([c], [xs], body, length=4) for body in (sums, products))
            return (add(one[0], two[0]),)

        return loop(integer(0), integer(3), [c], outer, xs)

    merged = merge_scans(graph("inner", whole, SCALAR, ROWS))
    assert sum(node.op.name == "scan" for node in merged.all_nodes()) == 1


def test_a_loop_that_counts_is_a_scan_over_its_counter() -> None:
    def whole(c: Node) -> Sequence[Node]:
        def turn(i: Node, c: Node) -> Sequence[Node]:
            return (mul(c, c),)

        def kept(c: Node, i: Node) -> Sequence[Node]:
            return mul(c, c), c

        counter = iota(shape=(4,), axis=0, dtype=dtypes.int64)
        alone = loop(integer(0), integer(4), [neg(c)], turn)
        counted = loop(integer(0), integer(4), [c], turn)
        return [*alone, *counted, *over_rows([c], [counter], kept, length=4)]

    assert loops_of(graph("counted", whole, SCALAR)) == ["fori", "scan"]
    unknown = graph(
        "unknown", lambda n, c: [*loop(integer(0), n, [c], lambda i, c: [mul(c, c)])], INT, SCALAR
    )
    assert [n.op.name for n in merge_scans(unknown).nodes() if n.op.loop] == ["fori"]
