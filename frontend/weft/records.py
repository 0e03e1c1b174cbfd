"""What was compiled for a function, why, and at what cost: records, and the report of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weft.calls import Call, Leaf, root
from weft.engine import Origin
from weft.tracing import SCALAR_DTYPES, array_dtype
from weftc.ir.constraints import Constraint, holds, symbols_of
from weftc.ir.node import Graph
from weftc.ir.sizes import lone_symbol, value_of
from weftc.ir.types import TensorType


@dataclass(frozen=True)
class Kind:
    """The calls that one program answers: their leaves with types, sizes that are symbols, and what
    must hold of these; and which sizes are fixed, and where the function needs their values."""

    names: tuple[str, ...]
    types: tuple[str | TensorType, ...]
    constraints: tuple[Constraint, ...] = ()
    fixed: tuple[str, ...] = ()

    @staticmethod
    def of(call: Call, graph: Graph, fixed: Sequence[str] = ()) -> Kind:
        """What the program of a graph answers, that was traced for a call."""
        types = tuple(
            type(leaf).__name__ if type(leaf) in SCALAR_DTYPES else node.type
            for leaf, node in zip(call.leaves, graph.inputs)
        )
        return Kind(call.names, types, graph.constraints, tuple(fixed))

    @property
    def symbols(self) -> tuple[str, ...]:
        """The sizes that may be any, in order."""
        shapes = (t.shape for t in self.types if isinstance(t, TensorType))
        found = (name for shape in shapes for size in shape for name in sorted(symbols_of(size)))
        return tuple(dict.fromkeys(found))

    @property
    def signature(self) -> str:
        """ "x: f32[n,4], lr: float"."""
        return ", ".join(f"{name}: {type_}" for name, type_ in zip(self.names, self.types))

    @property
    def brief(self) -> str:
        """The signature, with arguments of several leaves as their count."""
        groups: dict[str, list[int]] = {}
        for number, name in enumerate(self.names):
            groups.setdefault(root(name), []).append(number)
        return ", ".join(self._group(name, numbers) for name, numbers in groups.items())

    def _group(self, name: str, numbers: Sequence[int]) -> str:
        if len(numbers) == 1:
            return f"{self.names[numbers[0]]}: {self.types[numbers[0]]}"
        any_size = [
            f"{self.names[i]}: {type_}"
            for i in numbers
            if isinstance(type_ := self.types[i], TensorType) and not type_.is_static
        ]
        return ", ".join([*any_size, f"{name}: {len(numbers)} leaves"])

    def changes(self, call: Call) -> list[str]:
        """How the sizes of a call differ from these: "x.shape[0] is 7, not 64"."""
        axes = [
            (f"{name}.shape[{axis}]", own, size)
            for name, type_, shape in zip(self.names, self.types, call.shapes)
            for axis, (own, size) in enumerate(zip(getattr(type_, "shape", ()), shape))
        ]
        values: dict[str, int] = {}
        for _, own, size in axes:
            symbol = lone_symbol(own)
            if symbol is not None:
                values.setdefault(symbol, size)
        different = [
            f"{axis} is {size}, not {own}"
            for axis, own, size in axes
            if symbols_of(own) <= values.keys() and value_of(own, values) != size
        ]
        return different + self._unmet(values)

    def _unmet(self, values: dict[str, int]) -> list[str]:
        if not self.constraints or values.keys() != set(self.symbols):
            return []
        sizes = ", ".join(f"{name} is {value}" for name, value in values.items())
        return [f"{sizes}, but {c}" for c in self.constraints if not holds(c, values)]


@dataclass
class CompileRecord:
    """One compile (or reuse of an equal program): for which calls, why, and for how long; `misses`
    counts the calls since that differed in nothing but sizes, and needed another program."""

    function: str
    kind: Kind
    origin: Origin
    reason: str = ""
    milliseconds: float = 0.0
    misses: int = 0

    @property
    def signature(self) -> str:
        """The arguments that the program takes: "x: f32[n,784], lr: float"."""
        return self.kind.signature

    @property
    def symbols(self) -> tuple[str, ...]:
        """The sizes that may be any."""
        return self.kind.symbols

    @property
    def constraints(self) -> tuple[str, ...]:
        """What must hold of the symbols: "n >= 1"."""
        return tuple(map(str, self.kind.constraints))

    @property
    def fixed(self) -> tuple[str, ...]:
        """Sizes that are no symbols because the function needs their values, and where."""
        return self.kind.fixed

    def __str__(self) -> str:
        return "; ".join([f"{self.function}({self.signature}): {self._made()}", *self._notes()])

    def _made(self) -> str:
        return f"{self.origin.value} in {self.milliseconds:.1f} ms"

    def _notes(self) -> list[str]:
        """Why it was compiled, and what it holds for."""
        notes = [self.reason]
        if self.symbols:
            where = f" where {', '.join(self.constraints)}" if self.constraints else ""
            notes.append(f"for any {', '.join(self.symbols)}{where}")
        return notes + [f"fixed: {text}" for text in self.fixed]

    def lines(self) -> Iterable[str]:
        """The record as lines of a report."""
        yield f"  {self.function}({self.kind.brief})"
        misses = f"{self.misses} {'miss' if self.misses == 1 else 'misses'}"
        yield f"    {self._made()}, {misses}"
        for note in self._notes():
            yield f"    {note}"


class CacheReport(list[CompileRecord]):
    """The compiles of a function, the oldest first. As text: a paragraph for each."""

    def __str__(self) -> str:
        total = sum(record.milliseconds for record in self)
        count = f"{len(self)} {'compile' if len(self) == 1 else 'compiles'} in {total:.1f} ms"
        return "\n".join([count, *(line for record in self for line in record.lines())])

    __repr__ = __str__


def leaf_text(leaf: Leaf) -> str:
    """ "f32[3,4]", "float"."""
    if type(leaf) in SCALAR_DTYPES:
        return type(leaf).__name__
    return str(TensorType(array_dtype(leaf, "an argument"), leaf.shape))  # type: ignore[union-attr]


def signature_text(call: Call) -> str:
    """ "x: f32[3,4], lr: float"."""
    return ", ".join(f"{n}: {leaf_text(leaf)}" for n, leaf in zip(call.names, call.leaves))
