"""The steps of plans as instructions: which buffer holds which value, where a step may fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from weftc.assembly import buffer_uses
from weftc.assembly.compiled import Compiled
from weftc.assembly.size_slots import SizeSlots
from weftc.fusion.kernel import Kernel, Region
from weftc.fusion.regions import BODIES, result
from weftc.ir.node import Node
from weftc.ir.opdef import HostFunction
from weftc.ir.sizes import Size
from weftrt.program import Instruction, Jump, KernelCode, Launch, Site

Emit: TypeAlias = "Callable[[Instructions, Frame], None]"
"""Appends what a region becomes."""


@dataclass(frozen=True)
class Frame:
    """A region in a program: the buffers of values and of its scratch; its bodies, and where their
    arena starts."""

    region: Region
    buffers: Mapping[Node, int]
    scratch: Mapping[str, int]
    bodies: Sequence[Compiled]
    arena: Size

    @property
    def operands(self) -> list[int | None]:
        """The buffer of each operand; None for a token."""
        return [self.buffers.get(operand) for operand in self.region.node.inputs]

    @property
    def results(self) -> list[int | None]:
        """The buffer of each result; None for a token."""
        owners = enumerate(self.region.results)
        return [self.scratch.get(result(k)) if n is None else self.buffers[n] for k, n in owners]


@dataclass
class Instructions:
    """Collects the instructions of a program, its kernels, each once, the places where it may fail
    (of which `name` complains if they are too many), and the offsets of its temporaries, whose
    numbers follow those of `inputs` and outputs. `functions` are those that it can call back;
    `emit` writes regions."""

    name: str
    inputs: int
    outputs: int
    sizes: SizeSlots
    functions: Sequence[HostFunction]
    emit: Emit
    watched: bool
    kernels: dict[str, tuple[int, KernelCode]] = field(default_factory=dict)
    code: list[Instruction] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    temporaries: list[Size] = field(default_factory=list)

    # -- buffers ----------------------------------------------------------------------------------

    def temporary(self, offset: Size = 0) -> int:
        """The number of a new buffer at an offset in the arena; a pointer needs none of its own."""
        self.temporaries.append(offset)
        return self.inputs + self.outputs + len(self.temporaries) - 1

    # -- steps ------------------------------------------------------------------------------------

    def run(self, compiled: Compiled, buffers: Mapping[Node, int], arena: Size = 0) -> None:
        """Append the steps of a plan whose inputs and outputs are in `buffers`, and whose arena
        starts at `arena`."""
        memory = compiled.memory
        own = {node: self.temporary(arena + offset) for node, offset in memory.offsets.items()}
        held = {**buffers, **own}
        scratch: list[dict[str, int]] = [{} for _ in compiled.plan.steps]
        for (index, name), offset in memory.scratch.items():
            if name != BODIES:
                scratch[index][name] = self.temporary(arena + offset)
        for index, step in enumerate(compiled.plan.steps):
            if isinstance(step, Kernel):
                self._launch(compiled, step, held, scratch[index])
                continue
            bodies = compiled.bodies[step]
            inner = arena + memory.scratch.get((index, BODIES), 0)
            self.emit(self, Frame(step, held, scratch[index], bodies, inner))

    def _launch(
        self,
        compiled: Compiled,
        kernel: Kernel,
        held: Mapping[Node, int],
        scratch: Mapping[str, int],
    ) -> None:
        low, code = compiled.lowered[kernel], compiled.codes[kernel]
        number, _ = self.kernels.setdefault(code.symbol, (len(self.kernels), code))
        buffers = [held[node] for node in low.buffers]
        buffers += [scratch[buffer.name] for buffer in low.function.scratch]
        slots = [self.sizes.slot(size) for size in low.sizes]
        use = None
        if self.watched:
            use, counts = buffer_uses.describe(kernel, low, code)
            slots += map(self.sizes.slot, counts)
        elements = 1 if low.sites else self.sizes.value(_written(kernel))
        site = len(self.sites)
        self.code.append(Launch(number, tuple(buffers), tuple(slots), site, elements, use))
        for node in low.sites:
            self.site(node, held)

    def site(self, node: Node, held: Mapping[Node, int]) -> int:
        """The number of the place where a node may fail: what goes wrong, in the user's words."""
        assert node.op.fails is not None
        failure = node.op.fails(node)
        indices = failure.indices
        while indices is not None and indices.op.name in ("convert", "reshape", "identity"):
            indices = indices.inputs[0]
        where = str(node.location or "?")
        self.sites.append(Site(failure.kind, where, failure.message, self._given(indices, held)))
        return len(self.sites) - 1

    def _given(self, indices: Node | None, held: Mapping[Node, int]) -> int | None:
        """The input of the program that `indices` are, if they are one."""
        if indices is None or indices.op.name != "input" or not indices.type.dtype.is_integer:
            return None
        number = held[indices]
        return number if number < self.inputs else None

    # -- regions ----------------------------------------------------------------------------------

    def body(
        self,
        frame: Frame,
        number: int,
        operands: Sequence[int | None],
        results: Sequence[int | None],
    ) -> None:
        """Append body `number` of a region, with the buffers of its inputs and outputs."""
        compiled = frame.bodies[number]
        graph = compiled.plan.graph
        pairs = zip((*graph.inputs, *graph.outputs), (*operands, *results), strict=True)
        held = {node: buffer for node, buffer in pairs if buffer is not None}
        self.run(compiled, held, frame.arena)

    @property
    def here(self) -> int:
        """The number of the next instruction."""
        return len(self.code)

    def reserve(self) -> int:
        """The number of an instruction that is written later, when its target is known."""
        self.code.append(Jump(self.here + 1))
        return self.here - 1


def _written(kernel: Kernel) -> Size:
    """How many elements a kernel writes; 1 for many."""
    total: Size = 0
    for node in kernel.outputs:
        total = total + node.type.size
    return min(total, 1) if isinstance(total, int) else total
