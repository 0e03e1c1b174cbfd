"""Systems of linear equations, and least squares, against NumPy; errors and maps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.linalg.draws import DTYPES, SIZES, close, definite, matrices

import weft as wf
from weftrt import lapack
from weftrt.errors import DTypeError, ShapeError, UsageError


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_solve_is_numpys(n: int, dtype: Any) -> None:
    a, b = matrices(n, dtype, (2,)), matrices(n + 2, dtype)[:n, :2]
    close(wf.linalg.solve(a, b), np.linalg.solve(a, np.stack([b, b])))
    close(wf.linalg.solve(a[0], b[:, 0]), np.linalg.solve(a[0], b[:, 0]))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("unit_diagonal", [False, True])
def test_triangles_are_solved(lower: bool, transposed: bool, unit_diagonal: bool) -> None:
    a, b = matrices(5), np.arange(10.0).reshape(5, 2)
    t = np.tril(a) if lower else np.triu(a)
    t = t - np.diag(np.diag(t)) + np.eye(5) if unit_diagonal else t
    found = wf.linalg.solve_triangular(
        a, b, lower=lower, transposed=transposed, unit_diagonal=unit_diagonal
    )
    np.testing.assert_allclose((t.T if transposed else t) @ np.asarray(found), b, atol=1e-9)


def test_bits_are_those_of_numpy_in_float64() -> None:
    if lapack.pointer("potrf", 8).width != 8:
        pytest.skip("this NumPy hides its LAPACK")
    x = definite(33)
    assert_same_bits(np.asarray(wf.linalg.cholesky(x)), np.linalg.cholesky(x))
    b = matrices(33)
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


def test_errors_outside_of_jit_name_the_line_in_every_call() -> None:
    x = np.eye(2)
    wf.linalg.solve_triangular(x, x)
    for wrong in (np.zeros((2, 2)), np.diag([1.0, 0.0])):
        line = r"test_systems\.py.*solve_triangular\(wrong, x\): solve_triangular: .*singular"
        with pytest.raises(np.linalg.LinAlgError, match=line):
            wf.linalg.solve_triangular(wrong, x)


def test_nan_is_numpys() -> None:
    a = np.array([[np.nan, 1.0], [1.0, 2.0]])
    found = np.asarray(wf.linalg.solve(a, np.ones(2)))
    np.testing.assert_array_equal(found, np.linalg.solve(a, np.ones(2)))
    assert np.isnan(found[0])
    np.testing.assert_array_equal(np.asarray(wf.linalg.cholesky(a)), np.linalg.cholesky(a))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_inverses_and_determinants_are_numpys(n: int, dtype: Any) -> None:
    x = matrices(n, dtype, (2,)) / dtype(max(n, 1))
    x[:1, :2] = x[:1, 1::-1]
    close(wf.linalg.inv(x), np.linalg.inv(x))
    rough = 1e3 * np.finfo(dtype).eps  # NumPy's are exponentials of sums of logarithms
    np.testing.assert_allclose(np.asarray(wf.linalg.det(x)), np.linalg.det(x), rtol=rough)
    for found, wanted in zip(wf.linalg.slogdet(x), np.linalg.slogdet(x), strict=True):
        close(found, wanted)


def test_singular_matrices_have_a_determinant() -> None:
    assert float(wf.linalg.det(np.zeros((2, 2)))) == 0
    sign, logs = wf.linalg.slogdet(np.zeros((2, 2)))
    assert (float(sign), float(logs)) == (0.0, -np.inf)


def test_maps_have_the_bits_of_loops() -> None:
    a, b = definite(4, lead=(3,)), np.ones((4, 2))
    found = np.asarray(wf.vmap(wf.linalg.solve, in_axes=(0, None))(a, b))
    for row, matrix in zip(found, a, strict=True):
        assert_same_bits(row, np.asarray(wf.linalg.solve(matrix, b)))


RECTANGLES = [(4, 4), (7, 3), (3, 7), (2, 5, 3), (0, 3), (3, 0), (0, 0), (0, 4, 2), (1, 1)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", RECTANGLES)
def test_least_squares_are_numpys(shape: tuple[int, ...], dtype: Any) -> None:
    random = np.random.default_rng(3)
    a = random.standard_normal(shape).astype(dtype)
    for columns in (0, 1, 2):
        b = random.standard_normal((*shape[:-1], columns)).astype(dtype)
        x, residuals, rank, values = wf.linalg.lstsq(a, b)
        known = np.linalg.pinv(a) @ b
        close(x, known)
        left = np.sum((b - a @ known) ** 2, -2)
        np.testing.assert_allclose(np.asarray(residuals), left, atol=1e3 * np.finfo(dtype).eps)
        close(values, np.linalg.svdvals(a))
        assert np.asarray(rank).tolist() == np.linalg.matrix_rank(a).tolist()
    close(wf.linalg.pinv(a), np.linalg.pinv(a))


def test_the_shortest_of_many_solutions() -> None:
    a = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    found = wf.linalg.lstsq(a, np.ones(3))
    known = np.linalg.lstsq(a, np.ones(3))
    close(found.x, known[0])
    assert (int(found.rank), np.asarray(found.residuals).shape) == (1, ())
    x = np.diag([1.0, 1e-3, 1e-9])
    assert int(wf.linalg.lstsq(x, np.ones(3), rcond=1e-2).rank) == 1
    np.testing.assert_allclose(np.asarray(wf.linalg.pinv(x, rtol=1e-6)), np.diag([1, 1e3, 0]))
    np.testing.assert_allclose(np.asarray(wf.linalg.pinv(x, rtol=0)), np.diag([1, 1e3, 1e9]))


def test_cutoffs_are_numbers_from_0_to_1() -> None:
    for wrong in (1, -0.5, np.nan, "2", True):
        with pytest.raises(UsageError, match="lstsq: rcond is a number from 0 to 1, not"):
            wf.linalg.lstsq(np.eye(2), np.ones(2), rcond=wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="pinv: rtol is a number from 0 to 1, not"):
            wf.linalg.pinv(np.eye(2), rtol=wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="matrix_rank: rtol is a number from 0 to 1, not"):
            wf.linalg.matrix_rank(np.eye(2), rtol=wrong)  # type: ignore[arg-type]


def test_what_is_not_finite_has_no_least_squares(capfd: pytest.CaptureFixture[str]) -> None:
    for dtype in DTYPES:
        for wrong in (np.nan, np.inf, -np.inf):
            a = np.ones((2, 3, 2), dtype)
            a[1, 2, 0] = wrong
            with pytest.raises(np.linalg.LinAlgError, match=r"not finite \(element 1\)"):
                wf.linalg.lstsq(a, a)
            with pytest.raises(np.linalg.LinAlgError, match=r"not finite \(element 1\)"):
                wf.linalg.pinv(a)
    assert capfd.readouterr() == ("", "")


REAL = "cholesky cond det eigh eigvalsh expm inv lu pinv qr slogdet svd svdvals matrix_rank"


def test_what_is_defined_of_real_matrices_only() -> None:
    z = np.eye(2) + 1j
    for name in REAL.split():
        with pytest.raises(DTypeError, match=f"{name}: .*it takes real matrices, and x has"):
            getattr(wf.linalg, name)(z)
    for name in ("solve", "solve_triangular", "lstsq"):
        with pytest.raises(DTypeError, match=f"{name}: .*real matrices"):
            getattr(wf.linalg, name)(np.eye(2), z)
    with pytest.raises(DTypeError, match="float16"):
        wf.linalg.inv(np.eye(2, dtype=np.float16))


@pytest.mark.parametrize("name", ["cholesky", "det", "eigh", "inv", "lu", "pinv", "svd", "expm"])
def test_no_matrices_and_matrices_of_nothing(name: str) -> None:
    for shape in ((0, 0), (0, 3, 3), (2, 0, 0)):
        found = getattr(wf.linalg, name)(np.ones(shape, np.float32))
        for part in found if isinstance(found, tuple) else (found,):
            assert np.asarray(part).shape[: len(shape) - 2] == shape[:-2]


def test_threads_solve_at_once() -> None:
    systems = [(definite(n), np.ones(n)) for n in (3, 30, 150, 200)]
    known = [np.asarray(wf.linalg.solve(*system)) for system in systems]

    def check(number: int) -> None:
        for turn in range(20):
            place = (number + turn) % len(systems)
            assert_same_bits(np.asarray(wf.linalg.solve(*systems[place])), known[place])
            with pytest.raises(np.linalg.LinAlgError):
                wf.linalg.cholesky(-systems[place][0])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, range(8)))


def test_right_sides_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="must have as many rows"):
        wf.linalg.lstsq(np.ones((3, 2)), np.ones(2))
    with pytest.raises(ShapeError, match="it takes matrices"):
        wf.linalg.lstsq(np.ones(3), np.ones(3))
