"""Index algebra for pulling: one object per index expression, and splits that merge again.

A loop over merged axes knows one flat index; the index of each axis is a quotient and a remainder
of it. `split` makes those and remembers where they came from, so that `linearize`, which every read
of a row-major buffer goes through, puts the flat index back without a division.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

from weftc.ir.index_linear import Axis, Linear, Term
from weftc.ir.index_map import IndexMap
from weftc.ir.sizes import Dim, Shape, Size, is_negative
from weftc.loop.build import Builder
from weftc.loop.ir import Const, Expr, Op, Scalar, Var, add, apply, const, mul, subtract
from weftc.loop.walk import operands

ZERO: Final = const(0)


@dataclass(frozen=True, slots=True)
class Split:
    """(flat // divisor) % extent; without the remainder where `extent` is None, for nothing is
    above it."""

    flat: Expr
    divisor: Size
    extent: Size | None


class Indices:
    """Index expressions and size parameters of one function."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._sizes: dict[Dim, Var] = {}
        self._dims: dict[Var, Dim] = {}
        self._interned: dict[object, Expr] = {}
        self._known: dict[Expr, Expr] = {}
        self._parts: dict[Expr, Split] = {}
        self._splits: dict[tuple[Split, Expr | None], Expr] = {}
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

    def at(self, map_: IndexMap, index: Sequence[Expr]) -> tuple[Expr, ...]:
        """The index of a map's operand for one of its reader."""
        return tuple([self.form(form, map_.shape, index) for form in map_.axes])

    def form(self, form: Linear, shape: Shape, index: Sequence[Expr]) -> Expr:
        """A form over the axes of `shape`, at `index`."""
        if isinstance(form.atom, Axis):
            return index[form.atom.number]
        total: Expr = ZERO
        subtracted: list[Expr] = []
        for terms, factor in _nested(form, shape):
            value = self._position(terms, shape, index)
            if is_negative(factor):
                subtracted.append(self._scaled(value, -1 * factor))
            else:
                total = add(total, self._scaled(value, factor))
        if is_negative(form.offset):
            subtracted.append(self.size(-1 * form.offset))
        elif form.offset != 0:
            total = add(total, self.size(form.offset))
        return self.intern(reduce(subtract, subtracted, total))

    def _position(self, terms: Sequence[Term], shape: Shape, index: Sequence[Expr]) -> Expr:
        """The position that nested axes make, or what one part is."""
        atom, _ = terms[0]
        if not isinstance(atom, Axis):
            return self._split(self.form(atom.linear, shape, index), atom.divisor, atom.extent)
        if len(terms) == 1:
            return index[atom.number]
        axes = [atom.number for atom, _ in terms if isinstance(atom, Axis)]
        return self.linearize([index[a] for a in axes], [shape[a] for a in axes])

    def split(self, flat: Expr, shape: Shape) -> tuple[Expr, ...]:
        """The index of each axis of `shape` at the row-major position `flat`."""
        parts = {axis: (divisor, extent) for axis, divisor, extent in _parts(shape)}
        zero = self.intern(ZERO)
        return tuple(
            [self._split(flat, *parts[a]) if a in parts else zero for a in range(len(shape))]
        )

    def _split(self, flat: Expr, divisor: Size, extent: Size | None) -> Expr:
        part = Split(flat, divisor, extent)
        for guard in (self.guard, None):
            found = self._splits.get((part, guard))
            if found is not None:
                return found
        made = self._splits[part, None] = self._part(part)
        return made

    def _part(self, part: Split) -> Expr:
        expr = part.flat
        if part.divisor != 1:
            expr = apply(Scalar.TDIV, expr, self.size(part.divisor))
        if part.extent is not None:
            expr = apply(Scalar.TREM, expr, self.size(part.extent))
        expr = self.intern(expr)
        if expr is not part.flat:
            self._parts[expr] = part
        return expr

    def linearize(self, index: Sequence[Expr], shape: Sequence[Size]) -> Expr:
        """The row-major position of `index` in `shape`."""
        merged, bases, offset = self._merged(index, shape)
        terms: list[Expr] = []
        stride: Size = 1
        for component, extent in reversed(merged):
            terms.append(self._scaled(component, stride))
            stride = stride * extent
        terms += [self._scaled(base, factor) for base, factor in bases]
        total: Expr = ZERO
        for term in reversed(terms):
            total = add(total, term)
        if offset != 0:
            total = add(total, self.size(offset))
        total = self.intern(total)
        self._note_parts(total, index, shape)
        return total

    def _note_parts(self, flat: Expr, index: Sequence[Expr], shape: Sequence[Size]) -> None:
        """Let a split of a position give the index that it was made of. Positions in a shape
        without elements do not say where they came from."""
        for axis, divisor, extent in _parts(shape) if 0 not in shape else ():
            part = Split(flat, divisor, extent)
            self._splits.setdefault((part, self.guard), self.intern(index[axis]))

    def _merged(
        self, index: Sequence[Expr], shape: Sequence[Size]
    ) -> tuple[list[tuple[Expr, Size]], list[tuple[Expr, Size]], Size]:
        """(component, extent) of neighbours that merge as one, then what they stand behind with
        its stride, then a constant: the position is the sum of all."""
        kept: list[tuple[Expr, Size]] = []
        bases: list[tuple[Expr, Size]] = []
        offset: Size = 0
        for component, size in zip(index, shape, strict=True):
            extent: Size = size
            if extent == 1:
                continue
            component, shift = self._shifted(self.intern(component))
            offset = offset * extent + shift
            bases = [(base, stride * extent) for base, stride in bases]
            while kept:
                base, last = self._last_part(kept[-1][0])
                merged = self._merge((last, kept[-1][1]), (component, extent))
                if merged is None:
                    break
                kept.pop()
                bases += [] if base is None else [(base, extent)]
                component, extent = merged
            kept.append((component, extent))
        return kept, bases, offset

    def _scaled(self, component: Expr, stride: Size) -> Expr:
        if stride == 1 or (isinstance(component, Const) and component.value == 0):
            return component
        if isinstance(component, Op) and component.op is Scalar.MUL:
            factor = self.value(component.args[1])
            if factor is not None:
                return mul(component.args[0], self.size(factor * stride))
        return mul(component, self.size(stride))

    def _shifted(self, component: Expr) -> tuple[Expr, Size]:
        """(part, size) where `component` is a part of a flat index and a size, so that it merges
        with its neighbours."""
        if isinstance(component, Op) and component.op in (Scalar.ADD, Scalar.SUB):
            part, size = component.args[0], self.value(component.args[1])
            if size is not None and part in self._parts:
                return part, size if component.op is Scalar.ADD else -1 * size
        return component, 0

    def _last_part(self, component: Expr) -> tuple[Expr | None, Expr]:
        """(base, part) of a sum of both, where the part may merge with what follows."""
        if isinstance(component, Op) and component.op is Scalar.ADD:
            base, part = component.args
            if part in self._parts and component not in self._parts:
                return base, part
        return None, component

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
        if b.extent is None or a.divisor != b.divisor * b.extent:
            return None
        extent = None if a.extent is None else a.extent * b.extent
        return self._part(Split(a.flat, b.divisor, extent)), left[1] * right[1]

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


def _parts(shape: Sequence[Size]) -> list[tuple[int, Size, Size | None]]:
    """(axis, divisor, extent) of each part that a position in `shape` splits into: none for axes of
    size 1, which know only 0, though a guard may hold any expression there."""
    found: list[tuple[int, Size, Size | None]] = []
    divisor: Size = 1
    kept = [axis for axis, extent in enumerate(shape) if extent != 1]
    for axis in reversed(kept):
        found.append((axis, divisor, None if axis == kept[0] else shape[axis]))
        divisor = divisor * shape[axis]
    return found[::-1]


def _nested(form: Linear, shape: Shape) -> Iterator[tuple[list[Term], Size]]:
    """The terms in runs, each with its factor: axes of which each goes on where the next one
    ends make one position."""
    run: list[Term] = []
    for term in form.terms:
        if run and not _goes_on(run[-1], term, shape):
            yield run, run[-1][1]
            run = []
        run.append(term)
    if run:
        yield run, run[-1][1]


def _goes_on(term: Term, inner: Term, shape: Shape) -> bool:
    (outer, stride), (atom, factor) = term, inner
    if not isinstance(outer, Axis) or not isinstance(atom, Axis):
        return False
    return stride == factor * shape[atom.number]


class _NotLinear(Exception):
    """An expression that is not a sum of multiples of variables."""
