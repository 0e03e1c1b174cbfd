"""What a program that runs has of Python: the GIL or not, and signals.

A program starts with the GIL. One that is estimated to take long runs without it, and so does one
whose loops turn more often than was to be expected. Python runs signal handlers on the main thread
only, so only that thread looks for signals, and only while it runs a program that is long or turns
often: between instructions, and between pieces of a parallel loop. A handler may call Weft, as a
callback may: programs nest. One that raises (Ctrl-C) ends the program it interrupted.
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
    rare,
    static,
)

RELEASE_NANOSECONDS = 10_000
"""Programs that are estimated to take longer run without the GIL."""
LONG_NANOSECONDS = 5_000_000
"""Programs that are estimated to take longer can be interrupted."""
FIRST_TURNS, TURNS = 100, 1000
"""Turns of loops before the clock is looked at for the first time, and between two looks."""
LOOK_NANOSECONDS = 50_000_000
"""How often to look; it takes the GIL."""
SECOND = 1_000_000_000

getpid = extern("i32 getpid()")
clock_gettime = extern("i32 clock_gettime(i32, ptr)")
pthread_self = extern("i64 pthread_self()")


class Hold(Struct):
    """A program under way on this thread. `thread` is what takes the GIL again, NULL where it is
    held. Loops may turn `patience` times before somebody looks how long this takes."""

    thread: Ptr
    watched: I64
    interrupted: I64
    patience: I64


class WatchState(Struct):
    """The main thread; the program that it runs and that is watched, NULL while it runs Python; and
    how many programs are under way on all threads while Python runs."""

    thread: I64
    clock: I64
    due: I64
    hold: Hold
    others: I64


WATCH = static(WatchState)


@native
def nanoseconds() -> I64:
    """The time of a clock that only goes forward."""
    time = stack(I64, 2)
    clock_gettime(cast(I32, WATCH.clock), time)
    return time[0] * SECOND + time[1]


@native
def watched_program() -> Hold:
    """The program on this thread that can be interrupted; NULL where there is none."""
    none: Hold = None  # type: ignore[assignment]
    return WATCH.hold if pthread_self() == WATCH.thread else none


@native
def begin(hold: Hold, work: I64) -> None:
    """Start a program that is estimated to take so many nanoseconds."""
    hold.thread = None
    hold.watched = 0
    hold.interrupted = 0
    hold.patience = FIRST_TURNS
    if work > RELEASE_NANOSECONDS:
        release(hold)
        if work > LONG_NANOSECONDS:
            watch(hold)


@native
def release(hold: Hold) -> None:
    """Go on without the GIL."""
    WATCH.others += 1
    hold.thread = PyEval_SaveThread()


@native
def watch(hold: Hold) -> None:
    """Look for signals from here on, if this is the main thread; the GIL is released."""
    if pthread_self() != WATCH.thread:
        return
    hold.watched = 1
    WATCH.hold = hold
    WATCH.due = nanoseconds() + LOOK_NANOSECONDS


@native
def end(hold: Hold) -> Bool:
    """Take the GIL again; False, with an exception, if the program was interrupted."""
    if hold.watched != 0:
        WATCH.hold = None  # type: ignore[assignment]
    if hold.thread is not None:
        PyEval_RestoreThread(hold.thread)
        WATCH.others -= 1
    return hold.interrupted == 0


@rare
@native
def interrupted(hold: Hold) -> Bool:
    """Whether a watched program is to give up. Looks for signals when that is due. A child that a
    handler forked gives up too: it lacks the threads that are at work."""
    if hold.interrupted != 0:
        return True
    if nanoseconds() < WATCH.due:
        return False
    process = getpid()
    enter_python(hold)
    raised: Bool = PyErr_CheckSignals() != 0
    if not raised and getpid() != process:
        raise_text(STATE.runtime_error, "a fork in a signal handler leaves this program unfinished")
        raised = True
    leave_python(hold)
    WATCH.due = nanoseconds() + LOOK_NANOSECONDS
    hold.interrupted = 1 if raised else 0
    return raised


@native
def enter_python(hold: Hold) -> None:
    """Make this thread ready to run Python in the middle of a program."""
    if hold.thread is not None:
        PyEval_RestoreThread(hold.thread)
    else:
        WATCH.others += 1
    if hold.watched != 0:
        WATCH.hold = None  # type: ignore[assignment]


@native
def leave_python(hold: Hold) -> None:
    """Go on with the program, as it was before enter_python."""
    if hold.watched != 0:
        WATCH.hold = hold
    if hold.thread is not None:
        hold.thread = PyEval_SaveThread()
    else:
        WATCH.others -= 1


@rare
@native
def tired(hold: Hold) -> Bool:
    """After many turns of loops: whether to give up. From here on the program runs without the GIL,
    and looks for signals."""
    hold.patience = TURNS
    if hold.thread is None:
        release(hold)
    if hold.watched == 0:
        watch(hold)
    return hold.watched != 0 and interrupted(hold)


@rare
@export
def weft_interrupted() -> Bool:
    """Whether to give up, for a long routine outside of this library."""
    hold = watched_program()
    return hold is not None and interrupted(hold)


@rare
@export
def weft_watch(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """watch(identity of the main thread, number of a monotonic clock)."""
    thread = PyLong_AsLongLong(arguments[0])
    if thread != WATCH.thread:
        WATCH.hold = None  # type: ignore[assignment]
    WATCH.thread = thread
    WATCH.clock = PyLong_AsLongLong(arguments[1])
    return new_none()
