"""Forks: what a child needs to go on, in one hook.

A child has one thread, the one that forked. Locks that others held are opened, what they had under
way is given up, and no fork happens while a thread is inside of LLVM, whose state no one could
repair.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakSet

_locks: WeakSet[ForkLock] = WeakSet()
_held_off: list[ForkLock] = []
_repairs: list[Callable[[], None]] = []


class ForkLock:
    """A reentrant lock that a child of this process finds open, unless the forking thread has it.

    With `holds_off`, a fork waits until the thread that has it lets go.
    """

    def __init__(self, holds_off: bool = False) -> None:
        self._lock = threading.RLock()
        _locks.add(self)
        if holds_off:
            _held_off.append(self)

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock; whether it was taken."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Let go of the lock."""
        self._lock.release()

    def renew(self) -> None:
        """In a child: forget an owner that is no more."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()

    # `with` calls the lock's own methods, in C: a signal handler that raises cannot come between
    # taking the lock and being inside, as it could in a method of Python.

    @property
    def __enter__(self) -> Callable[[], bool]:
        return self._lock.__enter__

    @property
    def __exit__(self) -> Callable[..., None]:
        return self._lock.__exit__


def repair_in_child(repair: Callable[[], None]) -> None:
    """Call `repair` in every child of this process, before anything else."""
    _repairs.append(repair)


def _before() -> None:
    for lock in _held_off:
        lock.acquire()


def _after() -> None:
    for lock in reversed(_held_off):
        lock.release()


def _after_in_child() -> None:
    _after()
    for lock in list(_locks):
        lock.renew()
    for repair in _repairs:
        repair()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after_in_child)
