"""What every Scalar operation means, in NumPy, bit for bit.

The interpreters evaluate through this table, and both backends are tested against it. Arrays have
the NumPy dtype of their loop type and broadcast against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.loop.ir import Const, Expr, Op, Scalar, Var
from weftrt.dtypes import DType, Kind

Array: TypeAlias = "np.ndarray[Any, Any]"


def evaluate(op: Scalar, args: Sequence[Array], dtype: DType) -> Array:
    """`op` over arrays, giving an array of `dtype`."""
    with np.errstate(all="ignore"):
        return result(op, args, dtype)


def evaluate_expr(expr: Expr, environment: Mapping[Var, Array]) -> Array:
    """The value of an expression of Const, Var and Op nodes; shared nodes are evaluated once."""
    values: dict[Expr, Array] = dict(environment.items())
    stack: list[Expr] = [expr]
    with np.errstate(all="ignore"):
        while stack:
            node = stack[-1]
            missing = [a for a in node.args if a not in values] if isinstance(node, Op) else []
            if missing and node not in values:
                stack.extend(missing)
                continue
            stack.pop()
            if node not in values:
                values[node] = _leaf_or_op(node, values)
    return values[expr]


def _leaf_or_op(node: Expr, values: Mapping[Expr, Array]) -> Array:
    if isinstance(node, Const):
        return np.asarray(node.value, dtype=node.type.dtype.dtype)
    if isinstance(node, Op):
        return result(node.op, [values[a] for a in node.args], node.type.dtype)
    raise KeyError(f"{node} has no value here")


def result(op: Scalar, args: Sequence[Array], dtype: DType) -> Array:
    """As `evaluate`, for callers that silence NumPy's warnings themselves, once for many."""
    if op is Scalar.CAST:
        return cast(np.asarray(args[0]), dtype)
    if op is Scalar.BITCAST:
        return np.asarray(args[0]).view(dtype.dtype)
    return np.asarray(_MEANING[op](*args), dtype=dtype.dtype)


# ---------------------------------------------------------------------------------------------
# Operations that NumPy does not have, or defines differently
# ---------------------------------------------------------------------------------------------


def cast(value: Array, dtype: DType) -> Array:
    """`value` converted: floats to integers truncate and saturate, with NaN to 0; to bool: != 0."""
    if dtype.kind is Kind.BOOL:
        return np.asarray(value != 0)
    if value.dtype.kind != "f" or not dtype.is_integer:
        return value.astype(dtype.dtype)
    top = 2 ** (dtype.bits - dtype.is_signed)  # a power of two: exact in every float
    low = -top if dtype.is_signed else 0
    whole = np.trunc(value)
    below = whole <= low
    above = whole >= top
    inside = np.where(below | above | np.isnan(value), 0, whole).astype(dtype.dtype)
    limits = np.array([low, top - 1], dtype=dtype.dtype)
    return np.asarray(np.where(above, limits[1], np.where(below, limits[0], inside)))


def _truncated_divide(a: Array, b: Array) -> Array:
    return np.asarray((a - np.fmod(a, b)) // b)


def _minimum(a: Array, b: Array) -> Array:
    if np.asarray(a).dtype.kind != "f":
        return np.asarray(np.minimum(a, b))
    zeros = (a == 0) & (b == 0)  # np.minimum keeps either zero
    return np.where(zeros, np.where(np.signbit(a), a, b), np.minimum(a, b))


def _maximum(a: Array, b: Array) -> Array:
    if np.asarray(a).dtype.kind != "f":
        return np.asarray(np.maximum(a, b))
    zeros = (a == 0) & (b == 0)
    return np.where(zeros, np.where(np.signbit(a), b, a), np.maximum(a, b))


def _ldexp(x: Array, n: Array) -> Array:
    """Clipping changes nothing: 4000 is far beyond every dtype's exponents."""
    return np.asarray(np.ldexp(x, np.clip(n, -4000, 4000).astype(np.intc)))


# ---------------------------------------------------------------------------------------------
# Fused multiply-add
# ---------------------------------------------------------------------------------------------


def fma(a: Array, b: Array, c: Array) -> Array:
    """a*b + c rounded once, for float32 and float64."""
    a, b, c = np.broadcast_arrays(a, b, c)
    with np.errstate(all="ignore"):
        if a.dtype == np.float32:
            # The product is exact in float64, and 53 bits rounded to odd hold all that the second
            # rounding, to 24 bits, has to know.
            wide = np.asarray(a.astype(np.float64) * b.astype(np.float64))
            return _add_to_odd(wide, c.astype(np.float64)).astype(np.float32)
        return _fma64(a, b, c)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b and its rounding error (Knuth)."""
    total = np.asarray(a + b)
    part = total - a
    return total, np.asarray((a - (total - part)) + (b - part))


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """a * b and its rounding error (Dekker), away from overflow and underflow."""

    def split(x: Array) -> tuple[Array, Array]:
        scaled = x * 134217729.0  # 2**27 + 1
        high = scaled - (scaled - x)
        return high, np.asarray(x - high)

    product = np.asarray(a * b)
    (a1, a0), (b1, b0) = split(a), split(b)
    return product, np.asarray(((a1 * b1 - product) + a1 * b0 + a0 * b1) + a0 * b0)


def _add_to_odd(a: Array, b: Array) -> Array:
    """a + b; an inexact sum becomes whichever float64 next to it has an odd last bit."""
    total, error = _two_sum(a, b)
    bits = total.view(np.int64)
    towards = np.where((error > 0) == (total > 0), 1, -1)
    inexact = np.isfinite(total) & (error != 0) & (bits & 1 == 0)
    return np.asarray(np.where(inexact, bits + towards, bits)).view(np.float64)


def _sum_parts(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """(h, z) such that h + z rounds as a*b + c does (Boldo and Melquiond, 2008)."""
    product, low = _two_product(a, b)
    middle, last = _two_sum(c, low)
    high, rest = _two_sum(product, middle)
    return high, _add_to_odd(last, rest)


def _fma64(a: Array, b: Array, c: Array) -> Array:
    high, rest = _sum_parts(a, b, c)
    result = np.array(high + rest)
    sizes = [np.abs(a), np.abs(b), np.abs(np.asarray(a * b))]
    safe = np.abs(c) < 2.0**1000
    for size, low, top in zip(sizes, (2.0**-960, 2.0**-960, 2.0**-900), (2.0**990,) * 3):
        safe &= (size > low) & (size < top)
    if not np.all(safe):
        odd = ~safe
        result[odd] = _fma64_anywhere(a[odd], b[odd], c[odd])
    return result


def _fma64_anywhere(a: Array, b: Array, c: Array) -> Array:
    """fma for all values: on significands, with the exponents put back after."""
    (a1, a_exponent), (b1, b_exponent), (c1, c_exponent) = np.frexp(a), np.frexp(b), np.frexp(c)
    exponent = a_exponent + b_exponent
    # Beyond 200 bits apart the smaller of a*b and c only breaks ties: its distance is immaterial.
    apart = np.asarray(c_exponent - exponent)
    near = np.clip(apart, -200, 200)
    exponent = exponent + np.where(c == 0, 0, np.maximum(apart - near, 0))
    high, rest = _sum_parts(a1, b1, np.ldexp(c1, np.where(c == 0, 0, near)))
    rounded = high + rest
    result = np.ldexp(rounded, exponent)
    denormal = np.ldexp(_round_to_quantum(high, rest, -1074 - exponent), exponent)
    result = np.where(np.abs(result) <= 2.0**-1022, denormal, result)
    plain = a * b + c  # right wherever a factor is zero, infinite or NaN, or c is NaN
    special = (a == 0) | (b == 0) | ~np.isfinite(a) | ~np.isfinite(b) | np.isnan(c)
    result = np.where(special, plain, np.where(np.isinf(c), c, result))
    return np.asarray(np.where((rounded == 0) & ~special & ~np.isinf(c), 0.0, result))


def _round_to_quantum(high: Array, rest: Array, exponent: Array) -> Array:
    """high + rest, of size <= 2**(52 + exponent), rounded once to a multiple of 2**exponent."""
    nearest = high + rest  # high alone has no sign where the product cancels
    anchor = np.copysign(np.ldexp(1.0, np.clip(exponent, -900, 900) + 52), nearest)
    total, error = _two_sum(anchor, high)
    rounded = (total + _add_to_odd(error, rest)) - anchor
    return np.asarray(np.copysign(rounded, nearest))


_MEANING: Mapping[Scalar, Callable[..., Any]] = {
    Scalar.ADD: np.add,
    Scalar.SUB: np.subtract,
    Scalar.MUL: np.multiply,
    Scalar.DIV: np.divide,
    Scalar.TDIV: _truncated_divide,
    Scalar.TREM: np.fmod,
    Scalar.FMOD: np.fmod,
    Scalar.FMA: fma,
    Scalar.NEG: np.negative,
    Scalar.ABS: np.abs,
    Scalar.SQRT: np.sqrt,
    Scalar.MINIMUM: _minimum,
    Scalar.MAXIMUM: _maximum,
    Scalar.FLOOR: np.floor,
    Scalar.CEIL: np.ceil,
    Scalar.TRUNC: np.trunc,
    Scalar.RINT: np.rint,
    Scalar.COPYSIGN: np.copysign,
    Scalar.LDEXP: _ldexp,
    Scalar.AND: np.bitwise_and,
    Scalar.OR: np.bitwise_or,
    Scalar.XOR: np.bitwise_xor,
    Scalar.NOT: np.invert,
    Scalar.SHL: np.left_shift,
    Scalar.SHR: np.right_shift,
    Scalar.EQ: np.equal,
    Scalar.NE: np.not_equal,
    Scalar.LT: np.less,
    Scalar.LE: np.less_equal,
    Scalar.GT: np.greater,
    Scalar.GE: np.greater_equal,
    Scalar.SELECT: np.where,
}
