"""Row-wise kernels: several reductions over the same rows, and what is computed around them.

    parallel for row
      reduce m = max of x[row, j]
      reduce s = sum of e, keeping e = exp(x[row, j] - m)
      vector for j: y[row, j] = kept[j] / s

Stage k of a row is one pass over its columns: the reductions that need k - 1 others before them,
and every full output that is known by then; the last pass writes the other outputs. What a pass
computes at some cost and a later one needs again is kept: in an output that is written anyway, or
on the stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from weftc.fusion.kernel import Kernel
from weftc.fusion.views import squeezed
from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Shape, Size, product
from weftc.loop.build import Builder, load
from weftc.loop.ir import Buffer, Expr, LoopKind, Scalar
from weftc.schedule.cpu import cost, loops
from weftc.schedule.indices import ZERO
from weftc.schedule.lowered import Lowered
from weftc.schedule.pull import Index, Puller
from weftrt.target import Target

RECOMPUTED: Final = 6
"""Work up to which a value is computed again in a later pass."""
STACK: Final = 64 << 10
"""Bytes of a row's kept values on the stack."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One pass over the columns: what it combines, what it writes, what it keeps for later."""

    reductions: list[Node] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)
    kept: list[Node] = field(default_factory=list)

    @property
    def targets(self) -> list[Node]:
        return [n.inputs[0] for n in self.reductions] + self.outputs


class Rows:
    """The rows of a kernel and the passes over each."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        reductions = [n for n in kernel.nodes if n.op.family is Family.REDUCTION]
        shape, axes = reductions[0].inputs[0].type.shape, reductions[0]["axes"]
        self.rows = squeezed(shape[: axes[0]])
        self.columns = squeezed([shape[a] for a in axes])
        self._inputs = set(kernel.inputs)
        self._level: dict[Node, int] = {}
        for node in kernel.nodes:
            below = max((self._level.get(i, 0) for i in node.inputs), default=0)
            self._level[node] = below + (node.op.family is Family.REDUCTION)
        count = max(self._level[r] for r in reductions)
        self.stages = [Stage() for _ in range(count + 1)]
        for node in reductions:
            self.stages[self._level[node] - 1].reductions.append(node)
        self.row_outputs = [n for n in kernel.outputs if not self.is_full(n)]
        for node in kernel.outputs:
            if self.is_full(node):
                self.stages[self._level[node]].outputs.append(node)
        self._keep()

    def is_full(self, node: Node) -> bool:
        """Whether the node has an element for every row and column."""
        return squeezed(node.type.shape) == self.rows + self.columns

    def _keep(self) -> None:
        """Choose what each stage keeps: what is first met below a later target and took work."""
        computed: dict[Node, int] = {}
        for number, stage in enumerate(self.stages):
            for node in self._inside(stage.targets, computed, number):
                computed.setdefault(node, number)

    def _inside(
        self, targets: Iterable[Node], computed: dict[Node, int], number: int
    ) -> list[Node]:
        found: dict[Node, None] = {}
        pending = list(targets)
        while pending:
            node = pending.pop()
            if node in found or node in self._inputs or node.op.family is Family.REDUCTION:
                continue
            found[node] = None
            first = computed.get(node, number)
            if first < number and self.is_full(node) and self._work(node) > RECOMPUTED:
                if node not in self.stages[first].kept:
                    self.stages[first].kept.append(node)
                continue
            pending += node.inputs
        return list(found)

    def _work(self, node: Node) -> int:
        """Instructions and loads to compute one element, row values apart."""
        seen = {node}
        pending = [node]
        total = 0
        while pending:
            top = pending.pop()
            full = self.is_full(top)
            total += 1 if top in self._inputs else top.op.cost if full else 0
            if top in self._inputs or not full:
                continue
            for operand in top.inputs:
                if operand not in seen:
                    seen.add(operand)
                    pending.append(operand)
        return total


def lower_rowwise(kernel: Kernel, target: Target, name: str) -> Lowered:
    """The loops of a ROWWISE kernel."""
    schedule = _Schedule(kernel, target, name)
    return schedule.lower()


class _Schedule:
    def __init__(self, kernel: Kernel, target: Target, name: str) -> None:
        self._kernel, self._target = kernel, target
        self._builder = Builder(name)
        self._puller = Puller(kernel, self._builder)
        self._rows = Rows(kernel)
        self._kept: dict[Node, Buffer] = {}
        self._ready: list[Node] = []
        self._stack = STACK
        full = [n for n in kernel.nodes if self._rows.is_full(n)]
        touched = [n for n in (*kernel.inputs, *kernel.outputs) if self._rows.is_full(n)]
        self._full = full
        self._element = cost.element(full, touched, target)
        self._total = cost.scale(product(self._rows.rows + self._rows.columns), self._element)

    def lower(self) -> Lowered:
        puller, rows = self._puller, self._rows
        if not rows.rows:
            self._row(ZERO)
        else:
            columns: Size = product(rows.columns)
            ns = self._element * (columns if isinstance(columns, int) else 1024)
            count = puller.indices.size(product(rows.rows))
            with loops.parallel(puller, count, ns, self._total) as row:
                self._row(row)
        return Lowered(
            self._builder.function(),
            (*self._kernel.inputs, *self._kernel.outputs),
            puller.indices.sizes,
            (),
            puller.sites,
            self._total,
        )

    def _row(self, row: Expr) -> None:
        """One row: its stages, then its row outputs."""
        rows = self._rows
        for number, stage in enumerate(rows.stages[:-1]):
            self._reserve(stage, rows.stages[number + 1 :])
            self._reduce(stage, row)
            self._ready = list(self._kept)
        last = rows.stages[-1]
        if last.outputs:
            self._write(last, row)
        for node in rows.row_outputs:
            index = self._index(node, row, None)
            self._puller.store(node, index, self._puller.pull(node, index))

    # -- passes ---------------------------------------------------------------------------------

    def _reduce(self, stage: Stage, row: Expr) -> None:
        puller = self._puller
        extent = puller.indices.size(product(self._rows.columns))
        results = []
        with puller.reduce(extent) as reduction:
            self._recall(row, reduction.var)
            for node in stage.reductions:
                operand = node.inputs[0]
                value = puller.pull(operand, self._index(operand, row, reduction.var))
                assert node.op.combine is not None
                results.append(reduction.term(Scalar[node.op.combine], value, node.op.name))
            self._store(stage, row, reduction.var)
        for node, result in zip(stage.reductions, results, strict=True):
            puller.provide(node, self._index(node, row, None), result)

    def _write(self, stage: Stage, row: Expr) -> None:
        puller = self._puller
        columns = product(self._rows.columns)
        lanes = cost.lanes(self._full, self._target)
        if isinstance(columns, int):
            lanes = min(lanes, 1 << max(columns - 1, 1).bit_length())
        stop = puller.indices.size(columns)
        opened = self._builder.for_("j", 0, stop, LoopKind.VECTOR, lanes=lanes)
        with puller.loop(opened) as column:
            self._recall(row, column)
            self._store(stage, row, column)

    def _store(self, stage: Stage, row: Expr, column: Expr) -> None:
        """Write a stage's outputs and what it keeps."""
        puller = self._puller
        kept = [n for n in stage.kept if n in self._kept and n not in puller.outputs]
        indices = {n: self._index(n, row, column) for n in (*kept, *stage.outputs)}
        values = {n: puller.pull(n, index) for n, index in indices.items()}
        for node in kept:
            place = self._place(node, indices[node], column)
            self._builder.store(self._kept[node], place, values[node])
        for node in stage.outputs:
            puller.store(node, indices[node], values[node])

    # -- kept values ----------------------------------------------------------------------------

    def _reserve(self, stage: Stage, later: Sequence[Stage]) -> None:
        """Find room for what `stage` keeps: its own output, the stack, or an output of the same
        dtype that only the last pass writes."""
        columns = product(self._rows.columns)
        spare = [n for n in later[-1].outputs if n not in self._kept_in_outputs()]
        for node in stage.kept:
            dtype = node.type.dtype
            size = columns * dtype.itemsize
            fits = [n for n in spare if n.type.dtype is dtype]
            if node in self._puller.outputs:
                self._kept[node] = self._puller.outputs[node]
            elif isinstance(size, int) and isinstance(columns, int) and size <= self._stack:
                self._stack -= size
                self._kept[node] = self._builder.alloc("kept", dtype, max(columns, 1))
            elif fits:
                spare.remove(fits[0])
                self._kept[node] = self._puller.outputs[fits[0]]

    def _kept_in_outputs(self) -> set[Node]:
        taken = set(self._kept.values())
        return {n for n, buffer in self._puller.outputs.items() if buffer in taken}

    def _recall(self, row: Expr, column: Expr) -> None:
        """Let this pass load what earlier passes kept."""
        for node in self._ready:
            index = self._index(node, row, column)
            value = load(self._kept[node], self._place(node, index, column))
            self._puller.recall(node, index, value)

    def _place(self, node: Node, index: Index, column: Expr) -> Expr:
        """Where a kept element is: a stack buffer holds one row."""
        if self._kept[node] in self._puller.outputs.values():
            return self._puller.indices.linearize(index, node.type.shape)
        return column

    # -- indices --------------------------------------------------------------------------------

    def _index(self, node: Node, row: Expr, column: Expr | None) -> Index:
        """The index of a row value, or with a column of a full value."""
        rows: Shape = self._rows.rows
        parts = list(self._puller.indices.split(row, rows)) if rows else []
        if column is not None:
            parts += self._puller.indices.split(column, self._rows.columns)
        remaining = iter(parts)
        return tuple(ZERO if s == 1 else next(remaining) for s in node.type.shape)
