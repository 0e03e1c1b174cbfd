"""The small language of the definitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from weftc.loop import scalar
from weftc.loop.ir import LoopType, Op, Scalar, Var
from weftc.ops.elementary import reduction
from weftc.ops.elementary.terms import (
    Term,
    at_least,
    at_most,
    expression,
    fast_two_sum,
    horner,
    two_product,
    two_sum,
)
from weftrt import dtypes

RNG = np.random.default_rng(6)


def run(definition, *arrays):
    operands = [Var(f"x{i}", LoopType(dtypes.from_numpy(a.dtype))) for i, a in enumerate(arrays)]
    value = expression(definition)(*operands)
    return scalar.evaluate_expr(value, dict(zip(operands, arrays, strict=True)))


def test_numbers_beside_a_term_take_its_dtype():
    x = Term(Var("x", LoopType(dtypes.float32)))
    total = (1.1 - x).expr
    assert isinstance(total, Op) and total.op is Scalar.SUB
    assert total.args[0].value == float(np.float32(1.1))
    assert (x < 2).dtype is dtypes.bool_


def test_horner_is_a_chain_of_fmas():
    x = np.array([0.5, -2.0, 3.0])
    np.testing.assert_array_equal(
        run(lambda t: horner(t, (1.0, 2.0, 3.0)), x), 1 + 2 * x + 3 * x * x
    )


def test_limits_keep_nan():
    x = np.array([-5.0, 0.5, 5.0, np.nan])
    np.testing.assert_array_equal(
        run(lambda t: at_least(at_most(t, 1.0), -1.0), x), [-1, 0.5, 1, np.nan]
    )


@pytest.mark.parametrize("pair", [two_sum, two_product])
def test_pairs_are_exact(pair):
    a, b = RNG.normal(size=(2, 50)) * 2.0 ** RNG.integers(-30, 30, (2, 50))
    high, low = (run(lambda x, y, part=part: pair(x, y)[part], a, b) for part in (0, 1))
    for x, y, h, l in zip(a, b, high, low, strict=True):
        x, y = Fraction(float(x)), Fraction(float(y))
        assert Fraction(float(h)) + Fraction(float(l)) == (x + y if pair is two_sum else x * y)


def test_fast_two_sum_of_a_large_and_a_small_number():
    a, b = np.array([1e20, 1.0, 0.0]), np.array([1.5, 2.0**-70, 3.0])
    low = run(lambda x, y: fast_two_sum(x, y)[1], a, b)
    np.testing.assert_array_equal(low, [1.5, 2.0**-70, 0.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reduction_leaves_less_than_an_octant(dtype):
    """|r| is at most pi/4, in float32 a little more (9/16 pi/2)."""
    reduce = reduction.reduce32 if dtype is np.float32 else reduction.reduce64
    limit = 0.5 + 1e-9 if dtype is np.float64 else 9 / 16
    exponents = np.arange(-20, np.finfo(dtype).maxexp)
    x = (np.exp2(exponents)[:, None] * RNG.uniform(1, 2, (exponents.size, 20))).astype(dtype)
    rest = run(lambda t: reduce(t)[0], x)
    assert np.max(np.abs(rest)) <= limit * np.pi / 2
