"""Memory between guard pages, filled with a pattern."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

import numpy as np

from weftrt.cpu.pages import NO_ACCESS, private, protect

PAGE = mmap.PAGESIZE
GUARD = 1 << 20
"""Bytes on each side that cannot be touched: more than a page, for steps that are wide."""

_KEPT_PAGES = 4096

# No byte is the same in both. As floats they are signalling NaNs; as bools they are none.
_FIRST = {1: 0xA5, 2: 0x7DA5, 4: 0x7FA5A5A5, 8: 0x7FF4A5A5A5A5A5A5}
_SECOND = {1: 0x5A, 2: 0xFD5A, 4: 0xFF9A5A5A, 8: 0xFFF25A5A5A5A5A5A}


class Side(Enum):
    """Which end of a block touches a guard page."""

    END = "end"
    START = "start"


PATTERNS = {Side.END: _FIRST, Side.START: _SECOND}
"""Memory is filled with another pattern on each side."""


class Room:
    """Whole pages between others that cannot be touched."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self._map = private(pages * PAGE + 2 * GUARD)
        self.bytes = np.frombuffer(self._map, np.uint8, pages * PAGE, GUARD)
        self.begin = self.bytes.ctypes.data
        self.end = self.begin + pages * PAGE
        protect(self.begin - GUARD, GUARD, NO_ACCESS)
        protect(self.end, GUARD, NO_ACCESS)


class Block:
    """`size` bytes of a room, at one of its ends: elements of `itemsize` bytes, poisoned as all of
    the room is. At the end, the address is rounded down to `alignment`."""

    def __init__(self, room: Room, size: int, itemsize: int, alignment: int, side: Side) -> None:
        self.room = room
        self.size = size
        self.itemsize = itemsize
        offset = 0
        if side is Side.END:
            offset = (room.pages * PAGE - size) // alignment * alignment
        self.begin = room.begin + offset
        self.pattern = np.array(PATTERNS[side][itemsize], f"u{itemsize}")
        room.bytes.view(self.pattern.dtype)[:] = self.pattern
        self._offset = offset

    @property
    def bytes(self) -> np.ndarray[Any, Any]:
        """All of it, byte by byte."""
        return self.room.bytes[self._offset : self._offset + self.size]

    @property
    def elements(self) -> np.ndarray[Any, Any]:
        """The elements as unsigned integers."""
        return self.bytes.view(self.pattern.dtype)

    def touched_outside(self) -> str | None:
        """Where the room outside the block does not hold the pattern any more."""
        before = self.room.bytes[: self._offset].view(self.pattern.dtype)
        after = self.room.bytes[self._offset + self.size :].view(self.pattern.dtype)
        if (before != self.pattern).any():
            return "before the start"
        return "past the end" if (after != self.pattern).any() else None


class Rooms:
    """Rooms to be used again, by their number of pages."""

    def __init__(self) -> None:
        self._free: dict[int, list[Room]] = {}
        self._pages = 0

    @contextmanager
    def taken(self, sizes: Sequence[int]) -> Iterator[list[Room]]:
        """A room for each of these numbers of bytes."""
        rooms = [self._take(max(1, -(-size // PAGE))) for size in sizes]
        try:
            yield rooms
        finally:
            for room in rooms:
                self._give(room)

    def _take(self, pages: int) -> Room:
        free = self._free.get(pages)
        if free:
            self._pages -= pages
            return free.pop()
        return Room(pages)

    def _give(self, room: Room) -> None:
        if self._pages + room.pages <= _KEPT_PAGES:
            self._pages += room.pages
            self._free.setdefault(room.pages, []).append(room)
