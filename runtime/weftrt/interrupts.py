"""Signal handlers that wait while code runs which an exception must not leave half done, and
timers that outlive the program."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = tuple(map(int, signal.valid_signals()))
_TIMERS = (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF)


@atexit.register
def ignore_timers() -> None:
    """A timer that has a handler in Python, and that the program left running, is ignored from now
    on. Python drops the handlers first and its objects then; with ours, and NumPy's and llvmlite's,
    that takes tens of milliseconds, in which the timer would kill a process that ended well."""
    if threading.current_thread() is threading.main_thread():
        for number in _TIMERS:
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_IGN)


@contextmanager
def deferred() -> Iterator[None]:
    """Python's signal handlers run after the block instead of in it: one that raises inside of
    llvmlite would make it free what it has freed."""
    if threading.current_thread() is not threading.main_thread():  # no handler runs here
        yield
        return
    handlers = {
        number: handler for number in _NUMBERS if callable(handler := signal.getsignal(number))
    }
    came: list[int] = []
    inside = True

    def wait(number: int, frame: FrameType | None) -> None:
        if inside:
            came.append(number)
        else:  # a handler that raised has kept this one from being restored
            handlers[number](number, frame)

    try:
        for number in handlers:
            signal.signal(number, wait)
        yield
    finally:
        inside = False
        for number, handler in handlers.items():
            signal.signal(number, handler)
        _answer(came)


def _answer(came: list[int]) -> None:
    """Run the handlers of these signals: each, whatever the others raise."""
    if came:
        try:
            signal.raise_signal(came.pop(0))
        finally:
            _answer(came)
