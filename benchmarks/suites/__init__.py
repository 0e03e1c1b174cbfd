"""The suites: a module each, with `cases(size)`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from benchmarks.records import Case, Size

NAMES = (
    "pointwise",
    "reductions",
    "rowwise",
    "gemm",
    "conv",
    "indexing",
    "sorting",
    "training",
    "control",
    "calls",
    "compile",
    "memory",
    "scaling",
    "transforms",
    "linalg",
    "fft",
    "symbolic",
    "startup",
)
FORMER = {"elementwise": "pointwise", "matmul": "gemm"}
"""Names of before."""


def cases(suite: str, size: Size = int) -> Iterator[Case]:
    """The cases of a suite, made one by one: their arguments live as long as they do."""
    found: Iterator[Case] = importlib.import_module(f"benchmarks.suites.{suite}").cases(size)
    return found
