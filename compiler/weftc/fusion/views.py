"""How a node reads values through movement: which axis of the value is which axis of the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from weftc.ir.index_map import IndexMap
from weftc.ir.node import Node
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


def through(node: Node, behind: Sequence[Sequence[View]]) -> tuple[View, ...]:
    """What a movement `node` reads, given what each of its operands reads."""
    found = [
        _follow(map_, view) for map_, views in zip(node.maps, behind, strict=True) for view in views
    ]
    return tuple(found if len(found) < 2 else dict.fromkeys(found))


def _follow(map_: IndexMap, view: View) -> View:
    axes = map_.followed
    if axes is not None and view.way is Way.AXES:
        followed = tuple([None if a is None else axes[a] for a in view.axes])
        return View(view.base, map_.shape, Way.AXES, followed)
    is_flat = view.is_flat and map_.is_flat
    return View(view.base, map_.shape, Way.FLAT if is_flat else Way.OTHER)
