"""Signals while a long program runs: its thread looks now and then whether Python has some.

Python runs signal handlers on the main thread only, so only that thread looks, and only while it
runs a program whose estimate is long: between steps, and between pieces of a parallel loop. A
handler may call Weft: programs nest. One that raises (Ctrl-C) ends the program it interrupted.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import cast, stack
from weftrt.cpu.native.python import (
    STATE,
    PyErr_CheckSignals,
    PyEval_RestoreThread,
    PyEval_SaveThread,
    PyLong_AsLongLong,
    new_none,
    raise_text,
)
from weftrt.cpu.native.types import (
    I32,
    I64,
    Bool,
    Pointer,
    Ptr,
    Struct,
    export,
    extern,
    native,
    static,
)

LONG_NANOSECONDS = 5_000_000
"""Programs that are estimated to take longer can be interrupted."""
LOOK_NANOSECONDS = 50_000_000
"""How often to look; it takes the GIL."""
SECOND = 1_000_000_000

getpid = extern("i32 getpid()")
clock_gettime = extern("i32 clock_gettime(i32, ptr)")
pthread_self = extern("i64 pthread_self()")


class WatchState(Struct):
    """The main thread, and what it runs."""

    thread: I64
    clock: I64
    depth: I64
    interrupted: I64
    due: I64
    python: Ptr


WATCH = static(WatchState)


@native
def nanoseconds() -> I64:
    """The time of a clock that only goes forward."""
    time = stack(I64, 2)
    clock_gettime(cast(I32, WATCH.clock), time)
    return time[0] * SECOND + time[1]


@native
def is_watched() -> Bool:
    """Whether this thread runs a program that can be interrupted."""
    return WATCH.depth != 0 and pthread_self() == WATCH.thread


@native
def release_lock(work: I64) -> Ptr:
    """Release the GIL for so many nanoseconds of work; what take_lock needs. Long work of the main
    thread is watched from here on."""
    python: Ptr = PyEval_SaveThread()
    if work > LONG_NANOSECONDS and pthread_self() == WATCH.thread:
        WATCH.python = python
        WATCH.depth += 1
        WATCH.due = nanoseconds() + LOOK_NANOSECONDS
    return python


@native
def take_lock(python: Ptr, work: I64) -> Bool:
    """Take the GIL again; False, with an exception, if the work was interrupted."""
    PyEval_RestoreThread(python)
    if work <= LONG_NANOSECONDS or pthread_self() != WATCH.thread:
        return True
    WATCH.depth -= 1
    interrupted = WATCH.interrupted
    WATCH.interrupted = 0
    return interrupted == 0


@native
def interrupted() -> Bool:
    """On a watched thread: whether to give up. Looks for signals when that is due. A child that a
    handler forked gives up too: it lacks the threads that are at work."""
    if WATCH.interrupted != 0:
        return True
    if nanoseconds() < WATCH.due:
        return False
    process = getpid()
    PyEval_RestoreThread(WATCH.python)
    raised: Bool = PyErr_CheckSignals() != 0
    if not raised and getpid() != process:
        raise_text(STATE.runtime_error, "a fork in a signal handler leaves this program unfinished")
        raised = True
    WATCH.python = PyEval_SaveThread()
    WATCH.due = nanoseconds() + LOOK_NANOSECONDS
    WATCH.interrupted = 1 if raised else 0
    return raised


@export
def weft_interrupted() -> Bool:
    """Whether to give up, for a long routine outside of this library."""
    return is_watched() and interrupted()


@export
def weft_watch(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """watch(identity of the main thread, number of a monotonic clock)."""
    thread = PyLong_AsLongLong(arguments[0])
    if thread != WATCH.thread:
        WATCH.depth = 0
        WATCH.interrupted = 0
    WATCH.thread = thread
    WATCH.clock = PyLong_AsLongLong(arguments[1])
    return new_none()
