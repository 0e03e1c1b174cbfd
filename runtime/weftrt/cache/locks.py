"""One process at a time makes an entry; the others wait for it, though never for long."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from weftrt.cache import files

try:
    import fcntl
except ImportError:  # Windows: processes started together may compile the same kernel twice
    fcntl = None  # type: ignore[assignment]

_POLL_SECONDS = 0.002


class Locks:
    """Locks by path. All waits in vain together last no longer than `patience` seconds: past it,
    what another process holds is made here as well."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._held: set[str] = set()

    @contextmanager
    def held(self, path: str) -> Iterator[None]:
        """Hold the lock at `path`, or go on without where that cannot be, as in a signal handler
        that wants what it interrupted."""
        handle = self._lock(path) if path not in self._held else None
        if handle is None:
            yield
            return
        self._held.add(path)
        try:
            yield
        finally:
            self._held.discard(path)
            files.remove(path)
            _unlock(handle)

    def _lock(self, path: str) -> int | None:
        """An open, locked file; None where locks do not work or another holds it for too long. The
        system drops the lock of a process that dies."""
        deadline = time.monotonic() + self._patience
        with suppress(OSError, files.DamagedError, files.UnsafeError):
            while fcntl is not None:
                handle = _try_lock(path)
                if handle is not None:
                    return handle
                if time.monotonic() > deadline:
                    self._patience = 0.0
                    break
                time.sleep(_POLL_SECONDS)
        return None


def _try_lock(path: str) -> int | None:
    handle, _ = files.open_checked(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(handle, path):
            return handle
    except BlockingIOError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)  # held by another, or removed by its last owner: others lock a new one
    return None


def _is_at(handle: int, path: str) -> bool:
    """Whether the path still names this file."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    return False


def _unlock(handle: int) -> None:
    """Also where a child, forked meanwhile, still has the file open."""
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)
