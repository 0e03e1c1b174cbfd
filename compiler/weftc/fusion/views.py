"""How a node reads values through movement: which axis of the value is which axis of the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from weftc.ir.index_map import IndexMap
from weftc.ir.node import Node
from weftc.ir.sizes import Shape, Size, product
from weftrt.lazy import lazy

MOST_ACCESSES: Final = 4096
"""Ways to read that a process remembers."""


class Way(Enum):
    """How the index of the value follows from the reader's."""

    AXES = "axes"  # axis by axis, as `axes` says
    FLAT = "flat"  # the same row-major position in another shape
    OTHER = "other"  # anything else


@dataclass(frozen=True)
class Access:
    """A read of a value of shape `before` at the index of an element of `shape`. For Way.AXES,
    `axes[i]` is the axis of `shape` that axis i of the value follows, None where the value has one
    element along it. Layers that are equal read their values alike, by the same objects."""

    before: Shape
    shape: Shape
    way: Way
    axes: tuple[int | None, ...] = ()

    @lazy
    def is_identity(self) -> bool:
        """Whether the reader's element is the value's element at the same index."""
        if self.way is not Way.AXES or self.before != self.shape:
            return False
        return all(a is None or a == i for i, a in enumerate(self.axes))

    @lazy
    def is_flat(self) -> bool:
        """Whether the reader's element is the value's element at the same row-major position."""
        if self.way is not Way.AXES:
            return self.way is Way.FLAT
        if self.is_identity:
            return True
        return self.is_ordered and squeezed(self.before) == squeezed(self.shape)

    @lazy
    def is_single(self) -> bool:
        """Whether the value has one element."""
        return product(self.before) == 1

    @lazy
    def is_ordered(self) -> bool:
        """Whether the axes that the value follows come in its own order."""
        return self.way is Way.AXES and self.followed == sorted(self.followed)

    @lazy
    def is_leading(self) -> bool:
        """Whether the value follows the reader's first axes, in order (axes of size 1 left out)."""
        kept = [i for i, size in enumerate(self.shape) if size != 1]
        return self.way is Way.AXES and self.followed == kept[: len(self.followed)]

    @lazy
    def followed(self) -> list[int]:
        """The reader's axes that the value follows, in the order of the value's."""
        return [a for a in self.axes if a is not None]


_access = lru_cache(maxsize=MOST_ACCESSES)(Access)


class View(NamedTuple):
    """A read of `base`, and how."""

    base: Node
    how: Access


def squeezed(shape: Sequence[Size]) -> Shape:
    """`shape` without its axes of size 1."""
    return tuple([s for s in shape if s != 1])


def direct(node: Node) -> View:
    """Reading `node` at the reader's own index."""
    return View(node, _direct(node.type.shape))


@lru_cache(maxsize=MOST_ACCESSES)
def _direct(shape: Shape) -> Access:
    axes = tuple([None if size == 1 else axis for axis, size in enumerate(shape)])
    return _access(shape, shape, Way.AXES, axes)


def through(node: Node, behind: Sequence[Sequence[View]]) -> tuple[View, ...]:
    """What a movement `node` reads, given what each of its operands reads."""
    found = [
        View(base, _follow(map_, how))
        for map_, views in zip(node.maps, behind, strict=True)
        for base, how in views
    ]
    return tuple(found if len(found) < 2 else dict.fromkeys(found))


def _follow(map_: IndexMap, how: Access) -> Access:
    axes = map_.followed
    if axes is not None and how.way is Way.AXES:
        followed = tuple([None if a is None else axes[a] for a in how.axes])
        return _access(how.before, map_.shape, Way.AXES, followed)
    is_flat = how.is_flat and map_.is_flat
    return _access(how.before, map_.shape, Way.FLAT if is_flat else Way.OTHER)
