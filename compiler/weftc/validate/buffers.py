"""Memory for trying kernels, and how values differ."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"

_ALIGNMENT: Final = 64
_GUARD: Final = 256
"""Bytes before and after a buffer that nobody may write."""
_PATTERN: Final = 0xA5


class Guarded:
    """A copy of an array that starts at a cache line, between bytes that must not change."""

    def __init__(self, values: Array) -> None:
        size = values.nbytes
        self._memory = np.full(size + 2 * _GUARD + _ALIGNMENT, _PATTERN, np.uint8)
        self._start = _GUARD + -(self._memory.ctypes.data + _GUARD) % _ALIGNMENT
        self._stop = self._start + size
        own = self._memory[self._start : self._stop]
        self.array: Array = own.view(values.dtype).reshape(values.shape)
        self.array[...] = values

    def is_intact(self) -> bool:
        """Whether nothing was written outside of the array."""
        before, after = self._memory[: self._start], self._memory[self._stop :]
        return bool((before == _PATTERN).all() and (after == _PATTERN).all())


def unlike(values: Array) -> Array:
    """An array every element of which differs from that of `values`."""
    result = np.array(values, order="C")
    bits = result.view(result.dtype if result.dtype == np.bool_ else f"u{result.itemsize}")
    np.invert(bits, out=bits)
    return result


def difference(found: Array, wanted: Array) -> str | None:
    """Where two values differ by bits, NaN payloads and signs aside."""
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        return f"{found.dtype}{list(found.shape)}, not {wanted.dtype}{list(wanted.shape)}"
    same = found == wanted
    if wanted.dtype.kind == "f":
        same &= np.signbit(found) == np.signbit(wanted)
        same |= np.isnan(found) & np.isnan(wanted)
    if np.all(same):
        return None
    place = tuple(map(int, np.argwhere(~np.asarray(same))[0]))
    return f"element {list(place)} is {found[place]!s}, not {wanted[place]!s}"
