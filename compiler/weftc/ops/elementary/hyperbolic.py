"""tanh, sinh and cosh, from e^a and e^a - 1 for a = |x|."""

from __future__ import annotations

from weftc.ops.elementary.exponential import exp_parts, expm1_parts
from weftc.ops.elementary.terms import Term, at_most, copysign, fma, ldexp
from weftrt import dtypes

_TANH_LIMIT = {dtypes.float32: 10.0, dtypes.float64: 20.0}
"""tanh rounds to 1 above it."""
_OVERFLOW = {dtypes.float32: 89.5, dtypes.float64: 710.6}
"""sinh and cosh overflow at it; e^a / 4 does not."""
_LARGE = 2.0**60
"""h / (2h + 1) is 1/2 from here on, to all bits."""


def tanh(x: Term) -> Term:
    """(e^2a - 1) / (e^2a + 1), with e^2a = 2^n (1 + p) and both sums by one fma."""
    a = at_most(abs(x), _TANH_LIMIT[x.dtype])
    n, p = expm1_parts(a + a)
    s = ldexp(x.like(1.0), n)
    return copysign(fma(s, p, s - 1.0) / fma(s, p, s + 1.0), x)


def sinh(x: Term) -> Term:
    """h + h / (2h + 1) with h = (e^a - 1) / 2, computed as twice its half, for 2^n may overflow
    where sinh does not."""
    n, p = expm1_parts(at_most(abs(x), _OVERFLOW[x.dtype]))
    s = ldexp(x.like(0.25), n)
    h = 2.0 * fma(s, p, s - 0.25)
    g = at_most(h, _LARGE)
    return copysign(h + g / (2.0 * g + 1.0), x)


def cosh(x: Term) -> Term:
    """h + 1/(4h) with h = e^a / 2."""
    n, power = exp_parts(at_most(abs(x), _OVERFLOW[x.dtype]))
    h = ldexp(power * 0.5, n)
    return h + 0.25 / h
