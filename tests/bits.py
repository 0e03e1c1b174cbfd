"""Comparing arrays by bits, NaN payloads and signs aside."""

from __future__ import annotations

from typing import Any

import numpy as np


def assert_same_bits(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    """Equal dtype, shape and bits; any NaN equals any NaN; -0 and +0 differ."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(found), nan)
    unsigned = np.dtype(f"u{found.dtype.itemsize}")
    a = np.where(nan, 0, np.ascontiguousarray(found)).astype(found.dtype).view(unsigned)
    b = np.where(nan, 0, np.ascontiguousarray(expected)).astype(found.dtype).view(unsigned)
    np.testing.assert_array_equal(a, b)


def assert_same_as_loop(mapped: Any, looped: Any) -> None:
    """What a map gives for an element is what the function gives for it alone, to the bit; the one
    exception is told in tests/fuzz/maps.py."""
    assert_same_bits(mapped, looped)
