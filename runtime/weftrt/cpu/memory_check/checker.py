"""Kernels watched: each call of one runs twice, on copies of its buffers that nothing lies next to.

The first time every copy ends at a guard, the second time every copy starts at one: a step outside
faults there (and weftrt.cpu.memory_check.fault says where), or it changes the pattern that the rest
of the room holds. Outputs, scratch and the rest are filled with another pattern each time: where
the two results differ, the kernel left an element unwritten, or took something from memory that it
did not write.
"""

from __future__ import annotations

import ctypes
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

from weftrt.cpu.memory_check.guarded import GUARD, PATTERNS, Block, Room, Rooms, Side
from weftrt.cpu.memory_check.report import Zone, faults_reported
from weftrt.errors import MemoryCheckError
from weftrt.forks import ForkLock
from weftrt.program import BufferUse, Program, Role, StepUse

_Kernel = ctypes.CFUNCTYPE(
    None,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_int64),
    ctypes.POINTER(ctypes.c_int64),
)
Kernel: TypeAlias = Callable[[Any, Any, Any], None]

_DONE = -1
_lock = ForkLock()
"""One watched kernel runs at a time: there is one handler of faults."""
_rooms = Rooms()
_MOST_RUNS = 64
"""Runs that a program may have under way; of the others, the oldest is forgotten."""


Written: TypeAlias = dict[int, tuple[str, int]]
"""For each buffer that a run has written so far: the kernel, and a digest of the content."""


class Checker:
    """Stands in for the kernels of one program. `addresses` has, for each step, what the executor
    calls in place of its kernel."""

    def __init__(self, program: Program, kernels: Sequence[int]) -> None:
        self._found = threading.local()
        self._runs: dict[int, tuple[int, Written]] = {}
        watched = [_Watched.of(program, i, _Kernel(kernel)) for i, kernel in enumerate(kernels)]
        self._calls = [_Kernel(self._guarded(i, item)) for i, item in enumerate(watched)]
        self.addresses = [ctypes.cast(call, ctypes.c_void_p).value or 0 for call in self._calls]

    def raise_found(self) -> None:
        """Raise what was found in the run that has just failed, if that is why it failed."""
        error = getattr(self._found, "error", None)
        self._found.error = None
        if error is not None:
            raise error

    def _guarded(self, index: int, step: _Watched) -> Kernel:
        """A step as a kernel; no exception passes through native code, so it fails, and tells."""

        def call(buffers: Any, sizes: Any, status: Any) -> None:
            try:
                with _lock:
                    written = self._written(index, ctypes.addressof(status.contents))
                    status[0] = step.run(buffers, sizes, written)
            except BaseException as error:
                self._found.error = error
                status[0] = 0

        return call

    def _written(self, index: int, space: int) -> Written:
        """What the run that calls step `index` has written. A run calls its steps in order, all
        with the same space for their status, which no other run under way has."""
        last, written = self._runs.pop(space, (-1, {}))
        if index <= last:
            written = {}
        self._runs[space] = (index, written)
        if len(self._runs) > _MOST_RUNS:
            del self._runs[next(iter(self._runs))]
        return written


@dataclass(frozen=True)
class _Watched:
    """One step: its kernel, and what is known of its buffers."""

    symbol: str
    use: StepUse
    kernel: Kernel
    numbers: tuple[int, ...]
    """Of its buffers, in the program."""
    inputs: int
    """Buffers that the program is given; the others are its own to write."""

    @staticmethod
    def of(program: Program, index: int, kernel: Kernel) -> _Watched:
        """Step number `index`."""
        step = program.steps[index]
        symbol = program.kernels[step.kernel].symbol
        return _Watched(symbol, program.uses[index], kernel, step.buffers, len(program.inputs))

    def run(self, buffers: Any, sizes: Any, written: Written) -> int:
        """Run on copies, and copy the outputs back; the status of the kernel."""
        lengths = [sizes[use.elements] * use.itemsize for use in self.use.buffers]
        self._check_inputs(buffers, lengths, written)
        with _rooms.taken(lengths) as rooms:
            blocks = self._blocks(rooms, lengths, Side.END)
            status = self._launch(blocks, buffers, sizes)
            results = [block.elements.copy() for block in blocks]
            blocks = self._blocks(rooms, lengths, Side.START)
            if self._launch(blocks, buffers, sizes) != status:
                self._fail("fails or not with what lies in memory that it did not write")
        if status == _DONE:
            for index, use in enumerate(self.use.buffers):
                if use.role is Role.WRITTEN:
                    self._compare(use, results[index], blocks[index].elements)
                    ctypes.memmove(buffers[index], results[index].ctypes.data, lengths[index])
                    content = _digest(buffers[index], lengths[index])
                    written[self.numbers[index]] = (self.symbol, content)
        return status

    def _check_inputs(self, buffers: Any, lengths: Sequence[int], written: Written) -> None:
        """What other steps have to write is written, and still there."""
        for index, (number, use) in enumerate(zip(self.numbers, self.use.buffers)):
            if use.role is Role.READ and number >= self.inputs and lengths[index] > 0:
                writer, content = written.get(number, ("", 0))
                if not writer:
                    self._fail(f"reads {_name(use)}, which no kernel has written")
                if _digest(buffers[index], lengths[index]) != content:
                    self._fail(
                        f"reads {_name(use)}, which was overwritten after {writer} had written it"
                    )

    def _blocks(self, rooms: Sequence[Room], lengths: Sequence[int], side: Side) -> list[Block]:
        return [
            Block(room, length, use.itemsize, use.alignment, side)
            for room, length, use in zip(rooms, lengths, self.use.buffers, strict=True)
        ]

    def _launch(self, blocks: Sequence[Block], buffers: Any, sizes: Any) -> int:
        """Run on these blocks; the status."""
        inputs = [
            ctypes.string_at(buffers[index], block.size) if use.role is Role.READ else None
            for index, (use, block) in enumerate(zip(self.use.buffers, blocks))
        ]
        for block, content in zip(blocks, inputs):
            if content is not None:
                block.bytes[:] = np.frombuffer(content, np.uint8)
        given = (ctypes.c_void_p * len(blocks))(*(block.begin for block in blocks))
        status = (ctypes.c_int64 * 1)(_DONE)
        with faults_reported(self._zones(blocks)):
            self.kernel(given, sizes, status)
        for use, block, content in zip(self.use.buffers, blocks, inputs):
            outside = block.touched_outside()
            if outside is not None:
                self._fail(f"writes {outside} of {_name(use)}")
            if content is not None and block.bytes.tobytes() != content:
                self._fail(f"changes {_name(use)}")
        return status[0]

    def _zones(self, blocks: Sequence[Block]) -> list[Zone]:
        zones = []
        for use, block in zip(self.use.buffers, blocks):
            room = block.room
            for begin, side in (
                (room.begin - GUARD, "before the start"),
                (room.end, "past the end"),
            ):
                line = self._text(f"touches memory {side} of {_name(use)}")
                zones.append(Zone(begin, begin + GUARD, line))
        return zones

    def _compare(self, use: BufferUse, first: Any, second: Any) -> None:
        different = np.flatnonzero(first != second)
        if different.size == 0:
            return
        element = int(different[0])
        values = (int(first[element]), int(second[element]))
        if values == tuple(PATTERNS[side][use.itemsize] for side in (Side.END, Side.START)):
            self._fail(f"does not write element {element} of {_name(use)}")
        self._fail(f"gives element {element} of {_name(use)} from memory that it did not write")

    def _fail(self, what: str) -> NoReturn:
        raise MemoryCheckError(self._text(what))

    def _text(self, what: str) -> str:
        return f"{self.use.location}: the kernel {self.symbol} {what}. This is a bug in Weft"


def _digest(address: int, length: int) -> int:
    return zlib.crc32(ctypes.string_at(address, length))


def _name(use: BufferUse) -> str:
    return f"its {use.role.value} {use.name}"
