"""tanh, sinh and cosh."""

from __future__ import annotations

from weftc.ops.elementary.exponential import expm1_parts
from weftc.ops.elementary.terms import Term, at_most, copysign, fma
from weftrt import dtypes

_TANH_LIMIT = {dtypes.float32: 10.0, dtypes.float64: 20.0}
"""tanh rounds to 1 above it."""


def tanh(x: Term) -> Term:
    """(e^2a - 1) / (e^2a + 1) for a = |x|, with e^2a = 2 s (1 + p) and both sums by one fma."""
    a = at_most(abs(x), _TANH_LIMIT[x.dtype])
    s, p = expm1_parts(a + a)
    return copysign(fma(s, p, s - 0.5) / fma(s, p, s + 0.5), x)
