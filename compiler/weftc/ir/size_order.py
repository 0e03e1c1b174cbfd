"""What can be shown of sizes for all values of their symbols: a small prover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

from weftc.ir.sizes import Atom, Dim, FloorDiv, Min, Monomial, Size, normal, terms_of

_Atom = TypeVar("_Atom", Min, FloorDiv)
_DEPTH = 6
"""Steps of a proof."""


def never_negative(size: Size, known: Sequence[Size] = (), depth: int = _DEPTH) -> bool:
    """Whether `size` is shown to be 0 or more wherever `known` sizes are. Symbols always are."""
    if not isinstance(size, Dim):
        return size >= 0
    if all(c >= 0 and never_negative_term(m) for m, c in size.terms):
        return True
    if depth == 0 or all(c <= 0 for _, c in size.terms):
        return False
    smaller = (*_without_minimum(size), *_without_quotient(size), *_less_known(size, known))
    return any(all(never_negative(s, known, depth - 1) for s in cases) for cases in smaller)


def never_negative_term(monomial: Monomial) -> bool:
    """Whether a product of atoms is shown to be 0 or more."""
    return all(map(_never_negative_atom, monomial))


def _never_negative_atom(atom: Atom) -> bool:
    if isinstance(atom, str):
        return True
    if isinstance(atom, Min):
        return all(map(never_negative, atom.operands))
    return never_negative(atom.dividend)


def _without_minimum(size: Dim) -> Iterator[tuple[Size, ...]]:
    """Sizes that are all to be shown, each: a minimum is one of its two operands, and no more than
    either."""
    for atom in _first(size, Min):
        left, right = (_replaced(size, atom, operand) for operand in atom.operands)
        if all(c < 0 for _, c in _with(size, atom)):
            yield (left,)
            yield (right,)
        else:
            yield left, right


def _without_quotient(size: Dim) -> Iterator[tuple[Size, ...]]:
    """A multiple that is no more: b * (a//b) lies between a - b + 1 and a."""
    for atom in _first(size, FloorDiv):
        a, b = atom.operands
        if isinstance(b, int):
            down = all(c < 0 for _, c in _with(size, atom))
            if down or all(c > 0 for _, c in _with(size, atom)):
                rest = normal({m: c * b for m, c in size.terms if atom not in m})
                bound = a if down else a - (b - 1)
                yield (rest + _replaced(normal(dict(_with(size, atom))), atom, bound),)


def _less_known(size: Dim, known: Sequence[Size]) -> Iterator[tuple[Size, ...]]:
    """`size` less a multiple of what is known not to be negative."""
    for fact in known:
        for monomial, coefficient in fact.terms if isinstance(fact, Dim) else ():
            for target, amount in size.terms:
                others = Counter(target)
                others.subtract(monomial)
                if coefficient > 0 and amount > 0 and min(others.values(), default=0) >= 0:
                    factor = normal({tuple(sorted(others.elements(), key=str)): 1})
                    yield (size - fact * factor * max(amount // coefficient, 1),)


def _first(size: Dim, kind: type[_Atom]) -> Iterator[_Atom]:
    """The first atom of a kind that is a factor of `size` beside sizes that are not negative."""
    for monomial, _ in size.terms:
        for atom in monomial:
            if isinstance(atom, kind):
                if monomial.count(atom) == 1 and _is_plain(size, atom):
                    yield atom
                return


def _is_plain(size: Dim, atom: Atom) -> bool:
    others = (other for m, _ in _with(size, atom) for other in m if other != atom)
    return all(map(_never_negative_atom, others))


def _with(size: Dim, atom: Atom) -> list[tuple[Monomial, int]]:
    return [(m, c) for m, c in size.terms if atom in m]


def _replaced(size: Size, atom: Atom, by: Size) -> Size:
    total: Size = 0
    for monomial, coefficient in terms_of(size):
        left = list(monomial)
        term: Size = coefficient
        while atom in left:
            left.remove(atom)
            term = term * by
        total = total + term * normal({tuple(left): 1})
    return total
