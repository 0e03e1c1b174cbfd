"""Diagonals, powers, products and exponentials against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.linalg.draws import close, matrices, rectangles

import weft as wf
from weftrt.errors import ShapeError, UsageError


@pytest.mark.parametrize("offset", [0, 1, -1, 2, 7, -7])
def test_diagonals_and_traces_are_numpys(offset: int) -> None:
    for x in (*rectangles(), np.arange(6, dtype=np.int32).reshape(2, 3)):
        wanted = np.linalg.diagonal(x, offset=offset)
        found = np.asarray(wf.linalg.diagonal(x, offset=offset))
        assert_same_bits(found, np.ascontiguousarray(wanted))
        close(wf.linalg.trace(x + 0.5, offset=offset), np.linalg.trace(x + 0.5, offset=offset))


def test_powers_and_cross_products_are_numpys() -> None:
    x = matrices(3) / 5
    for n in (-3, -1, 0, 1, 2, 3, 6):
        close(wf.linalg.matrix_power(x, n), np.linalg.matrix_power(x, n))
    a, b = np.arange(12.0).reshape(4, 3) - 4, np.array([[1.0, -2.0, 0.5]])
    assert_same_bits(np.asarray(wf.linalg.cross(a, b)), np.linalg.cross(a, np.repeat(b, 4, 0)))
    close(wf.linalg.cross(a[:3], a[1:], axis=0), np.linalg.cross(a[:3], a[1:], axis=0))


SCALES = (0.0, 1e-3, 1.0, 7.0, 100.0)


@pytest.mark.parametrize("n", [0, 1, 2, 6, 20])
@pytest.mark.parametrize("scale", SCALES)
def test_exponentials_are_scipys(n: int, scale: float) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    x = np.random.default_rng(n).standard_normal((n, n)) * scale / max(n, 1) ** 0.5
    known = linalg.expm(x)
    within = 1e-12 * max(scale, 1) * max(np.abs(known).max(initial=0), 1e-30)
    np.testing.assert_allclose(np.asarray(wf.linalg.expm(x)), known, rtol=0, atol=within)
    if scale < 100:
        found = np.asarray(wf.linalg.expm(x.astype(np.float32)))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, known, rtol=0, atol=within * 2**29)


def test_each_matrix_is_squared_as_often_as_it_needs() -> None:
    x = np.stack([np.diag([0.1, -0.2]), np.diag([50.0, -700.0]), np.zeros((2, 2))])
    found = np.asarray(wf.linalg.expm(x))
    known = np.exp(np.diagonal(x, axis1=-2, axis2=-1))
    np.testing.assert_allclose(np.diagonal(found, axis1=-2, axis2=-1), known, rtol=1e-13)
    for row, matrix in zip(found, x, strict=True):
        assert_same_bits(row, np.asarray(wf.linalg.expm(matrix)))
    assert_same_bits(np.asarray(wf.vmap(wf.linalg.expm)(x)), found)


def test_exponentials_of_what_is_too_large_are_nan() -> None:
    for wrong in (np.inf, np.nan, 1e9):
        assert np.isnan(np.asarray(wf.linalg.expm(np.diag([wrong, 0.0])))).any()
    np.testing.assert_allclose(np.asarray(wf.linalg.expm(np.diag([-5e7, 0.0]))), np.diag([0, 1]))


def test_chains_of_products_are_numpys() -> None:
    random = np.random.default_rng(2)
    chain = [random.standard_normal(s) for s in ((10, 100), (100, 5), (5, 50), (50, 3))]
    close(wf.linalg.multi_dot(chain), np.linalg.multi_dot(chain))
    close(wf.linalg.multi_dot(chain[:2]), chain[0] @ chain[1])
    ends = [chain[0][0], *chain[1:3], chain[3][:, 0]]
    close(wf.linalg.multi_dot(ends), np.asarray(np.linalg.multi_dot(ends)))


def test_what_is_no_chain() -> None:
    with pytest.raises(UsageError, match="a list of at least two arrays"):
        wf.linalg.multi_dot([np.eye(2)])
    with pytest.raises(ShapeError, match="but the first and the last"):
        wf.linalg.multi_dot([np.eye(2), np.ones(2), np.eye(2)])
    with pytest.raises(ShapeError):
        wf.linalg.multi_dot([np.eye(2), np.eye(3)])
