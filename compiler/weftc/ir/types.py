"""Tensor types and symbolic dimensions.

A dimension is an `int`, or a `Dim`: a polynomial with integer coefficients over size symbols, in
normal form, so that two equal sizes compare equal. `f32[n, 4*m+1]` is a `TensorType`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from weftrt.dtypes import DType
from weftrt.errors import OutOfMemoryError, ShapeError
from weftrt.sizes import MOST_BYTES, amount

LARGE_BYTES = 1 << 30
"""A value of as many bytes may not be had: it is told by which line it is made."""

Monomial: TypeAlias = tuple[str, ...]
"""Sorted symbol names, repeated for powers; () is the constant term."""


@dataclass(frozen=True)
class Dim:
    """A symbolic size: a sum of coefficient * product of symbols. Never just an integer."""

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def symbol(name: str) -> Dim:
        return Dim((((name,), 1),))

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
            for right, b in _terms(other):
                key = tuple(sorted(left + right))
                product[key] = product.get(key, 0) + a * b
        return _normal(product)

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        raise ShapeError(f"the size {self} is symbolic; it has no truth value while tracing")

    def symbols(self) -> frozenset[str]:
        """The size symbols this polynomial mentions."""
        return frozenset(name for monomial, _ in self.terms for name in monomial)

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The value under concrete sizes."""
        total = 0
        for monomial, coefficient in self.terms:
            for name in monomial:
                coefficient *= sizes[name]
            total += coefficient
        return total

    def __str__(self) -> str:
        parts: list[str] = []
        for monomial, coefficient in self.terms:
            factors = list(monomial)
            if abs(coefficient) != 1 or not factors:
                factors.insert(0, str(abs(coefficient)))
            parts.append(("-" if coefficient < 0 else "+") + "*".join(factors))
        return "".join(parts).removeprefix("+")

    __repr__ = __str__


Size: TypeAlias = "int | Dim"
Shape: TypeAlias = tuple[Size, ...]


def lone_symbol(size: Size) -> str | None:
    """The name of a size that is one symbol and nothing else; None of any other."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        ((monomial, coefficient),) = size.terms
        if coefficient == 1 and len(monomial) == 1:
            return monomial[0]
    return None


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    return size.terms if isinstance(size, Dim) else (((), size),)


def _normal(terms: Mapping[Monomial, int]) -> Size:
    kept = {m: c for m, c in terms.items() if c}
    if not kept:
        return 0
    if set(kept) == {()}:
        return kept[()]
    return Dim(tuple(sorted(kept.items(), key=lambda item: (-len(item[0]), item[0]))))


def _combine(left: Size, right: Size, sign: int) -> Size:
    total = dict(_terms(left))
    for monomial, coefficient in _terms(right):
        total[monomial] = total.get(monomial, 0) + sign * coefficient
    return _normal(total)


def product(sizes: Sequence[Size]) -> Size:
    """The number of elements of a shape; 1 for the empty shape."""
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    """`size` with symbols replaced by sizes."""
    if not isinstance(size, Dim):
        return size
    total: Size = 0
    for monomial, coefficient in size.terms:
        term: Size = coefficient
        for name in monomial:
            term = term * values.get(name, Dim.symbol(name))
        total = total + term
    return total


_Unifier: TypeAlias = "Callable[[Size, Size], bool]"


class _State(threading.local):
    unifier: _Unifier | None = None


_state = _State()


@contextmanager
def unifying(unifier: _Unifier) -> Iterator[None]:
    """While open on this thread, `same(a, b)` asks `unifier` about two sizes of unequal form.

    The eager tracer records "these two symbols had equal values in this call" as a guard.
    """
    before, _state.unifier = _state.unifier, unifier
    try:
        yield
    finally:
        _state.unifier = before


def same(a: Size, b: Size) -> bool:
    """Whether two sizes are equal, by form or by a guard that the tracer records."""
    return a == b or (_state.unifier is not None and _state.unifier(a, b))


@dataclass(frozen=True)
class TensorType:
    """A dtype and a shape."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return product(self.shape)

    @property
    def is_static(self) -> bool:
        return all(isinstance(s, int) for s in self.shape)

    @property
    def is_large(self) -> bool:
        """Whether a value of this type is known to take so much memory that there may be none."""
        return self.is_static and self.bytes >= LARGE_BYTES

    @property
    def bytes(self) -> int:
        """Bytes of a value of fixed size."""
        return self.dtype.itemsize * prod(static_shape(self.shape))

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def with_shape(self, shape: Shape) -> TensorType:
        return TensorType(self.dtype, shape)

    def __str__(self) -> str:
        return f"{self.dtype.short}[{','.join(map(str, self.shape))}]"

    __repr__ = __str__


def check_size(type_: TensorType) -> None:
    """OutOfMemoryError for a value with more bytes than any array can have. Axes of no elements
    count as 1; a symbolic size as its largest coefficient, since it may be as small as that."""
    total = type_.dtype.itemsize
    for size in type_.shape:
        if isinstance(size, int):
            total *= size or 1
        else:
            total *= max(abs(coefficient) for _, coefficient in size.terms)
    if total >= MOST_BYTES:
        least = "" if type_.is_static else "at least "
        raise OutOfMemoryError(
            f"an array {type_} would take {least}{amount(total)}; "
            f"the largest takes less than {amount(MOST_BYTES)}"
        )


def static_shape(shape: Shape) -> tuple[int, ...]:
    """`shape` as integers; ShapeError when a size is symbolic."""
    for size in shape:
        if isinstance(size, Dim):
            raise ShapeError(f"this needs sizes known while tracing, but {size} is symbolic")
    return tuple(s for s in shape if isinstance(s, int))
