"""Factorizations against NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.linalg.draws import DTYPES, SIZES, close, definite

import weft as wf
from weftrt.errors import TraceError, UsageError


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_cholesky_is_numpys(n: int, dtype: Any) -> None:
    x = definite(n, dtype, (2,))
    close(wf.linalg.cholesky(x), np.linalg.cholesky(x))
    close(wf.linalg.cholesky(x, upper=True), np.linalg.cholesky(x, upper=True))


@pytest.mark.parametrize("mode", ["reduced", "complete"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (50, 2), (2, 70), (2, 4, 3), (0, 3), (3, 0), (0, 0)])
def test_orthogonal_factors_are_numpys(shape: tuple[int, ...], dtype: Any, mode: Any) -> None:
    x = np.random.default_rng(5).standard_normal(shape).astype(dtype)
    found = wf.linalg.qr(x, mode=mode)
    for value, known in zip(found, np.linalg.qr(x, mode=mode), strict=True):
        close(value, known)


def test_what_qr_has_no_gradient_for() -> None:
    with pytest.raises(TraceError, match="qr has no gradient"):
        wf.grad(lambda x: wf.sum(wf.linalg.qr(x, mode="complete")[0]))(np.ones((3, 2)))
    with pytest.raises(UsageError, match="mode is 'reduced' or 'complete', not 'r'"):
        wf.linalg.qr(np.eye(2), mode="r")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (50, 2), (2, 70), (2, 4, 3), (0, 3), (0, 0)])
def test_triangles_are_scipys(shape: tuple[int, ...], dtype: Any) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    x = np.random.default_rng(5).standard_normal(shape).astype(dtype)
    found = wf.linalg.lu(x)
    for value, known in zip(found, linalg.lu(x), strict=True):
        close(value, known)


def test_triangles_of_no_columns() -> None:
    found = wf.linalg.lu(np.ones((3, 0)))
    assert np.asarray(found.P).tolist() == np.eye(3).tolist()
    assert (found.L.shape, found.U.shape) == ((3, 0), (0, 0))


def test_triangles_of_singular_matrices() -> None:
    permuting, lower, upper = map(np.asarray, wf.linalg.lu(np.ones((2, 2))))
    assert permuting.tolist() == np.eye(2).tolist()
    assert (lower.tolist(), upper.tolist()) == ([[1, 0], [1, 1]], [[1, 1], [0, 0]])


def test_stacks_have_the_bits_of_their_matrices_in_a_loop() -> None:
    a = definite(5, np.float32, (2, 3))

    @wf.jit
    def chained(x: Any) -> Any:
        return wf.linalg.cholesky(x + 0.0) @ wf.ones((5, 1))

    for place in np.ndindex(2, 3):
        one = np.asarray(wf.linalg.cholesky(a[place]))
        assert_same_bits(np.asarray(wf.linalg.cholesky(a))[place], one)
    assert np.asarray(chained(a)).shape == (2, 3, 5, 1)
