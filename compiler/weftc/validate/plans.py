"""Whether the kernels of a plan compute its graph in order, and whether its memory suffices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from weftc.fusion.kernel import Kernel, KernelKind, KernelPlan, MemoryPlan, Region, Step
from weftc.fusion.memory import Owner, Scratch
from weftc.fusion.views import squeezed
from weftc.ir.node import Node, result_types
from weftc.ir.opdef import Family
from weftc.ir.sizes import Shape, value_of
from weftc.ir.types import ValueType
from weftc.validate.sizes import various_sizes

Complaint: TypeAlias = "str | None"
Room: TypeAlias = Mapping[str, Scratch]
"""The scratch of a step, by name."""


# -- kernels --------------------------------------------------------------------------------------


def check_plan(plan: KernelPlan) -> Complaint:
    """What is wrong with the steps: each reads what is written by then and computes what it
    needs, once; together they write every output; each kernel is of the form that its kind
    promises, and each region follows the effects that come before it."""
    written = set(plan.graph.inputs)
    for number, step in enumerate(plan.steps):
        found = _check_step(step, written)
        if found is not None:
            return f"{step_name(number, step)} {found}"
        written.update(step.outputs if isinstance(step, Kernel) else (step.node, *step.outputs))
    for node in plan.graph.outputs:
        if node.is_tensor and node not in written:
            return f"no step writes {describe(node)}"
    return None


def step_name(number: int, step: Step) -> str:
    """How the pipeline calls step number `number`."""
    if isinstance(step, Region):
        return f"the region {step.node.op.name}_{number}"
    return f"the kernel {step.kind.value}_{number}"


def describe(node: Node) -> str:
    """The op, and the user's line."""
    return node.op.name if node.location is None else f"{node.op.name} ({node.location})"


def _check_step(step: Step, written: set[Node]) -> Complaint:
    for node in step.inputs:
        if node not in written:
            return f"reads {describe(node)} before it is written"
    for node in step.outputs:
        if node in written:
            return f"writes {describe(node)} a second time"
    if isinstance(step, Region):
        return _check_region(step, written)
    return _check_kernel(step) or _FORMS[step.kind](step)


def _check_region(region: Region, written: set[Node]) -> Complaint:
    for operand in region.node.inputs:
        if operand.is_tensor and operand not in region.inputs:
            return f"runs without {describe(operand)}"
        effect = operand.inputs[0] if operand.op.name == "project" else operand
        if not operand.is_tensor and operand.op.name != "token" and effect not in written:
            return f"runs before {describe(effect)}"
    types = result_types(region.node)
    for number, (type_, owner) in enumerate(zip(types, region.results, strict=True)):
        if owner is not None and not _is_result(owner, region.node, number, type_):
            return f"writes {describe(owner)} in place of result {number}"
    return None


def _is_result(owner: Node, node: Node, number: int, type_: ValueType) -> bool:
    projected = owner.inputs == (node,) and owner["index"] == number
    return owner.value_type == type_ and (owner is node or projected)


def _check_kernel(kernel: Kernel) -> Complaint:
    known = set(kernel.inputs)
    for node in kernel.nodes:
        for operand in node.inputs:
            if operand not in known:
                return f"computes {describe(node)} without {describe(operand)}"
        known.add(node)
    for node in kernel.outputs:
        if node not in known:
            return f"writes {describe(node)}, which it does not compute"
    return None


def _of(kernel: Kernel, family: Family) -> list[Node]:
    return [n for n in kernel.nodes if n.op.family is family]


def _scatters(kernel: Kernel) -> list[Node]:
    return [n for n in kernel.nodes if n.op.name == "scatter_add"]


def _alien(
    kernel: Kernel, reductions: int, contractions: int, scatters: int, cumulative: int = 0
) -> Complaint:
    """More than so many of what a kind of kernel has only so many of."""
    for found, most in (
        (_of(kernel, Family.REDUCTION), reductions),
        (_of(kernel, Family.CONTRACTION), contractions),
        (_scatters(kernel), scatters),
        (_of(kernel, Family.CUMULATIVE), cumulative),
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
    first = reductions[0]
    for node in reductions:
        same = node.inputs[0].type.shape == first.inputs[0].type.shape
        if node["axes"] != first["axes"] or not same:
            return f"has no loops for {describe(node)}"
        if not _behind(node, kernel).isdisjoint(reductions):
            return f"reduces for {describe(node)} what is not known before the end of the pass"
    return _alien(kernel, len(reductions), 0, 0) or _sized(kernel, first)


def _behind(node: Node, kernel: Kernel) -> set[Node]:
    """What the kernel computes for `node` before it."""
    found: set[Node] = set()
    pending = [node]
    while pending:
        new = {i for i in pending.pop().inputs if i not in kernel.inputs and i not in found}
        found |= new
        pending += new
    return found


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


def _cumulative(kernel: Kernel) -> Complaint:
    found = _of(kernel, Family.CUMULATIVE)
    if not found:
        return "has nothing to accumulate"
    for output in kernel.outputs:
        if output.type.shape != found[0].type.shape:
            return f"has no loops over the shape of {describe(output)}"
    return _alien(kernel, 0, 0, 0, cumulative=1)


_FORMS: dict[KernelKind, Callable[[Kernel], Complaint]] = {
    KernelKind.POINTWISE: _pointwise,
    KernelKind.ROWWISE: _rowwise,
    KernelKind.REDUCTION: _reduction,
    KernelKind.CONTRACTION: _contraction,
    KernelKind.SCATTER: _scatter,
    KernelKind.CUMULATIVE: _cumulative,
}


# -- memory ---------------------------------------------------------------------------------------

_Range: TypeAlias = tuple[int, int]


def check_memory(plan: KernelPlan, scratch: Sequence[Room], memory: MemoryPlan) -> Complaint:
    """What is wrong with the places of values, found by running over them: what a step writes
    takes its bytes from who had them, and what it reads must have its own still."""
    found = (_check_places(plan, scratch, memory, sizes) for sizes in various_sizes(plan.graph))
    return next(filter(None, found), None)


def _check_places(
    plan: KernelPlan, scratch: Sequence[Room], memory: MemoryPlan, sizes: dict[str, int]
) -> Complaint:
    arena = value_of(memory.arena, sizes)
    ranges: dict[Owner, _Range] = {}
    for number, (step, room) in enumerate(zip(plan.steps, scratch, strict=True)):
        for node in step.inputs:
            if node in memory.offsets and node not in ranges:
                return f"{describe(node)} is overwritten before {step_name(number, step)}"
        own: list[Owner] = [n for n in step.inputs if n in ranges]
        for owner, start, size, itemsize in _taken(number, step, room, memory, sizes):
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
    number: int, step: Step, room: Room, memory: MemoryPlan, sizes: dict[str, int]
) -> Iterator[tuple[Owner, int, int, int]]:
    """(owner, first byte, bytes, bytes of an element) of all in the arena that a step writes."""
    for node in step.outputs:
        if node in memory.offsets:
            itemsize = node.type.dtype.itemsize
            size = value_of(node.type.size, sizes) * itemsize
            yield node, value_of(memory.offsets[node], sizes), size, itemsize
    for name, need in room.items():
        start = value_of(memory.scratch[number, name], sizes)
        yield (number, name), start, value_of(need.size, sizes), need.itemsize


def _owner_name(owner: Owner) -> str:
    return describe(owner) if isinstance(owner, Node) else f"{owner[1]} of step {owner[0]}"
