"""asin, acos, atan and atan2: each is x + x^3 p(x^2) on a short interval, with p a minimax
polynomial; identities bring the rest there, and pi/2 or pi, in two parts, is added last."""

from __future__ import annotations

from dataclasses import dataclass

from weftc.ops.elementary.terms import Term, bits, copysign, fma, horner, select, sqrt
from weftrt import dtypes


@dataclass(frozen=True)
class _Constants:
    half_pi: tuple[float, float]
    pi: tuple[float, float]
    asin: tuple[float, ...]
    atan: tuple[float, ...]


# (asin x - x) / x^3 in x^2 on |x| <= 1/2: relative errors of asin 2^-27 and 2^-56.
# (atan x - x) / x^3 in x^2 on |x| <= 1: relative errors of atan 2^-25 and 2^-56.
_CONSTANTS = {
    dtypes.float32: _Constants(
        (1.57079637050628662109375, -4.37113900018624283e-8),
        (3.1415927410125732421875, -8.74227800037248566e-8),
        (0.166667521, 0.0749530941, 0.0454691499, 0.0241847783, 0.0421583056),
        (
            -0.333331525,
            0.199937671,
            -0.142110035,
            0.106657825,
            -0.0755170584,
            0.0432054661,
            -0.0163637623,
            0.00291959429,
        ),
    ),
    dtypes.float64: _Constants(
        (1.5707963267948966, 6.123233995736766e-17),
        (3.141592653589793, 1.2246467991473532e-16),
        (
            0.16666666666665408,
            0.07500000000337174,
            0.044642856828177,
            0.030381959143800576,
            0.02237175787513807,
            0.017359707549375096,
            0.013885206764960212,
            0.012169406725752492,
            0.006527106419128427,
            0.01953070428164165,
            -0.016228167259897952,
            0.031915007521492934,
        ),
        (
            -0.3333333333333307,
            0.19999999999951748,
            -0.14285714282583237,
            0.1111111100705455,
            -0.09090907000429402,
            0.076922797795363,
            -0.0666640336090887,
            0.05880522583649203,
            -0.05253490930513595,
            0.04722214998235201,
            -0.042188652620006616,
            0.036634895913210244,
            -0.029891797136258526,
            0.021968927987071254,
            -0.013884552874714377,
            0.00718447632345946,
            -0.0028783791645008504,
            0.0008288920419599821,
            -0.00015160896229224317,
            1.3167282931703261e-05,
        ),
    ),
}


def _asin_parts(x: Term) -> tuple[Term, Term, Term]:
    """(outer, r, t): asin |x| is r + t where |x| <= 1/2, and pi/2 - 2 (r + t) where `outer` holds,
    by asin a = pi/2 - 2 asin sqrt((1-a)/2)."""
    a = abs(x)
    outer = a > 0.5
    z = select(outer, (1.0 - a) * 0.5, a * a)
    r = select(outer, sqrt(z), a)
    return outer, r, r * z * horner(z, _CONSTANTS[x.dtype].asin)


def asin(x: Term) -> Term:
    """The inverse sine; NaN outside [-1, 1]."""
    outer, r, t = _asin_parts(x)
    high, low = _CONSTANTS[x.dtype].half_pi
    base = select(outer, fma(r, -2.0, high), r)
    return copysign(base + select(outer, fma(t, -2.0, low), t), x)


def acos(x: Term) -> Term:
    """The inverse cosine: pi/2 - asin x, or 0 or pi minus twice the asin of sqrt((1-a)/2)."""
    k = _CONSTANTS[x.dtype]
    outer, r, t = _asin_parts(x)
    factor = select(outer, x.like(-2.0), 1.0)
    high, low = (
        select(outer, select(x < 0.0, x.like(whole), 0.0), half)
        for whole, half in zip(k.pi, k.half_pi)
    )
    return high - (factor * copysign(r, x) + (factor * copysign(t, x) - low))


def _atan_up_to_1(q: Term) -> Term:
    z = q * q
    return fma(z * q, horner(z, _CONSTANTS[q.dtype].atan), q)


def atan(x: Term) -> Term:
    """The inverse tangent, by atan a = pi/2 - atan(1/a) above 1."""
    high, low = _CONSTANTS[x.dtype].half_pi
    a = abs(x)
    outer = a > 1.0
    p = _atan_up_to_1(select(outer, x.like(1.0), a) / select(outer, a, 1.0))
    return copysign(select(outer, high - (p - low), p), x)


def atan2(y: Term, x: Term) -> Term:
    """The angle of the point (x, y): atan p of the smaller over the larger of |x| and |y|, then p,
    pi/2 - p, pi/2 + p or pi - p. 0/0 counts as 0, inf/inf as 1 (C Annex F)."""
    k = _CONSTANTS[x.dtype]
    a, b = abs(y), abs(x)
    steep = a > b
    small, large = select(steep, b, a), select(steep, a, b)
    diagonal = select(large.equals(0.0), large, 1.0)
    q = select(small.equals(large), diagonal, small / large)
    p = _atan_up_to_1(q)
    left = bits(x) < 0
    high, low = (
        select(steep, q.like(half), select(left, q.like(whole), 0.0))
        for half, whole in zip(k.half_pi, k.pi)
    )
    return copysign(high + (select(steep ^ left, -p, p) + low), y)
