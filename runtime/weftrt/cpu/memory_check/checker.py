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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn, TypeAlias

import numpy as np

from weftrt.cpu.instructions import Callee
from weftrt.cpu.memory_check.guarded import GUARD, PATTERNS, Block, Room, Rooms, Side
from weftrt.cpu.memory_check.report import Zone, faults_reported
from weftrt.errors import MemoryCheckError
from weftrt.forks import ForkLock
from weftrt.program import (
    BufferUse,
    Callback,
    Copy,
    Extern,
    Instruction,
    Launch,
    LaunchUse,
    Next,
    Point,
    Program,
    PutSize,
    Role,
    Rotate,
    Row,
    retargeted,
)

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


@dataclass(frozen=True)
class Writing:
    """Who wrote a buffer, and a digest of its content then; None where that may change."""

    symbol: str
    content: int | None


_UNKNOWN = Writing("", None)

Written: TypeAlias = dict[int, Writing]
"""For each buffer that a run has written so far, by number."""


class Checker:
    """Stands in for the kernels of one program: `steps` are its instructions, and more that keep
    account of what is written; `callees` are what they launch."""

    def __init__(self, program: Program, kernels: Sequence[Callee]) -> None:
        self._found = threading.local()
        self._runs: dict[int, Written] = {}
        self._calls: list[Any] = []
        self.callees: list[Callee] = []
        self._inputs = len(program.inputs)
        steps: list[Instruction] = [self._account(lambda _: {})]
        places = []
        for step in program.steps:
            places.append(len(steps))
            if isinstance(step, Launch):
                watched = _Watched.of(program, step, kernels[step.kernel])
                steps.append(replace(step, kernel=self._call(watched.run, watched.sites)))
            else:
                steps += [self._account(partial(self._follow, step)), step]
        places.append(len(steps))
        self.steps = [retargeted(step, places) for step in steps]

    def raise_found(self) -> None:
        """Raise what was found in the run that has just failed, if that is why it failed."""
        error = getattr(self._found, "error", None)
        self._found.error = None
        if error is not None:
            raise error

    def _account(self, note: Callable[[Written], Written]) -> Launch:
        """A launch that brings the account of what is written up to date."""

        def run(buffers: Any, sizes: Any, written: Written) -> Sequence[int]:
            now = dict(note(written))
            written.clear()
            written.update(now)
            return ()

        return Launch(self._call(run), (), ())

    def _call(self, run: Callable[[Any, Any, Written], Sequence[int]], sites: int = 0) -> int:
        """The number of a kernel that calls this, which gives its status; no exception passes
        through native code, so it fails, and tells."""

        def call(buffers: Any, sizes: Any, status: Any) -> None:
            try:
                with _lock:
                    written = self._written(ctypes.addressof(status.contents))
                    for site, element in enumerate(run(buffers, sizes, written)):
                        status[site] = element
            except BaseException as error:
                self._found.error = error
                status[0] = 0

        kernel = _Kernel(call)
        self._calls.append(kernel)
        address = ctypes.cast(kernel, ctypes.c_void_p).value or 0
        self.callees.append(Callee(address, max(sites, 1)))
        return len(self._calls) - 1

    def _written(self, space: int) -> Written:
        """The account of a run: all its launches have the same space for their status, which no
        other run under way has."""
        written = self._runs.pop(space, {})
        self._runs[space] = written
        if len(self._runs) > _MOST_RUNS:
            del self._runs[next(iter(self._runs))]
        return written

    def _follow(self, step: Instruction, written: Written) -> Written:
        """The account after an instruction that is no launch."""
        match step:
            case Point(buffer, other) | Copy(other, buffer):
                return self._moved(written, {buffer: other})
            case Rotate(read, now, spare):
                return self._moved(written, {read: now, now: spare, spare: now})
            case Row(buffer, stack):
                known = _UNKNOWN if stack < self._inputs else written.get(stack, _UNKNOWN)
                return written | {buffer: _UNKNOWN, stack: known}
            case Next(counter) | PutSize(counter):
                return written | {counter: _UNKNOWN}
            case Callback(_, _, results):
                return written | {number: _UNKNOWN for number, _ in results}
            case Extern(_, buffers):
                return written | dict.fromkeys(buffers, _UNKNOWN)
        return written

    def _moved(self, written: Written, sources: Mapping[int, int]) -> Written:
        """The account after buffers have become others, or copies of them."""
        given = dict.fromkeys(range(self._inputs), _UNKNOWN) | written
        kept = {number: who for number, who in written.items() if number not in sources}
        return kept | {new: given[old] for new, old in sources.items() if old in given}


@dataclass(frozen=True)
class _Watched:
    """One launch: its kernel, and what is known of its buffers."""

    symbol: str
    use: LaunchUse
    kernel: Kernel
    sites: int
    numbers: tuple[int, ...]
    """Of its buffers, in the program."""
    inputs: int
    """Buffers that the program is given; the others are its own to write."""

    @staticmethod
    def of(program: Program, launch: Launch, callee: Callee) -> _Watched:
        """What `launch` runs."""
        assert launch.use is not None
        symbol = program.kernels[launch.kernel].symbol
        kernel, inputs = _Kernel(callee.address), len(program.inputs)
        return _Watched(symbol, launch.use, kernel, callee.sites, launch.buffers, inputs)

    def run(self, buffers: Any, sizes: Any, written: Written) -> Sequence[int]:
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
        if all(word == _DONE for word in status):
            for index, use in enumerate(self.use.buffers):
                if use.role is Role.WRITTEN:
                    self._compare(use, results[index], blocks[index].elements)
                    ctypes.memmove(buffers[index], results[index].ctypes.data, lengths[index])
                    content = _digest(buffers[index], lengths[index])
                    written[self.numbers[index]] = Writing(self.symbol, content)
        return status

    def _check_inputs(self, buffers: Any, lengths: Sequence[int], written: Written) -> None:
        """What other steps have to write is written, and still there."""
        for index, (number, use) in enumerate(zip(self.numbers, self.use.buffers)):
            if use.role is Role.READ and number >= self.inputs and lengths[index] > 0:
                last = written.get(number)
                if last is None:
                    self._fail(f"reads {_name(use)}, which no kernel has written")
                if last.content not in (None, _digest(buffers[index], lengths[index])):
                    self._fail(
                        f"reads {_name(use)}, which was overwritten after {last.symbol} had "
                        "written it"
                    )

    def _blocks(self, rooms: Sequence[Room], lengths: Sequence[int], side: Side) -> list[Block]:
        return [
            Block(room, length, use.itemsize, use.alignment, side)
            for room, length, use in zip(rooms, lengths, self.use.buffers, strict=True)
        ]

    def _launch(self, blocks: Sequence[Block], buffers: Any, sizes: Any) -> list[int]:
        """Run on these blocks; the status."""
        inputs = [
            ctypes.string_at(buffers[index], block.size) if use.role is Role.READ else None
            for index, (use, block) in enumerate(zip(self.use.buffers, blocks))
        ]
        for block, content in zip(blocks, inputs):
            if content is not None:
                block.bytes[:] = np.frombuffer(content, np.uint8)
        given = (ctypes.c_void_p * len(blocks))(*(block.begin for block in blocks))
        status = (ctypes.c_int64 * max(self.sites, 1))(*[_DONE] * max(self.sites, 1))
        with faults_reported(self._zones(blocks)):
            self.kernel(given, sizes, status)
        for use, block, content in zip(self.use.buffers, blocks, inputs):
            outside = block.touched_outside()
            if outside is not None:
                self._fail(f"writes {outside} of {_name(use)}")
            if content is not None and block.bytes.tobytes() != content:
                self._fail(f"changes {_name(use)}")
        return list(status)

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
