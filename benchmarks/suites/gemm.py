"""Matrix products: squares, narrow and flat ones, stacks, and linear layers with what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.jobs import Written, case, shape_text
from benchmarks.records import Case, Size

SQUARES = (8, 16, 32, 128, 256, 384, 512, 1000, 1024, 2048)
OTHERS = (
    (8, 1024, 1024),
    (32, 1024, 4096),
    (1, 1024, 1024),
    (17, 1031, 513),
    (4096, 4096, 16),
)
"""Rows, contracted, columns."""
STACKS = ((32, 64, 64, 64), (64, 128, 32, 128))
LAYERS = ((64, 784, 256), (8, 1024, 1024), (512, 512, 512))
QUICK = (512, (8, 1024, 1024), (32, 64, 64, 64), (64, 784, 256))


def product(xp: Any) -> Callable[..., Any]:
    """a @ b"""
    return lambda a, b: a @ b


def _first_transposed(xp: Any) -> Callable[..., Any]:
    return lambda a, b: a.T @ b


def _second_transposed(xp: Any) -> Callable[..., Any]:
    return lambda a, b: a @ b.T


def _gelu(xp: Any) -> Callable[..., Any]:
    return lambda x, w, b: xp.nn.gelu(x @ w + b)


def _relu(xp: Any) -> Callable[..., Any]:
    return lambda x, w, b: xp.nn.relu(x @ w + b)


def cases(size: Size) -> Iterator[Case]:
    """Products alone, then layers, whose weights ONNX Runtime and OpenVINO hold packed."""
    rng = np.random.default_rng(0)
    for n in SQUARES:
        yield _of(rng, "matmul", product, (size(n), size(n), size(n)), quick=n in QUICK)
    n = size(512)
    yield _of(rng, "a.T @ b", _first_transposed, (n, n, n))
    yield _of(rng, "a @ b.T", _second_transposed, (n, n, n))
    yield _of(rng, "matmul", product, (n, n, n), np.float64)
    for sizes in OTHERS:
        yield _of(rng, "matmul", product, tuple(map(size, sizes)), quick=sizes in QUICK)
    for sizes in STACKS:
        yield _of(rng, "matmul", product, tuple(map(size, sizes)), quick=sizes in QUICK)
    for sizes in LAYERS:
        yield _layer(rng, "gelu", _gelu, tuple(map(size, sizes)), quick=sizes in QUICK)
    yield _layer(rng, "relu", _relu, tuple(map(size, (256, 1024, 1024))))


def _of(
    rng: np.random.Generator,
    name: str,
    function: Written,
    sizes: tuple[int, ...],
    dtype: Any = np.float32,
    quick: bool = False,
) -> Case:
    """Of a stack, if there are four sizes."""
    *stack, m, k, n = sizes
    a, b = (rng.standard_normal((*stack, *s)).astype(dtype) for s in ((m, k), (k, n)))
    kind = "" if dtype == np.float32 else f" {np.dtype(dtype)}"
    return case(
        f"{name} {shape_text(*sizes)}{kind}",
        function,
        a,
        b,
        flops=2 * a.size * n,
        reads=a.nbytes + b.nbytes,
        quick=quick,
    )


def _layer(
    rng: np.random.Generator,
    name: str,
    function: Written,
    sizes: tuple[int, ...],
    quick: bool = False,
) -> Case:
    m, k, n = sizes
    x = rng.standard_normal((m, k), dtype=np.float32)
    w = rng.standard_normal((k, n), dtype=np.float32) / np.float32(np.sqrt(k))
    b = rng.standard_normal(n, dtype=np.float32)
    return case(
        f"{name}(x @ w + b) {shape_text(*sizes)}",
        function,
        x,
        w,
        b,
        weights=2,
        flops=2 * x.size * n,
        reads=x.nbytes + w.nbytes,
        quick=quick,
    )
