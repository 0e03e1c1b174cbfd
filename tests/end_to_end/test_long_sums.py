"""Sums longer than a block: block results are summed by the same rule, whatever runs them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.threads import thread_limit

import weft as wf

LENGTHS = (4095, 4096, 4097, 8192, 262143, 262144, 262145, 4096 * 4096 + 1)


def blocks(x: np.ndarray) -> np.ndarray:
    """The sum of every block of 4096 along axis 0: 64 lanes, then halving."""
    count = -(-len(x) // 4096)
    padded = np.zeros((count * 4096, *x.shape[1:]), x.dtype)
    padded[: len(x)] = x
    rounds = padded.reshape(count, 64, 64, *x.shape[1:])
    lanes = np.zeros_like(rounds[:, 0])
    for r in range(64):
        lanes = lanes + rounds[:, r]
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


def definition(x: np.ndarray) -> np.ndarray:
    """Section 3 of the numerics contract along axis 0 of something not empty."""
    while len(x) > 1:
        x = blocks(x)
    return x[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", LENGTHS)
def test_along_rows_and_columns(n: int, dtype: type) -> None:
    x = np.random.default_rng(n).standard_normal(n).astype(dtype)
    expected = definition(x)
    for f in (wf.sum, wf.jit(wf.sum)):
        assert np.asarray(f(x)) == expected
    columns = np.stack([x, x[::-1], x], 1) if n < 1 << 20 else x[:, None]
    assert np.array_equal(wf.sum(columns, axis=0), definition(columns))
    assert np.array_equal(wf.jit(lambda c: wf.sum(c, axis=0))(columns), definition(columns))


@pytest.mark.parametrize("n", [4097, 300_000, 1_000_003])
def test_bits_on_any_number_of_threads(n: int) -> None:
    x = np.random.default_rng(n).standard_normal((3, n)).astype(np.float32)
    f = wf.jit(lambda x: wf.sum(x, axis=1))
    for count in (1, 2, 3):
        with thread_limit(count):
            assert np.array_equal(f(x), definition(x.T))


@pytest.mark.parametrize("shape", [(1000, 1500), (4133, 300), (3, 700, 129, 3)])
def test_strips_of_columns(shape: tuple[int, ...]) -> None:
    """Fixed and symbolic sizes, several reductions in one pass, any number of threads."""
    x = np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
    axis = len(shape) // 2 - 1
    rows = np.moveaxis(x, axis, 0)
    sums, squares = definition(rows), definition(rows * rows)
    eager = wf.sum(x, axis=axis), wf.sum(wf.asarray(x) * x, axis=axis), wf.max(x, axis=axis)
    f = wf.jit(lambda x: (wf.sum(x, axis=axis), wf.sum(x * x, axis=axis), wf.max(x, axis=axis)))
    for count in (1, 2, 3):
        with thread_limit(count):
            for found in (eager, f(x)):
                for result, expected in zip(found, (sums, squares, x.max(axis)), strict=True):
                    assert np.array_equal(result, expected)


def test_products_and_matrix_vector_products_are_the_same_rule() -> None:
    x = np.random.default_rng(1).standard_normal((2, 9000)).astype(np.float32)
    v = np.random.default_rng(2).standard_normal(9000).astype(np.float32)
    assert np.array_equal(wf.jit(lambda x, v: x @ v)(x, v), definition((x * v).T))
    assert np.array_equal(np.asarray(wf.asarray(x) @ wf.asarray(v)), definition((x * v).T))


def test_a_mean_of_many_equal_numbers() -> None:
    x = np.full(20_000_000, 0.1, np.float32)
    assert abs(float(wf.mean(x)) - 0.1) < 1e-7
    assert float(wf.std(x)) < 1e-7
