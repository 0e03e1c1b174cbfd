"""What can be shown of sizes for all values of their symbols: a small prover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

from weftc.ir.sizes import Atom, Dim, FloorDiv, Min, Monomial, Size, normal, terms_of

_Atom = TypeVar("_Atom", Min, FloorDiv)
_DEPTH = 6
"""Steps of a proof one after the other."""
_MOST_STEPS = 40
"""Steps that are tried at most."""


def never_negative(size: Size, known: Sequence[Size] = ()) -> bool:
    """Whether `size` is shown to be 0 or more wherever `known` sizes are. Symbols always are."""
    return (isinstance(size, int) and size >= 0) or _Proof(known).shows(size, _DEPTH)


class _Proof:
    """A search that gives up after so many steps."""

    def __init__(self, known: Sequence[Size]) -> None:
        self._known = known
        self._left = _MOST_STEPS

    def shows(self, size: Size, depth: int) -> bool:
        if not isinstance(size, Dim):
            return size >= 0
        if all(c >= 0 and never_negative_term(m) for m, c in size.terms):
            return True
        if depth == 0 or self._left <= 0 or all(c <= 0 for _, c in size.terms):
            return False
        self._left -= 1
        return any(
            all(self.shows(case, depth - 1) for case in cases)
            for cases in _smaller(size, self._known)
        )


def _smaller(size: Dim, known: Sequence[Size]) -> Iterator[tuple[Size, ...]]:
    """Sizes that are not negative only where `size` is not either, if all of them are so."""
    yield from _without_minimum(size)
    yield from _without_quotient(size)
    yield from _less_known(size, known)


def never_negative_term(monomial: Monomial) -> bool:
    """Whether a product of atoms is shown to be 0 or more."""
    return all(map(_never_negative_atom, monomial))


@lru_cache(maxsize=4096)
def _never_negative_atom(atom: Atom) -> bool:
    if isinstance(atom, str):
        return True
    if isinstance(atom, Min):
        return all(map(never_negative, atom.operands))
    return never_negative(atom.a)


def _without_minimum(size: Dim) -> Iterator[tuple[Size, ...]]:
    """Sizes that are all to be shown, each: a minimum is one of its two operands, and no more than
    either."""
    atoms = _factors(size, Min)
    cases = {atom: [_replaced(size, atom, operand) for operand in atom.operands] for atom in atoms}
    added = next((a for a in atoms if any(c > 0 for _, c in _with(size, a))), None)
    if added is not None:
        yield tuple(cases[added])
        return
    for left, right in cases.values():
        yield (left,)
        yield (right,)


def _without_quotient(size: Dim) -> Iterator[tuple[Size, ...]]:
    """A multiple that is no more: b * (a//b) lies between a - b + 1 and a. A whole number is 0 or
    more where b times it is 1 - b or more."""
    for atom in _factors(size, FloorDiv):
        a, b = atom.operands
        signs = {c > 0 for _, c in _with(size, atom)}
        if isinstance(b, int) and len(signs) == 1:
            rest = normal({m: c * b for m, c in size.terms if atom not in m})
            bound = a - (b - 1) if True in signs else a
            yield (rest + _replaced(normal(dict(_with(size, atom))), atom, bound) + (b - 1),)


def _less_known(size: Dim, known: Sequence[Size]) -> Iterator[tuple[Size, ...]]:
    """`size` less a multiple of what is known not to be negative."""
    for fact in known:
        for monomial, coefficient in fact.terms if isinstance(fact, Dim) else ():
            for target, amount in size.terms:
                others = Counter(target)
                others.subtract(monomial)
                if coefficient <= 0 or amount <= 0 or min(others.values(), default=0) < 0:
                    continue
                factor = tuple(sorted(others.elements(), key=str))
                if never_negative_term(factor):
                    multiple = normal({factor: max(amount // coefficient, 1)})
                    yield (size - fact * multiple,)


def _factors(size: Dim, kind: type[_Atom]) -> list[_Atom]:
    """The atoms of a kind that are factors of `size` beside sizes that are not negative."""
    found = {a: m.count(a) for m, _ in size.terms for a in m if isinstance(a, kind)}
    return [atom for atom, count in found.items() if count == 1 and _is_plain(size, atom)]


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
