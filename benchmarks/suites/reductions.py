"""Sums and extrema of all, of rows, of columns and of a middle axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.jobs import case, shape_text
from benchmarks.records import Case, Size


def _along(name: str, axis: int | None) -> Callable[[Any], Callable[..., Any]]:
    return lambda xp: lambda x: getattr(xp, name)(x, axis=axis)


def _three(xp: Any) -> Callable[..., Any]:
    return lambda x: (xp.min(x), xp.max(x), xp.sum(x))


def _sum(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.sum(x)


def cases(size: Size) -> Iterator[Case]:
    """Every kind along every axis, then several in one pass, then the place of the largest."""
    rng = np.random.default_rng(0)
    flat = rng.standard_normal(size(1 << 24), dtype=np.float32) + np.float32(1)
    rows = rng.standard_normal((size(4096), size(1024)), dtype=np.float32)
    square = rng.standard_normal((size(4096), size(4096)), dtype=np.float32)
    for name in ("sum", "mean", "var", "max"):
        yield _case(name, flat, None, quick=name == "sum")
        yield _case(name, rows, 1)
    for name in ("sum", "max", "mean"):
        yield _case(name, square, 0, quick=name == "sum")
    middle = rng.standard_normal((size(64), size(512), size(64), 8), dtype=np.float32)
    yield _case("sum", middle, 1)
    yield case(
        f"min, max and sum {flat.size}",
        _three,
        flat,
        beside={"weft sum alone": _sum},
        tolerance=1e-4,
        reads=flat.nbytes,
    )
    for axis in (1, 0):
        yield _case("argmax", rows, axis)


def _case(name: str, x: Any, axis: int | None, quick: bool = False) -> Case:
    where = "all" if axis is None else f"axis {axis}"
    return case(
        f"{name} {shape_text(*x.shape)} {where}",
        _along(name, axis),
        x,
        tolerance=1e-4,
        reads=x.nbytes,
        quick=quick,
    )
