"""sqrt and rsqrt."""

from __future__ import annotations

from weftc.ops.elementary import terms
from weftc.ops.elementary.terms import Term


def sqrt(x: Term) -> Term:
    """The square root, correctly rounded."""
    return terms.sqrt(x)


def rsqrt(x: Term) -> Term:
    """1 / sqrt(x): two roundings, at most 1 ULP."""
    return 1.0 / terms.sqrt(x)
