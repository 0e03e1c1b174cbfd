"""The NumPy meaning of scalar operations, against libm, Python integers and C's rules."""

from __future__ import annotations

import ctypes
import ctypes.util
from fractions import Fraction

import numpy as np
import pytest

from weftc.loop import scalar
from weftc.loop.ir import LoopType, Op, Scalar, Var, apply, cast, const
from weftrt import dtypes

SPECIAL = {
    np.float32: """0 -0 inf -inf nan 1 -1 1e-45 1.17549435e-38 3.4028235e38 2.6469779601696886e-23
        1.5 1.7014118346046923e38 1.00000012 0.99999994""",
    np.float64: """0 -0 inf -inf nan 1 -1 5e-324 -5e-324 2.2250738585072014e-308
        2.225073858507201e-308 1.7976931348623157e308 2.22275874948508e-162 3.3341381242276e-162
        8.98846567431158e307 -1.3407807929942597e154 1.5 1.0000000000000002 0.9999999999999999""",
}
FLOATS = [np.float32, np.float64]


def bits(array):
    """The bits of an array, all NaNs alike."""
    array = np.where(np.isnan(array), np.nan, array).astype(array.dtype)
    return array.view(f"i{array.dtype.itemsize}")


def same(got, want):
    np.testing.assert_array_equal(bits(np.asarray(got)), bits(np.asarray(want)))


def libm_fma(a, b, c):
    library = ctypes.CDLL(ctypes.util.find_library("m") or pytest.skip("no libm to compare with"))
    kind, name = {4: (ctypes.c_float, "fmaf"), 8: (ctypes.c_double, "fma")}[a.dtype.itemsize]
    function = getattr(library, name)
    function.restype, function.argtypes = kind, [kind] * 3
    values = [function(*x) for x in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    return np.array(values, dtype=a.dtype)


def numbers(rng, dtype, low, high, width, count):
    """Random significands of up to `width` bits, exponents in low..high."""
    whole = rng.integers(-(2**width), 2**width, count).astype(np.float64)
    return np.ldexp(whole, rng.integers(low, high, count) - width).astype(dtype)


def fma_cases(dtype, width, count=12_000):
    """Operands that cancel, tie, overflow, underflow, or fall into the denormals."""
    rng = np.random.default_rng(width)
    low, high = (-1100, 1024) if dtype is np.float64 else (-160, 128)
    info = np.finfo(dtype)
    eps, tiny = dtype(info.eps), info.smallest_subnormal

    def draw(a, b):
        return numbers(rng, dtype, a, b, width, count)

    a, b = draw(-30, 30), draw(-30, 30)
    yield a, b, draw(-60, 60)
    yield a, b, (-(a * b) * (1 + rng.integers(-2, 3, count) * eps)).astype(dtype)
    a, b = draw(low // 2 + 20, low // 2 + 60), draw(low // 2 + 20, low // 2 + 60)
    yield a, b, (-(a * b) * (1 + rng.integers(-2, 3, count) * eps)).astype(dtype)
    yield draw(low // 2 - 5, low // 2 + 30), draw(low // 2 - 5, low // 2 + 30), draw(low, low + 60)
    yield draw(low, low + 80), draw(-5, 5), draw(low, low + 80)
    yield (
        draw(high // 2 - 3, high // 2 + 1),
        draw(high // 2 - 3, high // 2 + 1),
        draw(high - 60, high),
    )
    half = np.ldexp(1.0, -rng.integers(20, 120, count)).astype(dtype)
    yield half, (1 + rng.integers(-1, 2, count) * eps).astype(dtype), draw(0, 1)
    odd = (rng.integers(0, 2**23, count) * 2.0**18).astype(dtype) * tiny
    yield np.full(count, 2.0**-20, dtype), odd, rng.integers(0, 2**20, count).astype(dtype) * tiny


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("width", [1, 3, 24, 53])
def test_fma_rounds_once(dtype, width):
    with np.errstate(all="ignore"):
        cases = list(fma_cases(dtype, min(width, np.finfo(dtype).nmant + 1)))
    for a, b, c in cases:
        same(scalar.fma(a, b, c), libm_fma(a, b, c))


@pytest.mark.parametrize("dtype", FLOATS)
def test_fma_of_special_values_and_of_any_bits(dtype):
    values = np.array(SPECIAL[dtype].split(), dtype)
    a, b, c = (x.ravel().copy() for x in np.meshgrid(values, values, values))
    same(scalar.fma(a, b, c), libm_fma(a, b, c))
    rng = np.random.default_rng(5)
    a, b, c = rng.integers(0, 256, (3, 20_000 * dtype().itemsize), dtype=np.uint8).view(dtype)
    same(scalar.fma(a, b, c), libm_fma(a, b, c))


def test_fma_broadcasts_and_takes_no_elements():
    assert scalar.fma(np.ones((3, 1)), np.ones(2), np.ones(())).shape == (3, 2)
    assert scalar.fma(np.ones(0), np.ones(0), np.ones(0)).shape == (0,)


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64])
def test_minimum_and_maximum_order_zeros_and_keep_nans(dtype):
    a = np.array([0.0, -0.0, np.nan, 1.0, np.inf, 2.0], dtype.dtype)
    b = np.array([-0.0, 0.0, 1.0, np.nan, -np.inf, 3.0], dtype.dtype)
    low = np.array([-0.0, -0.0, np.nan, np.nan, -np.inf, 2.0], dtype.dtype)
    high = np.array([0.0, 0.0, np.nan, np.nan, np.inf, 3.0], dtype.dtype)
    same(scalar.evaluate(Scalar.MINIMUM, [a, b], dtype), low)
    same(scalar.evaluate(Scalar.MAXIMUM, [a, b], dtype), high)


@pytest.mark.parametrize("source", [dtypes.float32, dtypes.float64])
@pytest.mark.parametrize("target", [d for d in dtypes.REAL if d.is_integer])
def test_floats_become_integers_truncated_and_saturated(source, target):
    limits = np.iinfo(target.dtype)
    values = [0.0, -0.0, 0.9, -0.9, 2.5, -2.5, 1e30, -1e30, np.inf, -np.inf, np.nan]
    values += [
        float(limits.max),
        float(limits.min),
        2.0**31,
        2.0**32,
        2.0**63,
        -(2.0**31),
        255.5,
        256,
    ]
    array = np.array(values, source.dtype)
    want = []
    for value in array.tolist():
        if value != value:
            want.append(0)
        elif value in (np.inf, -np.inf):
            want.append(limits.max if value > 0 else limits.min)
        else:
            want.append(min(max(int(value), limits.min), limits.max))
    got = scalar.evaluate(Scalar.CAST, [array], target)
    assert got.dtype == target.dtype
    assert got.tolist() == want


def test_other_casts():
    big = np.array([2**64 - 1, 2**63 + 2**39, 2**53 + 1], np.uint64)
    got = scalar.evaluate(Scalar.CAST, [big], dtypes.float32)
    assert got.tolist() == [2.0**64, 2.0**63, 2.0**53]
    got = scalar.evaluate(Scalar.CAST, [np.array([300, -1], np.int64)], dtypes.uint8)
    assert got.tolist() == [44, 255]
    got = scalar.evaluate(Scalar.CAST, [np.array([0.0, -0.0, np.nan, 0.1])], dtypes.bool_)
    assert got.tolist() == [False, False, True, True]
    got = scalar.evaluate(Scalar.BITCAST, [np.array([1.0], np.float32)], dtypes.int32)
    assert got.tolist() == [0x3F800000]


@pytest.mark.parametrize("dtype", [d for d in dtypes.REAL if d.is_integer])
def test_integers_wrap_and_division_truncates(dtype):
    limits = np.iinfo(dtype.dtype)
    top = np.array([limits.max], dtype.dtype)
    one = np.array([1], dtype.dtype)
    assert scalar.evaluate(Scalar.ADD, [top, one], dtype).tolist() == [limits.min]
    a = np.array([7, 7, limits.max, limits.min], dtype.dtype)
    b = np.array([2, limits.max, 3, 5], dtype.dtype)
    quotient = scalar.evaluate(Scalar.TDIV, [a, b], dtype).tolist()
    rest = scalar.evaluate(Scalar.TREM, [a, b], dtype).tolist()
    for x, y, q, r in zip(a.tolist(), b.tolist(), quotient, rest, strict=True):
        assert q == int(Fraction(x, y)) and r == x - q * y


def test_ldexp_rounds_once_to_denormals():
    x = np.array([1.5, 1 + 2.0**-23, -1.5, np.inf, np.nan, -0.0, 3.0], np.float32)
    n = np.array([-149, -127, -149, 5, 5, -3, 2**40], np.int64)
    want = np.array([2.0**-148, 2.0**-127, -(2.0**-148), np.inf, np.nan, -0.0, np.inf], np.float32)
    same(scalar.evaluate(Scalar.LDEXP, [x, n], dtypes.float32), want)


def test_comparisons_with_nan_and_rounding():
    x, y = np.array([np.nan, 1.0]), np.array([1.0, 1.0])
    for op, want in [
        (Scalar.EQ, [False, True]),
        (Scalar.NE, [True, False]),
        (Scalar.GE, [False, True]),
    ]:
        assert scalar.evaluate(op, [x, y], dtypes.bool_).tolist() == want
    got = scalar.evaluate(Scalar.RINT, [np.array([0.5, 1.5, -0.5, 2.5])], dtypes.float64)
    same(got, np.array([0.0, 2.0, -0.0, 2.0]))
    assert scalar.evaluate(Scalar.SHR, [np.array([-8])] * 1 + [np.array([1])], dtypes.int64) == [-4]


def test_every_operation_has_a_meaning():
    one = {2: np.ones(2, bool), 1: np.ones(2, np.int64)}
    logical = {Scalar.AND, Scalar.OR, Scalar.XOR, Scalar.NOT}
    for op in Scalar:
        integer = op in (Scalar.TDIV, Scalar.TREM, Scalar.SHL, Scalar.SHR)
        sample = one[2] if op in logical else one[1] if integer else np.ones(2)
        args = [sample] * op.arity
        if op is Scalar.LDEXP:
            args[1] = one[1]
        dtype = dtypes.from_numpy(scalar.evaluate(op, args, dtypes.from_numpy(sample.dtype)).dtype)
        assert dtype is dtypes.from_numpy(sample.dtype)


def test_expressions_share_nodes_and_may_be_deep():
    x = Var("x", LoopType(dtypes.float32))
    value = apply(Scalar.ADD, x, const(1.0, dtypes.float32))
    for _ in range(5000):  # a tree of 2**5000 leaves, if sharing were lost
        value = apply(Scalar.MINIMUM, value, value)
    value = cast(value, dtypes.int32)
    got = scalar.evaluate_expr(value, {x: np.array([1.5, np.nan], np.float32)})
    assert got.dtype == np.int32 and got.tolist() == [2, 0]
    with pytest.raises(KeyError):
        scalar.evaluate_expr(Op(Scalar.NEG, (x,), x.type), {})
