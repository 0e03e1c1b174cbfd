"""sin, cos and tan: x = q pi/2 + r, then sin r and cos r by minimax polynomials for |r| up to
about pi/4, chosen and signed by the quadrant q."""

from __future__ import annotations

from dataclasses import dataclass

from weftc.ops.elementary.reduction import reduce32, reduce64
from weftc.ops.elementary.terms import Term, bits, fma, from_bits, horner, select
from weftrt import dtypes


@dataclass(frozen=True)
class _Constants:
    sign: int
    """The sign bit."""
    sin: tuple[float, ...]
    cos: tuple[float, ...]


# sin r = r + r^3 sin(r^2), cos r = 1 - r^2/2 + r^4 cos(r^2). Relative errors: 2^-26 and 2^-31 in
# float32 (|r| <= 0.884), 2^-58 and 2^-64 in float64.
_CONSTANTS = {
    dtypes.float32: _Constants(
        -(2**31),
        (-0.166666418, 0.00833143853, -0.00019427338),
        (0.0416666232, -0.00138863397, 2.43331451e-05),
    ),
    dtypes.float64: _Constants(
        -(2**63),
        (
            -0.16666666666666632,
            0.008333333333322486,
            -0.00019841269829853355,
            2.7557313705052414e-06,
            -2.5050759886216936e-08,
            1.5896886234637847e-10,
        ),
        (
            0.0416666666666666,
            -0.001388888888887447,
            2.480158728966691e-05,
            -2.755731439926595e-07,
            2.0875728994005527e-09,
            -1.1359917295957173e-11,
        ),
    ),
}


def _reduce(x: Term) -> tuple[Term, Term]:
    return reduce32(x) if x.dtype is dtypes.float32 else reduce64(x)


def _sin_and_cos(r: Term) -> tuple[Term, Term]:
    """For |r| up to about pi/4."""
    k = _CONSTANTS[r.dtype]
    z = r * r
    return fma(z * r, horner(z, k.sin), r), horner(z, (1.0, -0.5, *k.cos))


def _quadrant_sign(q: Term, dtype_bits: int) -> Term:
    """Bit 1 of the quadrant as a sign bit."""
    return (q & 2) << (dtype_bits - 2)


def _is_odd(q: Term) -> Term:
    return (q & 1).differs(0)


def _flip(value: Term, sign: Term) -> Term:
    """`value` with its sign bit inverted where the sign bit of `sign` is set."""
    return from_bits(bits(value) ^ sign)


def _tiny_as_itself(value: Term, x: Term) -> Term:
    """sin x and tan x round to x here; the reduction in float64 loses digits of denormals."""
    return value if x.dtype is dtypes.float32 else select(abs(x) < 2.0**-28, x, value)


def sin(x: Term) -> Term:
    """The sine; odd also at zero, since |x| is reduced and the sign of x put back."""
    r, q = _reduce(x)
    s, c = _sin_and_cos(r)
    sign = _quadrant_sign(q, x.dtype.bits) ^ (bits(x) & _CONSTANTS[x.dtype].sign)
    return _tiny_as_itself(_flip(select(_is_odd(q), c, s), sign), x)


def cos(x: Term) -> Term:
    """The cosine."""
    r, q = _reduce(x)
    s, c = _sin_and_cos(r)
    return _flip(select(_is_odd(q), s, c), _quadrant_sign(q + 1, x.dtype.bits))


def tan(x: Term) -> Term:
    """sin / cos in even quadrants, -cos / sin in odd ones."""
    r, q = _reduce(x)
    s, c = _sin_and_cos(r)
    odd = _is_odd(q)
    sign = (q << (x.dtype.bits - 1)) ^ (bits(x) & _CONSTANTS[x.dtype].sign)
    return _tiny_as_itself(_flip(select(odd, c, s) / select(odd, s, c), sign), x)
