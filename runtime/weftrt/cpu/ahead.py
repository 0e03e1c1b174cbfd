"""LLVM at work on other threads, on modules that will be asked for soon.

While Python writes the next kernels, the cores that are free compile those written before. Every
worker has an LLVM context for each module and a target machine of its own, which is all that LLVM
asks of threads; so the one call that takes long is made past the lock that llvmlite holds through
each of its calls. It leaves the GIL, the brief ones keep it: to get it back takes milliseconds
while another thread runs Python. What a worker cannot compile, it leaves to who asks for it.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from weftrt import forks
from weftrt.forks import ForkLock
from weftrt.interrupts import deferred

if TYPE_CHECKING:
    from llvmlite.binding import TargetMachine

MOST_WORKERS: Final = 7

_BRIEF = (
    "ContextCreate",
    "ContextDispose",
    "ParseAssembly",
    "SetDataLayout",
    "VerifyModule",
    "DisposeModule",
    "GetBufferStart",
    "GetBufferSize",
    "DisposeMemoryBuffer",
)
"""The calls of LLVM that take no time worth the GIL."""


@dataclass(eq=False)
class _Job:
    """A module to compile; `image` is its object file once `busy` can be taken, None if it could
    not be made."""

    text: bytes
    image: bytes | None = None
    busy: Any = field(default_factory=threading.Lock)


class _Worker:
    """One thread's LLVM. No fork happens while it compiles."""

    def __init__(self, machine: TargetMachine) -> None:
        self.works = False
        self._machine = machine
        self._layout = str(machine.target_data).encode()
        self._lock = ForkLock(holds_off=True)

    def compile(self, text: bytes) -> bytes | None:
        """The object file of a module; None where LLVM refuses it, or is not called like this."""
        with self._lock, suppress(AttributeError, TypeError, ctypes.ArgumentError):
            llvm = _llvm()
            context = llvm.ContextCreate()
            try:
                return self._compiled(text, context)
            finally:
                llvm.ContextDispose(context)
        return None

    def _compiled(self, text: bytes, context: object) -> bytes | None:
        llvm, complaint = _llvm(), ctypes.c_char_p()
        module = llvm.ParseAssembly(context, text, ctypes.byref(complaint))
        if complaint.value or not module:
            return None
        try:
            llvm.SetDataLayout(module, self._layout)
            if llvm.VerifyModule(module, None):
                return None
            return _taken(
                llvm.TargetMachineEmitToMemory(self._machine, module, 1, ctypes.byref(complaint))
            )
        finally:
            llvm.DisposeModule(module)


class Ahead:
    """Modules that are compiled before they are asked for, by key."""

    def __init__(self, machine: Callable[[], TargetMachine], most: int | None = None) -> None:
        self._machine = machine
        self._most = _spare_cores() if most is None else most
        self._lock = ForkLock()
        self._jobs: dict[str, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._workers: list[_Worker] = []
        self._helper: _Worker | None = None
        _all.add(self)

    def start(self, key: str, llvm: str) -> None:
        """Compile a module as soon as a core is free, if there is more than one."""
        with self._lock:
            if self._most and key not in self._jobs:
                job = self._jobs[key] = _Job(llvm.encode())
                self._waiting.append(job)
                self._employ()

    def take(self, key: str) -> bytes | None:
        """The object file of a module that was started; None for one that nobody is at. While a
        worker is at it, the calling thread compiles others."""
        with self._lock:
            job = self._jobs.pop(key, None)
            if job is None or self._withdrawn(job):
                return None
        while job.busy.locked() and self._help():
            pass
        with job.busy:
            return job.image

    def _help(self) -> bool:
        """Compile what the workers would come to last; whether there was anything."""
        with self._lock:
            if not self._waiting:
                return False
            job = self._waiting.pop()
            job.busy.acquire()
            helper = self._helper = self._helper or _Worker(self._machine())
        try:
            with deferred():
                job.image = helper.compile(job.text)
        finally:
            job.busy.release()
        return True

    def cancel(self, key: str) -> None:
        """Nobody will ask for this module."""
        with self._lock:
            job = self._jobs.pop(key, None)
            if job is not None:
                self._withdrawn(job)

    def _withdrawn(self, job: _Job) -> bool:
        """Whether no worker had begun with the job; then none will."""
        try:
            self._waiting.remove(job)
        except ValueError:
            return False
        return True

    def _employ(self) -> None:
        """Set one more worker to work, if there is one."""
        idle = next((worker for worker in self._workers if not worker.works), None)
        if idle is None:
            if len(self._workers) == self._most:
                return
            idle = _Worker(self._machine())
            self._workers.append(idle)
        idle.works = True
        try:
            threading.Thread(target=self._work, args=(idle,), name="weft compiles").start()
        except RuntimeError:  # no thread to be had
            idle.works = False

    def _work(self, worker: _Worker) -> None:
        while (job := self._next(worker)) is not None:
            try:
                job.image = worker.compile(job.text)
            finally:
                job.busy.release()

    def _next(self, worker: _Worker) -> _Job | None:
        with self._lock:
            if self._waiting:
                job = self._waiting.popleft()
                job.busy.acquire()
                return job
            worker.works = False
            return None

    def forget(self) -> None:
        """In a child: the workers are no more."""
        for job in self._jobs.values():
            if job.busy.locked():
                job.busy.release()
        self._jobs.clear()
        self._waiting.clear()
        for worker in self._workers:
            worker.works = False


_all: WeakSet[Ahead] = WeakSet()


def _forget_in_child() -> None:
    for ahead in list(_all):
        ahead.forget()


forks.repair_in_child(_forget_in_child)


def _spare_cores() -> int:
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(cores - 1, MOST_WORKERS)


def _taken(buffer: object) -> bytes | None:
    """The content of an LLVM memory buffer, which goes."""
    if not buffer:
        return None
    llvm = _llvm()
    content = ctypes.string_at(llvm.GetBufferStart(buffer), llvm.GetBufferSize(buffer))
    llvm.DisposeMemoryBuffer(buffer)
    return content


@cache
def _llvm() -> Any:
    """llvmlite's functions, as it declares them, but past its lock: with the GIL held, except for
    the one that makes machine code. Another llvmlite may have others."""
    from llvmlite.binding import ffi

    held, free = ctypes.PyDLL(ffi.lib._name), ctypes.CDLL(ffi.lib._name)
    functions = {name: getattr(held, f"LLVMPY_{name}") for name in _BRIEF}
    functions["TargetMachineEmitToMemory"] = free.LLVMPY_TargetMachineEmitToMemory
    for name, function in functions.items():
        known = getattr(ffi.lib, f"LLVMPY_{name}")
        function.restype, function.argtypes = known.restype, known.argtypes
    return SimpleNamespace(**functions)
