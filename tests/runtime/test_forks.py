"""Locks over forks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from tests.runtime.test_linker import call, module

from weftrt import forks
from weftrt.cache import Store
from weftrt.cpu import linker
from weftrt.cpu.host import host
from weftrt.cpu.linker import Linker
from weftrt.forks import ForkLock

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def in_child(check: Callable[[], bool]) -> bool:
    """Whether `check` holds in a child of this process, which is stopped if it hangs."""
    child = os.fork()
    if child == 0:
        timer = threading.Timer(20, os._exit, [2])
        timer.daemon = True
        timer.start()
        status = 1
        try:
            status = 0 if check() else 1
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def takes(lock: ForkLock) -> bool:
    with lock:
        return True


def test_a_child_opens_what_another_thread_held() -> None:
    lock = ForkLock()
    with ThreadPoolExecutor(1) as other:
        other.submit(lock.acquire).result()
        assert in_child(lambda: takes(lock))
        assert not lock.acquire(blocking=False)
        other.submit(lock.release).result()
    assert takes(lock)


def test_a_child_goes_on_with_what_it_holds() -> None:
    lock = ForkLock()
    with lock:
        child = os.fork()
    if child == 0:
        os._exit(0 if takes(lock) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_lock_is_reentrant_and_excludes() -> None:
    lock = ForkLock()
    with lock, lock, ThreadPoolExecutor(1) as other:
        assert not other.submit(lock.acquire, blocking=False).result()


class Interruption(Exception):
    """What a signal handler raises."""


def test_a_signal_handler_that_raises_leaves_a_lock_open() -> None:
    def interrupt(number: int, frame: object) -> None:
        raise Interruption

    lock = ForkLock()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(100):
            with suppress(Interruption):
                signal.setitimer(signal.ITIMER_REAL, 20e-6)
                while True:
                    with lock:
                        pass
            with ThreadPoolExecutor(1) as other:
                assert other.submit(lock.acquire, blocking=False).result()
                other.submit(lock.release).result()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_fork_waits_until_nobody_is_inside_of_llvm() -> None:
    inside, leave = threading.Event(), threading.Event()
    order: list[str] = []

    def compile() -> None:
        with linker._llvm_lock:
            inside.set()
            leave.wait()
            order.append("compiled")

    threading.Timer(0.2, leave.set).start()
    worker = threading.Thread(target=compile)
    worker.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if call(Linker(host(), Store(None)).link("g", module("g", 7))) == 7 else 1)
    assert order == ["compiled"]
    worker.join()
    assert os.waitpid(child, 0)[1] == 0


def test_repairs_run_in_children_only() -> None:
    seen: list[int] = []
    repair = seen.append
    forks.repair_in_child(lambda: repair(1))
    assert in_child(lambda: seen == [1])
    assert not seen
