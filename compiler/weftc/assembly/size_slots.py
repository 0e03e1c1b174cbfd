"""Sizes by number: those that inputs show, then those computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from weftc.ir.node import Node
from weftc.ir.sizes import Dim, Size, lone_symbol
from weftc.ir.types import TensorType
from weftrt.program import ArraySpec, Polynomial, SizeSlot


@dataclass
class SizeSlots:
    """Numbers sizes as they are first asked for: symbols by the input axis they are read from."""

    symbols: dict[str, int] = field(default_factory=dict)
    sources: list[tuple[int, int]] = field(default_factory=list)
    derived: dict[Size, int] = field(default_factory=dict)

    def bind(self, inputs: Sequence[Node]) -> None:
        """Number the symbols of the inputs of a program."""
        for position, node in enumerate(inputs):
            for axis, size in enumerate(node.type.shape):
                name = lone_symbol(size)
                if name is not None and name not in self.symbols:
                    self.symbols[name] = len(self.symbols)
                    self.sources.append((position, axis))

    def slot(self, size: Size) -> int:
        """The slot of `size`, which may be a constant."""
        name = lone_symbol(size)
        if name is not None:
            return self.symbols[name]
        if size not in self.derived:
            self.derived[size] = len(self.symbols) + len(self.derived)
        return self.derived[size]

    def value(self, size: Size) -> int | SizeSlot:
        """`size` as programs have it."""
        return size if isinstance(size, int) else SizeSlot(self.slot(size))

    def spec(self, type_: TensorType) -> ArraySpec:
        """A type as programs have it."""
        return ArraySpec(type_.dtype, tuple(self.value(s) for s in type_.shape))

    def polynomials(self) -> tuple[Polynomial, ...]:
        """How to compute the sizes that inputs do not show."""
        return tuple(self._polynomial(size) for size in self.derived)

    def _polynomial(self, size: Size) -> Polynomial:
        terms = size.terms if isinstance(size, Dim) else (((), size),)
        return tuple((c, tuple(self.symbols[str(name)] for name in m)) for m, c in terms)
