"""`%` and `//` of floats have NumPy's bits, however large the quotient, on every target."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf
from weftrt import knobs

Array = np.ndarray[Any, Any]

OPERATIONS = [(operator.mod, np.remainder), (operator.floordiv, np.floor_divide)]


def operands(dtype: type) -> Iterator[tuple[Array, Array]]:
    """Edges against edges, any bits against any bits, close to whole quotients, and the largest."""
    info = np.finfo(dtype)
    size, random = 5001, np.random.default_rng(3)
    edges = [0.0, 0.1, 1.0, 3.0, 2.5, 1e10, 16777217.0, np.inf, np.nan]
    edges += [float(info.max), float(info.tiny), float(info.smallest_subnormal)]
    signed = np.array([sign * edge for edge in edges for sign in (1, -1)], dtype)
    x, y = np.meshgrid(signed, signed)
    yield x.ravel().copy(), y.ravel().copy()
    bits = np.dtype(f"u{info.bits // 8}")
    any_bits = random.integers(0, 2**info.bits, (2, size), dtype=bits, endpoint=False)
    yield any_bits[0].view(dtype), any_bits[1].view(dtype)
    y = random.integers(-30, 30, size).astype(dtype) / 8
    whole = (random.integers(-1000, 1000, size) * y).astype(dtype)
    for x in (whole, np.nextafter(whole, dtype(np.inf)), np.nextafter(whole, dtype(-np.inf))):
        yield x, y
    large = (info.max * random.random(size)).astype(dtype)
    yield large, (random.integers(1, 100, size) * info.smallest_subnormal).astype(dtype)


@pytest.mark.parametrize("target", ["native", "x86-64-v3"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("operation", "reference"), OPERATIONS, ids=["mod", "floordiv"])
def test_bits_are_numpys(
    operation: Callable[..., Any], reference: Callable[..., Any], dtype: type, target: str
) -> None:
    with knobs.scope(target=target), np.errstate(all="ignore"):
        compiled = wf.jit(lambda x, y: operation(x, y))
        for x, y in operands(dtype):
            assert_same_bits(np.asarray(compiled(x, y)), reference(x, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lanes_that_are_off_end_the_loop(dtype: type) -> None:
    total = wf.jit(lambda x, y: wf.sum(x % y))
    for length in (1, 5, 9, 17, 33, 65, 139):
        x = np.full(length, 7, dtype)
        assert float(total(x, np.full(length, 4, dtype))) == 3 * length


def test_the_remainder_of_a_large_angle() -> None:
    found = wf.asarray(np.array([1e22, 2.0**1000])) % 0.7
    np.testing.assert_array_equal(found, [1e22 % 0.7, 2.0**1000 % 0.7])
