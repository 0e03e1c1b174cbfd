"""sin, cos and tan: x = q pi/2 + r, then sin r and cos r by minimax polynomials for |r| up to
about pi/4, chosen and signed by the quadrant q."""

from __future__ import annotations

from dataclasses import dataclass

from weftc.ops.elementary.reduction import reduce32
from weftc.ops.elementary.terms import Term, bits, fma, from_bits, horner, select
from weftrt import dtypes


@dataclass(frozen=True)
class _Constants:
    sign: int
    """The sign bit."""
    sin: tuple[float, ...]
    cos: tuple[float, ...]


# sin r = r + r^3 sin(r^2), cos r = 1 - r^2/2 + r^4 cos(r^2). Relative errors: 2^-26 and 2^-31 in
# float32 (|r| <= 0.884).
_CONSTANTS = {
    dtypes.float32: _Constants(
        -(2**31),
        (-0.166666418, 0.00833143853, -0.00019427338),
        (0.0416666232, -0.00138863397, 2.43331451e-05),
    ),
}


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


def sin(x: Term) -> Term:
    """The sine; odd also at zero, since |x| is reduced and the sign of x put back."""
    r, q = reduce32(x)
    s, c = _sin_and_cos(r)
    sign = _quadrant_sign(q, x.dtype.bits) ^ (bits(x) & _CONSTANTS[x.dtype].sign)
    return _flip(select(_is_odd(q), c, s), sign)


def cos(x: Term) -> Term:
    """The cosine."""
    r, q = reduce32(x)
    s, c = _sin_and_cos(r)
    return _flip(select(_is_odd(q), s, c), _quadrant_sign(q + 1, x.dtype.bits))


def tan(x: Term) -> Term:
    """sin / cos in even quadrants, -cos / sin in odd ones."""
    r, q = reduce32(x)
    s, c = _sin_and_cos(r)
    odd = _is_odd(q)
    sign = (q << (x.dtype.bits - 1)) ^ (bits(x) & _CONSTANTS[x.dtype].sign)
    return _flip(select(odd, c, s) / select(odd, s, c), sign)
