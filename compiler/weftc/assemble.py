"""Kernels and plans -> a Program: nodes become numbered buffers, sizes become numbered slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from weftc.fusion.kernel import KernelPlan, MemoryPlan
from weftc.ir.node import Graph, Node
from weftc.ir.types import Dim, Size, TensorType
from weftc.schedule.lowered import Lowered
from weftrt.program import (
    ArraySpec,
    KernelCode,
    Polynomial,
    Program,
    Site,
    SizeSlot,
    Step,
    Temporary,
)


@dataclass
class _Sizes:
    """Numbers sizes as they are first asked for: symbols by the input axis they are read from."""

    symbols: dict[str, int] = field(default_factory=dict)
    sources: list[tuple[int, int]] = field(default_factory=list)
    derived: dict[Size, int] = field(default_factory=dict)

    def bind(self, inputs: Sequence[Node]) -> None:
        for position, node in enumerate(inputs):
            for axis, size in enumerate(node.type.shape):
                for name in sorted(_own_symbol(size)):
                    if name not in self.symbols:
                        self.symbols[name] = len(self.symbols)
                        self.sources.append((position, axis))

    def slot(self, size: Size) -> int:
        """The slot of `size`, which may be a constant."""
        if isinstance(size, Dim):
            names = _own_symbol(size)
            if names:
                return self.symbols[next(iter(names))]
        if size not in self.derived:
            self.derived[size] = len(self.symbols) + len(self.derived)
        return self.derived[size]

    def value(self, size: Size) -> int | SizeSlot:
        return size if isinstance(size, int) else SizeSlot(self.slot(size))

    def spec(self, type_: TensorType) -> ArraySpec:
        return ArraySpec(type_.dtype, tuple(self.value(s) for s in type_.shape))

    def polynomials(self) -> tuple[Polynomial, ...]:
        return tuple(self._polynomial(size) for size in self.derived)

    def _polynomial(self, size: Size) -> Polynomial:
        terms = size.terms if isinstance(size, Dim) else (((), size),)
        return tuple((c, tuple(self.symbols[name] for name in m)) for m, c in terms)


def _own_symbol(size: Size) -> frozenset[str]:
    """The name of a size that is just one symbol."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        ((monomial, coefficient),) = size.terms
        if coefficient == 1 and len(monomial) == 1:
            return frozenset(monomial)
    return frozenset()


def assemble(
    graph: Graph,
    plan: KernelPlan,
    memory: MemoryPlan,
    lowered: Sequence[Lowered],
    codes: Sequence[KernelCode],
    key: str,
) -> Program:
    """The Program of an optimized `graph`; `lowered[k]` and `codes[k]` belong to kernel k."""
    outputs = tuple(dict.fromkeys(graph.outputs))
    sizes = _Sizes()
    sizes.bind(graph.inputs)
    places = list(memory.offsets) + list(memory.scratch)
    numbers: dict[object, int] = {}
    for owner in (*graph.inputs, *outputs, *places):
        numbers[owner] = len(numbers)
    kernels: dict[str, int] = {}
    unique: list[KernelCode] = []
    steps: list[Step] = []
    sites: list[Site] = []
    for index, (low, code) in enumerate(zip(lowered, codes, strict=True)):
        if code.symbol not in kernels:
            kernels[code.symbol] = len(unique)
            unique.append(code)
        buffers = [numbers[node] for node in low.buffers]
        buffers += [numbers[index, b.name] for b in low.function.scratch]
        slots = tuple(sizes.slot(s) for s in low.sizes)
        steps.append(Step(kernels[code.symbol], tuple(buffers), slots, len(sites)))
        sites += [Site(str(n.location or "?"), _complaint(n)) for n in low.sites]
    work: Size = sum((low.work for low in lowered), start=0)
    temporaries = [*memory.offsets.values(), *memory.scratch.values()]
    return Program(
        name=graph.name,
        key=key,
        inputs=tuple(sizes.spec(n.type) for n in graph.inputs),
        outputs=tuple(sizes.spec(n.type) for n in outputs),
        temporaries=tuple(Temporary(sizes.value(t)) for t in temporaries),
        arena=sizes.value(memory.arena),
        work=sizes.value(work),
        kernels=tuple(unique),
        steps=tuple(steps),
        sites=tuple(sites),
        results=tuple(outputs.index(o) for o in graph.outputs),
        symbols=tuple(sizes.sources),
        derived=sizes.polynomials(),
    )


def _complaint(node: Node) -> str:
    """What went wrong at a site, in the user's words."""
    axis = node.attrs.get("axis", 0)
    size = node.inputs[0].type.shape[axis]
    return f"{node.op.name}: an index is out of bounds for axis {axis} of size {size}"
