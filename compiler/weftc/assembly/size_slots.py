"""Sizes of a graph -> numbered slots and expressions of its program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from weftc.ir.constraints import Constraint, excess_of, zero_of
from weftc.ir.node import Node
from weftc.ir.sizes import Atom, Dim, FloorDiv, Size, lone_symbol, of_atom, terms_of
from weftc.ir.types import TensorType
from weftrt.program import ArraySpec
from weftrt.size_expressions import SizeCheck, SizeExpression, SizeOp, SizeSlot


@dataclass
class SizeSlots:
    """Numbers sizes as they are first asked for: before all those that are the size of an input
    axis, from which the call guard reads them."""

    read: dict[Dim, int] = field(default_factory=dict)
    sources: list[tuple[int, int]] = field(default_factory=list)
    derived: dict[Size, int] = field(default_factory=dict)

    def bind(self, inputs: Sequence[Node]) -> None:
        """Number the sizes of inputs."""
        for position, node in enumerate(inputs):
            for axis, size in enumerate(node.type.shape):
                if isinstance(size, Dim) and size not in self.read:
                    self.read[size] = len(self.read)
                    self.sources.append((position, axis))

    def slot(self, size: Size) -> int:
        """The slot of `size`, which may be a constant."""
        if isinstance(size, Dim) and size in self.read:
            return self.read[size]
        if size not in self.derived:
            self.derived[size] = len(self.read) + len(self.derived)
        return self.derived[size]

    def value(self, size: Size) -> int | SizeSlot:
        """A size as programs have it."""
        return size if isinstance(size, int) else SizeSlot(self.slot(size))

    def spec(self, type_: TensorType) -> ArraySpec:
        """A type as programs have it."""
        return ArraySpec(type_.dtype, tuple(self.value(s) for s in type_.shape))

    def expressions(self) -> tuple[SizeExpression, ...]:
        """The derived sizes."""
        return tuple(self.expression(size) for size in self.derived)

    def expression(self, size: Size) -> SizeExpression:
        """A size in postfix order, from sizes that are read."""
        parts: list[int | SizeSlot | SizeOp] = []
        for monomial, coefficient in terms_of(size):
            added = bool(parts)
            factors: list[SizeExpression] = [self._atom(atom) for atom in monomial]
            if coefficient != 1 or not monomial:
                factors.insert(0, (coefficient,))
            parts += factors[0]
            for factor in factors[1:]:
                parts += *factor, SizeOp.MUL
            if added:
                parts.append(SizeOp.ADD)
        return tuple(parts)

    def _atom(self, atom: Atom) -> SizeExpression:
        if isinstance(atom, str):
            return (SizeSlot(self.read[of_atom(atom)]),)
        a, b = map(self.expression, atom.operands)
        return (*a, *b, SizeOp.FLOOR_DIV if isinstance(atom, FloorDiv) else SizeOp.MIN)

    def checks(self, constraints: Sequence[Constraint]) -> tuple[SizeCheck, ...]:
        """What the sizes that are read must be like: as `constraints` say, and where they are no
        symbols, as these say."""
        derived = [size for size in self.read if lone_symbol(size) is None]
        return (*map(self._derivation, derived), *map(self._check, constraints))

    def _check(self, constraint: Constraint) -> SizeCheck:
        exact = zero_of(constraint) is not None
        return SizeCheck(self.expression(excess_of(constraint)), exact, str(constraint))

    def _derivation(self, size: Dim) -> SizeCheck:
        """An axis has the size that follows from the symbols of others."""
        slot = self.read[size]
        difference = (*self.expression(size), SizeSlot(slot), -1, SizeOp.MUL, SizeOp.ADD)
        return SizeCheck(difference, True, f"n{slot} == {size}")
