"""The C functions that transform: one routine for all, with a description of its own each.

Descriptions are kept for good, as the routine is.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from weftrt import pocketfft
from weftrt.cpu import routines
from weftrt.cpu.externs import Routine
from weftrt.cpu.native import fourier as native
from weftrt.cpu.native.types import mirror

SYMBOL = "weft_fourier"

NAMES = {
    pocketfft.routine_name(name, itemsize): (name, itemsize)
    for name in pocketfft.LOOPS
    for itemsize in (4, 8)
}
KEPT_BYTES = 31 << 20
"""Just below the most that glibc takes for an example: DEFAULT_MMAP_THRESHOLD_MAX."""
_ONE = {4: 0x3F800000, 8: 0x3FF0000000000000}
"""The bits of 1.0."""


def routine(name: str) -> Routine:
    """The C function that programs call by one of NAMES."""
    told = description(*NAMES[name])
    return Routine(address(), ctypes.addressof(told), told)


def keep_memory() -> None:
    """Free a block once, untouched, from which glibc learns to keep as much and more (mallopt(3),
    M_MMAP_THRESHOLD). pocketfft takes memory to work in for each call; what is given back to the
    system comes with a fault for each page, which is up to half the time of a transform."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
    libc.free(libc.malloc(KEPT_BYTES))


@cache
def address() -> int:
    """The address of the routine."""
    keep_memory()
    return routines.address(SYMBOL, native, "call_fourier")


@cache
def description(name: str, itemsize: int) -> Any:
    """What the routine is told of a transform, kept for good."""
    even, odd = (pocketfft.loop(name, itemsize, is_odd) for is_odd in (False, True))
    read, written = (itemsize * (1 + kind.isupper()) for kind in pocketfft.KINDS[name])
    alike = pocketfft.rows_are_alike(itemsize)
    return mirror(native.Transform)(
        even.address, odd.address, even.data, read, written, _ONE[itemsize], alike
    )
