"""Scans whose turns are made one, several at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.assembly.graphs import graph

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim
from weftc.ir.types import TensorType
from weftc.ir.verify import verify
from weftc.ops.loops import scan
from weftc.ops.pointwise import add, mul, sub
from weftc.ops.structure import project
from weftc.passes.unroll import unroll_scans
from weftrt import dtypes

ROW = TensorType(dtypes.float64, (2,))


def turn(c: Node, d: Node, x: Node, w: Node) -> Sequence[Node]:
    return add(mul(c, w), x), sub(d, c), mul(c, x), d


def over(length: int, unroll: int, reverse: bool) -> Graph:
    stack = TensorType(dtypes.float64, (length, 2))
    body = graph("turn", turn, ROW, ROW, ROW, ROW)
    attrs = {"carried": 2, "scanned": 1, "length": length, "reverse": reverse, "unroll": unroll}

    def whole(c: Node, d: Node, xs: Node, w: Node) -> Sequence[Node]:
        result = scan(c, d, xs, w, body=body, **attrs)
        return [project(result, index=k) for k in range(4)]

    return graph("whole", whole, ROW, ROW, stack, ROW)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("unroll", [2, 3, 7, 20])
@pytest.mark.parametrize("length", [0, 1, 6, 7])
def test_the_bits_stay(length: int, unroll: int, reverse: bool) -> None:
    before = over(length, unroll, reverse)
    after = unroll_scans(before)
    verify(after)
    random = np.random.default_rng(length)
    arrays = [random.standard_normal(node.type.shape) for node in before.inputs]
    for found, wanted in zip(interpret(after, arrays), interpret(before, arrays), strict=True):
        assert_same_bits(found, wanted)
    turns = [n["length"] for n in after.nodes() if n.op is scan]
    assert turns == ([length // unroll] if length >= 2 * unroll else [0] if not length else [])


def test_a_length_that_the_call_tells_is_left() -> None:
    n = Dim.symbol("n")
    body = graph("turn", lambda c, x: (add(c, x),), ROW, ROW)
    attrs = {"carried": 1, "scanned": 1, "length": n, "reverse": False, "unroll": 2}

    def whole(c: Node, xs: Node) -> Sequence[Node]:
        return (project(scan(c, xs, body=body, **attrs), index=0),)

    before = graph("whole", whole, ROW, TensorType(dtypes.float64, (n, 2)))
    assert unroll_scans(before) is before


def test_scans_within_scans_are_unrolled() -> None:
    inner = over(6, 2, False)
    types = [node.type for node in inner.inputs]
    body = Graph("outer", inner.inputs, (inner.outputs[0], *inner.outputs[1:2]))

    def whole(c: Node, d: Node, xs: Node, w: Node) -> Sequence[Node]:
        attrs = {"carried": 2, "scanned": 0, "length": 4, "reverse": False}
        return (project(scan(c, d, xs, w, body=body, **attrs), index=0),)

    after = unroll_scans(graph("whole", whole, *types))
    assert sorted(n["length"] for n in after.all_nodes() if n.op is scan) == [3, 4]
