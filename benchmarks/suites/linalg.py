"""Linear systems and factorizations beside SciPy's, and what is made of them, with a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks import names
from benchmarks.jobs import case, exact
from benchmarks.records import Case, Size

SIZES = (256, 512, 1024)
AMONG = ("numpy", "scipy", "torch eager")
POINTS, DIMENSIONS, NOISE = 500, 4, 0.3


def _cholesky(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.linalg.cholesky(x)


def _lower(scipy: Any) -> Callable[..., Any]:
    return lambda x: scipy.linalg.cholesky(x, lower=True)


def _solve(xp: Any) -> Callable[..., Any]:
    return lambda a, b: xp.linalg.solve(a, b)


def _eigh(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.linalg.eigh(x)[0]


def cases(size: Size) -> Iterator[Case]:
    """Random matrices, definite where they have to be."""
    rng = np.random.default_rng(0)
    for n in map(size, SIZES):
        a, b = rng.standard_normal((n, n)), rng.standard_normal(n)
        definite = a @ a.T + n * np.eye(n)
        how = {"tolerance": 1e-9, "among": AMONG, "quick": n == 256}
        text = f"{n}x{n} float64"
        yield case(f"cholesky {text}", _cholesky, definite, own={"scipy": _lower}, **how)
        yield case(f"solve {text}", _solve, a, b, own={"scipy": _solve}, **how)
        yield case(f"eigh {text}", _eigh, definite, own={"scipy": _eigh}, **how)
    yield _likelihood(rng, size(POINTS))


def _likelihood(rng: np.random.Generator, points: int) -> Case:
    """Of a Gaussian process: its gradient by the logarithms of the kernel's scales."""
    x = rng.standard_normal((points, DIMENSIONS), dtype=np.float32)
    arrays = (np.zeros(DIMENSIONS + 1, np.float32), x, np.sin(x.sum(axis=1)).astype(np.float32))
    return case(
        f"likelihood of {points} points, its gradient",
        _gradient,
        *arrays,
        among=("jax.jit",),
        expected=partial(exact, _gradient, arrays, names.weft()),
        tolerance=1e-3,
    )


def _gradient(xp: Any) -> Callable[..., Any]:
    def loss(p: Any, x: Any, y: Any) -> Any:
        scaled = x / xp.exp(p[:-1])
        squares = xp.sum(scaled * scaled, axis=1)
        distances = squares[:, None] + squares - 2 * (scaled @ scaled.T)
        noise = NOISE**2 * xp.eye(x.shape[0], dtype=x.dtype)
        lower = xp.linalg.cholesky(xp.exp(2 * p[-1] - 0.5 * distances) + noise)
        white = xp.solve_triangular(lower, y, lower=True)
        return 0.5 * xp.sum(white * white) + xp.sum(xp.log(xp.linalg.diagonal(lower)))

    gradient: Callable[..., Any] = xp.grad(loss)
    return gradient
