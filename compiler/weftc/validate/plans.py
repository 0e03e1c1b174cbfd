"""Whether the kernels of a plan compute its graph in order, and whether its memory suffices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from weftc.fusion.kernel import Kernel, KernelKind, KernelPlan, MemoryPlan
from weftc.fusion.views import squeezed
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Dim, Shape, Size
from weftc.schedule.lowered import Lowered

Complaint: TypeAlias = "str | None"


# -- kernels --------------------------------------------------------------------------------------


def check_plan(plan: KernelPlan) -> Complaint:
    """What is wrong with the kernels: each reads what is written by then and computes what it
    needs, once; together they write every output; each is of the form that its kind promises."""
    written = set(plan.graph.inputs)
    for number, kernel in enumerate(plan.kernels):
        name = kernel_name(number, kernel)
        found = _check_kernel(kernel, written) or _FORMS[kernel.kind](kernel)
        if found is not None:
            return f"the kernel {name} {found}"
        written.update(kernel.outputs)
    for node in plan.graph.outputs:
        if node not in written:
            return f"no kernel writes {describe(node)}"
    return None


def kernel_name(number: int, kernel: Kernel) -> str:
    """How the pipeline calls kernel number `number`."""
    return f"{kernel.kind.value}_{number}"


def describe(node: Node) -> str:
    """The op, and the user's line."""
    return node.op.name if node.location is None else f"{node.op.name} ({node.location})"


def _check_kernel(kernel: Kernel, written: set[Node]) -> Complaint:
    for node in kernel.inputs:
        if node not in written:
            return f"reads {describe(node)} before it is written"
    known = set(kernel.inputs)
    for node in kernel.nodes:
        for operand in node.inputs:
            if operand not in known:
                return f"computes {describe(node)} without {describe(operand)}"
        known.add(node)
    for node in kernel.outputs:
        if node not in known:
            return f"writes {describe(node)}, which it does not compute"
        if node in written:
            return f"writes {describe(node)} a second time"
    return None


def _of(kernel: Kernel, family: Family) -> list[Node]:
    return [n for n in kernel.nodes if n.op.family is family]


def _scatters(kernel: Kernel) -> list[Node]:
    return [n for n in kernel.nodes if n.op.name == "scatter_add"]


def _alien(kernel: Kernel, reductions: int, contractions: int, scatters: int) -> Complaint:
    """More than so many of what a kind of kernel has only so many of."""
    for found, most in (
        (_of(kernel, Family.REDUCTION), reductions),
        (_of(kernel, Family.CONTRACTION), contractions),
        (_scatters(kernel), scatters),
    ):
        if len(found) > most:
            return f"has no loops for {describe(found[most])}"
    return None


def _pointwise(kernel: Kernel) -> Complaint:
    return _alien(kernel, 0, 0, 0)


def _rowwise(kernel: Kernel) -> Complaint:
    reductions = _of(kernel, Family.REDUCTION)
    if not reductions:
        return "has no rows to reduce"
    rows, columns, _ = frame = _frame(reductions[0])
    for node in reductions:
        if _frame(node) != frame or frame[2]:
            return f"has no rows for {describe(node)}"
    for node in kernel.outputs:
        if squeezed(node.type.shape) not in (rows, rows + columns):
            return f"has no loops over the shape of {describe(node)}"
    return _alien(kernel, len(reductions), 0, 0)


def _frame(node: Node) -> tuple[Shape, Shape, Shape]:
    """The sizes before, along and after the axes of a reduction, those of size 1 left out."""
    shape, axes = node.inputs[0].type.shape, node["axes"]
    first, last = axes[0], axes[-1] + 1
    return squeezed(shape[:first]), squeezed(shape[first:last]), squeezed(shape[last:])


def _reduction(kernel: Kernel) -> Complaint:
    reductions = _of(kernel, Family.REDUCTION)
    if not reductions:
        return "has nothing to reduce"
    return _alien(kernel, 1, 0, 0) or _sized(kernel, reductions[0])


def _contraction(kernel: Kernel) -> Complaint:
    contractions = _of(kernel, Family.CONTRACTION)
    if not contractions:
        return "has nothing to contract"
    return _alien(kernel, 0, 1, 0) or _sized(kernel, contractions[0])


def _sized(kernel: Kernel, node: Node) -> Complaint:
    """Every output has the elements of `node`."""
    for output in kernel.outputs:
        if output.type.size != node.type.size:
            return f"has no loops over the shape of {describe(output)}"
    return None


def _scatter(kernel: Kernel) -> Complaint:
    if kernel.outputs != tuple(_scatters(kernel)):
        return "writes more than its scatter"
    return _alien(kernel, 0, 0, 1)


_FORMS: dict[KernelKind, Callable[[Kernel], Complaint]] = {
    KernelKind.POINTWISE: _pointwise,
    KernelKind.ROWWISE: _rowwise,
    KernelKind.REDUCTION: _reduction,
    KernelKind.CONTRACTION: _contraction,
    KernelKind.SCATTER: _scatter,
}


# -- memory ---------------------------------------------------------------------------------------

_Owner: TypeAlias = "Node | tuple[int, str]"
_Range: TypeAlias = tuple[int, int]
SIZE = 7
"""What the first symbol is where only one choice of sizes is tried."""


def symbol_sizes(graph: Graph, first: int) -> dict[str, int]:
    """A size for every symbol of the inputs, all different and greater than 1."""
    sizes = [size for node in graph.inputs for size in node.type.shape if isinstance(size, Dim)]
    names = sorted({name for size in sizes for name in size.symbols()})
    return {name: first + 2 * position for position, name in enumerate(names)}


def evaluate(size: Size, sizes: dict[str, int]) -> int:
    """A size under concrete sizes of its symbols."""
    return size.evaluate(sizes) if isinstance(size, Dim) else size


def check_memory(plan: KernelPlan, lowered: Sequence[Lowered], memory: MemoryPlan) -> Complaint:
    """What is wrong with the places of values, found by running over them: what a kernel writes
    takes its bytes from who had them, and what it reads must have its own still."""
    sizes = symbol_sizes(plan.graph, SIZE)
    arena = evaluate(memory.arena, sizes)
    ranges: dict[_Owner, _Range] = {}
    for number, (kernel, low) in enumerate(zip(plan.kernels, lowered, strict=True)):
        for node in kernel.inputs:
            if node in memory.offsets and node not in ranges:
                return f"{describe(node)} is overwritten before {kernel_name(number, kernel)}"
        own: list[_Owner] = [n for n in kernel.inputs if n in ranges]
        for owner, start, size, itemsize in _taken(number, kernel, low, memory, sizes):
            stop = start + size
            if start % itemsize or start < 0 or stop > arena:
                return f"{_owner_name(owner)} is outside the arena or not aligned"
            for other in [o for o, r in ranges.items() if r[0] < stop and start < r[1]]:
                if other in own:
                    return f"{_owner_name(owner)} lies over {_owner_name(other)}"
                del ranges[other]
            ranges[owner] = start, stop
            own.append(owner)
    return None


def _taken(
    number: int, kernel: Kernel, low: Lowered, memory: MemoryPlan, sizes: dict[str, int]
) -> Iterator[tuple[_Owner, int, int, int]]:
    """(owner, first byte, bytes, bytes of an element) of all in the arena that a kernel writes."""
    for node in kernel.outputs:
        if node in memory.offsets:
            itemsize = node.type.dtype.itemsize
            size = evaluate(node.type.size, sizes) * itemsize
            yield node, evaluate(memory.offsets[node], sizes), size, itemsize
    for buffer, size_ in zip(low.function.scratch, low.scratch, strict=True):
        owner = number, buffer.name
        start = evaluate(memory.scratch[owner], sizes)
        yield owner, start, evaluate(size_, sizes), buffer.dtype.itemsize


def _owner_name(owner: _Owner) -> str:
    return describe(owner) if isinstance(owner, Node) else f"{owner[1]} of kernel {owner[0]}"
