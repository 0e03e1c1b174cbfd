"""What networks do to rows: softmax and norms, of few and many columns, and along columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.jobs import case, shape_text
from benchmarks.records import Case, Size

ELEMENTS = 1 << 22


def _softmax(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.nn.softmax(x)


def _softmax_of_columns(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.nn.softmax(x, axis=0)


def _log_softmax(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.nn.log_softmax(x)


def _layer_norm(xp: Any) -> Callable[..., Any]:
    return lambda x, scale, shift: xp.nn.layer_norm(x, scale, shift)


def _rms_norm(xp: Any) -> Callable[..., Any]:
    return lambda x, scale: x / xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + 1e-6) * scale


def cases(size: Size) -> Iterator[Case]:
    """Four million elements each."""
    rng = np.random.default_rng(0)
    for columns in (64, 1024, 65536):
        width = size(columns)
        x = rng.standard_normal((size(ELEMENTS // columns), width), dtype=np.float32)
        scale, shift = (rng.standard_normal(width, dtype=np.float32) for _ in range(2))
        text, how = shape_text(*x.shape), {"reads": x.nbytes, "writes": x.nbytes}
        yield case(f"softmax {text}", _softmax, x, quick=columns == 1024, **how)
        yield case(f"log_softmax {text}", _log_softmax, x, **how)
        norm = {"quick": columns == 1024, **how}
        yield case(f"layer_norm {text}", _layer_norm, x, scale, shift, weights=2, **norm)
        yield case(f"rms_norm {text}", _rms_norm, x, scale, weights=1, **how)
    x = rng.standard_normal((size(4096), size(1024)), dtype=np.float32)
    how = {"reads": x.nbytes, "writes": x.nbytes}
    yield case(f"softmax {shape_text(*x.shape)} axis 0", _softmax_of_columns, x, **how)
