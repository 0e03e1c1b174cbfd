"""Symbolic sizes: polynomials with integer coefficients over atoms, in normal form.

An atom is a size symbol (at least 0), a quotient `FloorDiv` or a minimum `Min`. Remainders and
maxima are written with these (`a % b` is `a - b*(a//b)`), so that equal sizes are equal by form as
far as possible. weftc.ir.size_functions makes quotients and minima.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from weftrt.errors import ShapeError
from weftrt.sizes import floor_quotient

Size: TypeAlias = "int | Dim"
Shape: TypeAlias = tuple[Size, ...]


@dataclass(frozen=True)
class _OfTwo:
    """An atom made of two sizes."""

    a: Size
    b: Size

    @property
    def operands(self) -> tuple[Size, Size]:
        """(a, b)."""
        return self.a, self.b


class FloorDiv(_OfTwo):
    """a / b rounded down; 0 where b is not positive."""

    def __str__(self) -> str:
        return f"{as_factor(self.a)}//{as_factor(self.b)}"


class Min(_OfTwo):
    """The smaller of a and b."""

    def __str__(self) -> str:
        return f"min({self.a},{self.b})"


Atom: TypeAlias = "str | FloorDiv | Min"
Monomial: TypeAlias = tuple[Atom, ...]
"""Atoms sorted by their text, repeated for powers; () is the constant term."""
Terms: TypeAlias = "tuple[tuple[Monomial, int], ...]"


@dataclass(frozen=True)
class Dim:
    """A symbolic size: a sum of coefficient * product of atoms. Never just an integer."""

    terms: Terms

    @staticmethod
    def symbol(name: str) -> Dim:
        return of_atom(name)

    def __add__(self, other: Size) -> Size:
        return _combine(self, other, 1)

    __radd__ = __add__

    def __sub__(self, other: Size) -> Size:
        return _combine(self, other, -1)

    def __rsub__(self, other: Size) -> Size:
        return _combine(self * -1, other, 1)

    def __mul__(self, other: Size) -> Size:
        product: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in terms_of(other):
                key = tuple(sorted(left + right, key=str))
                product[key] = product.get(key, 0) + a * b
        return normal(product)

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        raise ShapeError(f"the size {self} is symbolic; it has no truth value while tracing")

    def symbols(self) -> frozenset[str]:
        """The size symbols that this mentions."""
        return frozenset(atom for atom in self.atoms() if isinstance(atom, str))

    def atoms(self) -> Iterator[Atom]:
        """Every atom, those inside of others included."""
        for monomial, _ in self.terms:
            for atom in monomial:
                yield atom
                if not isinstance(atom, str):
                    for operand in atom.operands:
                        if isinstance(operand, Dim):
                            yield from operand.atoms()

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The value under concrete sizes."""
        total = 0
        for monomial, coefficient in self.terms:
            for atom in monomial:
                coefficient *= _value(atom, sizes)
            total += coefficient
        return total

    @cached_property
    def _text(self) -> str:
        alone = lone_atom(self)
        if alone is not None:
            return str(alone)
        parts: list[str] = []
        for monomial, coefficient in self.terms:
            factors = [f"({a})" if isinstance(a, FloorDiv) else str(a) for a in monomial]
            if abs(coefficient) != 1 or not factors:
                factors.insert(0, str(abs(coefficient)))
            parts.append(("-" if coefficient < 0 else "+") + "*".join(factors))
        return "".join(parts).removeprefix("+")

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def of_atom(atom: Atom) -> Dim:
    """An atom as a size."""
    return Dim((((atom,), 1),))


def lone_atom(size: Size) -> Atom | None:
    """The atom that a size is and nothing else; None of any other."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        ((monomial, coefficient),) = size.terms
        if coefficient == 1 and len(monomial) == 1:
            return monomial[0]
    return None


def lone_symbol(size: Size) -> str | None:
    """The name of a size that is one symbol and nothing else; None of any other."""
    atom = lone_atom(size)
    return atom if isinstance(atom, str) else None


def value_of(size: Size, sizes: Mapping[str, int]) -> int:
    """A size under concrete sizes of its symbols."""
    return size.evaluate(sizes) if isinstance(size, Dim) else size


def concrete_shape(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A shape under concrete sizes of its symbols."""
    return tuple([value_of(size, sizes) for size in shape])


def product(sizes: Sequence[Size]) -> Size:
    """The number of elements of a shape; 1 for the empty shape."""
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def static_shape(shape: Shape) -> tuple[int, ...]:
    """`shape` as integers; ShapeError when a size is symbolic."""
    for size in shape:
        if isinstance(size, Dim):
            raise ShapeError(f"this needs sizes known while tracing, but {size} is symbolic")
    return tuple(s for s in shape if isinstance(s, int))


def terms_of(size: Size) -> Terms:
    """The terms of any size."""
    return size.terms if isinstance(size, Dim) else (((), size),)


def is_negative(size: Size) -> bool:
    """Whether the first coefficient is: as an integer it is below 0, in a sum better subtracted."""
    return terms_of(size)[0][1] < 0


def normal(terms: Mapping[Monomial, int]) -> Size:
    """The size that is the sum of `terms`, whose monomials are sorted."""
    kept = {m: c for m, c in terms.items() if c}
    if not kept:
        return 0
    if set(kept) == {()}:
        return kept[()]
    return Dim(tuple(sorted(kept.items(), key=_place)))


def _place(term: tuple[Monomial, int]) -> tuple[int, list[str]]:
    """Terms come by falling degree, then in the order of their text."""
    return -len(term[0]), [str(atom) for atom in term[0]]


def _combine(left: Size, right: Size, sign: int) -> Size:
    total = dict(terms_of(left))
    for monomial, coefficient in terms_of(right):
        total[monomial] = total.get(monomial, 0) + sign * coefficient
    return normal(total)


def _value(atom: Atom, sizes: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return sizes[atom]
    a, b = (value_of(operand, sizes) for operand in atom.operands)
    return floor_quotient(a, b) if isinstance(atom, FloorDiv) else min(a, b)


def as_factor(size: Size) -> str:
    """The text of a size as one side of a quotient or remainder."""
    plain = isinstance(size, int) or isinstance(lone_atom(size), str | Min)
    return str(size) if plain else f"({size})"
