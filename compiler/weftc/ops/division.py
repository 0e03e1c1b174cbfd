"""Division with Python's sign rules, as scalar terms.

Integers: x // 0 = 0, x % 0 = 0, min // -1 = min (it wraps), min % -1 = 0.

Floats: r is x - q*y for q = x/y rounded to an integer in three steps, each exact thanks to fma:

    q1 = rint(x / y),  r1 = fma(-q1, y, x);  q2 = rint(r1 / y),  r2 = fma(-q2, y, r1);  and so q3, r

    remainder(x, y)    = r + y where r is not zero and has not the sign of y, else r; a zero has
                         the sign of y
    floor_divide(x, y) = q1 + q2 + q3, less 1 where y was added; a zero has the sign of x / y;
                         x / y where y is zero or x is finite and x / y is not

The remainder is what NumPy gives wherever |x / y| < 2**70 (float32) or 2**157 (float64); beyond,
it is not reduced further, and it is NaN where x / y overflows. The quotient is what NumPy gives
where it is below 2**24 (float32) or 2**53 (float64); beyond, they may differ by a rounding.
"""

from __future__ import annotations

import math

from weftc.loop.ir import Expr, Scalar, apply, const


def _integer_parts(x: Expr, y: Expr) -> tuple[Expr, Expr, Expr]:
    """(y == 0, y == -1, a divisor that never traps: 1 in those cases)."""
    dtype = y.type.dtype
    by_zero = apply(Scalar.EQ, y, const(0, dtype))
    if not dtype.is_signed:
        return by_zero, const(False, by_zero.type.dtype), _select(by_zero, const(1, dtype), y)
    by_minus_one = apply(Scalar.EQ, y, const(-1, dtype))
    unsafe = apply(Scalar.OR, by_zero, by_minus_one)
    return by_zero, by_minus_one, _select(unsafe, const(1, dtype), y)


def _select(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    return apply(Scalar.SELECT, condition, then, otherwise)


def _other_sign(r: Expr, y: Expr) -> Expr:
    """Whether integer r is not zero and has not the sign of y."""
    zero = const(0, r.type.dtype)
    differs = apply(Scalar.LT, apply(Scalar.XOR, r, y), zero)
    return apply(Scalar.AND, apply(Scalar.NE, r, zero), differs)


def _integer_floor_divide(x: Expr, y: Expr) -> Expr:
    by_zero, by_minus_one, safe = _integer_parts(x, y)
    dtype = x.type.dtype
    quotient: Expr = apply(Scalar.TDIV, x, safe)
    if dtype.is_signed:
        remainder = apply(Scalar.SUB, x, apply(Scalar.MUL, quotient, safe))
        lower = apply(Scalar.SUB, quotient, const(1, dtype))
        quotient = _select(_other_sign(remainder, safe), lower, quotient)
        quotient = _select(by_minus_one, apply(Scalar.NEG, x), quotient)
    return _select(by_zero, const(0, dtype), quotient)


def _integer_remainder(x: Expr, y: Expr) -> Expr:
    safe = _integer_parts(x, y)[2]
    remainder = apply(Scalar.TREM, x, safe)  # 0 for the safe divisor 1, as it should be
    if not x.type.dtype.is_signed:
        return remainder
    raised = apply(Scalar.ADD, remainder, safe)
    return _select(_other_sign(remainder, safe), raised, remainder)


def _float_parts(x: Expr, y: Expr) -> tuple[Expr, Expr, Expr, Expr]:
    """(x / y, q, r, whether r is not zero and has not the sign of y)."""
    zero = const(0.0, x.type.dtype)
    first = apply(Scalar.DIV, x, y)
    ratio, quotient, rest = first, None, x
    for step in range(3):
        ratio = ratio if step == 0 else apply(Scalar.DIV, rest, y)
        whole = apply(Scalar.RINT, ratio)
        reduced = apply(Scalar.FMA, apply(Scalar.NEG, whole), y, rest)
        # A zero quotient leaves the rest alone, also where y is infinite.
        rest = _select(apply(Scalar.EQ, whole, zero), rest, reduced)
        quotient = whole if quotient is None else apply(Scalar.ADD, quotient, whole)
    assert quotient is not None
    below = apply(Scalar.AND, apply(Scalar.LT, rest, zero), apply(Scalar.GT, y, zero))
    above = apply(Scalar.AND, apply(Scalar.GT, rest, zero), apply(Scalar.LT, y, zero))
    return first, quotient, rest, apply(Scalar.OR, below, above)


def _float_remainder(x: Expr, y: Expr) -> Expr:
    zero = const(0.0, x.type.dtype)
    rest, raise_ = _float_parts(x, y)[2:]
    rest = _select(raise_, apply(Scalar.ADD, rest, y), rest)
    return _select(apply(Scalar.EQ, rest, zero), apply(Scalar.COPYSIGN, zero, y), rest)


def _float_floor_divide(x: Expr, y: Expr) -> Expr:
    dtype = x.type.dtype
    zero, infinity = const(0.0, dtype), const(math.inf, dtype)
    ratio, quotient, rest, raise_ = _float_parts(x, y)
    quotient = _select(raise_, apply(Scalar.SUB, quotient, const(1.0, dtype)), quotient)
    is_zero = apply(Scalar.EQ, quotient, zero)
    quotient = _select(is_zero, apply(Scalar.COPYSIGN, zero, ratio), quotient)
    # x infinite or NaN, or y NaN: the rest is NaN, and so is the result.
    quotient = _select(apply(Scalar.NE, rest, rest), rest, quotient)
    overflows = apply(Scalar.EQ, apply(Scalar.ABS, ratio), infinity)
    finite = apply(Scalar.LT, apply(Scalar.ABS, x), infinity)
    plain = apply(Scalar.OR, apply(Scalar.EQ, y, zero), apply(Scalar.AND, overflows, finite))
    return _select(plain, ratio, quotient)


def lower_floor_divide(x: Expr, y: Expr) -> Expr:
    """x // y, see the module."""
    return _float_floor_divide(x, y) if x.type.dtype.is_float else _integer_floor_divide(x, y)


def lower_remainder(x: Expr, y: Expr) -> Expr:
    """x % y, see the module."""
    return _float_remainder(x, y) if x.type.dtype.is_float else _integer_remainder(x, y)
