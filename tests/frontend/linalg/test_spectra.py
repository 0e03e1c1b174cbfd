"""Eigenvalues and singular values against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.frontend.linalg.draws import DTYPES, SIZES, close, definite

import weft as wf
from weftrt.errors import TraceError


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_eigenvalues_are_numpys(n: int, dtype: Any) -> None:
    x = definite(n, dtype, (2,))
    values, vectors = wf.linalg.eigh(x)
    close(values, np.linalg.eigvalsh(x))
    close(wf.linalg.eigvalsh(x), np.linalg.eigvalsh(x))
    v = np.asarray(vectors)
    close(v @ (np.asarray(values)[..., None] * np.swapaxes(v, -1, -2)), x)
    assert wf.linalg.eigh(x).eigenvectors.shape == x.shape


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (5, 2), (2, 70), (2, 4, 3), (0, 3), (3, 0), (0, 0)])
def test_singular_values_are_numpys(shape: tuple[int, ...], full: bool) -> None:
    x = np.random.default_rng(5).standard_normal(shape)
    found = wf.linalg.svd(x, full_matrices=full)
    wanted = np.linalg.svd(x, full_matrices=full)
    for value, known in zip(found, wanted, strict=True):
        close(value, known)
    close(wf.linalg.svdvals(x), wanted[1])
    assert int(np.sum(np.asarray(wf.linalg.matrix_rank(x)))) == np.linalg.matrix_rank(x).sum()


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (2, 1, 2)])
def test_values_of_full_matrices_have_both_derivatives(shape: tuple[int, ...]) -> None:
    x, t = np.random.default_rng(3).standard_normal((2, *shape))

    def total(x: Any) -> Any:
        return wf.sum(wf.linalg.svd(x)[1])

    tangent = wf.jit(lambda x, t: wf.jvp(total, (x,), (t,))[1])(x, t)
    np.testing.assert_allclose(tangent, np.sum(np.asarray(wf.grad(total)(x)) * t), rtol=1e-12)


def test_vectors_of_full_matrices_have_no_gradient() -> None:
    with pytest.raises(TraceError, match="ask for full_matrices=False"):
        wf.grad(lambda x: wf.sum(wf.linalg.svd(x)[0]))(np.ones((3, 2)))
    values = wf.grad(lambda x: wf.sum(wf.linalg.svd(x)[1]))(np.eye(3, 2))
    np.testing.assert_allclose(np.asarray(values), np.eye(3, 2), atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_singular_values_of_nan_are_errors_as_numpys(dtype: Any) -> None:
    for n in (2, 40):
        x = np.full((n, n), np.nan, dtype)
        for function in (wf.linalg.svd, wf.linalg.svdvals, wf.linalg.matrix_rank):
            with pytest.raises(np.linalg.LinAlgError, match="not finite"):
                function(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_complex_eigenvalues_are_numpys(n: int, dtype: Any) -> None:
    x = np.random.default_rng(n).standard_normal((2, n, n)).astype(dtype)
    values, vectors = map(np.asarray, wf.linalg.eig(x))
    assert values.dtype == vectors.dtype == np.dtype(f"c{2 * x.itemsize}")
    rough = 1e3 * np.finfo(dtype).eps * max(n, 1)
    np.testing.assert_allclose(x @ vectors, vectors * values[:, None, :], atol=rough)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), np.ones((2, n)), atol=rough)
    np.testing.assert_array_equal(np.asarray(wf.linalg.eigvals(x)), values)
    for found, known in zip(values, np.linalg.eigvals(x), strict=True):
        np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(known), atol=rough)


def test_eigenvalues_of_a_rotation() -> None:
    values, vectors = map(np.asarray, wf.linalg.eig(np.array([[0.0, -1.0], [1.0, 0.0]])))
    assert values.tolist() == [1j, -1j]
    np.testing.assert_allclose(vectors[:, 0], np.conj(vectors[:, 1]))


def test_what_has_no_eigenvalues() -> None:
    for wrong in (np.nan, np.inf):
        with pytest.raises(np.linalg.LinAlgError, match=r"eig: .*not finite"):
            wf.linalg.eig(np.array([[wrong, 1.0], [0.0, 1.0]]))
