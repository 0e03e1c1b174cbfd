"""Kernels and plans -> a Program: nodes become numbered buffers, sizes become numbered slots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from weftc import buffer_uses
from weftc.compiled import Compiled
from weftc.fusion.kernel import Kernel, MemoryPlan
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim, Size, lone_symbol
from weftc.ir.types import TensorType
from weftc.schedule.lowered import Lowered
from weftrt.errors import CompileError, OutOfMemoryError
from weftrt.program import (
    MOST_SITES,
    ArraySpec,
    KernelCode,
    Launch,
    Polynomial,
    Program,
    Site,
    SizeSlot,
    Temporary,
)
from weftrt.sizes import MOST_BYTES, no_arena

MOST_WORK = 1 << 62
"""Nanoseconds: an estimate past all counting."""


@dataclass
class _Sizes:
    """Numbers sizes as they are first asked for: symbols by the input axis they are read from."""

    symbols: dict[str, int] = field(default_factory=dict)
    sources: list[tuple[int, int]] = field(default_factory=list)
    derived: dict[Size, int] = field(default_factory=dict)

    def bind(self, inputs: Sequence[Node]) -> None:
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
        return size if isinstance(size, int) else SizeSlot(self.slot(size))

    def spec(self, type_: TensorType) -> ArraySpec:
        return ArraySpec(type_.dtype, tuple(self.value(s) for s in type_.shape))

    def polynomials(self) -> tuple[Polynomial, ...]:
        return tuple(self._polynomial(size) for size in self.derived)

    def _polynomial(self, size: Size) -> Polynomial:
        terms = size.terms if isinstance(size, Dim) else (((), size),)
        return tuple((c, tuple(self.symbols[str(name)] for name in m)) for m, c in terms)


@dataclass
class _Steps:
    """Collects the steps of a program, its kernels, each once, and the places where it may fail.
    `numbers` are those of the buffers, by the node or the scratch (kernel, name) that they hold."""

    name: str
    numbers: Mapping[object, int]
    sizes: _Sizes
    watched: bool
    kernels: dict[str, tuple[int, KernelCode]] = field(default_factory=dict)
    steps: list[Launch] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)

    def add(self, kernel: Kernel, low: Lowered, code: KernelCode) -> None:
        """Append the step that runs `code`."""
        number, _ = self.kernels.setdefault(code.symbol, (len(self.kernels), code))
        buffers = [self.numbers[node] for node in low.buffers]
        buffers += [self.numbers[len(self.steps), b.name] for b in low.function.scratch]
        slots = [self.sizes.slot(s) for s in low.sizes]
        use = None
        if self.watched:
            use, counts = buffer_uses.describe(kernel, low, code)
            slots += map(self.sizes.slot, counts)
        elements = 1 if low.sites else self.sizes.value(_written(kernel))
        site = len(self.sites)
        self.steps.append(Launch(number, tuple(buffers), tuple(slots), site, elements, use))
        self._add_sites(low.sites)

    def _add_sites(self, nodes: Sequence[Node]) -> None:
        if len(nodes) > MOST_SITES:
            raise CompileError(f"{self.name}: one kernel has {len(nodes):,} places to fail")
        self.sites += [_site(node, self.numbers) for node in nodes]


def assemble(compiled: Compiled, key: str, watched: bool = False) -> Program:
    """The Program of a compiled graph. If it is `watched`, it describes its buffers."""
    graph, memory = compiled.plan.graph, compiled.memory
    outputs = tuple(dict.fromkeys(graph.outputs))
    sizes = _Sizes()
    sizes.bind(graph.inputs)
    owners = (*graph.inputs, *outputs, *memory.offsets, *memory.scratch)
    numbers = {owner: number for number, owner in enumerate(owners)}
    run = _Steps(graph.name, numbers, sizes, watched)
    for kernel in compiled.plan.kernels:
        run.add(kernel, compiled.lowered[kernel], compiled.codes[kernel])
    temporaries = [*memory.offsets.values(), *memory.scratch.values()]
    return Program(
        name=graph.name,
        key=key,
        inputs=tuple(sizes.spec(n.type) for n in graph.inputs),
        outputs=tuple(sizes.spec(n.type) for n in outputs),
        temporaries=tuple(Temporary(sizes.value(t)) for t in temporaries),
        arena=sizes.value(_checked_arena(graph, memory)),
        work=sizes.value(_work(compiled.lowered.values())),
        kernels=tuple(code for _, code in run.kernels.values()),
        steps=tuple(run.steps),
        sites=tuple(run.sites),
        results=tuple(outputs.index(o) for o in graph.outputs),
        symbols=tuple(sizes.sources),
        derived=sizes.polynomials(),
        places=(*map(_place, outputs), _largest_place(memory)),
    )


def _work(lowered: Iterable[Lowered]) -> Size:
    """The estimate for all kernels, in nanoseconds."""
    work: Size = sum((low.work for low in lowered), start=0)
    return min(work, MOST_WORK) if isinstance(work, int) else work


def _written(kernel: Kernel) -> Size:
    """How many elements a kernel writes; 1 for many."""
    total: Size = 0
    for node in kernel.outputs:
        total = total + node.type.size
    return min(total, 1) if isinstance(total, int) else total


def _checked_arena(graph: Graph, memory: MemoryPlan) -> Size:
    """The size of the arena; OutOfMemoryError where no memory is so large."""
    if isinstance(memory.arena, int) and memory.arena >= MOST_BYTES:
        error = no_arena(graph.name, memory.arena)
        raise OutOfMemoryError(f"{_largest_place(memory)}\n  {error}".strip())
    return memory.arena


def _place(node: Node) -> str:
    """The user's line that makes a value so large that it may not be had."""
    return str(node.location or "") if node.type.is_large else ""


def _largest_place(memory: MemoryPlan) -> str:
    """The place of the largest value of fixed size in the arena."""
    fixed = [node for node in memory.offsets if node.type.is_large]
    return _place(max(fixed, key=lambda n: n.type.bytes)) if fixed else ""


def _site(node: Node, numbers: Mapping[object, int]) -> Site:
    """What goes wrong at a node that may fail, in the user's words."""
    assert node.op.fails is not None
    failure = node.op.fails(node)
    indices = failure.indices
    while indices is not None and indices.op.name in ("convert", "reshape", "identity"):
        indices = indices.inputs[0]
    given = indices is not None and indices.op.name == "input" and indices.type.dtype.is_integer
    element = numbers[indices] if given else None
    return Site(failure.kind, str(node.location or "?"), failure.message, element)
