"""Bounds of float expressions, and the conversions that rely on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bits import assert_same_bits
from tests.compiler.codegen.native import elementwise, run

from weftc.codegen.llvm import emit
from weftc.codegen.llvm.bounds import bounds
from weftc.loop import ir
from weftc.loop.ir import Const, Expr, LoopType, Op, Scalar, Splat, Var
from weftc.loop.scalar import evaluate, evaluate_expr
from weftrt import dtypes
from weftrt.cpu.host import host
from weftrt.dtypes import DType

F32 = dtypes.float32
RULES = (Scalar.MUL, Scalar.ADD, Scalar.SUB, Scalar.MINIMUM, Scalar.MAXIMUM)
UNARY = (Scalar.NEG, Scalar.ABS, Scalar.RINT, Scalar.FLOOR, Scalar.CEIL, Scalar.TRUNC, Scalar.SQRT)


def clamped(x: Expr, low: float, high: float) -> Expr:
    """As the elementary functions write it: a NaN stays."""
    top = splat(high, x.type)
    x = ir.apply(Scalar.SELECT, ir.apply(Scalar.LT, top, x), top, x)
    bottom = splat(low, x.type)
    return ir.apply(Scalar.SELECT, ir.apply(Scalar.GT, bottom, x), bottom, x)


def splat(number: float, type_: LoopType) -> Expr:
    one = ir.const(number, type_.dtype)
    return one if type_.lanes == 1 else Splat(one, type_)


@st.composite
def terms(draw: st.DrawFn) -> tuple[Var, Expr]:
    x = Var("x", LoopType(F32))
    numbers = st.floats(-1e4, 1e4, width=32)
    pool: list[Expr] = [x, ir.const(draw(numbers), F32)]
    for _ in range(draw(st.integers(1, 8))):
        some = pool[draw(st.integers(0, len(pool) - 1))]
        other = pool[draw(st.integers(0, len(pool) - 1))]
        kind = draw(st.sampled_from(["unary", "binary", "clamp", "fma"]))
        if kind == "unary":
            pool.append(ir.apply(draw(st.sampled_from(UNARY)), some))
        elif kind == "binary":
            pool.append(ir.apply(draw(st.sampled_from(RULES)), some, other))
        elif kind == "clamp":
            pool.append(clamped(some, *sorted((draw(numbers), draw(numbers)))))
        else:
            pool.append(ir.apply(Scalar.FMA, some, other, pool[0]))
    return x, pool[-1]


@settings(deadline=None)
@given(terms())
def test_no_value_is_outside_its_bounds(case: tuple[Var, Expr]) -> None:
    x, expr = case
    values = np.array([0, -0.0, 1, -1, 2.5, 1e3, -1e30, 3e38, np.inf, -np.inf, np.nan], np.float32)
    low, high = bounds(expr, lambda var: None)
    found = np.broadcast_to(evaluate_expr(expr, {x: values}), values.shape).astype(np.float64)
    found = found[~np.isnan(found)]
    slack = 1 + 1e-6
    assert np.all(found >= low - abs(low) * (slack - 1) - 1e-6)
    assert np.all(found <= high + abs(high) * (slack - 1) + 1e-6)


def test_bounds_of_a_range_reduction() -> None:
    x = Var("x", LoopType(F32))
    scaled = ir.apply(Scalar.MUL, clamped(x, -104.0, 89.0), ir.const(1.5, F32))
    low, high = bounds(ir.apply(Scalar.RINT, scaled), lambda var: None)
    assert -160 < low < -150 and 130 < high < 140
    named = Var("t", LoopType(F32))
    assert bounds(ir.apply(Scalar.RINT, named), lambda var: scaled) == (low, high)
    assert bounds(x, lambda var: None) == (-math.inf, math.inf)


VALUES = [0.0, -0.0, 0.5, 1.5, 2.5, 88.9, 89.5, -103.9, -105.0, 3e38, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("lanes", [1, 2, 16, 64])
@pytest.mark.parametrize("limits", [(-104.0, 89.0), (-3e38, 3e38), (-3e38, 5.0), (-2000.0, 2000.0)])
@pytest.mark.parametrize("dtype", [F32, dtypes.float64], ids=str)
def test_scaling_by_a_rounded_float(dtype: DType, limits: tuple[float, float], lanes: int) -> None:
    """Also where the exponent is NaN and what it scales is not, and beyond all integers."""
    type_ = LoopType(dtype, lanes)
    x, v = Var("x", type_), Var("v", type_)
    n = ir.apply(Scalar.RINT, clamped(x, *limits))
    scaled = ir.apply(Scalar.LDEXP, v, ir.cast(n, dtypes.int32))
    a, b = np.meshgrid(np.array(VALUES), np.array([0.25, -1.7, 4.0, 0.0, -0.0, np.inf, np.nan]))
    first, second = a.ravel().astype(dtype.dtype), b.ravel().astype(dtype.dtype)
    outputs = {
        "scaled": (scaled, np.zeros_like(first)),
        "integer": (ir.cast(n, dtypes.int32), np.zeros(len(first), np.int32)),
    }
    function, arrays, sizes = elementwise({"x": first, "v": second}, outputs, lanes)
    run(function, arrays, sizes)
    whole = np.rint(np.where(np.isnan(first), first, np.clip(first, *limits)))
    exponent = evaluate(Scalar.CAST, [whole.astype(dtype.dtype)], dtypes.int32)
    np.testing.assert_array_equal(outputs["integer"][1], exponent)
    assert_same_bits(outputs["scaled"][1], evaluate(Scalar.LDEXP, [second, exponent], dtype))


def test_bounded_exponents_take_no_detour() -> None:
    """One vscalef in place of a guarded conversion to integers and back."""
    if not host().has("avx512f"):
        pytest.skip("vscalef is AVX-512's")
    type_ = LoopType(F32, 16)
    x = Var("x", type_)
    for limits, direct in (((-104.0, 89.0), True), ((-3e38, 3e38), False)):
        n = ir.apply(Scalar.RINT, clamped(x, *limits))
        one = Const(1.0, type_)
        scaled = Op(Scalar.LDEXP, (one, ir.cast(n, dtypes.int32)), type_)
        zeros = np.zeros(16, np.float32)
        function, _, _ = elementwise({"x": zeros}, {"r": (scaled, zeros.copy())}, 16)
        assert ("cvttps2dq" not in emit(function, host(), "f")) == direct
