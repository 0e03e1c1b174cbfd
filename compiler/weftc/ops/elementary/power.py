"""pow for floats: |x|^y = 2^(y log2 |x|), with log2 accurate enough for exponents up to 1075.

The powers that people write (PRODUCTS, ROOTS, INVERSES) are defined by multiplications, a root or a
division: a program that knows the exponent does just these (passes/simplify.py), and one that is
passed the exponent gets the same bits.

float32 computes the logarithm and the power in float64. float64 needs log2 |x| to about 65 bits:
log2 m = 2/ln 2 (s + s^3/3 + ...), s = (m-1)/(m+1), with the first two terms in double-double
arithmetic (as in fdlibm's e_pow.c, without its tables).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Final

from weftc.loop.ir import Expr
from weftc.ops.elementary.exponential import exp_of_small
from weftc.ops.elementary.logarithm import decompose
from weftc.ops.elementary.terms import (
    Pair,
    Term,
    at_least,
    at_most,
    bits,
    cast,
    expression,
    fast_two_sum,
    fma,
    from_bits,
    horner,
    ldexp,
    rint,
    select,
    sqrt,
    two_product,
)
from weftrt import dtypes
from weftrt.dtypes import DType

_INFINITY = float("inf")

PRODUCTS: Final = range(9)
"""Exponents of powers that are products of squares."""
ROOTS: Final = (0.5, -0.5)
"""Exponents of powers that are a root, or one divided by it."""
INVERSES: Final = (-0.5, -1.0)
"""Exponents of powers that are one divided by the base, or by its root."""

# log2(1 + f) = f p(f) on [-0.2929, 0.4143], relative error 2^-35.8.
_LOG2 = (
    1.4426950408687014,
    -0.7213475208688256,
    0.4808983613964687,
    -0.360673674821238,
    0.2885372934435029,
    -0.24045316583650056,
    0.20617535934582285,
    -0.18030059560206868,
    0.15876980755660405,
    -0.14315653469459907,
    0.1447484541840067,
    -0.14283895843789932,
    0.07736996873096297,
)
# 2^r on |r| <= 1/2, relative error 2^-29.
_EXP2 = (
    1.0000000005539635,
    0.6931472057381837,
    0.2402264689212016,
    0.05550328776117436,
    0.009618488812619935,
    0.0013399931298790633,
    0.00015345846935501975,
)
# 2/ln 2 (atanh(s) - s - s^3/3) = s^5 w(s^2) on |s| <= 0.1716; relative error of atanh 2^-73.
_ATANH = (
    0.5770780163555851,
    0.4121985831113703,
    0.32059889790789386,
    0.26230819916574194,
    0.221952240316991,
    0.19240234322478203,
    0.16843293690960984,
    0.17295763003029296,
)
_TWO_OVER_LN2 = (2.8853900817779268, 4.0710547481862066e-17)
_TWO_THIRDS_OVER_LN2 = (0.9617966939259756, 5.0577616648125907e-17)
_LN2 = 0.6931471805599453


def _power32(a: Term, y: Term) -> Term:
    """a^y for a >= 0, but for the special cases of a = 1 and y = 0."""
    e, m = decompose(a)
    f = cast(m - 1.0, dtypes.float64)
    log2 = _with_log_limits(fma(f, horner(f, _LOG2), cast(e, dtypes.float64)), a)
    t = at_least(at_most(cast(y, dtypes.float64) * log2, 200.0), -200.0)
    n = rint(t)
    power = ldexp(horner(t - n, _EXP2), cast(n, dtypes.int32))
    return cast(power, dtypes.float32)


def _with_log_limits(log: Term, a: Term) -> Term:
    """-inf at 0, inf at inf, NaN at NaN; a >= 0."""
    return select(
        a.equals(0.0), log.like(-_INFINITY), select(a < _INFINITY, log, cast(a, log.dtype))
    )


def _log2_pair(a: Term) -> Pair:
    """log2 a to about 65 bits, for a > 0."""
    e, m = decompose(a)
    f, g = m - 1.0, m + 1.0
    inverse = 1.0 / g
    s = f * inverse
    # What s lacks of f / (m + 1), whose denominator lost m - (g - 1) when it was rounded.
    s_low = (fma(-s, g, f) - s * (m - (g - 1.0))) * inverse
    z, z_low = two_product(s, s)
    z_low = fma(s + s, s_low, z_low)
    u, u_low = fast_two_sum(z.like(_TWO_THIRDS_OVER_LN2[0]), z * horner(z, _ATANH))
    u_low = u_low + _TWO_THIRDS_OVER_LN2[1]
    v, v_low = two_product(z, u)
    v_low = fma(z, u_low, fma(z_low, u, v_low))
    c, c_low = fast_two_sum(v.like(_TWO_OVER_LN2[0]), v)
    c_low = c_low + (v_low + _TWO_OVER_LN2[1])
    p, p_low = two_product(s, c)
    p_low = fma(s, c_low, fma(s_low, c, p_low))
    high, low = fast_two_sum(e, p)
    return fast_two_sum(high, low + p_low)


def _power64(a: Term, y: Term) -> Term:
    """a^y for a >= 0, but for the special cases of a = 1 and y = 0."""
    high, low = _log2_pair(a)
    high = _with_log_limits(high, a)
    product = y * high
    rest = fma(y, high, -product) + y * low
    t = at_least(at_most(product, 1100.0), -1100.0)
    rest = select(t.equals(product), rest, 0.0)
    n = rint(t)
    r = (t - n) + rest
    return ldexp(exp_of_small(r * _LN2), cast(n, dtypes.int32))


_POWER: Mapping[DType, Callable[[Term, Term], Term]] = {
    dtypes.float32: _power32,
    dtypes.float64: _power64,
}


def power(x: Term, y: Term) -> Term:
    """x^y with the special cases of C Annex F: by multiplications, a root or a division for the
    powers that people write. (-0.0 and -inf, which sqrt leaves negative or refuses, have roots.)"""
    value = _by_logarithm(x, y)
    n = rint(at_least(at_most(y, float(PRODUCTS[-1])), float(PRODUCTS[0])))
    product = by_squarings(x, cast(n, dtypes.int32), PRODUCTS[-1].bit_length())
    value = select(y.equals(n), product, value)
    is_root = _is_among(y, ROOTS)
    root = select(x.equals(-_INFINITY), _INFINITY, sqrt(x + 0.0))
    base = select(is_root, root, x)
    value = select(is_root, base, value)
    return select(_is_among(y, INVERSES), 1.0 / base, value)


def _is_among(y: Term, values: Sequence[float]) -> Term:
    return reduce(or_, map(y.equals, values))


def by_squarings(x: Term, n: Term, width: int) -> Term:
    """x^n: the squares of x that the `width` low bits of the integer n choose, lowest first."""
    value = one = x.like(1)
    for bit in range(width):
        value = value * select((n & (1 << bit)).differs(0), x, one)
        x = x * x
    return value


def _by_logarithm(x: Term, y: Term) -> Term:
    """x^y for every y."""
    a = abs(x)
    value = _POWER[x.dtype](a, y)
    integer = rint(y).equals(y)
    half = y * 0.5
    odd = integer & rint(half).differs(half)
    zero = bits(x).like(0)
    sign_bit = bits(x) & -(2 ** (x.dtype.bits - 1))
    value = from_bits(bits(value) ^ select(odd, sign_bit, zero))
    domain_error = (x < 0.0) & (x > -_INFINITY) & ~integer
    value = select(domain_error, value.like(float("nan")), value)
    one = y.equals(0.0) | x.equals(1.0) | (a.equals(1.0) & abs(y).equals(_INFINITY))
    return select(one, value.like(1.0), value)


def pow_lower(x: Expr, y: Expr) -> Expr:
    """x^y for floats."""
    return expression(power)(x, y)
