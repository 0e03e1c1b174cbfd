"""Signal handlers that wait while code runs which an exception must not leave half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = tuple(map(int, signal.valid_signals()))


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
