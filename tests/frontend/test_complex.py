"""Complex arrays: made, computed with, refused. NumPy's complex128 is the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft as wf
from weftrt import dtypes

COMPLEX = pytest.mark.parametrize("dtype", dtypes.COMPLEX, ids=repr)


def draw(*shape: int, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    return random.standard_normal(shape) + 1j * random.standard_normal(shape)


def assert_near(found: Any, wanted: Any, dtype: Any, ulps: float = 16.0) -> None:
    found = np.asarray(found)
    assert found.dtype == dtype.dtype
    scale = np.maximum(np.abs(wanted), 1e-30)
    assert np.max(np.abs(found - wanted) / scale) < ulps * np.finfo(dtype.dtype).eps


# ---------------------------------------------------------------------------------------------
# In and out
# ---------------------------------------------------------------------------------------------


@COMPLEX
def test_arrays_keep_their_bits(dtype: Any) -> None:
    parts = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.5]
    z = np.array([complex(a, b) for a in parts for b in parts], dtype.dtype)
    same = wf.jit(lambda z: z)
    for found in (wf.asarray(z), same(z), same(wf.asarray(z)), wf.asarray(z)[::-1][::-1]):
        assert found.dtype is dtype
        assert np.asarray(found).tobytes() == z.tobytes()


def test_parts() -> None:
    z = draw(3, 4).astype(np.complex64)
    w = wf.asarray(z)
    np.testing.assert_array_equal(w.real, z.real)
    np.testing.assert_array_equal(w.imag, z.imag)
    np.testing.assert_array_equal(w.conj(), z.conj())
    np.testing.assert_array_equal(wf.complex(w.real, w.imag), z)
    x = wf.asarray([1.0, -2.0])
    np.testing.assert_array_equal(wf.imag(x), [0.0, 0.0])
    assert wf.real(x).dtype is wf.float32
    assert wf.complex(1, x).dtype is wf.complex64
    with pytest.raises(TypeError, match="complex takes floats"):
        wf.complex(w, w)


def test_creation() -> None:
    assert wf.asarray(1j).dtype is wf.complex64
    assert wf.asarray([1, 2.0, 3j]).dtype is wf.complex64
    assert wf.asarray(np.ones(2, complex)).dtype is wf.complex128
    assert wf.zeros(3, dtype=wf.complex64).dtype is wf.complex64
    np.testing.assert_array_equal(wf.full((2,), 1 + 2j), [1 + 2j] * 2)
    np.testing.assert_array_equal(wf.ones_like(wf.asarray(1j)), 1 + 0j)
    np.testing.assert_array_equal(wf.asarray([1.5, 2], dtype=wf.complex128), [1.5, 2])
    np.testing.assert_array_equal(wf.asarray([0, 1j]).astype(wf.bool), [False, True])
    assert complex(wf.asarray(2j)) == 2j
    assert repr(wf.asarray([1 + 2j])) == "Array([1.+2.j], dtype=complex64)"


def test_promotion() -> None:
    small, large = wf.asarray([1j]), wf.asarray([1j], dtype=wf.complex128)
    real, double, whole = wf.asarray([1.0]), wf.asarray([1.0], dtype=wf.float64), wf.asarray([1])
    assert (small * real).dtype is wf.complex64
    assert (small * double).dtype is wf.complex128
    assert (small * whole).dtype is wf.complex64
    assert (small * large).dtype is wf.complex128
    assert (real * 1j).dtype is wf.complex64
    assert (double * 1j).dtype is wf.complex128
    assert (whole + 1j).dtype is wf.complex64
    assert (small * 2.0).dtype is wf.complex64
    assert wf.result_type(wf.float64, 1j) is wf.complex128
    assert wf.isdtype(wf.complex64, "complex floating")
    assert wf.isdtype(wf.complex64, "numeric")
    assert not wf.isdtype(wf.complex64, "real floating")


def test_a_number_that_is_passed_is_no_part_of_the_program() -> None:
    f = wf.jit(lambda z, c: z * c + 1j)
    z = draw(3).astype(np.complex64)
    for c in (2j, 1 + 1j, np.complex64(3j)):
        assert_near(f(z, c), z * c + 1j, wf.complex64)
    assert len(f.cache_report()) == 1


# ---------------------------------------------------------------------------------------------
# Arithmetic and functions
# ---------------------------------------------------------------------------------------------


@COMPLEX
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "pow"])
def test_arithmetic(name: str, dtype: Any) -> None:
    x, y = (draw(100, seed=seed).astype(dtype.dtype) for seed in (1, 2))
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(x.astype(complex), y.astype(complex))
    found = getattr(wf, name)(x, y)
    if name in ("add", "subtract"):
        np.testing.assert_array_equal(found, getattr(np, name)(x, y))
    assert_near(found, wanted, dtype, 40)


@COMPLEX
@pytest.mark.parametrize(
    "name", ["exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "square"]
)
def test_functions(name: str, dtype: Any) -> None:
    z = (2 * draw(300)).astype(dtype.dtype)
    assert_near(getattr(wf, name)(z), getattr(np, name)(z.astype(complex)), dtype, 40)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5, 8, -1, -2, 0.5, 2.5, 1j])
def test_powers(exponent: Any) -> None:
    z = draw(50)
    assert_near(wf.asarray(z) ** exponent, z**exponent, wf.complex128, 60)


def test_size_and_angle_where_squares_overflow() -> None:
    z = np.array([3e38 + 1e38j, 1e-45 + 0j, 0, 1e30j], np.complex64)
    np.testing.assert_allclose(wf.abs(z), np.abs(z.astype(complex)), rtol=3e-7)
    np.testing.assert_allclose(wf.angle(z), np.angle(z), rtol=3e-7)
    assert wf.abs(wf.asarray(complex(np.inf, np.nan))).item() == np.inf
    large = np.array([1e300 + 1e300j])
    assert_near(wf.asarray(large) / wf.asarray(large), np.ones(1), wf.complex128)
    assert_near(wf.log(large), np.log(large), wf.complex128)
    assert_near(wf.sqrt(large), np.sqrt(large), wf.complex128)


def special() -> Any:
    parts = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf]
    return np.array([complex(a, b) for a in parts for b in parts])


@pytest.mark.parametrize("name", ["sqrt", "log", "abs", "exp", "isnan", "isinf", "isfinite"])
def test_special_values(name: str) -> None:
    z = special()
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(z)
    found = np.asarray(getattr(wf, name)(z))
    if name == "exp":  # of infinite angles C99 leaves signs open
        keep = np.isfinite(z.imag)
        found, wanted = found[keep], wanted[keep]
    for part in ("real", "imag"):
        np.testing.assert_allclose(getattr(found, part), getattr(wanted, part), rtol=1e-15)
    np.testing.assert_array_equal(np.signbit(found.imag), np.signbit(wanted.imag))


def test_equality() -> None:
    x, y = np.array([1 + 1j, 2, np.nan]), np.array([1 - 1j, 2, np.nan])
    np.testing.assert_array_equal(wf.equal(x, y), x == y)
    np.testing.assert_array_equal(wf.not_equal(x, y), x != y)
    np.testing.assert_array_equal(wf.asarray(y) == 2, y == 2)


def test_reductions_and_products() -> None:
    x, y = draw(20, 30), draw(30, 10, seed=1)
    assert_near(wf.sum(x, axis=1), x.sum(1), wf.complex128, 200)
    assert_near(wf.mean(x), x.mean(), wf.complex128, 200)
    assert_near(wf.matmul(x, y), x @ y, wf.complex128, 400)
    assert_near(wf.matmul(x, y[:, 0]), x @ y[:, 0], wf.complex128, 400)
    assert_near(wf.einsum("ij,jk->ki", x, y), (x @ y).T, wf.complex128, 400)
    assert_near(wf.vecdot(x[0], x[1]), np.vdot(x[0], x[1]), wf.complex128, 200)
    assert_near(wf.outer(x[0], y[0]), np.outer(x[0], y[0]), wf.complex128)


def test_movement_and_choice() -> None:
    z = draw(4, 5)
    w = wf.asarray(z)
    np.testing.assert_array_equal(w[1:, ::2], z[1:, ::2])
    np.testing.assert_array_equal(w.T.reshape(20), z.T.reshape(20))
    np.testing.assert_array_equal(wf.concat([w, w], axis=1), np.concatenate([z, z], axis=1))
    np.testing.assert_array_equal(wf.take(w, wf.asarray([3, 0, 3]), axis=0), z[[3, 0, 3]])
    np.testing.assert_array_equal(wf.where(z.real > 0, w, 1j), np.where(z.real > 0, z, 1j))
    np.testing.assert_array_equal(wf.pad(w, ((1, 1), (0, 0))), np.pad(z, ((1, 1), (0, 0))))


REFUSED: list[Callable[[Any], Any]] = [
    lambda z: z < z,
    wf.max,
    wf.sort,
    lambda z: wf.top_k(z, 1),
    lambda z: wf.maximum(z, z),
    lambda z: z // z,
    wf.floor,
    wf.erf,
    lambda z: z.astype(wf.float32),
    lambda z: wf.asarray(np.ones(1, complex), dtype=wf.int64),
    lambda z: wf.asarray([1, 2])[z],
]


@pytest.mark.parametrize("refused", REFUSED)
def test_what_has_no_meaning_is_refused(refused: Callable[[Any], Any]) -> None:
    z = wf.asarray([1j, 2])
    with pytest.raises((TypeError, ValueError, IndexError)) as eager:
        refused(z)
    with pytest.raises(type(eager.value)):
        wf.jit(refused)(z)
    assert "complex" in str(eager.value)


# ---------------------------------------------------------------------------------------------
# Programs
# ---------------------------------------------------------------------------------------------


def test_eager_is_jitted_to_the_bit() -> None:
    def f(z: Any, w: Any) -> Any:
        return wf.exp(z) * w / (wf.sqrt(w) + 2j * z) - wf.tanh(z) ** 2

    z, w = wf.asarray(draw(70)), wf.asarray(draw(70, seed=1))
    assert np.asarray(f(z, w)).tobytes() == np.asarray(wf.jit(f)(z, w)).tobytes()


def test_any_size() -> None:
    f = wf.jit(lambda z: wf.sum(z * z.conj()) + z[0], dynamic={"z": {0: "n"}})
    for size in (3, 5, 8):
        z = draw(size)
        assert_near(f(z), (z * z.conj()).sum() + z[0], wf.complex128, 100)


def test_arrays_of_no_elements() -> None:
    z, x = wf.zeros(0, dtype=wf.complex64), wf.zeros((0, 2))
    found = wf.jit(lambda z, x: (z * 1j, x * 2, wf.zeros_like(z)), dynamic=False)(z, x)
    assert [(r.dtype, r.shape) for r in found] == [
        (wf.complex64, (0,)),
        (wf.float32, (0, 2)),
        (wf.complex64, (0,)),
    ]
    assert wf.concat([z, wf.asarray([1j])]).shape == (1,)


def test_branches_and_loops() -> None:
    z = wf.asarray(0.5 + 0.25j)
    found = wf.jit(lambda z, n: wf.fori_loop(0, n, lambda i, s: s * z + 1, z))(z, 3)
    c = 0.5 + 0.25j
    assert_near(found, ((c * c + 1) * c + 1) * c + 1, wf.complex64)
    xs = wf.asarray([1j, 2.0, 1 + 1j])
    last, ys = wf.scan(lambda s, x: (s * x, s + x), wf.asarray(1 + 0j), xs)
    np.testing.assert_array_equal(last, -2 + 2j)
    np.testing.assert_array_equal(ys, [1 + 1j, 2 + 1j, 1 + 3j])
    grown = wf.while_loop(lambda z: abs(z) < 10, lambda z: z * (1 + 1j), wf.asarray(1 + 0j))
    np.testing.assert_array_equal(grown, 8 - 8j)
    for choice, wanted in ((True, -1 + 1j), (False, 1 - 1j)):
        branch = wf.cond(choice, lambda z: z * 1j, lambda z: z.conj(), wf.asarray(1 + 1j))
        np.testing.assert_array_equal(branch, wanted)


def test_maps() -> None:
    x, y = draw(5, 3), draw(5, 3, seed=1)
    found = wf.vmap(lambda a, b: wf.vecdot(a, b) * 1j)(x, y)
    each = [wf.vecdot(a, b) * 1j for a, b in zip(x, y, strict=True)]
    assert np.asarray(found).tobytes() == np.array([complex(c) for c in each]).tobytes()


def test_real_factors_multiply_each_part() -> None:
    z = wf.asarray(np.array([complex(1, 0), complex(-2, np.inf), complex(0.0, -0.0)]))
    for found in (z * 2, 2.0 * z, wf.asarray(2) * z, z / 0.5):
        np.testing.assert_array_equal(found.real, 2 * np.asarray(z).real)
        np.testing.assert_array_equal(found.imag, 2 * np.asarray(z).imag)
    np.testing.assert_array_equal((z / wf.asarray([0.0])).imag[1:2], [np.inf])
    assert (wf.asarray([1j]) * wf.asarray([1.0], dtype=wf.float64)).dtype is wf.complex128
    assert (wf.asarray([[1j]]) * wf.asarray([1.0, 2.0])).shape == (1, 2)
    assert (wf.asarray([1j]) * wf.asarray([True])).dtype is wf.complex64


def test_callbacks_and_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """The function is given complex arrays, and gives some."""

    def program(z: Any) -> Any:
        wf.debug.print("{} and {:.1f}", z[0], z)
        return wf.callback(lambda a: a * 1j, wf.ShapeDtypeStruct((2,), wf.complex64), z) + 1

    z = wf.asarray([1 + 2j, 3])
    for run in (program, wf.jit(program), wf.jit(program, dynamic=False)):
        np.testing.assert_array_equal(run(z), np.asarray(z) * 1j + 1)
        assert capsys.readouterr().out == "(1+2j) and [1.0+2.0j 3.0+0.0j]\n"


def test_what_was_assumed_of_sizes_holds_for_the_parts_too() -> None:
    """One row of the transform is as long as the array itself, for this size and some others."""

    def program(x: Any) -> Any:
        return wf.cond(x[0] > 1, lambda: wf.real(wf.fft.rfft(x)), lambda: x)

    f = wf.jit(program, dynamic={"x": {0: "n"}})
    for x in (np.ones(1), np.full(2, 3.0)):
        np.testing.assert_array_equal(f(x), program(wf.asarray(x)))
