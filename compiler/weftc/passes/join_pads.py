"""Sums of arrays padded with zeros, each in a place of its own: the gradient of what was sliced.

    add(pad(x, high 3), pad(y, low 2))   ->   concat(x + 0, y + 0)

The work for each piece is then done where the piece is written. x + 0 is x but for -0, of which the
sum with the padding makes +0.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from weftc.ir.node import Node
from weftc.ops import build

_MOST = 8
"""Pieces of one sum."""
_SUMMED = {"add", "pad"}
"""What the operands of a sum of padded arrays are."""


class _Piece(NamedTuple):
    """An array, and its place along an axis of the sum."""

    axis: int
    start: int
    stop: int
    node: Node


def join_pads(node: Node) -> Node | None:
    """add(pad(x), pad(y)) -> concat(x + 0, y + 0), padded where the sum has no piece"""
    if _SUMMED.isdisjoint([x.op.name for x in node.inputs]):
        return None
    pieces = sorted(_pieces(node, _MOST) or (), key=lambda piece: piece.start)
    if len(pieces) < 2 or any(a.stop != b.start for a, b in pairwise(pieces)):
        return None
    axis, rank, dtype = pieces[0].axis, node.type.rank, node.type.dtype
    whole = build.call("concat", *(_with_zero(piece.node) for piece in pieces), axis=axis)
    ends = pieces[0].start, node.type.shape[axis] - pieces[-1].stop
    low, high = (tuple(end if a == axis else 0 for a in range(rank)) for end in ends)
    return build.call("pad", whole, build.zero(dtype), low=low, high=high, interior=(0,) * rank)


def _pieces(node: Node, most: int) -> list[_Piece] | None:
    """What is added up in `node`, if that is padded along one axis, and is not more than `most`."""
    if node.op.name == "pad":
        return _padded(node)
    if node.op.name != "add" or not _SUMMED.issuperset(x.op.name for x in node.inputs):
        return None
    found: list[_Piece] = []
    for operand in sorted(node.inputs, key=lambda x: x.op.name):  # first what may be long
        more = _pieces(operand, most - 1)
        if more is None or len(found) + len(more) > most:
            return None
        found += more
    return found if len({piece.axis for piece in found}) == 1 else None


def _padded(node: Node) -> list[_Piece] | None:
    """The one piece of a padded array, or those that were joined in it before."""
    (x, value), axis = node.inputs, _axis(node)
    if axis is None or not _is_zero(value):
        return None
    joined = x.op.name == "concat" and x["axis"] == axis and all(map(_has_zero, x.inputs))
    found, start = [], node["low"][axis]
    for part in x.inputs if joined else (x,):
        size = part.type.shape[axis]
        if not (isinstance(start, int) and isinstance(size, int)):
            return None
        found.append(_Piece(axis, start, start + size, part))
        start += size
    return found


def _axis(node: Node) -> int | None:
    """The axis along which a pad makes its operand longer, if it is one, and does nothing else."""
    places = zip(node["low"], node["high"], node["interior"], strict=True)
    longer = [axis for axis, place in enumerate(places) if place != (0, 0, 0)]
    return longer[0] if len(longer) == 1 and node["interior"][longer[0]] == 0 else None


def _is_zero(node: Node) -> bool:
    """Whether all elements are +0."""
    while node.op.name == "broadcast":
        node = node.inputs[0]
    return node.op.name == "constant" and node["value"] == 0 and math.copysign(1, node["value"]) > 0


def _has_zero(node: Node) -> bool:
    """Whether a piece is what the sum with zeros makes of it: integers have no -0."""
    return not node.type.dtype.is_float or (node.op.name == "add" and _is_zero(node.inputs[1]))


def _with_zero(node: Node) -> Node:
    if _has_zero(node):
        return node
    zero = build.expand(build.zero(node.type.dtype), node.type.shape, ())
    return build.call("add", node, zero)
