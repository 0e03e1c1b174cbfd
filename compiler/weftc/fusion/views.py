"""How a node reads values through movement: which axis of the value is which axis of the reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Shape, Size
from weftrt.lazy import lazy


class Way(Enum):
    """How the index of the value follows from the reader's."""

    AXES = "axes"  # axis by axis, as `axes` says
    FLAT = "flat"  # the same row-major position in another shape
    OTHER = "other"  # anything else


@dataclass(frozen=True)
class View:
    """A read of `base` at the index of an element of `shape`. For Way.AXES, `axes[i]` is the axis
    of `shape` that axis i of the base follows, None where the base has one element along it."""

    base: Node
    shape: Shape
    way: Way
    axes: tuple[int | None, ...] = ()

    @lazy
    def is_identity(self) -> bool:
        """Whether the reader's element is the base's element at the same index."""
        if self.way is not Way.AXES or self.base.type.shape != self.shape:
            return False
        return all(a is None or a == i for i, a in enumerate(self.axes))

    @lazy
    def is_flat(self) -> bool:
        """Whether the reader's element is the base's element at the same row-major position."""
        if self.way is not Way.AXES:
            return self.way is Way.FLAT
        if self.is_identity:
            return True
        return self.is_ordered and squeezed(self.base.type.shape) == squeezed(self.shape)

    @lazy
    def is_ordered(self) -> bool:
        """Whether the axes that the base follows come in its own order."""
        return self.way is Way.AXES and self.followed == sorted(self.followed)

    @lazy
    def is_leading(self) -> bool:
        """Whether the base follows the reader's first axes, in order (axes of size 1 left out)."""
        kept = [i for i, size in enumerate(self.shape) if size != 1]
        return self.way is Way.AXES and self.followed == kept[: len(self.followed)]

    @lazy
    def followed(self) -> list[int]:
        """The reader's axes that the base follows, in the order of the base's."""
        return [a for a in self.axes if a is not None]


def squeezed(shape: Sequence[Size]) -> Shape:
    """`shape` without its axes of size 1."""
    return tuple([s for s in shape if s != 1])


def direct(node: Node) -> View:
    """Reading `node` at the reader's own index."""
    shape = node.type.shape
    axes = tuple([None if size == 1 else axis for axis, size in enumerate(shape)])
    return View(node, shape, Way.AXES, axes)


def through(node: Node, views: Sequence[View]) -> tuple[View, ...]:
    """What a movement `node` reads, given what its operands read."""
    rule = _RULES.get(node.op.name)
    axes = rule(node) if rule is not None else None
    found = [_follow(node, view, axes) for view in views]
    return tuple(found if len(found) < 2 else dict.fromkeys(found))


def _follow(node: Node, view: View, axes: tuple[int | None, ...] | None) -> View:
    shape = node.type.shape
    if axes is not None and view.way is Way.AXES:
        followed = tuple([None if a is None else axes[a] for a in view.axes])
        return View(view.base, shape, Way.AXES, followed)
    flat = node.op.name == "reshape" and view.is_flat
    return View(view.base, shape, Way.FLAT if flat else Way.OTHER)


_Axes: TypeAlias = "tuple[int | None, ...]"


def _broadcast(node: Node) -> _Axes:
    shape = node.inputs[0].type.shape
    return tuple(None if shape[i] == 1 else axis for i, axis in enumerate(node["axes"]))


def _transpose(node: Node) -> _Axes:
    permutation: tuple[int, ...] = node["permutation"]
    return tuple(permutation.index(i) for i in range(len(permutation)))


def _reshape(node: Node) -> _Axes | None:
    """Axis by axis where only axes of size 1 come and go."""
    before, after = node.inputs[0].type.shape, node.type.shape
    kept = [i for i, s in enumerate(before) if s != 1]
    result = [i for i, s in enumerate(after) if s != 1]
    if [before[i] for i in kept] != [after[i] for i in result]:
        return None
    where = dict(zip(kept, result, strict=True))
    return tuple(where.get(i) for i in range(len(before)))


_RULES: dict[str, Callable[[Node], _Axes | None]] = {
    "broadcast": _broadcast,
    "transpose": _transpose,
    "reshape": _reshape,
}


def divides(node: Node) -> bool:
    """Whether pulling a reshape takes divisions: some axis of the result holds several of the
    operand's."""
    if node.op.family is not Family.MOVEMENT or node.op.name != "reshape":
        return False
    before, after = node.inputs[0].type.shape, node.type.shape
    return any(
        sum(before[a] != 1 for a in operand) > 1 for _, operand in reshape_groups(after, before)
    )


def reshape_groups(a: Shape, b: Shape) -> list[tuple[Sequence[int], Sequence[int]]]:
    """Axes of two shapes of one size in runs of equal products, each as short as can be shown."""
    runs: list[tuple[Sequence[int], Sequence[int]]] = []
    i = j = i0 = j0 = 0
    left: Size = 1
    right: Size = 1
    while i < len(a) or j < len(b):
        if left == right and i > i0 and j > j0:
            runs.append((range(i0, i), range(j0, j)))
            i0, j0, left, right = i, j, 1, 1
        elif i < len(a) and (j == len(b) or i == i0 or not _shorter(right, left)):
            left, i = left * a[i], i + 1
        else:
            right, j = right * b[j], j + 1
    runs.append((range(i0, i), range(j0, j)))
    return runs


def _shorter(a: Size, b: Size) -> bool:
    """Whether the product `a` has fewer factors to go by its degree, then by its coefficients."""
    return _degree(a) < _degree(b)


def _degree(size: Size) -> tuple[int, int]:
    if isinstance(size, int):
        return 0, size
    return max(len(m) for m, _ in size.terms), sum(c for _, c in size.terms)
