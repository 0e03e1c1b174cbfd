"""Sums of products as contractions, where it is for us to say in which order they are added up.

sum(mul(x, broadcast(w)), axes)  ->  contract(x, w)
contract(x, w), each w of a basis  ->  x, transposed

What a function computes keeps its order of summation. A derivative that is taken in many directions
at once has none yet: as contractions, those become one product of matrices.
"""

from __future__ import annotations

from typing import NamedTuple

from weftc.ir.node import Graph, Node, rewrite
from weftc.ops import build


def with_products(graph: Graph) -> Graph:
    """`graph`, with contractions for its sums of products of arrays that were repeated."""
    return rewrite(graph, _contraction)


class _Factor(NamedTuple):
    """An array, and for each of its axes which one of the product it is."""

    node: Node
    axes: tuple[int, ...]


def _factor(node: Node) -> _Factor:
    """What is repeated to make `node`: without axes of size 1, along which nothing differs."""
    axes = tuple(range(node.type.rank))
    if node.op.name == "broadcast":
        axes, node = node["axes"], node.inputs[0]
    kept = [(axis, size) for axis, size in zip(axes, node.type.shape, strict=True) if size != 1]
    shape = tuple(size for _, size in kept)
    while node.op.name == "reshape":
        node = node.inputs[0]
    return _Factor(build.reshape(node, shape), tuple(axis for axis, _ in kept))


def _contraction(node: Node) -> Node | None:
    if node.op.name != "sum" or node.inputs[0].op.name != "mul":
        return None
    product = node.inputs[0]
    if not product.type.dtype.is_float:
        return None
    left, right = map(_factor, product.inputs)
    ones = {axis for axis, size in enumerate(product.type.shape) if size == 1}
    shared, summed = set(left.axes) & set(right.axes), set(node["axes"]) - ones
    reached = set(left.axes) | set(right.axes) | ones
    is_repeated = shared != set(range(product.type.rank)) - ones
    if not (summed and summed <= shared and len(reached) == product.type.rank and is_repeated):
        return None
    batch = sorted(shared - summed)
    free = [[axis for axis in factor.axes if axis not in shared] for factor in (left, right)]
    pairs = [
        tuple(tuple(map(factor.axes.index, axes)) for factor in (left, right))
        for axes in (batch, sorted(summed))
    ]
    result = build.call("contract", left.node, right.node, batch=pairs[0], contracted=pairs[1])
    made = [*batch, *free[0], *free[1]]
    order = sorted(range(len(made)), key=made.__getitem__)
    return build.reshape(build.transpose(result, order), node.type.shape)


def by_element(node: Node, given: Node) -> Node | None:
    """The array of what `node` is for each element of `given`, if that is 1 and the others are 0;
    None unless `node` is a contraction of another array with all of `given`."""
    if node.op.name != "contract" or given not in node.inputs:
        return None
    side = node.inputs.index(given)
    other, contracted = node.inputs[1 - side], node["contracted"]
    if len(contracted[side]) != given.type.rank or other is given:
        return None
    partner = dict(zip(contracted[side], contracted[1 - side], strict=True))
    first = [partner[axis] for axis in range(given.type.rank)]
    moved = build.transpose(
        other, [*first, *(axis for axis in range(other.type.rank) if axis not in first)]
    )
    return build.reshape(moved, (given.type.size, *moved.type.shape[given.type.rank :]))
