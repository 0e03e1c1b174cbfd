"""Index algebra for pulling: one object per index expression, and splits that merge again.

A loop over merged axes knows one flat index; the index of each axis is a quotient and a remainder
of it. `split` makes those and remembers where they came from, so that `linearize`, which every read
of a row-major buffer goes through, puts the flat index back without a division.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from weftc.ir.sizes import Dim, Shape, Size, product
from weftc.loop.build import Builder
from weftc.loop.ir import Const, Expr, Op, Scalar, Var, add, apply, const, mul
from weftc.loop.walk import operands

ZERO: Final = const(0)


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """(flat // divisor) % extent, without the remainder where `first` (nothing is above it)."""

    flat: Expr
    divisor: Size
    extent: Size
    first: bool


class Indices:
    """Index expressions and size parameters of one function."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._sizes: dict[Dim, Var] = {}
        self._dims: dict[Var, Dim] = {}
        self._interned: dict[object, Expr] = {}
        self._known: dict[Expr, Expr] = {}
        self._parts: dict[Expr, Part] = {}
        self._splits: dict[tuple[Expr, Shape, Expr | None], tuple[Expr, ...]] = {}
        self.guard: Expr | None = None
        """The condition that makes the indices at hand valid, where it is not always."""

    @property
    def sizes(self) -> tuple[Dim, ...]:
        """What the size parameters of the function stand for, in order."""
        return tuple(self._sizes)

    def size(self, size: Size) -> Expr:
        """A size as an int64: a literal, or a parameter of the function."""
        if isinstance(size, int):
            return self.intern(const(size))
        if size not in self._sizes:
            self._sizes[size] = self._builder.size("n")
            self._dims[self._sizes[size]] = size
        return self._sizes[size]

    def intern(self, expr: Expr) -> Expr:
        """The one object that stands for `expr`: equal index expressions become identical."""
        known = self._known.get(expr)
        if known is not None:
            return known
        key: object = expr
        if isinstance(expr, Const):
            key = (expr.value, expr.type)
        elif isinstance(expr, Op):
            args = tuple(self.intern(a) for a in expr.args)
            if any(a is not b for a, b in zip(args, expr.args, strict=True)):
                expr = Op(expr.op, args, expr.type)
            key = (expr.op, args, expr.type)
        found = self._interned.setdefault(key, expr)
        self._known[expr] = found
        return found

    def split(self, flat: Expr, shape: Shape) -> tuple[Expr, ...]:
        """The index of each axis of `shape` at the row-major position `flat`."""
        for guard in (self.guard, None):
            found = self._splits.get((flat, shape, guard))
            if found is not None:
                return found
        made = self._splits[flat, shape, None] = self._split(flat, shape)
        return made

    def _split(self, flat: Expr, shape: Shape) -> tuple[Expr, ...]:
        index: list[Expr] = []
        first = True
        for axis, extent in enumerate(shape):
            if extent == 1:
                index.append(self.intern(ZERO))
                continue
            index.append(self._part(Part(flat, product(shape[axis + 1 :]), extent, first)))
            first = False
        return tuple(index)

    def _part(self, part: Part) -> Expr:
        expr = part.flat
        if part.divisor != 1:
            expr = apply(Scalar.TDIV, expr, self.size(part.divisor))
        if not part.first:
            expr = apply(Scalar.TREM, expr, self.size(part.extent))
        expr = self.intern(expr)
        if expr is not part.flat:
            self._parts[expr] = part
        return expr

    def linearize(self, index: Sequence[Expr], shape: Sequence[Size]) -> Expr:
        """The row-major position of `index` in `shape`."""
        kept: list[tuple[Expr, Size]] = []
        offset: Size = 0
        for component, size in zip(index, shape, strict=True):
            extent: Size = size
            if extent == 1:
                continue
            component, shift = self._shifted(self.intern(component))
            offset = offset * extent + shift
            while kept and (merged := self._merge(kept[-1], (component, extent))) is not None:
                kept.pop()
                component, extent = merged
            kept.append((component, extent))
        total: Expr = ZERO
        stride: Size = 1
        terms: list[Expr] = []
        for component, extent in reversed(kept):
            terms.append(self._scaled(component, stride))
            stride = stride * extent
        for term in reversed(terms):
            total = add(total, term)
        if offset != 0:
            total = add(total, self.size(offset))
        total = self.intern(total)
        if 0 not in shape:  # else `total` does not say where it came from
            self._splits.setdefault((total, tuple(shape), self.guard), self._valid(index, shape))
        return total

    def _valid(self, index: Sequence[Expr], shape: Sequence[Size]) -> tuple[Expr, ...]:
        """`index` as it is where it is in range: an axis of size 1 knows only 0, though its
        component may be any expression that a guard holds there."""
        pairs = zip(index, shape, strict=True)
        return tuple(self.intern(ZERO if size == 1 else i) for i, size in pairs)

    def _scaled(self, component: Expr, stride: Size) -> Expr:
        if stride == 1 or (isinstance(component, Const) and component.value == 0):
            return component
        return mul(component, self.size(stride))

    def _shifted(self, component: Expr) -> tuple[Expr, Size]:
        """(part, size) where `component` is a part of a flat index and a size, so that it merges
        with its neighbours."""
        if isinstance(component, Op) and component.op in (Scalar.ADD, Scalar.SUB):
            part, size = component.args[0], self.value(component.args[1])
            if size is not None and part in self._parts:
                return part, size if component.op is Scalar.ADD else -1 * size
        return component, 0

    def _merge(self, left: tuple[Expr, Size], right: tuple[Expr, Size]) -> tuple[Expr, Size] | None:
        """One component for two neighbours that were split from one flat index, or for two that
        both run backwards over such."""
        backwards = self._mirrored(*left), self._mirrored(*right)
        if backwards[0] is not None and backwards[1] is not None:
            found = self._merge((backwards[0], left[1]), (backwards[1], right[1]))
            return None if found is None else (self._mirror(*found), found[1])
        a, b = self._parts.get(left[0]), self._parts.get(right[0])
        if a is None or b is None or a.flat is not b.flat or b.extent != right[1]:
            return None
        if a.divisor != b.divisor * b.extent or b.first:
            return None
        part = Part(a.flat, b.divisor, a.extent * b.extent, a.first)
        return self._part(part), left[1] * right[1]

    def _mirror(self, component: Expr, extent: Size) -> Expr:
        return self.intern(apply(Scalar.SUB, self.size(extent - 1), component))

    def _mirrored(self, component: Expr, extent: Size) -> Expr | None:
        """i where `component` is extent - 1 - i, else None."""
        if not isinstance(component, Op) or component.op is not Scalar.SUB:
            return None
        last, index = component.args
        if isinstance(last, Var):
            return index if self._dims.get(last) == extent - 1 else None
        return index if isinstance(last, Const) and last.value == extent - 1 else None

    def coefficients(self, expr: Expr, variables: Sequence[Var]) -> tuple[Size, ...] | None:
        """The factor of each variable in `expr`; None where `expr` is not linear in them. Any other
        variable counts as a constant."""
        try:
            found = self._linear(expr, frozenset(variables))
        except _NotLinear:
            return None
        return tuple(found.get(v, 0) for v in variables)

    def _linear(self, expr: Expr, variables: frozenset[Var]) -> dict[Var, Size]:
        if isinstance(expr, Var):
            return {expr: 1} if expr in variables else {}
        if isinstance(expr, Const):
            return {}
        parts = [self._linear(arg, variables) for arg in operands(expr)]
        if not any(parts):
            return {}
        if isinstance(expr, Op) and expr.op is Scalar.MUL:
            for factor, other in ((0, 1), (1, 0)):
                value = self.value(expr.args[factor])
                if value is not None:
                    return {v: value * c for v, c in parts[other].items()}
        if isinstance(expr, Op) and expr.op in (Scalar.ADD, Scalar.SUB):
            sign = 1 if expr.op is Scalar.ADD else -1
            total: dict[Var, Size] = dict(parts[0])
            for var, coefficient in parts[1].items():
                total[var] = total.get(var, 0) + coefficient * sign
            return total
        raise _NotLinear

    def value(self, expr: Expr) -> Size | None:
        """The size that `expr` is, if it is one."""
        if isinstance(expr, Const):
            return int(expr.value)
        return self._dims.get(expr) if isinstance(expr, Var) else None


class _NotLinear(Exception):
    """An expression that is not a sum of multiples of variables."""
