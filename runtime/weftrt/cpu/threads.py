"""How many threads kernels use. The default is WEFT_THREADS, else all the CPUs of the process."""

from __future__ import annotations

from weftrt.cpu.native.library import futex_number, library
from weftrt.errors import UsageError

MOST = 1024


def set_threads(count: int) -> None:
    """Use this many threads, the caller among them; 1 starts none. Results do not depend on it."""
    if not 1 <= count <= MOST:
        raise UsageError(f"a number of threads is from 1 to {MOST}, not {count}")
    library().set_threads(count, futex_number())


def get_threads() -> int:
    """How many threads a parallel loop may use."""
    return library().get_threads()[0]


def started_workers() -> int:
    """How many worker threads there are (they start when they are first needed)."""
    return library().get_threads()[1]
