"""exp, expm1 and sigmoid.

Cody and Waite (1980): x = n ln 2 + r with |r| <= ln(2)/2, n an integer, ln 2 in two parts so that
the reduction by two fmas keeps r accurate; then e^x = 2^n e^r, where e^r = 1 + r + r^2 q(r) with q
a minimax polynomial in the weight of the final relative error.
"""

from __future__ import annotations

from dataclasses import dataclass

from weftc.ops.elementary.terms import (
    Term,
    at_least,
    at_most,
    cast,
    copysign,
    fma,
    horner,
    ldexp,
    rint,
    select,
)
from weftrt import dtypes


@dataclass(frozen=True)
class _Constants:
    low: float
    """Below it e^x rounds to 0."""
    high: float
    """Above it e^x overflows."""
    minus_one: float
    """Below it e^x - 1 rounds to -1."""
    log2_e: float
    ln2: tuple[float, float]
    exp: tuple[float, ...]
    expm1: tuple[float, ...]


# q(r) = (e^r - 1 - r) / r^2 on |r| <= 0.3466. Relative errors: of e^r 2^-28 and 2^-57, of e^r - 1
# 2^-26 and 2^-61.
_CONSTANTS = {
    dtypes.float32: _Constants(
        -104.0,
        89.0,
        -18.0,
        1.4426950408889634,
        (0.693147182464599609375, -1.904654323148236e-09),
        (0.49999994, 0.166665167, 0.0416681021, 0.00836919155, 0.00138388807),
        (0.49999997, 0.16666539, 0.0416677557, 0.00836712588, 0.00138356071),
    ),
    dtypes.float64: _Constants(
        -746.0,
        710.0,
        -38.0,
        1.4426950408889634,
        (0.6931471805599453, 2.3190468138462996e-17),
        (
            0.5000000000000011,
            0.16666666666666466,
            0.04166666666652616,
            0.00833333333345511,
            0.001388888894464069,
            0.0001984126960595956,
            2.4801492033448424e-05,
            2.7557486097016285e-06,
            2.7630648917850525e-07,
            2.5034976881742856e-08,
        ),
        (
            0.5,
            0.16666666666666677,
            0.04166666666666669,
            0.008333333333321745,
            0.00138888888888833,
            0.0001984126988535854,
            2.4801587303810733e-05,
            2.7557245257537865e-06,
            2.7557307876714516e-07,
            2.510861595355971e-08,
            2.090041029212739e-09,
        ),
    ),
}


def _reduce(x: Term) -> tuple[Term, Term]:
    """(n, r) with x = n ln 2 + r, n an integer term."""
    k = _CONSTANTS[x.dtype]
    n = rint(x * k.log2_e)
    return cast(n, dtypes.int32), fma(n, -k.ln2[1], fma(n, -k.ln2[0], x))


def exp_of_small(r: Term) -> Term:
    """e^r for |r| <= 0.3466."""
    return fma(fma(horner(r, _CONSTANTS[r.dtype].exp), r, 1.0), r, 1.0)


def exp_parts(x: Term) -> tuple[Term, Term]:
    """(n, v) with e^x = 2^n v and 0.7 < v < 1.42."""
    n, r = _reduce(x)
    return n, exp_of_small(r)


def expm1_parts(x: Term) -> tuple[Term, Term]:
    """(n, p) with e^x = 2^n (1 + p) and |p| < 0.42; n is 0 where |x| < 0.34."""
    n, r = _reduce(x)
    return n, fma(r * r, horner(r, _CONSTANTS[x.dtype].expm1), r)


def exp(x: Term) -> Term:
    """e^x."""
    k = _CONSTANTS[x.dtype]
    n, v = exp_parts(at_least(at_most(x, k.high), k.low))
    return ldexp(v, n)


def expm1(x: Term) -> Term:
    """e^x - 1, as twice its half, for 2^n may overflow where e^x does not."""
    k = _CONSTANTS[x.dtype]
    n, p = expm1_parts(at_least(at_most(x, k.high), k.minus_one))
    s = ldexp(x.like(0.5), n)
    return copysign(2.0 * fma(s, p, s - 0.5), x)


def sigmoid(x: Term) -> Term:
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows and small results stay accurate."""
    n, v = exp_parts(at_least(-abs(x), _CONSTANTS[x.dtype].low))
    e = ldexp(v, n)
    return select(x < 0.0, e, 1.0) / (e + 1.0)
