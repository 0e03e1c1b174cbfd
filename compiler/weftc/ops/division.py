"""Division with Python's sign rules, as scalar terms.

Integers: x // 0 = 0, x % 0 = 0, min // -1 = min (it wraps), min % -1 = 0.

Floats, as in NumPy, to the bit: with the exact r = fmod(x, y), which has the sign of x,

    remainder(x, y)    = r + y where r is not zero and has not the sign of y, else r; a zero has
                         the sign of y
    floor_divide(x, y) = (x - r) / y, less 1 where y was added, rounded to the nearest integer; a
                         zero has the sign of x / y; x / y where y is zero
"""

from __future__ import annotations

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


def _float_parts(x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """(r, whether r is not zero and has not the sign of y)."""
    zero = const(0.0, x.type.dtype)
    rest = apply(Scalar.FMOD, x, y)
    below = apply(Scalar.AND, apply(Scalar.LT, rest, zero), apply(Scalar.GE, y, zero))
    above = apply(Scalar.AND, apply(Scalar.GT, rest, zero), apply(Scalar.LT, y, zero))
    return rest, apply(Scalar.OR, below, above)


def _float_remainder(x: Expr, y: Expr) -> Expr:
    zero = const(0.0, x.type.dtype)
    rest, raise_ = _float_parts(x, y)
    rest = _select(raise_, apply(Scalar.ADD, rest, y), rest)
    return _select(apply(Scalar.EQ, rest, zero), apply(Scalar.COPYSIGN, zero, y), rest)


def _float_floor_divide(x: Expr, y: Expr) -> Expr:
    dtype = x.type.dtype
    zero, one = const(0.0, dtype), const(1.0, dtype)
    ratio = apply(Scalar.DIV, x, y)
    rest, raise_ = _float_parts(x, y)
    quotient: Expr = apply(Scalar.DIV, apply(Scalar.SUB, x, rest), y)
    quotient = _select(raise_, apply(Scalar.SUB, quotient, one), quotient)
    floor: Expr = apply(Scalar.FLOOR, quotient)
    is_above = apply(Scalar.GT, apply(Scalar.SUB, quotient, floor), const(0.5, dtype))
    floor = _select(is_above, apply(Scalar.ADD, floor, one), floor)
    is_zero = apply(Scalar.EQ, quotient, zero)
    floor = _select(is_zero, apply(Scalar.COPYSIGN, zero, ratio), floor)
    return _select(apply(Scalar.EQ, y, zero), ratio, floor)


def lower_floor_divide(x: Expr, y: Expr) -> Expr:
    """x // y, see the module."""
    return _float_floor_divide(x, y) if x.type.dtype.is_float else _integer_floor_divide(x, y)


def lower_remainder(x: Expr, y: Expr) -> Expr:
    """x % y, see the module."""
    return _float_remainder(x, y) if x.type.dtype.is_float else _integer_remainder(x, y)
