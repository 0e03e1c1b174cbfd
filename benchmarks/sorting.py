"""Sorts of one long row and of many, and the largest of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case

LARGEST = 10


def cases() -> Iterator[Case]:
    """Random floats: NumPy's argsort is the stable one, as Weft's and JAX's are."""
    rng = np.random.default_rng(0)
    for shape in ((1, 1_000_000), (1000, 1000), (100_000, 10)):
        x = rng.standard_normal(shape, dtype=np.float32)
        text = "x".join(map(str, shape))
        yield _case(f"sort {text} float32", x, wf.sort, np.sort, "sort")
        yield _case(f"argsort {text} float32", x, wf.argsort, _argsort, "argsort")
    yield _case(f"top {LARGEST} of 1000x1000 float32", x.reshape(1000, 1000), _top, _numpy_top, "")


def _argsort(x: Any) -> Any:
    return np.argsort(x, kind="stable")


def _top(x: Any) -> Any:
    return wf.top_k(x, LARGEST)[0]


def _numpy_top(x: Any) -> Any:
    return -np.sort(np.partition(-x, LARGEST)[:, :LARGEST])


def _case(
    name: str, x: Any, ours: Callable[..., Any], numpys: Callable[..., Any], jaxs: str
) -> Case:
    compiled, array = wf.jit(lambda x: ours(x)), wf.asarray(x)
    runs: dict[str, Any] = {"weft": lambda: compiled(array), "numpy": lambda: numpys(x)}
    if (jax := peers.load("jax")) is not None:
        function = getattr(jax.numpy, jaxs) if jaxs else lambda x: jax.lax.top_k(x, LARGEST)[0]
        jitted, theirs = jax.jit(function), jax.numpy.asarray(x)
        runs["jax.jit"] = lambda: jitted(theirs).block_until_ready()
    return Case(name, runs, np.asarray(numpys(x), np.float64), 0.0, {"jax.jit": 1.0})
