"""wf.linalg against NumPy and SciPy, its errors, gradients and maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf
from weftrt import lapack
from weftrt.errors import ShapeError, TraceError, UsageError

Array = np.ndarray[Any, Any]
SIZES = (0, 1, 3, 17, 70)
DTYPES = (np.float32, np.float64)


def _matrices(n: int, dtype: Any = np.float64, lead: tuple[int, ...] = ()) -> Array:
    """Well conditioned ones."""
    random = np.random.default_rng(n)
    return (random.standard_normal((*lead, n, n)) + 2 * n * np.eye(n)).astype(dtype)


def _definite(n: int, dtype: Any = np.float64, lead: tuple[int, ...] = ()) -> Array:
    a = _matrices(n, dtype, lead)
    return np.asarray(a @ np.swapaxes(a, -1, -2))


def _close(found: Any, wanted: Array) -> None:
    value = np.asarray(found)
    assert value.dtype == wanted.dtype and value.shape == wanted.shape
    scale = max(float(np.abs(wanted).max(initial=0)), 1e-30)
    np.testing.assert_allclose(value, wanted, rtol=0, atol=100 * np.finfo(value.dtype).eps * scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_cholesky_is_numpys(n: int, dtype: Any) -> None:
    x = _definite(n, dtype, (2,))
    _close(wf.linalg.cholesky(x), np.linalg.cholesky(x))
    _close(wf.linalg.cholesky(x, upper=True), np.linalg.cholesky(x, upper=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_solve_is_numpys(n: int, dtype: Any) -> None:
    a, b = _matrices(n, dtype, (2,)), _matrices(n + 2, dtype)[:n, :2]
    _close(wf.linalg.solve(a, b), np.linalg.solve(a, np.stack([b, b])))
    _close(wf.linalg.solve(a[0], b[:, 0]), np.linalg.solve(a[0], b[:, 0]))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("unit_diagonal", [False, True])
def test_triangles_are_solved(lower: bool, transposed: bool, unit_diagonal: bool) -> None:
    a, b = _matrices(5), np.arange(10.0).reshape(5, 2)
    t = np.tril(a) if lower else np.triu(a)
    t = t - np.diag(np.diag(t)) + np.eye(5) if unit_diagonal else t
    found = wf.linalg.solve_triangular(
        a, b, lower=lower, transposed=transposed, unit_diagonal=unit_diagonal
    )
    np.testing.assert_allclose((t.T if transposed else t) @ np.asarray(found), b, atol=1e-9)


def test_bits_are_those_of_numpy_in_float64() -> None:
    if lapack.pointer("potrf", 8).width != 8:
        pytest.skip("this NumPy hides its LAPACK")
    x = _definite(33)
    assert_same_bits(np.asarray(wf.linalg.cholesky(x)), np.linalg.cholesky(x))
    b = _matrices(33)
    assert_same_bits(np.asarray(wf.linalg.solve(x, b)), np.linalg.solve(x, b))


def test_integers_become_floats() -> None:
    found = wf.linalg.solve(np.array([[2, 0], [0, 4]]), np.array([2, 2]))
    assert np.asarray(found).tolist() == [1.0, 0.5]


def test_what_is_not_square_or_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="it takes matrices"):
        wf.linalg.cholesky(np.ones(3))
    with pytest.raises(ShapeError, match="it takes square matrices"):
        wf.linalg.cholesky(np.ones((3, 2)))
    with pytest.raises(ShapeError, match="must have as many rows"):
        wf.linalg.solve(np.eye(3), np.ones(2))
    with pytest.raises(UsageError, match="upper is True or False, not 1"):
        wf.linalg.cholesky(np.eye(3), upper=1)  # type: ignore[arg-type]


@wf.jit
def _factor(x: Any) -> Any:
    return wf.linalg.cholesky(x) * 2


@wf.jit
def _solution(a: Any, b: Any) -> Any:
    return wf.linalg.solve(a, b) + 1


def test_errors_name_the_line_and_the_first_matrix() -> None:
    x = np.stack([np.eye(3), -np.eye(3), -np.eye(3)])
    with pytest.raises(np.linalg.LinAlgError, match=r"wf\.linalg\.cholesky\(x\): .*element 1"):
        _factor(x)
    with pytest.raises(np.linalg.LinAlgError, match=r"solve\(a, b\): .*singular"):
        _solution(np.ones((2, 2)), np.ones(2))
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        wf.linalg.solve_triangular(np.zeros((2, 2)), np.ones(2))


def test_nan_is_numpys() -> None:
    a = np.array([[np.nan, 1.0], [1.0, 2.0]])
    found = np.asarray(wf.linalg.solve(a, np.ones(2)))
    np.testing.assert_array_equal(found, np.linalg.solve(a, np.ones(2)))
    assert np.isnan(found[0])
    np.testing.assert_array_equal(np.asarray(wf.linalg.cholesky(a)), np.linalg.cholesky(a))


def _rectangles() -> list[Array]:
    random = np.random.default_rng(5)
    return [random.standard_normal(s) for s in ((3, 3), (5, 2), (2, 5), (2, 4, 3), (1, 1))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_inverses_and_determinants_are_numpys(n: int, dtype: Any) -> None:
    x = _matrices(n, dtype, (2,)) / dtype(max(n, 1))
    x[:1, :2] = x[:1, 1::-1]
    _close(wf.linalg.inv(x), np.linalg.inv(x))
    rough = 1e3 * np.finfo(dtype).eps  # NumPy's are exponentials of sums of logarithms
    np.testing.assert_allclose(np.asarray(wf.linalg.det(x)), np.linalg.det(x), rtol=rough)
    for found, wanted in zip(wf.linalg.slogdet(x), np.linalg.slogdet(x), strict=True):
        _close(found, wanted)


def test_singular_matrices_have_a_determinant() -> None:
    assert float(wf.linalg.det(np.zeros((2, 2)))) == 0
    sign, logs = wf.linalg.slogdet(np.zeros((2, 2)))
    assert (float(sign), float(logs)) == (0.0, -np.inf)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_eigenvalues_are_numpys(n: int, dtype: Any) -> None:
    x = _definite(n, dtype, (2,))
    values, vectors = wf.linalg.eigh(x)
    _close(values, np.linalg.eigvalsh(x))
    _close(wf.linalg.eigvalsh(x), np.linalg.eigvalsh(x))
    v = np.asarray(vectors)
    _close(v @ (np.asarray(values)[..., None] * np.swapaxes(v, -1, -2)), x)
    assert wf.linalg.eigh(x).eigenvectors.shape == x.shape


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (5, 2), (2, 70), (2, 4, 3), (0, 3), (3, 0), (0, 0)])
def test_singular_values_are_numpys(shape: tuple[int, ...], full: bool) -> None:
    x = np.random.default_rng(5).standard_normal(shape)
    found = wf.linalg.svd(x, full_matrices=full)
    wanted = np.linalg.svd(x, full_matrices=full)
    for value, known in zip(found, wanted, strict=True):
        _close(value, known)
    _close(wf.linalg.svdvals(x), wanted[1])
    assert int(np.sum(np.asarray(wf.linalg.matrix_rank(x)))) == np.linalg.matrix_rank(x).sum()


@pytest.mark.parametrize("mode", ["reduced", "complete"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (50, 2), (2, 70), (2, 4, 3), (0, 3), (3, 0), (0, 0)])
def test_orthogonal_factors_are_numpys(shape: tuple[int, ...], dtype: Any, mode: Any) -> None:
    x = np.random.default_rng(5).standard_normal(shape).astype(dtype)
    found = wf.linalg.qr(x, mode=mode)
    for value, known in zip(found, np.linalg.qr(x, mode=mode), strict=True):
        _close(value, known)


def test_what_qr_has_no_gradient_for() -> None:
    for x, mode in ((np.ones((3, 2)), "complete"), (np.ones((2, 3)), "reduced")):
        with pytest.raises(TraceError, match="qr has no gradient"):
            wf.grad(lambda x, mode=mode: wf.sum(wf.linalg.qr(x, mode=mode)[0]))(x)
    with pytest.raises(UsageError, match="mode is 'reduced' or 'complete', not 'r'"):
        wf.linalg.qr(np.eye(2), mode="r")


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_matrix_norms_are_numpys(order: Any) -> None:
    for x in _rectangles():
        for keepdims in (False, True):
            found = wf.linalg.matrix_norm(x, ord=order, keepdims=keepdims)
            _close(found, np.asarray(np.linalg.matrix_norm(x, ord=order, keepdims=keepdims)))


@pytest.mark.parametrize("order", [0, 1, 2, 3, 0.5, -1, np.inf, -np.inf])
def test_vector_norms_are_numpys(order: float) -> None:
    for x in _rectangles():
        for axis in (None, -1, (0, 1)):
            found = wf.linalg.vector_norm(x, ord=order, axis=axis)
            _close(found, np.asarray(np.linalg.vector_norm(x, ord=order, axis=axis)))


@pytest.mark.parametrize("offset", [0, 1, -1, 2, 7, -7])
def test_diagonals_and_traces_are_numpys(offset: int) -> None:
    for x in (*_rectangles(), np.arange(6, dtype=np.int32).reshape(2, 3)):
        wanted = np.linalg.diagonal(x, offset=offset)
        found = np.asarray(wf.linalg.diagonal(x, offset=offset))
        assert_same_bits(found, np.ascontiguousarray(wanted))
        _close(wf.linalg.trace(x + 0.5, offset=offset), np.linalg.trace(x + 0.5, offset=offset))


def test_powers_and_cross_products_are_numpys() -> None:
    x = _matrices(3) / 5
    for n in (-3, -1, 0, 1, 2, 3, 6):
        _close(wf.linalg.matrix_power(x, n), np.linalg.matrix_power(x, n))
    a, b = np.arange(12.0).reshape(4, 3) - 4, np.array([[1.0, -2.0, 0.5]])
    assert_same_bits(np.asarray(wf.linalg.cross(a, b)), np.linalg.cross(a, np.repeat(b, 4, 0)))
    _close(wf.linalg.cross(a[:3], a[1:], axis=0), np.linalg.cross(a[:3], a[1:], axis=0))


def test_vectors_of_full_matrices_have_no_gradient() -> None:
    with pytest.raises(TraceError, match="ask for full_matrices=False"):
        wf.grad(lambda x: wf.sum(wf.linalg.svd(x)[0]))(np.ones((3, 2)))
    values = wf.grad(lambda x: wf.sum(wf.linalg.svd(x)[1]))(np.eye(3, 2))
    np.testing.assert_allclose(np.asarray(values), np.eye(3, 2), atol=1e-12)


def test_wrong_orders_are_named() -> None:
    with pytest.raises(UsageError, match="ord is 'fro'"):
        wf.linalg.matrix_norm(np.eye(2), ord=3)
    with pytest.raises(UsageError, match="ord is a number"):
        wf.linalg.vector_norm(np.ones(2), ord="fro")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="must have 3 elements"):
        wf.linalg.cross(np.ones(2), np.ones(2))


GRADIENTS: list[tuple[Callable[..., Any], str]] = [
    (lambda m, a, b: m.linalg.cholesky(a), "definite"),
    (lambda m, a, b: m.linalg.solve(a, b), "square"),
    (lambda m, a, b: m.linalg.solve(a, b[..., 0]), "square"),
    (lambda m, a, b: m.linalg.inv(a), "square"),
    (lambda m, a, b: m.linalg.det(a), "square"),
    (lambda m, a, b: m.linalg.slogdet(a)[1], "square"),
    (lambda m, a, b: m.linalg.eigh(a)[0], "definite"),
    (lambda m, a, b: abs(m.linalg.eigh(a)[1]), "definite"),
    (lambda m, a, b: m.linalg.svd(b, full_matrices=False)[1], "square"),
    (lambda m, a, b: abs(m.linalg.svd(b, full_matrices=False)[0]), "square"),
    (lambda m, a, b: abs(m.linalg.svd(b, full_matrices=False)[2]), "square"),
    (lambda m, a, b: abs(m.linalg.svd(a)[0]), "square"),
    (lambda m, a, b: m.linalg.qr(a)[0], "square"),
    (lambda m, a, b: m.linalg.qr(b)[0], "square"),
    (lambda m, a, b: m.linalg.qr(b)[1], "square"),
    (lambda m, a, b: m.linalg.matrix_norm(b, ord="nuc"), "square"),
    (lambda m, a, b: m.linalg.vector_norm(b, ord=3), "square"),
    (lambda m, a, b: m.linalg.matrix_power(a, -2), "square"),
]


@pytest.mark.parametrize(("function", "kind"), GRADIENTS)
def test_gradients_are_torchs(function: Callable[..., Any], kind: str) -> None:
    torch = pytest.importorskip("torch")
    a, b = (_definite if kind == "definite" else _matrices)(4), _matrices(4)[:, :2]
    weights = np.asarray(function(np, a, b)) + 0.5
    found = wf.grad(lambda a, b: wf.sum(wf.sin(function(wf, a, b)) * weights), argnums=(0, 1))(a, b)
    given = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    (torch.sin(function(torch, *given)) * torch.tensor(weights)).sum().backward()
    for value, source in zip(found, given, strict=True):
        wanted = np.zeros(source.shape) if source.grad is None else source.grad.numpy()
        np.testing.assert_allclose(np.asarray(value), wanted, rtol=1e-9, atol=1e-12)


def test_second_derivatives() -> None:
    a, direction = _definite(3), _definite(3) / 50

    def logs(x: Any) -> Any:
        return wf.sum(wf.sin(wf.linalg.cholesky(x)))

    step = 1e-5
    sides = [np.asarray(wf.grad(logs)(a + s * step * direction)) for s in (1, -1)]
    (found,) = map(np.asarray, wf.hvp(logs, (a,), (direction,)))
    np.testing.assert_allclose(found, (sides[0] - sides[1]) / (2 * step), rtol=1e-5, atol=1e-8)


def test_maps_have_the_bits_of_loops() -> None:
    a, b = _definite(4, lead=(3,)), np.ones((4, 2))
    found = np.asarray(wf.vmap(wf.linalg.solve, in_axes=(0, None))(a, b))
    for row, matrix in zip(found, a, strict=True):
        assert_same_bits(row, np.asarray(wf.linalg.solve(matrix, b)))


def test_stacks_have_the_bits_of_their_matrices_in_a_loop() -> None:
    a = _definite(5, np.float32, (2, 3))

    @wf.jit
    def chained(x: Any) -> Any:
        return wf.linalg.cholesky(x + 0.0) @ wf.ones((5, 1))

    for place in np.ndindex(2, 3):
        one = np.asarray(wf.linalg.cholesky(a[place]))
        assert_same_bits(np.asarray(wf.linalg.cholesky(a))[place], one)
    assert np.asarray(chained(a)).shape == (2, 3, 5, 1)
