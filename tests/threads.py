"""Work on several threads at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from weftrt.cpu import threads

R = TypeVar("R")


def at_once(work: Callable[[int], R], count: int) -> list[R]:
    """What `work` of 0, 1, ... gives, each on a thread of its own, all begun together; raises what
    one of them raises."""
    begin = threading.Barrier(count)

    def run(number: int) -> R:
        begin.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@contextmanager
def thread_limit(count: int) -> Iterator[None]:
    """Within, programs run on as many threads."""
    before = threads.get_threads()
    threads.set_threads(count)
    try:
        yield
    finally:
        threads.set_threads(before)


@contextmanager
def switching() -> Iterator[None]:
    """Within, threads take turns each microsecond, so in the middle of whatever they do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
