"""From a graph to something that runs: one compile per graph, target and error sites."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from weft import diagnostics, verification
from weft.inspect import stages
from weftc import pipeline
from weftc.ir.hosts import host_functions
from weftc.ir.node import Graph, Node
from weftc.ir.types import TensorType
from weftrt import forks, knobs
from weftrt.cache import programs
from weftrt.cpu import executable as executables
from weftrt.cpu import linker
from weftrt.cpu.executable import Executable
from weftrt.cpu.host import host_options
from weftrt.forks import ForkLock
from weftrt.log import log
from weftrt.options import Options
from weftrt.program import Program

_MOST_PROGRAMS = 2048

executables.find_line = lambda: diagnostics.user_location() or ""
programs.compiler_digest()  # reads every source file (2 ms): while importing, not in the first call

Key = tuple[Any, ...]


@dataclass
class _Slot:
    """One program, or the lock that its only compile holds."""

    lock: ForkLock = field(default_factory=ForkLock)
    executable: Executable | None = None


class _State(threading.local):
    depth = 0
    """Programs that this thread is making: more than one in a signal handler that calls Weft."""


_state = _State()
_slots: OrderedDict[Key, _Slot] = OrderedDict()
"""Every program of this process by key, so that equal graphs share one; those that nobody asked for
for longest go first."""
_lock = ForkLock()
_pausing: set[int] = set()
"""Threads that have stopped the cycle collector, and will start it again."""


class Origin(Enum):
    """Where a program came from."""

    COMPILED = "compiled"
    DISK = "loaded from disk"
    SHARED = "shared"  # this process had it


def executable(graph: Graph, donated: tuple[int, ...] = ()) -> tuple[Executable, Origin]:
    """The program of `graph`, and where it came from. It may have the memory of the inputs number
    `donated`."""
    options, functions = host_options(donated), host_functions(graph)
    key = _key(graph, options)
    slot = _slot((*key, functions))
    with _turn(slot):
        if slot.executable is not None:
            verification.check_shared(graph, slot.executable)
            return slot.executable, Origin.SHARED
        linked: list[object] = []
        program, origin = _program(graph, options, key, linked)
        slot.executable = executables.load(program, [f.function for f in functions])
        return slot.executable, origin


@contextmanager
def _turn(slot: _Slot) -> Iterator[None]:
    """One thread at a time makes a program. A signal handler that interrupted the making of one
    waits for nobody: who has the slot may wait for what was interrupted."""
    waits = _state.depth == 0
    _state.depth += 1
    taken = False
    try:
        taken = slot.lock.acquire(blocking=waits)
        yield
    finally:
        _state.depth -= 1
        if taken:
            slot.lock.release()


def _program(
    graph: Graph, options: Options, key: Key, linked: list[object]
) -> tuple[Program, Origin]:
    """The program from the disk cache, or compiled now and kept there; then `linked` gets what
    keeps its kernels in memory."""

    def build() -> Program:
        with linker.default().ahead() as begin:
            program = pipeline.compile(graph, options, verification.validator(), begin)
            # Before another process can find the program: it is to find the kernels as well.
            linked.append(executables.link_kernels(program.kernels))
        return program

    entry = " ".join(map(str, key))  # locations as text: they outlive the process
    program, found = programs.fetch(entry, build)
    if found:
        verification.check_loaded(graph, options, program)
    where = "loaded from the cache" if found else "made, and kept in the cache if there is one"
    log("cache", lambda: f"program {program.key[:12]} of {graph.name}: {where}")
    log("fusion", lambda: stages.Lowered(graph, options).text("kernels").rstrip())
    folder = knobs.dump()
    if folder is not None:
        stages.dump(stages.Lowered(graph, options), folder, program.key)
    return program, Origin.DISK if found else Origin.COMPILED


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the cycle collector out: tracing and compiling make many objects and no garbage cycles,
    and every full collection walks all that the process holds (5 ms each)."""
    thread = threading.get_ident()
    pauses = gc.isenabled()
    if pauses:
        _pausing.add(thread)
    gc.disable()
    try:
        yield
    finally:
        if pauses:
            _pausing.discard(thread)
            gc.enable()


def _collect_in_child() -> None:
    """Start the collector again for the threads that stopped it and are not in this child."""
    mine = {threading.get_ident()}
    if _pausing - mine:
        gc.enable()
    _pausing.intersection_update(mine)


forks.repair_in_child(_collect_in_child)


def _key(graph: Graph, options: Options) -> Key:
    """Two graphs with one key compute the same and fail at the same lines, if they call the same
    Python functions."""
    sites = [n.location for n in graph.all_nodes() if options.watched or _may_fail(n)]
    return pipeline.program_key(graph, options), graph.name if sites else "", *sites


def _may_fail(node: Node) -> bool:
    """Whether a run may stop at this node: an index out of bounds, an effect, no memory."""
    type_ = node.value_type
    large = isinstance(type_, TensorType) and type_.is_large
    return node.op.fails is not None or node.op.effect or large


def _slot(key: Key) -> _Slot:
    with _lock:
        slot = _slots.get(key)
        if slot is None:
            slot = _slots[key] = _Slot()
            if len(_slots) > _MOST_PROGRAMS:
                _slots.popitem(last=False)
        _slots.move_to_end(key)
        return slot
