"""Fourier transforms of one row, short to long, and of many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case

SHAPES = ((1 << 10,), (1 << 12,), (1 << 14,), (1 << 16,), (1 << 18,), (1 << 20,), (1000, 1000))
GOALS = {"scipy": 0.95}


def cases() -> Iterator[Case]:
    """Complex ones, and real ones there and back."""
    random = np.random.default_rng(0)
    for dtype in (np.complex128, np.complex64):
        for shape in SHAPES:
            z = (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(dtype)
            text = f"{'x'.join(map(str, shape))} {z.dtype}"
            yield _case(f"fft {text}", "fft", z)
            yield _case(f"rfft {text}", "rfft", np.ascontiguousarray(z.real))
            yield _case(f"irfft {text}", "irfft", z[..., : shape[-1] // 2 + 1].copy())


def _case(name: str, function: str, x: Any) -> Case:
    compiled, array = wf.jit(getattr(wf.fft, function)), wf.asarray(x)
    numpys = getattr(np.fft, function)
    runs: dict[str, Any] = {"weft": lambda: compiled(array), "numpy": lambda: numpys(x)}
    if (scipy := peers.load("scipy")) is not None:
        scipys = getattr(scipy.fft, function)
        runs["scipy"] = lambda: scipys(x)
    single = x.real.itemsize == 4  # JAX has no other by default
    if single and (jax := peers.load("jax")) is not None:
        jitted, theirs = jax.jit(getattr(jax.numpy.fft, function)), jax.numpy.asarray(x)
        runs["jax.jit"] = lambda: jitted(theirs).block_until_ready()
    return Case(name, runs, numpys(x), 1e-5 if single else 1e-12, GOALS, seconds=0.3)
