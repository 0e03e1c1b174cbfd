"""Fourier transforms on bounded values. `part` is the real or the imaginary part of a spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.fuzz.reference.values import (
    Array,
    Bounded,
    Invalid,
    as_float,
    largest,
    moved,
    tiny,
    unit,
)

_ROUNDINGS = 16.0
"""Of an element, for each factor of the length."""


def _axis(x: Bounded, axis: int) -> int:
    if not -x.ndim <= axis < x.ndim:
        raise Invalid("no such axis")
    return axis % x.ndim


def _transform(
    name: str, x: Bounded, n: int | None, axis: int, norm: str, part: str = ""
) -> Bounded:
    """All elements of a row come of all its elements, with factors of sizes up to 2."""
    x, place = as_float(x), _axis(x, axis)
    read = x.shape[place] if n is None else n
    length = 2 * (read - 1) if n is None and name in ("irfft", "hfft") else read
    if length < 1:
        raise Invalid("no length")
    with np.errstate(all="ignore"):
        found = getattr(np.fft, name)(_with_elements(x.value, place), length, place, norm)
    value = np.ascontiguousarray(getattr(found, part) if part else found)
    size, error = (_sum(v, place, length) for v in (np.abs(x.value), x.error))
    roundings = _ROUNDINGS * (1 + np.log2(length)) * (unit(x.dtype) + unit("float64"))
    denormal = tiny(x.dtype)  # each of the sums, and each result, may be off by some of these
    whole = 2 * error + 2 * roundings * (size + error) + 8 * length * denormal
    whole = _scale(name, length, norm) * whole + 2 * denormal
    whole = np.where(size + error < largest(x.dtype) / 8, whole, np.inf)
    return Bounded(value, np.broadcast_to(whole, value.shape).copy(), x.dtype)


def _with_elements(x: Array, axis: int) -> Array:
    """Rows of no elements with a zero, where NumPy's irfft reads what is not theirs."""
    shape = list(x.shape)
    shape[axis] = max(shape[axis], 1)
    return x if x.shape[axis] else np.zeros(shape)


def _sum(x: Array, axis: int, length: int) -> Array:
    """Of the elements that are read; one of a half counts for two."""
    kept = np.where(np.isnan(x), np.inf, x)[(*(slice(None),) * axis, slice(length))]
    return np.asarray(kept.sum(axis, keepdims=True))


def _scale(name: str, length: int, norm: str) -> float:
    scales = {"backward": 1.0, "ortho": length**-0.5, "forward": 1 / length}
    if name in ("ifft", "irfft", "ihfft"):
        norm = {"backward": "forward", "forward": "backward"}.get(norm, norm)
    return scales[norm]


def irfft(x: Bounded, n: int | None = None, axis: int = -1, norm: str = "backward") -> Bounded:
    return _transform("irfft", x, n, axis, norm)


def hfft(x: Bounded, n: int | None = None, axis: int = -1, norm: str = "backward") -> Bounded:
    return _transform("hfft", x, n, axis, norm)


def spectrum(
    x: Bounded,
    transform: str,
    part: str,
    n: int | None = None,
    axis: int = -1,
    norm: str = "backward",
) -> Bounded:
    """A part of a transform whose result is complex."""
    return _transform(transform, x, n, axis, norm, part)


def fftshift(x: Bounded, axes: Any = None) -> Bounded:
    return moved(lambda v: np.fft.fftshift(v, axes), x)


def ifftshift(x: Bounded, axes: Any = None) -> Bounded:
    return moved(lambda v: np.fft.ifftshift(v, axes), x)
