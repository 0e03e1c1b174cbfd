"""Quotients, remainders, minima and maxima of sizes, simplified; substitution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import gcd
from typing import overload

from weftc.ir.size_order import never_negative, never_negative_term
from weftc.ir.sizes import (
    Atom,
    Dim,
    FloorDiv,
    Min,
    Monomial,
    Size,
    lone_atom,
    normal,
    of_atom,
    terms_of,
)
from weftrt.sizes import floor_quotient

# ---------------------------------------------------------------------------------------------
# Quotients
# ---------------------------------------------------------------------------------------------


def floor_div(a: Size, b: Size) -> Size:
    """a // b rounded down; 0 where b is not positive."""
    if isinstance(b, int):
        return _floor_div(a, b)
    return 0 if a == 0 else of_atom(FloorDiv(a, b))


@overload
def ceil_div(a: int, b: int) -> int: ...


@overload
def ceil_div(a: Size, b: int) -> Size: ...


def ceil_div(a: Size, b: int) -> Size:
    """a / b rounded up, for b > 0."""
    return floor_div(a + (b - 1), b)


def mod(a: Size, b: Size) -> Size:
    """a - b * (a // b)."""
    return a - b * floor_div(a, b)


def _floor_div(a: Size, b: int) -> Size:
    """Multiples of b leave the quotient: (4*n + m + 9) // 4 is n + (m + 1)//4 + 2."""
    if isinstance(a, int) or b <= 0:
        return floor_quotient(a, b) if isinstance(a, int) else 0
    whole = normal({m: c // b for m, c in a.terms})
    rest = normal({m: c % b for m, c in a.terms})
    common = gcd(b, *(c for m, c in terms_of(rest) if m))
    rest, b = normal({m: c // common for m, c in terms_of(rest)}), b // common
    return whole + _proper_quotient(rest, b)


def _proper_quotient(a: Size, b: int) -> Size:
    """a // b where a has no multiples of b."""
    if isinstance(a, int) or b == 1 or (never_negative(a) and never_negative(b - 1 - a)):
        return a if b == 1 else 0
    shift = dict(a.terms).get((), 0)
    match lone_atom(a - shift):
        case FloorDiv(inner, int() as divisor):  # (a//j + c) // k is (a + c*j) // (j*k)
            return _floor_div(inner + shift * divisor, b * divisor)
    return of_atom(FloorDiv(a, b))


def exact_quotient(a: Size, b: Size) -> Size | None:
    """q where a is b * q for any sizes; None where there is no such polynomial."""
    quotient: Size = 0
    (lead, factor), *_ = terms_of(b)
    while a != 0:
        (monomial, coefficient), *_ = terms_of(a)
        others = _without(monomial, lead)
        if others is None or factor == 0 or coefficient % factor:
            return None
        part = normal({others: coefficient // factor})
        quotient, a = quotient + part, a - part * b
    return quotient


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    left = list(monomial)
    for atom in divisor:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


# ---------------------------------------------------------------------------------------------
# Minima
# ---------------------------------------------------------------------------------------------


def minimum(a: Size, b: Size) -> Size:
    """The smaller of two sizes. What both have in common leaves the minimum: min(n + 4, 6) is
    4 + min(n, 2)."""
    difference = a - b
    if never_negative(difference):
        return b
    if never_negative(-1 * difference):
        return a
    left = normal({m: c for m, c in terms_of(difference) if c > 0})
    right = left - difference
    smaller = _nested(left, right)
    if smaller is None:
        smaller = _nested(right, left)
    if smaller is None:
        smaller = of_atom(Min(*sorted((left, right), key=lambda s: (isinstance(s, int), str(s)))))
    return b - right + smaller


def maximum(a: Size, b: Size) -> Size:
    """a + b - min(a, b)."""
    return a + b - minimum(a, b)


def upper_bound(sizes: Iterable[Size]) -> Size:
    """No less than any of `sizes`, none of which is negative: found term by term, which is quicker
    than `maximum` and gives shorter sizes."""
    largest: dict[Monomial, int] = {}
    rest: Size = 0
    for size in sizes:
        if all(never_negative_term(monomial) for monomial, _ in terms_of(size)):
            for monomial, coefficient in terms_of(size):
                largest[monomial] = max(largest.get(monomial, 0), coefficient)
        else:
            rest = rest + size
    return rest + normal(largest)


def _nested(a: Size, b: Size) -> Size | None:
    """min(a, b) where a is a minimum and a rest, and one side of it is never less than b."""
    for monomial, coefficient in terms_of(a):
        atom = monomial[0] if len(monomial) == 1 else None
        if coefficient == 1 and isinstance(atom, Min):
            rest = a - of_atom(atom)
            for one, other in (atom.operands, atom.operands[::-1]):
                if never_negative(one + rest - b):
                    return minimum(other + rest, b)
    return None


# ---------------------------------------------------------------------------------------------
# Substitution
# ---------------------------------------------------------------------------------------------


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    """`size` with symbols replaced by sizes."""
    if not isinstance(size, Dim):
        return size
    total: Size = 0
    for monomial, coefficient in size.terms:
        term: Size = coefficient
        for atom in monomial:
            term = term * _substituted(atom, values)
        total = total + term
    return total


def _substituted(atom: Atom, values: Mapping[str, Size]) -> Size:
    if isinstance(atom, str):
        return values.get(atom, of_atom(atom))
    a, b = (substitute(operand, values) for operand in atom.operands)
    return floor_div(a, b) if isinstance(atom, FloorDiv) else minimum(a, b)
