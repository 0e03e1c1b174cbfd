"""Special cases by C Annex F and the Array API, and exact identities."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from tests.compiler.ops.elementary import oracle

from weftc.ops import get

DTYPES = [np.float32, np.float64]
INF, NAN, PI = math.inf, math.nan, math.pi

UNARY = {
    "sqrt": [(0, 0), (-0.0, -0.0), (INF, INF), (-1, NAN), (-INF, NAN), (4, 2)],
    "rsqrt": [(0, INF), (-0.0, -INF), (INF, 0), (-1, NAN), (4, 0.5)],
    "exp": [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (1e4, INF), (-1e4, 0)],
    "expm1": [(0, 0), (-0.0, -0.0), (INF, INF), (-INF, -1), (1e4, INF), (-1e4, -1)],
    "sigmoid": [(0, 0.5), (-0.0, 0.5), (INF, 1), (-INF, 0), (-1e4, 0), (1e4, 1)],
    "log": [(0, -INF), (-0.0, -INF), (1, 0), (INF, INF), (-1, NAN), (-INF, NAN), (-1e-45, NAN)],
    "log2": [(0, -INF), (-0.0, -INF), (1, 0), (8, 3), (INF, INF), (-1, NAN), (-INF, NAN)],
    "log1p": [(0, 0), (-0.0, -0.0), (-1, -INF), (INF, INF), (-2, NAN), (-INF, NAN)],
    "sin": [(0, 0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "cos": [(0, 1), (-0.0, 1), (INF, NAN), (-INF, NAN)],
    "tan": [(0, 0), (-0.0, -0.0), (INF, NAN), (-INF, NAN)],
    "asin": [(0, 0), (-0.0, -0.0), (1, PI / 2), (-1, -PI / 2), (1.5, NAN), (-INF, NAN)],
    "acos": [(1, 0), (-1, PI), (0, PI / 2), (-0.0, PI / 2), (1.5, NAN), (INF, NAN)],
    "atan": [(0, 0), (-0.0, -0.0), (INF, PI / 2), (-INF, -PI / 2), (1e30, PI / 2)],
    "sinh": [(0, 0), (-0.0, -0.0), (INF, INF), (-INF, -INF), (1e4, INF), (-1e4, -INF)],
    "cosh": [(0, 1), (-0.0, 1), (INF, INF), (-INF, INF), (-1e4, INF)],
    "tanh": [(0, 0), (-0.0, -0.0), (INF, 1), (-INF, -1), (1e4, 1)],
    "erf": [(0, 0), (-0.0, -0.0), (INF, 1), (-INF, -1), (30, 1)],
}

ATAN2 = [
    *[((s * 0.0, x), math.copysign(PI, s)) for s in (1, -1) for x in (-0.0, -1.0, -INF)],
    *[((s * 0.0, x), math.copysign(0.0, s)) for s in (1, -1) for x in (0.0, 1.0, INF)],
    *[((s, x), s * PI / 2) for s in (1, -1) for x in (0.0, -0.0)],
    *[((s, -INF), s * PI) for s in (1, -1)],
    *[((s, INF), s * 0.0) for s in (1, -1)],
    *[((s * INF, x), s * PI / 2) for s in (1, -1) for x in (0.0, 1.0, -1.0)],
    *[((s * INF, -INF), s * 3 * PI / 4) for s in (1, -1)],
    *[((s * INF, INF), s * PI / 4) for s in (1, -1)],
    *[((NAN, x), NAN) for x in (0.0, 1.0, INF, NAN)],
    *[((y, NAN), NAN) for y in (0.0, 1.0, INF)],
]

POW = [
    *[((x, y), 1) for x in (0.0, -0.0, 1.0, -2.0, INF, -INF, NAN) for y in (0.0, -0.0)],
    *[((1.0, y), 1) for y in (2.5, INF, -INF, NAN)],
    *[((-1.0, y), 1) for y in (INF, -INF)],
    *[((math.copysign(0.0, s), -3.0), s * INF) for s in (1, -1)],
    *[((z, y), INF) for z in (0.0, -0.0) for y in (-2.0, -2.5, -INF)],
    *[((math.copysign(0.0, s), 3.0), s * 0.0) for s in (1, -1)],
    *[((z, y), 0) for z in (0.0, -0.0) for y in (2.0, 2.5, INF)],
    *[((x, 0.5), NAN) for x in (-1.0, -2.0)],
    *[((x, -INF), INF) for x in (0.5, -0.5)],
    *[((x, -INF), 0) for x in (2.0, -2.0)],
    *[((x, INF), 0) for x in (0.5, -0.5)],
    *[((x, INF), INF) for x in (2.0, -2.0)],
    *[((-INF, y), v) for y, v in ((-3.0, -0.0), (-2.0, 0), (-0.5, 0), (3.0, -INF), (2.5, INF))],
    *[((INF, y), v) for y, v in ((-0.5, 0), (0.5, INF))],
    *[((x, NAN), NAN) for x in (0.0, -1.0, INF)],
    *[((NAN, y), NAN) for y in (1.0, -INF)],
    *[((-2.0, y), v) for y, v in ((3.0, -8), (4.0, 16), (-3.0, -0.125))],
]


def check(name, dtype, arguments, wanted):
    arrays = [np.array(column, dtype) for column in zip(*arguments, strict=True)]
    got = oracle.value(name, *arrays)
    want = np.array(wanted, dtype)
    assert got.dtype == want.dtype
    for case, result, expected in zip(arguments, got, want, strict=True):
        same = result == expected and np.signbit(result) == np.signbit(expected)
        assert same or (np.isnan(result) and np.isnan(expected)), (name, case, result, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_one_operand(name, dtype):
    cases = [*UNARY[name], (NAN, NAN)]
    with np.errstate(over="ignore", under="ignore"):
        check(name, dtype, [(x,) for x, _ in cases], [y for _, y in cases])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, cases", [("atan2", ATAN2), ("pow", POW)])
def test_two_operands(name, cases, dtype):
    check(name, dtype, [arguments for arguments, _ in cases], [value for _, value in cases])


@pytest.mark.parametrize("dtype", DTYPES)
def test_pow_agrees_with_c_on_a_grid(dtype):
    """Exact results and special cases; NumPy calls C's pow."""
    values = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 2.0**24, 2.0**24 + 1, 2.0**60, 1e-45, INF]
    values += [-v for v in values] + [NAN]
    x, y = np.array(list(itertools.product(values, values)), dtype).T
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    got = oracle.value("pow", x, y)
    np.testing.assert_array_almost_equal_nulp(
        np.where(np.isfinite(want), got, 0), np.where(np.isfinite(want), want, 0), 1
    )
    np.testing.assert_array_equal(
        np.where(np.isfinite(want), 0, got), np.where(np.isfinite(want), 0, want)
    )
    np.testing.assert_array_equal(
        np.signbit(got) & ~np.isnan(got), np.signbit(want) & ~np.isnan(want)
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_log2_of_powers_of_two_is_exact(dtype):
    info = np.finfo(dtype)
    exponents = np.arange(int(info.minexp) - info.nmant, int(info.maxexp))
    np.testing.assert_array_equal(oracle.value("log2", np.ldexp(dtype(1), exponents)), exponents)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["expm1", "log1p", "sin", "tan", "asin", "atan", "tanh", "erf"])
def test_denormals_come_back(name, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.concatenate([np.arange(1, 200), np.arange(1, 200) * 2**15]).astype(dtype) * tiny
    scale = dtype(2 / math.sqrt(PI)) if name == "erf" else dtype(1)
    np.testing.assert_allclose(oracle.value(name, x), x * scale, rtol=0, atol=tiny)


@pytest.mark.parametrize("dtype", DTYPES)
def test_symmetry_is_exact(dtype):
    rng = np.random.default_rng(4)
    x = rng.integers(0, 256, 4000 * dtype().itemsize, dtype=np.uint8).view(dtype)
    x = np.concatenate([x, rng.uniform(-3, 3, 4000).astype(dtype)])
    for name in ("sin", "tan", "asin", "atan", "sinh", "tanh", "erf"):
        np.testing.assert_array_equal(oracle.value(name, -x), -oracle.value(name, x))
    for name in ("cos", "cosh"):
        np.testing.assert_array_equal(oracle.value(name, -x), oracle.value(name, x))


@pytest.mark.parametrize("name", [*UNARY, "atan2", "pow"])
def test_no_elements_and_scalars(name):
    count = 1 if name in UNARY else 2
    assert oracle.value(name, *[np.zeros((0, 3), np.float32)] * count).shape == (0, 3)
    assert oracle.value(name, *[np.ones((), np.float64)] * count).shape == ()
    assert get(name).vjp is not None
