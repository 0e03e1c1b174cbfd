"""Memory from the system in whole pages, and who may touch it."""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache
from typing import Final

NO_ACCESS: Final = 0
"""PROT_NONE."""


@cache
def libc() -> ctypes.CDLL:
    """The C library of this process, and what else it has loaded."""
    return ctypes.CDLL(None, use_errno=True)


def private(size: int) -> mmap.mmap:
    """Zeros that a forked child has a copy of; OSError where there is no memory."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def protect(address: int, size: int, protection: int) -> None:
    """Let pages be touched as `protection` says (mmap.PROT_...); OSError if that cannot be."""
    if libc().mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), protection) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
