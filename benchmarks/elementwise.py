"""Pointwise chains on a million elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case


def chain(np_: Any, x: Any, w: Any, b: Any) -> Any:
    """Twenty operations, half of them transcendental or divisions."""
    y = np_.tanh(x * w + b)
    z = np_.exp(-x)
    y = y / (z + 1)
    y = y * y + x
    y = y - w
    y = np_.sqrt(y * y + 1)
    y = y * 0.5 + z * 0.25
    y = np_.sin(y) + y * x
    return y / (y * y + 2)


def cases() -> Iterator[Case]:
    """The 20-op chain and one memory-bound expression."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1024, 1024), dtype=np.float32)
    w, b = (rng.standard_normal(1024, dtype=np.float32) for _ in range(2))
    yield _case("20-op chain, 1M float32", chain, (x, w, b), {"numpy": 3.0, "jax.jit": 1.0}, 2e-4)
    yield _case("x*w + b, 1M float32", lambda np_, x, w, b: x * w + b, (x, w, b), {}, 1e-6)


def _case(name: str, function: Any, arrays: Any, goals: dict[str, float], tolerance: float) -> Case:
    compiled = wf.jit(lambda *args: function(wf, *args))
    ours = tuple(wf.asarray(a) for a in arrays)
    runs: dict[str, Any] = {
        "weft": lambda: compiled(*ours),
        "numpy": lambda: function(np, *arrays),
    }
    runs |= _peers(function, arrays)
    expected = function(np, *(a.astype(np.float64) for a in arrays))
    return Case(name, runs, expected, tolerance, goals)


def _peers(function: Any, arrays: Any) -> dict[str, Any]:
    runs: dict[str, Any] = {}
    if (jax := peers.load("jax")) is not None:
        jitted = jax.jit(lambda *args: function(jax.numpy, *args))
        theirs = tuple(map(jax.numpy.asarray, arrays))
        runs["jax.jit"] = lambda: jitted(*theirs).block_until_ready()
    if (torch := peers.load("torch")) is not None:
        tensors = tuple(map(torch.from_numpy, arrays))
        runs["torch eager"] = lambda: function(torch, *tensors)
    if (numexpr := peers.load("numexpr")) is not None and function is chain:
        names = dict(zip("xwb", arrays, strict=True))
        steps = _numexpr_chain()
        runs["numexpr"] = lambda: numexpr.evaluate(steps, local_dict=names)
    return runs


def _numexpr_chain() -> str:
    first = "(tanh(x*w+b)/(exp(-x)+1))"
    second = f"({first}*{first}+x-w)"
    third = f"(sqrt({second}*{second}+1)*0.5+exp(-x)*0.25)"
    fourth = f"(sin({third})+{third}*x)"
    return f"{fourth}/({fourth}*{fourth}+2)"
