"""From a cluster to its code. Equal clusters (those of twelve equal layers) are compiled once.

A `Cluster` is a kernel cut off from its graph: placeholders stand for what it reads, and nothing
tells where its nodes are from. Schedules see no more of a kernel than that, so two kernels with the
same text have the same loops and the same code; what differs, the nodes behind buffers and the
places of errors, each kernel puts in itself (`lowered_for`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from weftc import schedule
from weftc.codegen import llvm
from weftc.fusion.kernel import Kernel
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE
from weftc.ir.print import Canonical
from weftc.loop.ir import LoopFunction
from weftc.loop.simplify import simplify
from weftc.loop.widen import widen
from weftc.schedule.lowered import Lowered
from weftrt.forks import ForkLock
from weftrt.lazy import lazy
from weftrt.program import KernelCode
from weftrt.target import Target

MOST_CLUSTERS: Final = 256
"""Clusters that a process remembers."""

_UNNAMED: Final = "kernel.unnamed"
"""The symbol of a kernel until its text is known; no name of the loop IR holds a dot."""


@dataclass(frozen=True, eq=False)
class Cluster:
    """What equal kernels share, computed when first looked at. `kernel` is cut off."""

    kernel: Kernel
    target: Target

    @lazy
    def lowered(self) -> Lowered:
        """The loops as the schedule writes them."""
        return schedule.lower(self.kernel, self.target, self.kernel.kind.value)

    @lazy
    def widened(self) -> LoopFunction:
        """The loops with vectors in them."""
        return widen(self.lowered.function, self.target)

    @lazy
    def simplified(self) -> LoopFunction:
        """The widened loops, each value computed once, where it first can be."""
        return simplify(self.widened)

    @lazy
    def code(self) -> KernelCode:
        """LLVM IR, under a symbol that names its content and in how many ways it fails."""
        text = llvm.emit(self.simplified, self.target, _UNNAMED)
        sites = len(self.lowered.sites)
        symbol = f"{self.kernel.kind.value}_{sha256(f'{sites} {text}'.encode()).hexdigest()[:24]}"
        return KernelCode(symbol, text.replace(_UNNAMED, symbol), sites)

    def lowered_for(self, kernel: Kernel, name: str) -> Lowered:
        """`lowered` of a kernel that is equal to this, under a name of its own."""
        low, own = self.lowered, (*kernel.inputs, *kernel.nodes)
        buffers, sites = (tuple([own[place] for place in places]) for places in self._places)
        return Lowered(low.function.named(name), buffers, low.sizes, low.scratch, sites, low.work)

    @lazy
    def _places(self) -> tuple[list[int], list[int]]:
        """Which nodes the buffers and the sites of `lowered` stand for, by place."""
        place = {node: k for k, node in enumerate((*self.kernel.inputs, *self.kernel.nodes))}
        low = self.lowered
        return [place[node] for node in low.buffers], [place[node] for node in low.sites]


class Clusters:
    """The clusters that are known; those not asked for for longest are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, Target], Cluster] = OrderedDict()
        self._lock = ForkLock()

    def of(self, kernel: Kernel, target: Target) -> Cluster:
        """The cluster that `kernel` is, the same object for equal kernels."""
        key = text(kernel), target
        with self._lock:
            found = self._known.get(key)
            if found is None:
                found = self._known[key] = Cluster(_cut_off(kernel), target)
                if len(self._known) > MOST_CLUSTERS:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return found


SHARED: Final = Clusters()
"""Those of the process, for all programs whose stages nobody checks."""


def text(kernel: Kernel) -> str:
    """The kernel as canonical text: kind, types, ops, attributes and who reads whom. Types of nodes
    follow from those of what is read."""
    numbers = {node: str(number) for number, node in enumerate(kernel.inputs)}
    attrs = Canonical().attrs
    types = [node.type for node in kernel.inputs]
    lines = [kernel.kind.value, *[f"{type_.dtype.short}{type_.shape}" for type_ in types]]
    for node in kernel.nodes:
        numbers[node] = str(len(numbers))
        operands = ",".join([numbers[i] for i in node.inputs])
        lines.append(f"{node.op.name} {operands} {attrs(node) if node.attrs else ''}")
    lines.append(",".join([numbers[node] for node in kernel.outputs]))
    return "\n".join(lines)


def _cut_off(kernel: Kernel) -> Kernel:
    """`kernel` over nodes of its own."""
    new = {node: _placeholder(number, node) for number, node in enumerate(kernel.inputs)}
    for node in kernel.nodes:
        inputs = tuple([new[i] for i in node.inputs])
        new[node] = Node(node.op, inputs, node.attrs, node.value_type, None)
    nodes, inputs, outputs = (
        tuple(new[node] for node in some) for some in (kernel.nodes, kernel.inputs, kernel.outputs)
    )
    return Kernel(kernel.kind, nodes, inputs, outputs)


def _placeholder(number: int, node: Node) -> Node:
    attrs = {"index": number, "name": "", "dtype": node.type.dtype, "shape": node.type.shape}
    return Node(TABLE["input"], (), attrs, node.type, None)
