"""What a call costs when there is nothing to compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case


def cases() -> Iterator[Case]:
    """Adding two arrays of four elements, compiled and eager."""
    a, b = np.ones(4, np.float32), np.ones(4, np.float32)
    x, y = wf.asarray(a), wf.asarray(b)
    compiled = wf.jit(lambda x, y: x + y)
    runs: dict[str, Any] = {
        "weft": lambda: compiled(x, y),
        "weft, numpy in": lambda: compiled(a, b),
        "weft eager": lambda: x + y,
        "numpy": lambda: a + b,
    }
    if (jax := peers.load("jax")) is not None:
        jitted, ja, jb = jax.jit(lambda x, y: x + y), jax.numpy.asarray(a), jax.numpy.asarray(b)
        runs["jax.jit"] = lambda: jitted(ja, jb)
    if (torch := peers.load("torch")) is not None:
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        runs["torch eager"] = lambda: ta + tb
    if (numba := peers.load("numba")) is not None:
        nb = numba.njit(lambda x, y: x + y)
        runs["numba"] = lambda: nb(a, b)
    yield Case("call: add two arrays of 4 float32", runs, a + b, limit=1e-6, seconds=0.3)
