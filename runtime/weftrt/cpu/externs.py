"""C functions that programs call by name.

Each is `int64_t function(void **buffers, int64_t *sizes, void *context)`: it reads and writes the
buffers that the instruction names, may be called without the GIL and from several threads at once,
and gives back -1, or the element that it finds at fault, or NO_MEMORY. `context` is a pointer of
its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from weftrt.cpu import sorts
from weftrt.errors import UsageError

NO_MEMORY = -2
"""What a function gives back that finds no memory to work in."""


@dataclass(frozen=True)
class Routine:
    """A C function, what it is given as its context, and an owner that keeps both alive."""

    address: int
    context: int = 0
    owner: object = None


def _sorting(name: str) -> Routine:
    return Routine(sorts.address(name))


_LAPACK = "weft_lapack_"
_FOURIER = ("weft_fft_", "weft_ifft_", "weft_rfft_", "weft_irfft_")
_finders: dict[str, Callable[[], Routine]] = {
    name: partial(_sorting, name) for name in sorts.ROUTINES
}


def register(name: str, find: Callable[[], Routine]) -> None:
    """Make a C function known under `name`; `find` is asked for it by the first program that calls
    it. Such functions stay for as long as the process lives."""
    _finders[name] = find


@cache
def routine(name: str) -> Routine:
    """The C function of this name; UsageError if nobody has registered it."""
    if name.startswith(_LAPACK):
        from weftrt.cpu import factorizations  # most programs call none

        return factorizations.routine(name)
    if name.startswith(_FOURIER):
        from weftrt.cpu import fourier

        return fourier.routine(name)
    if name not in _finders:
        raise UsageError(f"a program calls {name}, a C function that nobody has registered")
    return _finders[name]()
