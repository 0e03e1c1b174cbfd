"""pocketfft: the Fourier transforms that NumPy brings with it, and where they are found.

`numpy.fft` calls generalized ufuncs, whose loops are C functions that neither hold the GIL nor mind
who else calls them; from NumPy 2.0 on they are what a `PyUFuncObject` says, a record that NumPy's
headers publish. Native code (weftrt.cpu.native.fourier) calls the loops, the graph interpreter the
ufuncs. In float64 results have the bits of `numpy.fft`; in float32 they are computed in float32,
where NumPy takes the loop for float64 and rounds.

NumPy transforms several rows at once where there are, in the lanes of vectors. `rows_are_alike`
tries whether a row then has the bits that it has alone, as it has on machines without a fused
multiply-add, and elsewhere if the compiler fused the same operations; else rows are transformed one
by one, here and in native code.
"""

from __future__ import annotations

import ctypes
import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from weftrt.errors import UsageError

Array: TypeAlias = "np.ndarray[Any, Any]"

LOOPS = {
    "fft": ("fft", "fft"),
    "ifft": ("ifft", "ifft"),
    "rfft": ("rfft_n_even", "rfft_n_odd"),
    "irfft": ("irfft", "irfft"),
}
"""The loops of a transform of even and of odd length; none of them scales."""
KINDS = {"fft": "FF", "ifft": "FF", "rfft": "fF", "irfft": "Ff"}
"""Letters of NumPy's for what a transform reads and writes, in single precision."""
_TRIED = (2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 20, 25, 26, 34, 49, 64, 77, 211)
"""Lengths of all factors that have code of their own, of one that has none, and of a large one."""
_ROWS = 9
"""Vectors of up to eight lanes, and a row that is left over."""


@dataclass(frozen=True)
class Loop:
    """A C function `void (char **arrays, intptr *sizes, intptr *steps, void *data)`."""

    address: int
    data: int


class _Record(ctypes.Structure):
    """The begin of a PyUFuncObject, behind what all objects have."""

    _fields_ = [
        ("inputs", ctypes.c_int),
        ("outputs", ctypes.c_int),
        ("operands", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("count", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_ubyte)),
    ]


def routine_name(name: str, itemsize: int) -> str:
    """What programs call a transform of floats of so many bytes."""
    return f"weft_{name}_f{itemsize * 8}"


@cache
def loop(transform: str, itemsize: int, odd: bool) -> Loop:
    """The loop of a transform of floats of so many bytes; UsageError where this NumPy has none."""
    found = _find(LOOPS[transform][odd], _letters(transform, itemsize))
    if found is None:
        raise UsageError(
            f"Fourier transforms need the pocketfft of NumPy 2.0 or later, but NumPy "
            f"{np.__version__} keeps none where they are looked for"
        )
    return found


def _ufunc(name: str) -> Any:
    """A ufunc of NumPy's pocketfft, None where there is none."""
    try:
        return getattr(importlib.import_module("numpy.fft._pocketfft_umath"), name, None)
    except ImportError:
        return None


def _letters(transform: str, itemsize: int) -> str:
    """The dtypes of a loop: what is transformed, the scale, the result."""
    letters = "f".join(KINDS[transform])
    return letters if itemsize == 4 else letters.translate(_DOUBLE)


_DOUBLE = str.maketrans("fF", "dD")


def _find(name: str, letters: str) -> Loop | None:
    """The loop of a ufunc, if it is what NumPy's headers say."""
    ufunc = _ufunc(name)
    if not isinstance(ufunc, np.ufunc):
        return None
    record = _Record.from_address(id(ufunc) + object.__basicsize__)
    counts = record.inputs, record.outputs, record.operands, record.count
    if counts != (ufunc.nin, ufunc.nout, ufunc.nargs, ufunc.ntypes) or counts[:3] != (2, 1, 3):
        return None
    numbers = [np.dtype(letter).num for letter in letters]
    for place in range(record.count):
        if record.types[place * 3 : place * 3 + 3] == numbers:
            data = record.data[place] if record.data else None
            return Loop(record.functions[place] or 0, data or 0)
    return None


@cache
def rows_are_alike(itemsize: int) -> bool:
    """Whether a row has the same bits among others and alone, for all transforms."""
    dtype = np.dtype(f"c{2 * itemsize}")
    random = np.random.default_rng(0)
    for n in _TRIED:
        parts = random.standard_normal((2, _ROWS, n))
        x = (parts[0] + 1j * parts[1]).astype(dtype)
        half = x[:, : n // 2 + 1]
        given = {"fft": x, "ifft": x, "rfft": np.ascontiguousarray(x.real), "irfft": half}
        if not all(_is_alike(name, rows, n) for name, rows in given.items()):
            return False
    return True


def _is_alike(transform: str, rows: Array, n: int) -> bool:
    each = [_transformed(transform, row, n) for row in rows]
    return _transformed(transform, rows, n).tobytes() == np.stack(each).tobytes()


def _transformed(transform: str, x: Array, n: int) -> Array:
    """The transform of length n along the last axis. The scale has the dtype of the parts: without
    it NumPy takes the loop for float64, and rounds."""
    parts = np.finfo(x.dtype).dtype
    size = n // 2 + 1 if transform == "rfft" else n
    kind = parts if transform == "irfft" else f"c{2 * parts.itemsize}"
    result = np.empty((*x.shape[:-1], size), kind)
    _ufunc(LOOPS[transform][n % 2])(x, parts.type(1), result)
    return result


@np.errstate(all="ignore")
def run(transform: str, x: Array, axis: int, n: int) -> Array:
    """A transform of length n along an axis, unscaled, of an array that is real for rfft, else
    complex."""
    rows = np.moveaxis(x, axis, -1)
    if rows_are_alike(np.finfo(x.dtype).dtype.itemsize):
        return np.ascontiguousarray(np.moveaxis(_transformed(transform, rows, n), -1, axis))
    each = [_transformed(transform, rows[place], n) for place in np.ndindex(rows.shape[:-1])]
    whole = np.reshape(each, (*rows.shape[:-1], -1)) if each else _transformed(transform, rows, n)
    return np.ascontiguousarray(np.moveaxis(whole, -1, axis))
