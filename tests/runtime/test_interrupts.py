"""Signal handlers that wait: they run once, after the block, and are restored."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from weftrt.interrupts import deferred

FIRST, SECOND = signal.SIGUSR1, signal.SIGUSR2


class Came(Exception):
    pass


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[int]]:
    """The signals that came; their handlers raise."""
    came: list[int] = []

    def handler(number: int, frame: Any) -> None:
        came.append(number)
        raise Came

    before = {number: signal.signal(number, handler) for number in (FIRST, SECOND)}
    yield came
    for number, old in before.items():
        signal.signal(number, old)


def test_a_handler_runs_after_the_block(handlers: list[int]) -> None:
    done = []
    with pytest.raises(Came), deferred():
        signal.raise_signal(FIRST)
        done.append(list(handlers))
    assert (done, handlers) == ([[]], [FIRST])


def test_nothing_came(handlers: list[int]) -> None:
    before = signal.getsignal(FIRST)
    with deferred():
        assert signal.getsignal(FIRST) is not before
    assert signal.getsignal(FIRST) is before
    assert handlers == []


def test_after_one_that_raised_every_handler_answers(handlers: list[int]) -> None:
    for number in (FIRST, SECOND):
        with pytest.raises(Came), deferred(), deferred():
            signal.raise_signal(number)
    for number in (FIRST, SECOND):
        with pytest.raises(Came):
            signal.raise_signal(number)
    assert handlers == [FIRST, SECOND, FIRST, SECOND]


def test_each_that_came_is_answered(handlers: list[int]) -> None:
    with pytest.raises(Came), deferred():
        signal.raise_signal(FIRST)
        signal.raise_signal(SECOND)
    assert handlers == [FIRST, SECOND]


def test_an_error_of_the_block_is_not_lost(handlers: list[int]) -> None:
    with pytest.raises(Came) as caught, deferred():
        signal.raise_signal(FIRST)
        raise ValueError
    assert isinstance(caught.value.__context__, ValueError)


def test_other_threads_have_no_handlers_to_defer() -> None:
    seen: list[Any] = []

    def work() -> None:
        with deferred():
            seen.append(signal.getsignal(FIRST))

    before = signal.getsignal(FIRST)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


ENDS_SLOWLY = """
import signal, sys, time
import weftrt.interrupts
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.1)
slow = [Slow()]
slow.append(slow)  # dies in the collection after the handlers were dropped
if sys.argv[1] == "handled":
    signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.03)
"""


@pytest.mark.parametrize(("argument", "status"), [("handled", 0), ("default", -signal.SIGALRM)])
def test_a_timer_that_is_left_running(argument: str, status: int) -> None:
    """One that a handler would answer kills no process that ends; any other does as ever."""
    process = subprocess.run([sys.executable, "-c", ENDS_SLOWLY, argument], check=False)
    assert process.returncode == status
