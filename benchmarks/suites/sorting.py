"""Sorts of one long row and of many, and the largest of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.jobs import case, shape_text
from benchmarks.records import Case, Size

LARGEST = 10


def _sorted(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.sort(x)


def _order(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.argsort(x)


def _largest(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.top_k(x, min(LARGEST, x.shape[-1] - 1))[0]


def cases(size: Size) -> Iterator[Case]:
    """Random floats: all argsorts are the stable ones."""
    rng = np.random.default_rng(0)
    for shape in ((1, size(1_000_000)), (size(1000), size(1000)), (size(100_000), size(10))):
        x = rng.standard_normal(shape, dtype=np.float32)
        text = shape_text(*shape)
        yield case(f"sort {text}", _sorted, x, tolerance=0.0, quick=shape[0] == size(1000))
        yield case(f"argsort {text}", _order, x, tolerance=0.0)
    x = rng.standard_normal((size(1000), size(1000)), dtype=np.float32)
    yield case(f"top {LARGEST} of {shape_text(*x.shape)}", _largest, x, tolerance=0.0)
