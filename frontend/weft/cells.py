"""Closed-over arrays: which are read at each call where they are bound, and which are fixed.

A trace meets arrays, not names. One that a guarded name held before the trace came by this name,
unless it could have come in another way as well (weft.reach), or unless the trace made something of
it that is a constant now: a view, what NumPy computed, its elements as Python numbers. Such an
array is a *cell*: each call reads what its place holds then, and nothing depends on which array
that is. All others are fixed, and their names are guarded by identity.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft import guards
from weft.reach import arrays_besides
from weft.specialize import Traced
from weftrt.array import Array, exports
from weftrt.program import ArraySpec
from weftrt.signature import (
    CellInput,
    ContentGuard,
    FixedInput,
    Guard,
    Hidden,
    Place,
    PlaceGuard,
    SameGuard,
    TypeGuard,
)

_OURS = 3
"""References to a captured array that nobody else has: `captured`, a variable, an argument."""


@dataclass(frozen=True)
class Dependence:
    """What a program depends on besides its arguments: `hidden` are its inputs for the arrays that
    its trace captured, `guards` what else must hold. It is not `certain` where the trace may have
    seen what another thread did meanwhile."""

    hidden: tuple[Hidden, ...]
    guards: tuple[Guard, ...]
    certain: bool = True


class Surroundings:
    """What a function can read besides its arguments, as it was before it was traced."""

    def __init__(self, function: Callable[..., Any], statics: Sequence[Any]) -> None:
        self._roots = (function, *statics)
        self._bindings = guards.collect(function, statics)
        self._contents = guards.contents(self._bindings)
        self._places: defaultdict[int, list[Place]] = defaultdict(list)
        self._arrays: dict[int, Any] = {}
        self._exports: dict[int, int] = {}
        for guard in self._bindings:
            if isinstance(guard, PlaceGuard) and isinstance(guard.expected, (Array, np.ndarray)):
                self._add(guard.place, guard.expected)

    def _add(self, place: Place, array: Any) -> None:
        self._places[id(array)].append(place)
        self._arrays[id(array)] = array
        if isinstance(array, Array):
            self._exports[id(array)] = exports(array)

    def are_unchanged(self) -> bool:
        """Whether all is as it was."""
        return all(map(guards.holds, (*self._bindings, *self._contents)))

    def dependence(self, traced: Traced, first: int) -> Dependence:
        """What the program of a trace depends on; `first` is its first hidden input's number."""
        if not self._places:
            return Dependence(tuple(map(FixedInput, traced.captured)), self._if_fixed(traced))
        besides = arrays_besides(self._roots, self._bindings)
        certain = self._is_certain(traced.captured, besides)
        free = self._places.keys() - self._fixed(traced, besides)
        hidden = tuple(self._hidden(array, id(array) in free) for array in traced.captured)
        leaves = {id(array): first + n for n, array in enumerate(traced.captured)}
        others = [
            SameGuard(place, leaves[n]) if n in leaves else TypeGuard(place, _spec(self._arrays[n]))
            for n in free
            for place in self._places[n][n in leaves :]
        ]
        kept = [guard for guard in self._if_fixed(traced) if id(guard.expected) not in free]
        return Dependence(hidden, (*kept, *others), certain)

    def _hidden(self, array: Any, is_free: bool) -> Hidden:
        if not is_free:
            return FixedInput(array)
        return CellInput(self._places[id(array)][0], foreign=isinstance(array, np.ndarray))

    def _if_fixed(self, traced: Traced) -> tuple[guards.Binding | ContentGuard, ...]:
        """The guards that there were without cells."""
        read = {id(base) for array in traced.captured for base in guards.bases(array)}
        all_of_them = self._is_computed(traced)
        contents = [g for g in self._contents if all_of_them or id(g.array) not in read]
        return (*self._bindings, *contents)

    def _is_computed(self, traced: Traced) -> bool:
        """Whether NumPy may have computed with arrays that the program reads as well."""
        return traced.made_by_numpy or guards.has_foreign(self._bindings, traced.captured)

    def _fixed(self, traced: Traced, besides: set[int] | None) -> set[int]:
        """Arrays, by id, that have to stay what they are."""
        if besides is None:
            return set(self._arrays)
        captured = {id(array) for array in traced.captured}
        viewed = {id(b) for a in traced.captured for b in guards.bases(a) if b is not a}
        looked_at = {n for n, count in self._exports.items() if exports(self._arrays[n]) != count}
        foreign = self._arrays.keys() - self._exports
        unread = foreign if self._is_computed(traced) else foreign - captured
        return besides | viewed | looked_at | unread

    def _is_certain(self, captured: Sequence[Any], besides: set[int] | None) -> bool:
        """Whether every captured array was made by the trace, or was there before."""
        if besides is None:
            return True
        known = self._arrays.keys() | besides
        return all(id(a) in known or sys.getrefcount(a) <= _OURS for a in captured)


def _spec(array: Array) -> ArraySpec:
    return ArraySpec(array.dtype, array.shape)
