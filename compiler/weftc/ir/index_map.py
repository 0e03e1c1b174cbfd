"""Movement: where in an operand the element at an index of the reader lies.

An `IndexMap` gives a quasi-affine form of the reader's index for each axis of the operand, and the
guards under which there is such an element. Maps compose (`then`), which keeps them in normal form
(weftc.ir.index_linear): movement that undoes movement leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from weftc.ir.axis_runs import axis_runs
from weftc.ir.index_linear import Axis, Linear, Space
from weftc.ir.sizes import Shape, Size, product
from weftrt.lazy import lazy

_NEAR = 4
"""How far apart neighbours may lie for vectors to copy them."""
_ENOUGH = 6
"""How many neighbours are worth a vector."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Holds where 0 <= linear < extent."""

    linear: Linear
    extent: Size

    def __str__(self) -> str:
        return f"0 <= {self.linear} < {self.extent}"


class Coverage(IntEnum):
    """What is known of the elements that a reader with any elements reads, which forms do not show
    where sizes are equal only by what is assumed of them."""

    SOME = 0
    """Elements of the operand may be left out."""
    ALL = 1
    """None is."""
    IN_ORDER = 2
    """None is, and each is read at its own row-major position."""


@dataclass(frozen=True)
class IndexMap:
    """The element of an operand of shape `operand` that a reader of `shape` has at an index: `axes`
    has the operand's index, axis by axis, which is one where all `guards` hold."""

    shape: Shape
    operand: Shape
    axes: tuple[Linear, ...]
    guards: tuple[Guard, ...] = ()
    coverage: Coverage = Coverage.ALL

    @staticmethod
    def made(
        shape: Shape,
        operand: Shape,
        axes: Iterable[Linear],
        guards: Iterable[Guard] = (),
        coverage: Coverage = Coverage.ALL,
    ) -> IndexMap:
        """A map of forms over the axes of `shape`, without the guards that always hold."""
        space = Space(shape)
        needed = [g for g in guards if not all(space.within(g.linear, g.extent))]
        return IndexMap(shape, operand, tuple(axes), tuple(dict.fromkeys(needed)), coverage)

    @staticmethod
    @lru_cache(maxsize=1024)
    def identity(shape: Shape) -> IndexMap:
        """Every element at its own index."""
        return IndexMap(shape, shape, Space(shape).index, coverage=Coverage.IN_ORDER)

    @staticmethod
    def reshape(shape: Shape, operand: Shape) -> IndexMap:
        """Every element at its row-major position. Runs of axes that correspond are taken apart: a
        position is one in a run, so that it has no more parts than it must."""
        space = Space(shape)
        axes = [Linear(0)] * len(operand)
        for run, inner in axis_runs(shape, operand):
            index = [space.axis(number) for number in run]
            position = space.position(index, tuple([shape[number] for number in run]))
            kept = [number for number in inner if operand[number] != 1]
            for number in kept:
                behind = product([operand[k] for k in kept if k > number])
                extent = None if number == kept[0] else operand[number]
                axes[number] = space.part(position, behind, extent)
        return IndexMap(shape, operand, tuple(axes), coverage=Coverage.IN_ORDER)

    def then(self, inner: IndexMap) -> IndexMap:
        """What is read through this map, of what is read through `inner`."""
        if inner.is_identity or self.is_identity:
            return self if inner.is_identity else inner
        coverage = min(self.coverage, inner.coverage)
        space, index = Space(self.shape), self.axes
        axes = [space.substituted(form, index) for form in inner.axes]
        guards = [Guard(space.substituted(g.linear, index), g.extent) for g in inner.guards]
        return IndexMap.made(self.shape, inner.operand, axes, (*self.guards, *guards), coverage)

    @lazy
    def flat(self) -> Linear:
        """The row-major position in the operand."""
        return Space(self.shape).position(self.axes, self.operand)

    @lazy
    def followed(self) -> tuple[int | None, ...] | None:
        """The reader's axis that each axis of the operand is from end to end, None for an axis of
        one element; None as a whole where some axis is anything else, or there is a guard."""
        if self.guards or self.coverage is Coverage.SOME:
            return None
        found: list[int | None] = []
        for form, size in zip(self.axes, self.operand, strict=True):
            atom = form.atom
            if not isinstance(atom, Axis) and size != 1:
                return None
            found.append(atom.number if isinstance(atom, Axis) and size != 1 else None)
        return tuple(found)

    @lazy
    def is_identity(self) -> bool:
        """Whether the reader's element is the operand's at the same index."""
        if self.guards or self.operand != self.shape:
            return False
        pairs = enumerate(zip(self.axes, self.shape, strict=True))
        return all(size == 1 or form.atom == Axis(number) for number, (form, size) in pairs)

    @lazy
    def is_flat(self) -> bool:
        """Whether the reader's element is the operand's at the same row-major position, and there
        are no others."""
        if self.guards or self.coverage is not Coverage.ALL:
            return self.coverage is Coverage.IN_ORDER
        space = Space(self.shape)
        return self.flat == space.position(space.index, self.shape)

    @property
    def splits(self) -> bool:
        """Whether an axis of the reader is split: the index takes remainders."""
        return any(form.splits for form in self.axes)

    @lazy
    def tests(self) -> tuple[tuple[Guard, bool, bool], ...]:
        """The guards, and for each whether it is shown to be never below its range, and never past
        it."""
        space = Space(self.shape)
        return tuple([(guard, *space.within(guard.linear, guard.extent)) for guard in self.guards])

    @lazy
    def is_inside(self) -> bool:
        """Whether the index is one of the operand even where guards do not hold."""
        space = Space(self.shape)
        pairs = zip(self.axes, self.operand, strict=True)
        return not self.guards or all(all(space.within(form, size)) for form, size in pairs)

    @lazy
    def strides(self) -> tuple[Size, ...] | None:
        """How far apart neighbours along each axis of the reader lie in a row-major operand; None
        where that is not the same everywhere."""
        if self.flat.divides:
            return None
        factors = dict(self.flat.terms)
        return tuple([factors.get(Axis(number), 0) for number in range(len(self.shape))])

    @lazy
    def runs(self) -> tuple[int, ...]:
        """The axes of the reader that vectors copy a row-major operand along: neighbours lie near
        one another, and there are, or may be, enough of them. The nearest come first."""
        strides = enumerate(self.strides or ())
        near = [(s, axis) for axis, s in strides if isinstance(s, int) and 0 < s <= _NEAR]
        return tuple([axis for _, axis in sorted(near) if _is_long(self.shape[axis])])

    def __str__(self) -> str:
        axes = ", ".join(map(str, self.axes))
        guards = "".join(f" where {guard}" for guard in self.guards)
        shape, operand = (", ".join(map(str, s)) for s in (self.shape, self.operand))
        return f"[{shape}] -> [{operand}]: ({axes}){guards}"


def _is_long(size: Size) -> bool:
    return not isinstance(size, int) or size >= _ENOUGH
