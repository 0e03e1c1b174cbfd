"""Where materialized values live between steps: one arena, planned by liveness.

Greedy best fit over byte ranges, in order of decreasing size (as in Pisarchyk and Lee, "Efficient
Memory Management for Deep Neural Net Inference", 2020). Values of symbolic size come after the
fixed part, in places one after the other: those whose lives do not overlap share one, if it is
shown that the first of them is never smaller. Scratch of symbolic size comes last, that of every
step at the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from weftc.fusion.kernel import KernelPlan, MemoryPlan
from weftc.ir.constraints import symbols_of
from weftc.ir.node import Node
from weftc.ir.size_functions import ceil_div, upper_bound
from weftc.ir.size_order import never_negative
from weftc.ir.sizes import Size, value_of

ALIGNMENT = 64
_FAR = 1 << 62
"""An offset past all memory."""
_TOP = (1 << 63) - 1
"""Where no value reaches that starts before `_FAR`."""
Offsets: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int64]]"
_TYPICAL = 100
"""A symbol's value where sizes are ordered."""

Owner: TypeAlias = "Node | tuple[int, str]"
"""A node, or scratch buffer `name` of step number `index`."""


@dataclass(frozen=True)
class Scratch:
    """`size` bytes of elements of `itemsize` bytes that a step needs while it runs."""

    size: Size
    itemsize: int


@dataclass(frozen=True, eq=False)
class Life:
    """A value of `size` bytes, written by step `first` and last read by step `last`."""

    owner: Owner
    size: Size
    first: int
    last: int


def plan(steps: KernelPlan, scratch: Sequence[Mapping[str, Scratch]]) -> MemoryPlan:
    """Place every temporary of `steps`, and the scratch buffers of each step by name."""
    lives = _lifetimes(steps, scratch)
    places: dict[Owner, Size] = {}
    end: Size = _place_fixed([x for x in lives if isinstance(x.size, int)], places)
    symbolic = [x for x in lives if not isinstance(x.size, int)]
    end = _place_symbolic(symbolic, end, places)
    return MemoryPlan(
        {owner: place for owner, place in places.items() if isinstance(owner, Node)},
        {owner: place for owner, place in places.items() if not isinstance(owner, Node)},
        end,
    )


def _place_symbolic(lives: Sequence[Life], start: Size, places: dict[Owner, Size]) -> Size:
    """Give each life a place from `start` on; the end of all."""
    values = [x for x in lives if isinstance(x.owner, Node)]
    for room in _shared(values):
        places.update((life.owner, start) for life in room)
        start = start + _room(room[0].size)
    steps: dict[int, Size] = {}
    for life in (x for x in lives if not isinstance(x.owner, Node)):
        place = steps.get(life.first, start)
        places[life.owner] = place
        steps[life.first] = place + _room(life.size)
    return start + _room(upper_bound(end - start for end in steps.values()))


def _room(size: Size) -> Size:
    """`size` bytes, and what follows up to where the next value may start."""
    return ceil_div(size, ALIGNMENT) * ALIGNMENT


def _shared(lives: Sequence[Life]) -> list[list[Life]]:
    """Lives that share a place, the largest first."""
    rooms: list[list[Life]] = []
    for life in sorted(lives, key=lambda x: (-typical_size(x.size), x.first)):
        room = next((room for room in rooms if _fits(life, room)), None)
        if room is None:
            rooms.append([life])
        else:
            room.append(life)
    return rooms


def _fits(life: Life, room: Sequence[Life]) -> bool:
    """Whether nobody in `room` lives at the same time, and its first is never smaller."""
    free = all(other.last < life.first or life.last < other.first for other in room)
    return free and never_negative(room[0].size - life.size)


def typical_size(size: Size) -> int:
    """What orders symbolic sizes."""
    return value_of(size, dict.fromkeys(symbols_of(size), _TYPICAL))


def _lifetimes(plan: KernelPlan, scratch: Sequence[Mapping[str, Scratch]]) -> list[Life]:
    last: dict[Node, int] = {}
    for index, step in enumerate(plan.steps):
        for node in step.inputs:
            last[node] = index
    outputs = set(plan.graph.outputs)
    lives: list[Life] = []
    for index, step in enumerate(plan.steps):
        for node in step.outputs:
            if node not in outputs:
                size = node.type.size * node.type.dtype.itemsize
                lives.append(Life(node, size, index, last.get(node, index)))
        for name, need in scratch[index].items():
            lives.append(Life((index, name), need.size, index, index))
    return lives


def _bytes(life: Life) -> int:
    assert isinstance(life.size, int)
    size = _room(max(life.size, 1))
    assert isinstance(size, int)
    return size


def _place_fixed(lives: Sequence[Life], places: dict[Owner, Size]) -> int:
    """Give each life the lowest gap that is free for as long as it lives; the arena's size."""
    table = np.empty((4, len(lives) + 2), np.int64)  # what is placed: start, stop, first, last
    table[:, 0] = 0, 0, 0, _FAR  # below and above all, and as long as anything lives
    table[:, 1] = _TOP, _TOP, 0, _FAR
    end = 0
    order = sorted([(-_bytes(life), life.first, k) for k, life in enumerate(lives)])
    for count, (less, _, k) in enumerate(order, 2):
        starts, stops, firsts, lasts = table[:, :count]
        size, life = -less, lives[k]
        (beside,) = ((firsts <= life.last) & (lasts >= life.first)).nonzero()
        offset = _lowest_gap(starts[beside], stops[beside], size)
        place = starts.searchsorted(offset, "right")
        table[:, place + 1 : count + 1] = table[:, place:count]
        table[:, place] = offset, min(offset + size, _FAR), life.first, life.last
        places[life.owner] = offset
        end = max(end, offset + size)
    return end


def _lowest_gap(starts: Offsets, stops: Offsets, size: int) -> int:
    """The lowest place for `size` bytes between what lies from `starts`, which ascend, to `stops`;
    the last of them is above all."""
    ends = np.maximum.accumulate(stops)
    fits = starts[1:] - ends[:-1] >= size
    return int(ends[fits.argmax()])
