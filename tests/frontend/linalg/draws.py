"""Matrices that tests of linear algebra draw, and how their results compare."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SIZES = (0, 1, 3, 17, 70)
DTYPES = (np.float32, np.float64)


def matrices(n: int, dtype: Any = np.float64, lead: tuple[int, ...] = ()) -> Array:
    """Well conditioned ones."""
    random = np.random.default_rng(n)
    return (random.standard_normal((*lead, n, n)) + 2 * n * np.eye(n)).astype(dtype)


def definite(n: int, dtype: Any = np.float64, lead: tuple[int, ...] = ()) -> Array:
    a = matrices(n, dtype, lead)
    return np.asarray(a @ np.swapaxes(a, -1, -2))


def rectangles() -> list[Array]:
    random = np.random.default_rng(5)
    return [random.standard_normal(s) for s in ((3, 3), (5, 2), (2, 5), (2, 4, 3), (1, 1))]


def close(found: Any, wanted: Array) -> None:
    value = np.asarray(found)
    assert value.dtype == wanted.dtype and value.shape == wanted.shape
    scale = max(float(np.abs(wanted).max(initial=0)), 1e-30)
    np.testing.assert_allclose(value, wanted, rtol=0, atol=100 * np.finfo(value.dtype).eps * scale)
