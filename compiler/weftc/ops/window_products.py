"""The gradient of windows that were multiplied: a product of windows again.

Where a cotangent of windows is a product P of `places` with `taps`,

    sum over w of P[n - d w, w] = sum over w, c of places[n - d w, c] taps[w, c]

is a product of the windows of the padded places with the taps in reverse: the gradient of a
convolution by its input is a convolution, and no matrix of all windows is made on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from weftc.ir.node import Node
from weftc.ops import build

Axes = tuple[int, ...]
Name = tuple[int, int]
"""Of an axis of a product: an operand and an axis of it, or BATCH and the number of a pair."""

BATCH: Final = -1


@dataclass(frozen=True)
class Product:
    """A contraction, and which axis of it each axis of its transposed result is."""

    node: Node
    names: tuple[Name, ...]

    def pairs(self, attr: str, operand: int) -> Axes:
        """The axes of an operand that are batch axes, or contracted."""
        found: Axes = self.node[attr][operand]
        return found

    def free(self, operand: int) -> list[Name]:
        """The axes of an operand that are neither."""
        used = self.pairs("batch", operand) + self.pairs("contracted", operand)
        rank = self.node.inputs[operand].type.rank
        return [(operand, axis) for axis in range(rank) if axis not in used]

    @property
    def batch(self) -> list[Name]:
        """The batch axes."""
        return [(BATCH, number) for number in range(len(self.pairs("batch", 0)))]

    @property
    def own_names(self) -> list[Name]:
        """The axes in the order of the contraction."""
        return self.batch + self.free(0) + self.free(1)


def product_of_windows(node: Node, g: Node) -> Node | None:
    """The gradient of a `window` node's operand as a product, where its cotangent `g` is one whose
    operands have the places and the taps, and neighbours are one place apart; else None."""
    found, rank = product_of(g), node.inputs[0].type.rank
    if found is None or not node["axes"] or set(node["strides"]) != {1}:
        return None
    places, taps = [found.names[axis] for axis in node["axes"]], found.names[rank:]
    of_places, of_taps = places[0][0], taps[0][0]
    if {of_places, of_taps} != {0, 1}:
        return None
    if any(n != of_places for n, _ in places) or any(n != of_taps for n, _ in taps):
        return None
    return _gradient(node, found, _numbers(places), _numbers(taps), of_taps)


def product_of(g: Node) -> Product | None:
    """The contraction that `g` is, seen through transposition."""
    order: Sequence[int] = range(g.type.rank)
    while g.op.name == "transpose":
        order = [g["permutation"][axis] for axis in order]
        (g,) = g.inputs
    if g.op.name != "contract":
        return None
    names = Product(g, ()).own_names
    return Product(g, tuple(names[axis] for axis in order))


def _numbers(names: Iterable[Name]) -> Axes:
    return tuple(axis for _, axis in names)


def _gradient(node: Node, found: Product, places: Axes, taps: Axes, of_taps: int) -> Node:
    """The product, of the operand that has the taps and the windows of the other."""
    kept, of_places = found.names[: node.inputs[0].type.rank], 1 - of_taps
    windows, new = _windows(node, found.node.inputs[of_places], places)
    operands = {
        of_taps: build.call("flip", found.node.inputs[of_taps], axes=tuple(sorted(taps))),
        of_places: windows,
    }
    last = kept[-1][0]
    first = 1 - last if last != BATCH else 0  # its axes come first, as in what is wanted
    second = 1 - first
    parts = {of_taps: (found.pairs("contracted", of_taps), taps)}
    parts[of_places] = found.pairs("contracted", of_places), new
    if first == of_places:  # its channels come last
        parts = {operand: pair[::-1] for operand, pair in parts.items()}
    contracted = {operand: before + behind for operand, (before, behind) in parts.items()}
    result = build.call(
        "contract",
        operands[first],
        operands[second],
        batch=(found.pairs("batch", first), found.pairs("batch", second)),
        contracted=(contracted[first], contracted[second]),
    )
    names = [name for name in found.batch + found.free(first) + found.free(second) if name in kept]
    return build.transpose(result, [names.index(name) for name in kept])


def _windows(node: Node, operand: Node, places: Axes) -> tuple[Node, Axes]:
    """The windows at all places of the padded operand, one for each element that is wanted, and the
    axes of the taps, in the order of the node's."""
    rank, sizes, dilation = operand.type.rank, node["sizes"], node["dilation"]
    margin = [0] * rank
    for axis, size, distance in zip(places, sizes, dilation, strict=True):
        margin[axis] = (size - 1) * distance
    width, zero = tuple(margin), build.zero(operand.type.dtype)
    padded = build.call("pad", operand, zero, low=width, high=width, interior=(0,) * rank)
    order = sorted(range(len(places)), key=places.__getitem__)
    windows = build.call(
        "window",
        padded,
        axes=tuple(sorted(places)),
        sizes=tuple(sizes[number] for number in order),
        strides=(1,) * len(places),
        dilation=tuple(dilation[number] for number in order),
    )
    return windows, tuple(rank + order.index(number) for number in range(len(places)))
