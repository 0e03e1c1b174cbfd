"""wf.debug.check: whether a condition holds for every element, where that is certain."""

from __future__ import annotations

from tests.fuzz.reference.values import Bounded, Invalid


def checked(x: Bounded, bound: float, holds: bool = False) -> Bounded:
    """x, of which every element is at most `bound` or NaN, or the program fails; Invalid if it has
    to hold and does not."""
    if x.dtype == "bool":
        raise Invalid("bools have no order")
    if not passes(x, bound) and holds:
        raise Invalid("the check fails")
    return x


def passes(x: Bounded, bound: float) -> bool:
    """Whether the check passes; Invalid where that cannot be told."""
    if not x.known.all():
        raise Invalid("some elements are not known")
    nan = x.value != x.value
    if ((x.value - x.error > bound) & ~nan).any():
        return False
    if not ((x.value + x.error <= bound) | nan).all():
        raise Invalid("some elements are too near")
    return True
