"""What is assumed of sizes, and who records it.

A rule that needs two sizes to be equal, or one to be at least 1, asks `assume`. What cannot be
shown for all sizes is recorded by the trace that is open on this thread, if it is so for the call
at hand; a program then runs only where all that its trace recorded holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from typing import ClassVar, TypeAlias

from weftc.ir import location as locations
from weftc.ir.location import Location
from weftc.ir.size_functions import minimum, mod, substitute
from weftc.ir.size_order import never_negative
from weftc.ir.sizes import Dim, Monomial, Size, Terms, as_factor, normal, terms_of, value_of
from weftc.ir.tracing_state import state


@dataclass(frozen=True)
class _Relation:
    """What a sign says of two sizes."""

    a: Size
    b: Size
    sign: ClassVar[str]

    def __str__(self) -> str:
        return f"{self.a} {self.sign} {self.b}"


class Equal(_Relation):
    """a == b."""

    sign = "=="


class AtLeast(_Relation):
    """a >= b."""

    sign = ">="


class AtMost(_Relation):
    """a <= b."""

    sign = "<="


class Differs(_Relation):
    """a != b."""

    sign = "!="


@dataclass(frozen=True)
class Divides:
    """a % divisor == 0."""

    divisor: Size
    a: Size

    def __str__(self) -> str:
        return f"{as_factor(self.a)} % {as_factor(self.divisor)} == 0"


MOST_ATOMS = 6
"""Of a size that `assume_minimum` makes: a few slices of slices."""

Constraint: TypeAlias = Equal | AtLeast | AtMost | Divides | Differs


def zero_of(constraint: Constraint) -> Size | None:
    """The size that is 0 just where `constraint` holds; None where it is an inequality."""
    return excess_of(constraint) if isinstance(constraint, Equal | Divides) else None


def excess_of(constraint: Constraint) -> Size:
    """The size that is 0, or for an inequality 0 or more, just where `constraint` holds."""
    match constraint:
        case Equal(a, b) | AtLeast(a, b):
            return a - b
        case AtMost(a, b):
            return b - a
        case Divides(divisor, a):
            return mod(a, divisor)
        case Differs(a, b):
            return (a - b) * (a - b) - 1


def holds(constraint: Constraint, sizes: Mapping[str, int]) -> bool:
    """Whether `constraint` is so for these sizes of its symbols."""
    excess = value_of(excess_of(constraint), sizes)
    return excess == 0 if zero_of(constraint) is not None else excess >= 0


class Assumptions:
    """What is taken for granted of sizes: what was `known` before, and what was recorded since,
    with the user's line that needed it. `values` are the sizes of the call at hand; without them
    nothing is recorded. Then an inequality that cannot be told passes unless they are `strict`: who
    rewrites a node makes it again with sizes that were checked before."""

    def __init__(
        self,
        known: Sequence[Constraint] = (),
        values: Mapping[str, int] | None = None,
        strict: bool = False,
    ) -> None:
        self.values = values
        self._strict = strict
        self.recorded: dict[Constraint, Location | None] = {}
        self._zeros: dict[Monomial, Dim] = {}
        """Sizes that are 0, by a monomial of theirs that those after them do not have."""
        self._excesses: dict[Terms, Size] = {}
        """Sizes that are 0 or more, of those that differ by a constant the smallest."""
        for constraint in known:
            self._learn(constraint)

    def shows(self, constraint: Constraint) -> bool:
        """Whether `constraint` follows from what is assumed."""
        zero = zero_of(constraint)
        if zero is None:
            return never_negative(excess_of(constraint), tuple(self._excesses.values()))
        return self._reduced(zero) == 0

    def assume(self, constraint: Constraint) -> bool:
        """Whether `constraint` may be taken for granted; recorded where it is not shown."""
        if self.shows(constraint):
            return True
        if self.values is None:
            told = zero_of(constraint) is not None or isinstance(excess_of(constraint), int)
            return not (told or self._strict)
        if not holds(constraint, self.values):
            return False
        self._record(constraint)
        return True

    def needed(self) -> tuple[Constraint, ...]:
        """What was recorded, as people write it, without what follows from the rest."""
        found = _tightest(plain(constraint) for constraint in self.recorded)
        for constraint in tuple(found):
            others = [other for other in found if other != constraint]
            if Assumptions(others, strict=True).shows(constraint):
                found = others
        return tuple(found)

    def fix(self, size: Size) -> int:
        """The value of `size` in the call at hand, which every call must have then: recorded as it
        is though it may follow from more, for `solved` takes one equality at a time."""
        value = value_of(size, self.values or {})
        if isinstance(size, Dim):
            self._record(Equal(size, value))
        return value

    def _record(self, constraint: Constraint) -> None:
        self.recorded.setdefault(constraint, locations.current())
        self._learn(constraint)

    def _learn(self, constraint: Constraint) -> None:
        zero = zero_of(constraint)
        if zero is None:
            excess = tightened(excess_of(constraint))
            varying, least = _parts(excess)
            if varying not in self._excesses or least < _parts(self._excesses[varying])[1]:
                self._excesses[varying] = excess
            return
        reduced = self._reduced(zero)
        if isinstance(reduced, Dim):
            self._zeros[reduced.terms[0][0]] = reduced

    def _reduced(self, size: Size) -> Size:
        """A size that is 0 where `size` is, less multiples of what is known to be 0: Gaussian
        elimination, with monomials for unknowns and without fractions."""
        for monomial, zero in self._zeros.items():
            factor = dict(terms_of(size)).get(monomial, 0)
            if factor:
                size = size * dict(zero.terms)[monomial] - zero * factor
        return size


def plain(constraint: Constraint) -> Constraint:
    """An inequality without common terms on both sides: n >= 1 for n - 1 >= 0."""
    if not isinstance(constraint, AtLeast | AtMost):
        return constraint
    terms = terms_of(tightened(excess_of(constraint)))
    more = normal({monomial: coefficient for monomial, coefficient in terms if coefficient > 0})
    less = normal({monomial: -coefficient for monomial, coefficient in terms if coefficient < 0})
    return AtMost(less, more) if isinstance(more, int) else AtLeast(more, less)


def tightened(excess: Size) -> Size:
    """A size without common factors that is 0 or more just where `excess` is: for 3*n - 1 it is
    n - 1."""
    terms = dict(terms_of(excess))
    common = gcd(*(coefficient for monomial, coefficient in terms.items() if monomial)) or 1
    return normal({monomial: coefficient // common for monomial, coefficient in terms.items()})


def _parts(size: Size) -> tuple[Terms, int]:
    """The terms of a size that vary, and the constant that is added to them."""
    terms = terms_of(size)
    return tuple(term for term in terms if term[0]), dict(terms).get((), 0)


def _tightest(constraints: Iterable[Constraint]) -> list[Constraint]:
    """Constraints without the inequalities that another says with a smaller constant."""
    found: dict[Constraint | Terms, Constraint] = {}
    for constraint in constraints:
        if zero_of(constraint) is not None:
            found[constraint] = constraint
            continue
        varying, least = _parts(excess_of(constraint))
        other = found.get(varying)
        if other is None or least < _parts(excess_of(other))[1]:
            found.pop(varying, None)
            found[varying] = constraint
    return list(found.values())


@contextmanager
def assuming(assumptions: Assumptions | None) -> Iterator[None]:
    """While open on this thread, rules ask these."""
    before, state.assumptions = state.assumptions, assumptions
    try:
        yield
    finally:
        state.assumptions = before


_NOTHING = Assumptions()


def assume(constraint: Constraint) -> bool:
    """Whether a rule may take `constraint` for granted on this thread."""
    return (state.assumptions or _NOTHING).assume(constraint)


def assume_is_one(size: Size) -> bool:
    """Whether a size is 1. For one that is not known this is so or not in the call at hand, and
    then assumed."""
    assumptions = state.assumptions
    if not isinstance(size, Dim) or assumptions is None or assumptions.values is None:
        return size == 1
    return not assumptions.assume(Differs(size, 1)) and assumptions.fix(size) == 1


def assume_minimum(a: Size, b: Size) -> Size:
    """The smaller of two sizes. Minima of minima grow with each of them: of one that is made of
    many, that which is smaller in the call at hand, and then assumed to be."""
    found, assumptions = minimum(a, b), state.assumptions
    if not isinstance(found, Dim) or assumptions is None or assumptions.values is None:
        return found
    if sum(1 for _ in found.atoms()) <= MOST_ATOMS:
        return found
    return a if assume(AtMost(a, b)) or not assume(AtLeast(a, b)) else b


def assume_equal(a: Size, b: Size) -> bool:
    """Whether two sizes are equal, by form or by what is assumed."""
    return a == b or assume(Equal(a, b))


def assume_at_most(a: Size, b: Size) -> bool:
    """Whether a size is at most another. For those that are not known this is so or not in the call
    at hand, and then assumed: of two rules, a program has one for all that it is called with."""
    if assume_equal(minimum(a, b), a):
        return True
    assume(AtLeast(a, b + 1))
    return False


def solution(constraint: Constraint) -> tuple[str, Size] | None:
    """(symbol, size) where an equality says that a symbol is a size without it, that is never
    negative."""
    zero = zero_of(constraint)
    if not isinstance(zero, Dim):
        return None
    for monomial, coefficient in reversed(zero.terms):
        symbol = monomial[0] if len(monomial) == 1 else None
        if isinstance(symbol, str) and abs(coefficient) == 1:
            size = Dim.symbol(symbol) - zero * coefficient
            if never_negative(size) and symbol not in symbols_of(size):
                return symbol, size
    return None


def symbols_of(size: Size) -> frozenset[str]:
    """The symbols that a size mentions."""
    return size.symbols() if isinstance(size, Dim) else frozenset()


def solved(constraints: Sequence[Constraint]) -> dict[str, Size]:
    """Sizes for symbols, in which none of these symbols occurs, that make equalities true."""
    found: dict[str, Size] = {}
    for constraint in constraints:
        zero = zero_of(constraint)
        if zero is not None:
            step = solution(Equal(substitute(zero, found), 0))
            if step is not None:
                found = {n: substitute(s, dict([step])) for n, s in found.items()} | dict([step])
    return found
