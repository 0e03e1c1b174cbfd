"""Reductions over everything, over a few long rows, and over leading or middle axes.

Along rows, blocks of 4096 elements are reduced by threads into scratch, and their results by the
same rule, which is the definition. Across columns, a vector loop runs along the inner axes and
reduces in each lane. What is computed from the result (the division of a mean) follows in the same
kernel.
"""

from __future__ import annotations

from typing import Final

from weftc.fusion.kernel import Kernel
from weftc.ir.opdef import Family
from weftc.ir.size_functions import ceil_div, maximum
from weftc.ir.sizes import Shape, Size, product
from weftc.loop.build import Builder, load
from weftc.loop.ir import Buffer, Expr, Scalar, Space, add, apply, const, mul
from weftc.loop.reductions import BLOCK
from weftc.schedule.cpu import cost, loops
from weftc.schedule.indices import ZERO
from weftc.schedule.lowered import Lowered
from weftc.schedule.pull import Puller
from weftrt.target import Target

VECTORS: Final = 4
"""Vectors side by side in a strip of columns."""


def lower_reduction(kernel: Kernel, target: Target, name: str) -> Lowered:
    """The loops of a REDUCTION kernel."""
    schedule = _Schedule(kernel, target, name)
    if product(schedule.inner) == 1:
        schedule.along_rows()
    else:
        schedule.across_columns()
    return schedule.lowered()


class _Schedule:
    def __init__(self, kernel: Kernel, target: Target, name: str) -> None:
        self._kernel, self._target = kernel, target
        self._builder = Builder(name)
        self._puller = Puller(kernel, self._builder)
        (self._node,) = (n for n in kernel.nodes if n.op.family is Family.REDUCTION)
        assert self._node.op.combine is not None
        self._combine = Scalar[self._node.op.combine]
        (operand,) = self._node.inputs
        axes: tuple[int, ...] = self._node["axes"]
        self._operand = operand
        self._axes = axes
        shape = operand.type.shape
        self.outer: Shape = shape[: axes[0]]
        self.reduced: Shape = shape[axes[0] : axes[-1] + 1]
        self.inner: Shape = shape[axes[-1] + 1 :]
        self._nodes = [n for n in kernel.nodes if n.type.size == operand.type.size]
        touched = [n for n in kernel.inputs if n.type.size == operand.type.size]
        self._element = cost.element([*self._nodes, self._node], touched, target)
        self._total = cost.scale(operand.type.size, self._element)
        self._scratch: tuple[Size, ...] = ()

    def lowered(self) -> Lowered:
        return Lowered(
            self._builder.function(),
            (*self._kernel.inputs, *self._kernel.outputs),
            self._puller.indices.sizes,
            self._scratch,
            self._puller.sites,
            self._total,
        )

    # -- along rows -----------------------------------------------------------------------------

    def along_rows(self) -> None:
        length = product(self.reduced)
        short = isinstance(length, int) and length <= BLOCK
        if short or cost.is_serial(self._total):
            with loops.serial(self._puller, [product(self.outer)]) as (row,):
                self._finish(row, self._reduce(row, ZERO, self._size(length)))
            return
        blocks = self._blocks(length)
        partial = self._partials(length)
        pieces = loops.times(self._puller, blocks, product(self.outer))
        with loops.parallel(self._puller, pieces, BLOCK * self._element, self._total) as piece:
            row, block = loops.divided(self._puller, piece, blocks, product(self.outer))
            start = self._puller.name("start", mul(block, const(BLOCK)))
            rest = apply(Scalar.SUB, self._size(length), start)
            extent = self._puller.name("extent", apply(Scalar.MINIMUM, rest, const(BLOCK)))
            self._builder.store(partial, piece, self._reduce(row, start, extent))
        with loops.serial(self._puller, [product(self.outer)]) as (row,):
            self._finish(row, self._combined(partial, row, blocks))

    def _blocks(self, length: Size) -> Expr:
        """The number of blocks; one for no elements, which gives the identity."""
        blocks = loops.size_blocks(self._puller, length, BLOCK)
        if isinstance(length, int):
            return blocks
        return self._puller.name("blocks", apply(Scalar.MAXIMUM, blocks, const(1)))

    def _partials(self, length: Size) -> Buffer:
        """Scratch for the result of every block."""
        dtype = self._node.type.dtype
        count = maximum(ceil_div(length, BLOCK), 1) * product(self.outer)
        self._scratch = (count * dtype.itemsize,)
        return self._builder.buffer(
            "partial", dtype, Space.SCRATCH, self._puller.indices.size(count)
        )

    def _reduce(self, row: Expr, start: Expr, extent: Expr) -> Expr:
        """The reduction of `extent` elements of a row from `start` on."""
        puller = self._puller
        with puller.reduce(extent) as reduction:
            position = add(start, reduction.var)
            value = puller.pull(self._operand, self._operand_index(row, position, ZERO))
            return reduction.term(self._combine, value, self._node.op.name)

    def _combined(self, partial: Buffer, row: Expr, blocks: Expr) -> Expr:
        """The results of a row's blocks, reduced by the same rule."""
        first = self._puller.name("first", mul(row, blocks))
        with self._puller.reduce(blocks) as reduction:
            value = load(partial, add(first, reduction.var))
            return reduction.term(self._combine, value, self._node.op.name)

    # -- across columns -------------------------------------------------------------------------

    def across_columns(self) -> None:
        """Threads over strips of columns of every outer index, vectors along a strip."""
        puller = self._puller
        columns, length = product(self.inner), product(self.reduced)
        strip = self._strip(columns)
        ns = self._element * strip * (length if isinstance(length, int) else 1024)
        blocks = loops.size_blocks(puller, columns, strip)
        pieces = loops.times(puller, blocks, product(self.outer))
        with loops.parallel(puller, pieces, ns, self._total) as piece:
            row, block = loops.divided(puller, piece, blocks, product(self.outer))
            with loops.block_loop(puller, block, strip, columns, strip) as column:
                with puller.reduce(self._size(length)) as reduction:
                    index = self._operand_index(row, reduction.var, column)
                    value = puller.pull(self._operand, index)
                    result = reduction.term(self._combine, value, self._node.op.name)
                self._finish(row, result, column)

    def _strip(self, columns: Size) -> int:
        bits = max(n.type.dtype.bits for n in (self._node, self._operand))
        lanes = max(self._target.vector_bits // bits, 1)
        if isinstance(columns, int) and columns < lanes * VECTORS:
            return max(1 << (columns - 1).bit_length() if columns > 1 else 1, 2)
        return lanes * VECTORS

    # -- both -----------------------------------------------------------------------------------

    def _finish(self, row: Expr, result: Expr, column: Expr = ZERO) -> None:
        """Write what the kernel computes from the result of a row (and column)."""
        puller = self._puller
        split = puller.indices.split
        index = (*split(row, self.outer), *split(column, self.inner))
        puller.provide(self._node, index, result)
        shape = self._node.type.shape
        for output in self._kernel.outputs:
            at = index
            if output.type.shape != shape:
                at = puller.reshaped(index, shape, output.type.shape)
                puller.provide(self._node, puller.reshaped(at, output.type.shape, shape), result)
            puller.store(output, at, puller.pull(output, at))

    def _operand_index(self, row: Expr, position: Expr, column: Expr) -> tuple[Expr, ...]:
        split = self._puller.indices.split
        return (
            *split(row, self.outer),
            *split(self._puller.indices.intern(position), self.reduced),
            *split(column, self.inner),
        )

    def _size(self, size: Size) -> Expr:
        return self._puller.indices.size(size)
