"""How a node reads values through movement: which axis of the value is which axis of the reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.types import Shape, Size


class Way(Enum):
    """How the index of the value follows from the reader's."""

    AXES = "axes"  # axis by axis, as `axes` says
    FLAT = "flat"  # the same row-major position in another shape
    OTHER = "other"  # anything else


@dataclass(frozen=True)
class View:
    """A read of `base`. For Way.AXES, `axes[i]` is the reader's axis that axis i of the base
    follows, None where the base has one element along it."""

    base: Node
    way: Way
    axes: tuple[int | None, ...] = ()

    @property
    def is_identity(self) -> bool:
        """Whether the reader's element is the base's element at the same index."""
        shape = self.base.type.shape
        same = all(a == i or (a is None and shape[i] == 1) for i, a in enumerate(self.axes))
        return self.way is Way.AXES and same


def direct(node: Node) -> View:
    """Reading `node` at the reader's own index."""
    shape = node.type.shape
    return View(node, Way.AXES, tuple(None if s == 1 else i for i, s in enumerate(shape)))


def through(node: Node, views: Sequence[View]) -> tuple[View, ...]:
    """What a movement `node` reads, given what its operands read."""
    rule = _RULES.get(node.op.name)
    axes = rule(node) if rule is not None else None
    found = dict.fromkeys(_follow(node, view, axes) for view in views)
    return tuple(found)


def _follow(node: Node, view: View, axes: tuple[int | None, ...] | None) -> View:
    if axes is not None and view.way is Way.AXES:
        return View(view.base, Way.AXES, tuple(None if a is None else axes[a] for a in view.axes))
    if node.op.name == "reshape" and (view.way is Way.FLAT or view.is_identity):
        return View(view.base, Way.FLAT)
    return View(view.base, Way.OTHER)


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
