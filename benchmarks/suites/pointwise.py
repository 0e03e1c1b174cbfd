"""Pointwise expressions: chains of costly functions, and what only moves memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.jobs import case
from benchmarks.records import Case, Size


def chain(xp: Any) -> Callable[..., Any]:
    """Twenty operations, half of them transcendental or divisions."""

    def run(x: Any, w: Any, b: Any) -> Any:
        y = xp.tanh(x * w + b)
        z = xp.exp(-x)
        y = y / (z + 1)
        y = y * y + x
        y = y - w
        y = xp.sqrt(y * y + 1)
        y = y * 0.5 + z * 0.25
        y = xp.sin(y) + y * x
        return y / (y * y + 2)

    return run


def _linear(xp: Any) -> Callable[..., Any]:
    return lambda x, w, b: x * w + b


def _waves(xp: Any) -> Callable[..., Any]:
    return lambda x, y: xp.sin(x) * xp.cos(y)


def _gated(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.tanh(x) / (1 + xp.exp(-x))


def _plus_one(xp: Any) -> Callable[..., Any]:
    return lambda x: x + 1


def cases(size: Size) -> Iterator[Case]:
    """A million elements each; then one that is larger than the caches."""
    rng = np.random.default_rng(0)
    side = size(1024)
    x, y = (rng.standard_normal((side, side), dtype=np.float32) for _ in range(2))
    w, b = (rng.standard_normal(side, dtype=np.float32) for _ in range(2))
    count = f"{side}x{side}"
    yield case(f"20-op chain {count}", chain, x, w, b, tolerance=2e-4, quick=True)
    moved = {"reads": x.nbytes, "writes": x.nbytes}
    yield case(f"x*w + b {count}", _linear, x, w, b, quick=True, **moved)
    yield case(f"sin(x)*cos(y) {count}", _waves, x, y)
    yield case(f"tanh(x)*sigmoid(x) {count}", _gated, x)
    large = rng.standard_normal(size(1 << 24), dtype=np.float32)
    moved = {"reads": large.nbytes, "writes": large.nbytes}
    yield case(f"x + 1 {large.size}", _plus_one, large, **moved)
