"""Fourier transforms of one row, short to long, and of many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.jobs import Written, case, shape_text
from benchmarks.records import Case, Size

SHAPES = ((1 << 10,), (1 << 12,), (1 << 14,), (1 << 16,), (1 << 18,), (1 << 20,), (1000, 1000))
QUICK = (1 << 14,)
AMONG = ("numpy", "scipy", "jax.jit", "torch eager")


def cases(size: Size) -> Iterator[Case]:
    """Complex ones, and real ones there and back."""
    random = np.random.default_rng(0)
    for dtype in (np.complex128, np.complex64):
        for full in SHAPES:
            shape = tuple(map(size, full))
            z = (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(dtype)
            half = z[..., : shape[-1] // 2 + 1].copy()
            half.imag[..., [0, -1]] = 0  # as it is of a real array
            yield _case("fft", z, full == QUICK)
            yield _case("rfft", np.ascontiguousarray(z.real))
            yield _case("irfft", half)


def _case(name: str, x: Any, quick: bool = False) -> Case:
    return case(
        f"{name} {shape_text(*x.shape)} {x.dtype}",
        _transform(name),
        x,
        own={"scipy": _transform(name)},
        among=AMONG,
        tolerance=1e-5 if x.real.itemsize == 4 else 1e-12,
        seconds=0.3,
        quick=quick,
    )


def _transform(name: str) -> Written:
    return lambda xp: lambda x: getattr(xp.fft, name)(x)
