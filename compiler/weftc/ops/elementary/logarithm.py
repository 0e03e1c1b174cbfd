"""log, log1p and log2.

x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), read from the bits of x (as in Cephes and
fdlibm); log(1 + f) = f + f^2 q(f) with q a minimax polynomial, which keeps the relative accuracy
near 1; then e log(2) is added.
"""

from __future__ import annotations

from dataclasses import dataclass

from weftc.ops.elementary.terms import (
    Term,
    bits,
    cast,
    copysign,
    fma,
    from_bits,
    horner,
    ldexp,
    select,
)
from weftrt import dtypes


@dataclass(frozen=True)
class _Constants:
    mantissa: int
    sqrt_half: int
    """The bits of sqrt(1/2)."""
    tiny: float
    """The smallest normal number."""
    lift: int
    """Denormals are scaled by 2**lift first."""
    ln2: tuple[float, float]
    q: tuple[float, ...]
    log2_e: tuple[float, float]


# q(f) = (log(1 + f) - f) / f^2 on [-0.2929, 0.4143]. Relative errors of log(1 + f): 2^-25, 2^-54.
_CONSTANTS = {
    dtypes.float32: _Constants(
        23,
        0x3F3504F3,
        2.0**-126,
        24,
        (0.693147182464599609375, -1.904654323148236e-09),
        (
            -0.499999911,
            0.333339542,
            -0.250018269,
            0.199619636,
            -0.165684447,
            0.149169162,
            -0.143238544,
            0.0875992626,
        ),
        (1.44269502162933349609375, 1.925963033500011e-08),
    ),
    dtypes.float64: _Constants(
        52,
        0x3FE6A09E667F3BCD,
        2.0**-1022,
        54,
        (0.6931471805599453, 2.3190468138462996e-17),
        (
            -0.4999999999999997,
            0.33333333333328075,
            -0.2500000000001305,
            0.20000000001747648,
            -0.16666666666158217,
            0.14285714086533893,
            -0.12499999837108944,
            0.1111112205306443,
            -0.10000017934372758,
            0.09090582182279859,
            -0.08332556787124913,
            0.07697731964782982,
            -0.07160214216976758,
            0.06621366380174785,
            -0.06041298124738947,
            0.0597501562506547,
            -0.06787459072188182,
            0.06321305297340811,
            -0.02826348498291551,
        ),
        (1.4426950408889634, 2.0355273740931033e-17),
    ),
}


def exponent_of(x: Term) -> Term:
    """The integer e with sqrt(1/2) <= x / 2^e < sqrt(2), for normal x > 0."""
    k = _CONSTANTS[x.dtype]
    return (bits(x) - k.sqrt_half) >> k.mantissa


def decompose(x: Term) -> tuple[Term, Term]:
    """(e, m), e as a float, with x = 2^e m and sqrt(1/2) <= m < sqrt(2), for finite x > 0."""
    k = _CONSTANTS[x.dtype]
    denormal = x < k.tiny
    lifted = select(denormal, x * 2.0**k.lift, x)
    e = exponent_of(lifted)
    m = from_bits(bits(lifted) - (e << k.mantissa))
    return cast(e, x.dtype) - select(denormal, x.like(float(k.lift)), 0.0), m


def _tail(f: Term) -> Term:
    """log(1 + f) - f."""
    return f * f * horner(f, _CONSTANTS[f.dtype].q)


def _log_of_parts(e: Term, f: Term) -> Term:
    """e log(2) + log(1 + f)."""
    k = _CONSTANTS[f.dtype]
    return fma(e, k.ln2[0], f + fma(e, k.ln2[1], _tail(f)))


def with_limits(value: Term, x: Term) -> Term:
    """`value` for 0 < x < inf; else -inf at 0, NaN below and at NaN, inf at inf."""
    infinity = float("inf")
    outside = select(x.equals(0.0), x.like(-infinity), float("nan"))
    return select(x > 0.0, select(x < infinity, value, x), outside)


def log(x: Term) -> Term:
    """The natural logarithm."""
    e, m = decompose(x)
    return with_limits(_log_of_parts(e, m - 1.0), x)


def log1p(x: Term) -> Term:
    """log(1 + x). With e from the rounded 1 + x, f = (1 + x) / 2^e - 1 comes from x itself by one
    fma, so that what the sum 1 + x lost does not matter."""
    total = x + 1.0
    e = exponent_of(total)
    scale = ldexp(x.like(1.0), -e)
    value = _log_of_parts(cast(e, x.dtype), fma(x, scale, scale - 1.0))
    return copysign(with_limits(value, total), x)  # for log1p(-0)


def log2(x: Term) -> Term:
    """The logarithm to base 2; exact for powers of two."""
    k = _CONSTANTS[x.dtype]
    e, m = decompose(x)
    f = m - 1.0
    low = fma(f, k.log2_e[1], _tail(f) * k.log2_e[0])
    return with_limits(e + fma(f, k.log2_e[0], low), x)
