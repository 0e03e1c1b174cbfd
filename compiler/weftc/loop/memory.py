"""The buffers of the loop interpreter: checked reads and writes."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from weftc.loop.ir import Buffer, Space
from weftrt.errors import WeftError

Array: TypeAlias = "np.ndarray[Any, Any]"

ALL_THREADS = -1
_NOBODY, _SEVERAL = -2, -3


class LoopFault(WeftError, IndexError):
    """A loop function read or wrote where it must not."""


class Memory:
    """One buffer. `copies` > 1 is a LOCAL array of that many iterations that run together."""

    def __init__(self, buffer: Buffer, data: Array, defined: bool, copies: int = 1) -> None:
        self.buffer = buffer
        self.data = data
        self.size = data.size // copies
        self.copies = copies
        self.defined = None if defined else np.zeros(data.size, np.bool_)
        self._writer: Array | None = None
        self._reader: Array | None = None
        if buffer.space is Space.SHARED:
            self._writer = np.full(data.size, _NOBODY)
            self._reader = np.full(data.size, _NOBODY)

    @staticmethod
    def fresh(buffer: Buffer, size: int, copies: int = 1) -> Memory:
        """Uninitialized memory."""
        data = np.zeros(size * copies, buffer.dtype.dtype)
        return Memory(buffer, data, False, copies)

    def read(self, at: Array, mask: Array | None, thread: Array) -> Array:
        """The elements `at`; 0 where `mask` is false."""
        at = self._spread(at)
        if mask is None:
            place = self._place(at)
            self._check_read(place, thread)
            return self.data[place]
        at, mask = np.broadcast_arrays(at, mask)
        value = np.zeros(at.shape, self.data.dtype)
        place = self._place(at, mask)
        self._check_read(place, np.broadcast_to(thread, at.shape)[mask])
        value[mask] = self.data[place]
        return value

    def write(self, at: Array, value: Array, mask: Array | None, thread: Array) -> None:
        """Write the elements `at` where `mask` is true, in order."""
        at = self._spread(at)
        if mask is None and self._writer is None and at.shape == value.shape:
            self._put(self._place(at), value)
            return
        if mask is None:
            mask = np.ones(np.broadcast_shapes(at.shape, value.shape), np.bool_)
        at, value, mask, thread = np.broadcast_arrays(at, value, mask, thread)
        place = self._place(at, mask)
        self._check_write(place, thread[mask])
        self._put(place, value[mask])

    def _put(self, place: Array, value: Array) -> None:
        self.data[place] = value
        if self.defined is not None:
            self.defined[place] = True

    def barrier(self) -> None:
        """What was written before is seen by all threads from here on."""
        if self._writer is not None and self._reader is not None:
            self._writer.fill(_NOBODY)
            self._reader.fill(_NOBODY)

    def _place(self, at: Array, mask: Array | None = None) -> Array:
        """Checked positions in `data`, of the lanes of `mask`."""
        chosen = at if mask is None else at[mask]
        if not self._is_inside(chosen):
            bad = next(int(place) for place in chosen.flat if not 0 <= place < self.size)
            raise LoopFault(f"{self.buffer.name}[{bad}] is outside its {self.size} elements")
        if self.copies == 1:
            return chosen
        base = np.arange(self.copies) * self.size
        return np.asarray(chosen + (base if mask is None else base[mask]))

    def _is_inside(self, chosen: Array) -> bool:
        if chosen.ndim == 0:
            return 0 <= int(chosen) < self.size
        return chosen.size == 0 or bool(chosen.min() >= 0 and chosen.max() < self.size)

    def _spread(self, at: Array) -> Array:
        """One element per copy."""
        return np.broadcast_to(at, (self.copies,)) if self.copies > 1 else at

    def _check_read(self, place: Array, thread: Array) -> None:
        if self.defined is not None and not self.defined[place].all():
            bad = np.atleast_1d(place)[~np.atleast_1d(self.defined[place])][0]
            raise LoopFault(f"{self.buffer.name}[{bad % self.size}] is read before it is written")
        if self._writer is None or self._reader is None:
            return
        if thread.size > place.size:  # all threads read one element
            thread = np.asarray(_SEVERAL)
        elif thread.ndim > place.ndim:
            thread = thread.reshape(place.shape)
        self._check_race(self._writer[place], thread, place)
        before = self._reader[place]
        self._reader[place] = np.where((before == _NOBODY) | (before == thread), thread, _SEVERAL)

    def _check_write(self, place: Array, thread: Array) -> None:
        if self._writer is None or self._reader is None:
            return
        if np.unique(place).size < np.size(place):
            raise LoopFault(f"two threads write one element of {self.buffer.name}")
        self._check_race(self._writer[place], thread, place)
        self._check_race(self._reader[place], thread, place)
        self._writer[place] = thread

    def _check_race(self, before: Array, thread: Array, place: Array) -> None:
        race = (before != _NOBODY) & (before != thread)
        if np.any(race):
            bad = np.atleast_1d(place)[np.atleast_1d(race)][0]
            raise LoopFault(
                f"{self.buffer.name}[{bad}] is used by two threads without a barrier between them"
            )
