"""Quasi-affine forms over the axes of a space: sums of multiples of axes, quotients and remainders.

A `Space` makes them in normal form (as in Feautrier's quasi-affine functions, and MLIR's affine
maps): what the ranges of its axes show to be no quotient or remainder is none, and the parts that a
position was split into make the position again. Forms that are equal by form are equal; not always
the other way round, which costs divisions and is never wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from weftc.ir.size_functions import exact_quotient
from weftc.ir.size_order import never_negative
from weftc.ir.sizes import Dim, Shape, Size, as_factor, terms_of

Bound: TypeAlias = "Size | None"
"""The least or largest value of a form; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The index along one axis of a space."""

    number: int

    def __str__(self) -> str:
        return f"i{self.number}"


@dataclass(frozen=True, slots=True)
class Part:
    """linear // divisor, rounded down, and of that the remainder by `extent`, unless it is None."""

    linear: Linear
    divisor: Size
    extent: Size | None

    def __str__(self) -> str:
        text = f"({self.linear})"
        if self.divisor != 1:
            text += f"//{as_factor(self.divisor)}"
        return text if self.extent is None else f"{text}%{as_factor(self.extent)}"


Atom: TypeAlias = "Axis | Part"
Term: TypeAlias = "tuple[Atom, Size]"


@dataclass(frozen=True, slots=True)
class Linear:
    """`offset` and the sum of coefficient * atom: large coefficients first, none of them 0."""

    offset: Size
    terms: tuple[Term, ...] = ()

    def scaled(self, factor: Size) -> Linear:
        """This form times `factor`, which is not 0."""
        return Linear(self.offset * factor, tuple([(a, c * factor) for a, c in self.terms]))

    def shifted(self, amount: Size) -> Linear:
        """This form and `amount` more."""
        return Linear(self.offset + amount, self.terms)

    @property
    def atom(self) -> Atom | None:
        """The atom that this form is and nothing else; None of any other."""
        if self.offset == 0 and len(self.terms) == 1 and self.terms[0][1] == 1:
            return self.terms[0][0]
        return None

    @property
    def divides(self) -> bool:
        """Whether a quotient or remainder is taken."""
        return any(isinstance(atom, Part) for atom, _ in self.terms)

    @property
    def splits(self) -> bool:
        """Whether a remainder is taken."""
        return any(isinstance(a, Part) and a.extent is not None for a, _ in self.terms)

    def __str__(self) -> str:
        parts = [f"{a}" if c == 1 else f"{as_factor(c)}*{a}" for a, c in self.terms]
        if self.offset != 0 or not parts:
            parts.append(str(self.offset))
        return " + ".join(parts)


@dataclass(frozen=True, slots=True)
class Space:
    """The indices of a shape: axis k takes every value from 0 up to `shape[k]`, exclusive."""

    shape: Shape

    def axis(self, number: int) -> Linear:
        """The index along an axis."""
        return Linear(0, ((Axis(number), 1),))

    @property
    def index(self) -> tuple[Linear, ...]:
        """The indices along all axes."""
        return tuple(map(self.axis, range(len(self.shape))))

    def sum(self, terms: Iterable[Term], offset: Size = 0) -> Linear:
        """The sum of `terms` and `offset`. The index along an axis of one element is 0."""
        total: dict[Atom, Size] = {}
        for atom, coefficient in terms:
            if not isinstance(atom, Axis) or self.shape[atom.number] != 1:
                total[atom] = total[atom] + coefficient if atom in total else coefficient
        total = {a: c for a, c in total.items() if c != 0}
        return self._joined(total, offset) or Linear(
            offset, tuple(sorted(total.items(), key=_place) if len(total) > 1 else total.items())
        )

    def plus(self, *forms: Linear) -> Linear:
        """The sum of forms."""
        offset: Size = 0
        terms: list[Term] = []
        for form in forms:
            offset = offset + form.offset
            terms += form.terms
        return self.sum(terms, offset)

    def position(self, index: Sequence[Linear], shape: Shape) -> Linear:
        """The row-major position of `index` in `shape`."""
        scaled: list[Linear] = []
        stride: Size = 1
        for form, size in zip(reversed(index), reversed(shape), strict=True):
            if stride != 0:
                scaled.append(form.scaled(stride))
            stride = stride * size
        return self.plus(*scaled)

    def part(self, linear: Linear, divisor: Size, extent: Size | None = None) -> Linear:
        """linear // divisor, and the remainder of that by `extent`. What a part is taken of is kept
        whole unless that spares a quotient or remainder, so that all parts of a position name it
        alike."""
        if divisor == 0 or extent in (0, 1):
            return Linear(0)  # by 0: of what has no elements
        if divisor == 1 and extent is None:
            return linear
        whole = self._exact(linear, divisor, extent)
        if whole is not None:
            return whole
        if extent is not None:
            rest, _ = _by_multiples(linear, divisor * extent)
            if all(self.within(rest, divisor * extent)):
                return self.part(rest, divisor)
        if isinstance(linear.atom, Part):
            nested = self._nested(linear.atom, divisor, extent)
            if nested is not None:
                return nested
        return Linear(0, ((Part(linear, divisor, extent), 1),))

    def substituted(self, linear: Linear, index: Sequence[Linear]) -> Linear:
        """`linear`, a form over other axes, of what `index` says these are."""
        if not linear.terms:
            return linear
        forms = [Linear(linear.offset)]
        for atom, coefficient in linear.terms:
            if isinstance(atom, Axis):
                inner = index[atom.number]
            else:
                inner = self.part(self.substituted(atom.linear, index), atom.divisor, atom.extent)
            forms.append(inner if coefficient == 1 else inner.scaled(coefficient))
        return self.plus(*forms)

    # -- ranges -------------------------------------------------------------------------------

    def within(self, linear: Linear, extent: Size) -> tuple[bool, bool]:
        """Whether `linear` is shown to be never below 0, and never `extent` or more."""
        low, high = self.bounds(linear)
        return (
            low is not None and _is_shown(low),
            high is not None and _is_shown(extent - 1 - high),
        )

    def bounds(self, linear: Linear) -> tuple[Bound, Bound]:
        """The least and the largest value."""
        low: Bound = linear.offset
        high: Bound = linear.offset
        for atom, coefficient in linear.terms:
            least, most = self._range(atom)
            if not _is_shown(coefficient):
                if not _is_shown(-1 * coefficient):
                    return None, None
                least, most = most, least
            low = None if low is None or least is None else low + least * coefficient
            high = None if high is None or most is None else high + most * coefficient
        return low, high

    def _range(self, atom: Atom) -> tuple[Bound, Bound]:
        if isinstance(atom, Axis):
            return 0, self.shape[atom.number] - 1
        if atom.extent is not None:
            return 0, atom.extent - 1
        low, high = self.bounds(atom.linear)
        return _quotient(low, atom.divisor), _quotient(high, atom.divisor)

    # -- quotients and remainders ---------------------------------------------------------------

    def _exact(self, linear: Linear, divisor: Size, extent: Size | None) -> Linear | None:
        """The part where it is none: where l = d * q + r with 0 <= r < d, and the remainder of q
        is shown by its range too."""
        rest, quotient = _by_multiples(linear, divisor)
        if not all(self.within(rest, divisor)):
            return None
        if extent is None:
            return quotient
        rest, _ = _by_multiples(quotient, extent)
        return rest if all(self.within(rest, extent)) else None

    def _nested(self, inner: Part, divisor: Size, extent: Size | None) -> Linear | None:
        """A part of a part as a part of what that is taken of: (l // d % e) // f % g is
        l // (d * f) % g where f divides e, and g what is left of it."""
        if inner.extent is None:
            return self.part(inner.linear, inner.divisor * divisor, extent)
        left = exact_quotient(inner.extent, divisor)
        if left is None or (extent is not None and exact_quotient(left, extent) is None):
            return None
        return self.part(inner.linear, inner.divisor * divisor, left if extent is None else extent)

    def _joined(self, terms: dict[Atom, Size], offset: Size) -> Linear | None:
        """The sum where two parts make one: e * (l // (d * e) % f) + l // d % e is
        l // d % (e * f)."""
        parts = [atom for atom in terms if isinstance(atom, Part)]
        for low in parts:
            if low.extent is None:
                continue
            for high in parts:
                if low is high or not self._touch(high, terms[high], low, terms[low]):
                    continue
                extent = None if high.extent is None else high.extent * low.extent
                whole = self.part(high.linear, low.divisor, extent).scaled(terms[low])
                rest = [(a, c) for a, c in terms.items() if a is not low and a is not high]
                return self.sum([*rest, *whole.terms], offset + whole.offset)
        return None

    def _touch(self, high: Part, high_factor: Size, low: Part, low_factor: Size) -> bool:
        """Whether a multiple of `low` goes on where one of `high` ends, in one position. The two
        may name that with other multiples of the divisor of `high`, which `low` does not see."""
        assert low.extent is not None
        if high_factor != low_factor * low.extent or high.divisor != low.divisor * low.extent:
            return False
        difference = self.plus(high.linear, low.linear.scaled(-1))
        return _by_multiples(difference, high.divisor)[0] == Linear(0)


def _by_multiples(linear: Linear, divisor: Size) -> tuple[Linear, Linear]:
    """(r, q) where l = r + divisor * q: what has no multiple of the divisor, and the rest by it."""
    rest: list[Term] = []
    multiples: list[Term] = []
    for atom, coefficient in linear.terms:
        factor = exact_quotient(coefficient, divisor)
        if factor is None:
            rest.append((atom, coefficient))
        else:
            multiples.append((atom, factor))
    offset, whole = linear.offset, exact_quotient(linear.offset, divisor)
    if isinstance(offset, int) and isinstance(divisor, int):
        whole = offset // divisor
    left = offset if whole is None else offset - whole * divisor
    quotient = 0 if whole is None else whole
    return Linear(left, tuple(rest)), Linear(quotient, tuple(multiples))


def _quotient(bound: Bound, divisor: Size) -> Bound:
    """A bound of what is divided, divided."""
    if bound is None:
        return None
    if isinstance(bound, int) and isinstance(divisor, int):
        return bound // divisor
    exact = exact_quotient(bound, divisor)
    if exact is not None:
        return exact
    above = exact_quotient(bound + 1, divisor)  # the last position of whole runs
    return None if above is None else above - 1


@lru_cache(maxsize=8192)
def _shown(size: Dim) -> bool:
    return never_negative(size)


def _is_shown(size: Size) -> bool:
    """Whether a size is shown to be 0 or more."""
    return size >= 0 if isinstance(size, int) else _shown(size)


def _place(term: Term) -> tuple[int, int, str, bool, int, str]:
    """Large coefficients come first, as the axes of a row-major position do; then axes in order."""
    atom, coefficient = term
    monomial, factor = terms_of(coefficient)[0]
    is_part = isinstance(atom, Part)
    size = "" if isinstance(coefficient, int) else str(coefficient)
    number = atom.number if isinstance(atom, Axis) else 0
    return -len(monomial), -abs(factor), size, is_part, number, str(atom) if is_part else ""
