"""Linear systems and factorizations beside SciPy's, and what is made of them, with a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case

SIZES = (256, 512, 1024)
POINTS, DIMENSIONS, NOISE = 500, 4, 0.3


def cases() -> Iterator[Case]:
    """Random matrices, definite where they have to be."""
    rng = np.random.default_rng(0)
    for n in SIZES:
        a, b = rng.standard_normal((n, n)), rng.standard_normal(n)
        definite = a @ a.T + n * np.eye(n)
        yield _case("cholesky", n, wf.linalg.cholesky, _lower, np.linalg.cholesky, definite)
        yield _case("solve", n, wf.linalg.solve, _solved, np.linalg.solve, a, b)
        yield _case("eigh", n, _values, _eigh, np.linalg.eigvalsh, definite)
    yield _likelihood(rng)


def _lower(linalg: Any, x: Any) -> Any:
    return linalg.cholesky(x, lower=True)


def _solved(linalg: Any, a: Any, b: Any) -> Any:
    return linalg.solve(a, b)


def _eigh(linalg: Any, x: Any) -> Any:
    return linalg.eigh(x)[0]


def _values(x: Any) -> Any:
    return wf.linalg.eigh(x)[0]


def _case(
    name: str, n: int, ours: Any, scipys: Any, numpys: Callable[..., Any], *arrays: Any
) -> Case:
    given = tuple(map(wf.asarray, arrays))
    runs: dict[str, Any] = {"weft": lambda: ours(*given)}
    if peers.load("scipy") is not None:
        from scipy import linalg

        runs["scipy"] = lambda: scipys(linalg, *arrays)
    expected, goals = np.asarray(numpys(*arrays)), {"scipy": 0.95}
    return Case(f"{name} {n}x{n} float64", runs, expected, 1e-9, goals, seconds=0.5)


def _likelihood(rng: np.random.Generator) -> Case:
    """Of a Gaussian process: its gradient by the logarithms of the kernel's scales."""
    x = rng.standard_normal((POINTS, DIMENSIONS), dtype=np.float32)
    y = np.sin(x.sum(axis=1)).astype(np.float32)
    p = np.zeros(DIMENSIONS + 1, np.float32)
    gradient = wf.grad(lambda p, x, y: _loss(wf, wf.linalg.solve_triangular, p, x, y))
    given = tuple(map(wf.asarray, (p, x, y)))
    runs: dict[str, Any] = {"weft": lambda: gradient(*given)}
    if (jax := peers.load("jax")) is not None:
        from jax.scipy.linalg import solve_triangular

        theirs = jax.jit(jax.grad(lambda p, x, y: _loss(jax.numpy, solve_triangular, p, x, y)))
        moved = tuple(map(jax.numpy.asarray, (p, x, y)))
        runs["jax.jit"] = lambda: theirs(*moved).block_until_ready()
    name = f"likelihood of {POINTS} points, its gradient, float32"
    wide = tuple(a.astype(np.float64) for a in (p, x, y))
    return Case(name, runs, np.asarray(gradient(*wide)), 1e-3, {"jax.jit": 1.2})


def _loss(m: Any, solve_triangular: Any, p: Any, x: Any, y: Any) -> Any:
    scaled = x / m.exp(p[:-1])
    squares = m.sum(scaled * scaled, axis=1)
    distances = squares[:, None] + squares - 2 * (scaled @ scaled.T)
    kernel = m.exp(2 * p[-1] - 0.5 * distances) + NOISE**2 * m.eye(POINTS, dtype=x.dtype)
    lower = m.linalg.cholesky(kernel)
    white = solve_triangular(lower, y, lower=True)
    return 0.5 * m.sum(white * white) + m.sum(m.log(m.linalg.diagonal(lower)))
