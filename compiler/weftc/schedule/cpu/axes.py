"""Which axes of a loop nest can run as one, and which reads stride across the innermost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weftc.fusion.kernel import Kernel
from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Shape, Size
from weftc.loop.build import Builder
from weftc.loop.ir import Expr, Var, add
from weftc.loop.walk import operands
from weftc.schedule.cpu import loops
from weftc.schedule.indices import ZERO
from weftc.schedule.pull import Index, Puller


@dataclass(frozen=True)
class Axes:
    """Groups of adjacent axes, outermost first, axes of size 1 left out; and for each read the
    factor of each group's flat index in its address (None: the read is not linear)."""

    groups: tuple[tuple[int, ...], ...]
    reads: tuple[tuple[Size, ...] | None, ...]


@dataclass(frozen=True)
class Place:
    """Where a nest writes what it computes: into `output`, from `start` on along each axis."""

    output: Node
    start: Shape

    @staticmethod
    def whole(output: Node) -> Place:
        """All of `output`."""
        return Place(output, (0,) * output.type.rank)

    def index(self, index: Index, puller: Puller) -> Index:
        """The index in the output for one of the nest."""
        size = puller.indices.size
        return tuple(add(i, size(start)) for i, start in zip(index, self.start, strict=True))

    def is_contiguous(self, shape: Shape) -> bool:
        """Whether a value of `shape` lies there without gaps."""
        kept = [axis for axis, size in enumerate(shape) if size != 1]
        after = slice(kept[0] + 1 if kept else 0, None)
        return shape[after] == self.output.type.shape[after]


def places(output: Node, kernel: Kernel) -> list[tuple[Node, Place]]:
    """What is computed for `output`, and where it goes: the operands of a concat, and of those
    that are concats themselves, each to a place of its own."""
    found: list[tuple[Node, Place]] = []
    pending = [(output, Place.whole(output))]
    while pending:
        node, place = pending.pop()
        if node.op.name != "concat" or node in kernel.inputs:
            found.append((node, place))
            continue
        axis, start = node["axis"], list(place.start)
        for operand in node.inputs:
            pending.append((operand, Place(output, tuple(start))))
            start[axis] = start[axis] + operand.type.shape[axis]
    return found[::-1]


def cone(roots: Sequence[Node], kernel: Kernel) -> list[Node]:
    """The nodes a nest computes for `roots`, kernel inputs included, in no special order."""
    inputs = set(kernel.inputs)
    found = dict.fromkeys(roots)
    pending = list(roots)
    while pending:
        node = pending.pop()
        if node in inputs:
            continue
        for operand in node.inputs:
            if operand not in found:
                found[operand] = None
                pending.append(operand)
    return list(found)


def analyze(
    roots: Sequence[Node], targets: Sequence[Place], nodes: Sequence[Node], kernel: Kernel
) -> Axes:
    """The axes of a nest over the shape of `roots`, which computes `nodes` and writes `targets`.
    Writes that are not at the flat index of the nest are among the reads."""
    shape = roots[0].type.shape
    axes = [a for a, extent in enumerate(shape) if extent != 1]
    if not axes:
        return Axes((), ())
    scattered = [target for target in targets if not target.is_contiguous(shape)]
    if not scattered and _is_flat(nodes, kernel):
        return Axes((tuple(range(axes[0], axes[-1] + 1)),), ((1,),))
    reads, pinned = _trial(roots, scattered, axes, kernel)
    groups: list[list[int]] = []
    for position, axis in enumerate(axes):
        joined = groups and not {position - 1, position} & pinned
        if joined and all(r is None or r[position - 1] == r[position] * shape[axis] for r in reads):
            groups[-1] += range(groups[-1][-1] + 1, axis + 1)
        else:
            groups.append([axis])
    last = [axes.index(g[-1]) for g in groups]
    factors = tuple(None if r is None else tuple(r[p] for p in last) for r in reads)
    return Axes(tuple(map(tuple, groups)), factors)


def _is_flat(nodes: Sequence[Node], kernel: Kernel) -> bool:
    """Whether every read is at the flat index of the result or of a single element."""
    inputs = set(kernel.inputs)
    for node in nodes:
        if node in inputs or node.type.size == 1 or node.op.family is Family.POINTWISE:
            continue
        if node.op.name == "reshape":
            continue
        if node.op.name != "broadcast" or node.inputs[0].type.size != 1:
            return False
    return True


def _trial(
    roots: Sequence[Node], scattered: Sequence[Place], axes: Sequence[int], kernel: Kernel
) -> tuple[list[tuple[Size, ...] | None], set[int]]:
    """Pull `roots` in a scratch nest with one loop per axis; the factors of every read, and the
    positions (in `axes`) of those whose index is used for more than addresses."""
    shape = roots[0].type.shape
    puller = Puller(kernel, Builder("trial"))
    with loops.serial(puller, [shape[a] for a in axes]) as variables:
        index: list[Expr] = [ZERO] * len(shape)
        for axis, variable in zip(axes, variables, strict=True):
            index[axis] = variable
        for root in roots:
            puller.pull(root, tuple(index))
        for place in scattered:
            there = place.index(tuple(index), puller)
            puller.reads.append(puller.indices.linearize(there, place.output.type.shape))
    order = [v for v in variables if isinstance(v, Var)]
    reads: list[tuple[Size, ...] | None] = []
    pinned: set[int] = set()
    for at in puller.reads:
        factors = puller.indices.coefficients(at, order)
        reads.append(factors)
        if factors is None:
            pinned |= _variables(at, order)
    for value in puller.pinned:
        pinned |= _variables(value, order)
    return reads, pinned


def _variables(expr: Expr, order: Sequence[Var]) -> set[int]:
    """The positions of the variables in `expr`."""
    found: set[int] = set()
    seen: set[Expr] = set()
    pending = [expr]
    while pending:
        item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        if isinstance(item, Var) and item in order:
            found.add(order.index(item))
        pending += operands(item)
    return found
