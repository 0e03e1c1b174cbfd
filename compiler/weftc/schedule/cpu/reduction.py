"""Reductions over everything, over a few long rows, and over leading or middle axes.

Along rows, blocks of 4096 elements are reduced by threads into scratch, and their results by the
same rule, which is the definition. Across columns, a vector loop runs along the inner axes and
reduces in each lane. Either is one pass over what is read, whatever number of reductions it serves
(one Reduce with a term for each). What is computed from the results (the division of a mean)
follows in the same kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from weftc.fusion.kernel import Kernel
from weftc.ir.opdef import Family
from weftc.ir.size_functions import ceil_div, maximum
from weftc.ir.sizes import Shape, Size, product
from weftc.loop.build import Builder, Reduction, load
from weftc.loop.ir import Buffer, Expr, Scalar, Space, add, apply, const, mul
from weftc.loop.reductions import BLOCK, LANES
from weftc.loop.split_reduce import levels
from weftc.schedule.cpu import cost, loops
from weftc.schedule.indices import ZERO
from weftc.schedule.lowered import Lowered
from weftc.schedule.pull import Index, Puller
from weftrt.target import Target

VECTORS: Final = 4
"""Vectors side by side in a strip of columns."""
STRIP_BYTES: Final = 512 << 10
"""Accumulators of a strip, which are on the stack, at most."""
PAGE: Final = 4 << 10
"""Bytes of a row that are read in order before the next: a page of memory."""
NARROW: Final = 256
"""Columns of a strip that is narrow, and only made narrower where there are no more."""
PIECES: Final = 4
"""Pieces for threads that are enough."""


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
        self._reductions = [n for n in kernel.nodes if n.op.family is Family.REDUCTION]
        first = self._reductions[0]
        (operand,) = first.inputs
        axes: tuple[int, ...] = first["axes"]
        shape = operand.type.shape
        self._result: Shape = first.type.shape
        self.outer: Shape = shape[: axes[0]]
        self.reduced: Shape = shape[axes[0] : axes[-1] + 1]
        self.inner: Shape = shape[axes[-1] + 1 :]
        nodes = [n for n in kernel.nodes if n.type.size == operand.type.size]
        touched = [n for n in kernel.inputs if n.type.size == operand.type.size]
        self._element = cost.element([*nodes, *self._reductions], touched, target)
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
        partials = self._partials(length)
        pieces = loops.times(self._puller, blocks, product(self.outer))
        with loops.parallel(self._puller, pieces, BLOCK * self._element, self._total) as piece:
            row, block = loops.divided(self._puller, piece, blocks, product(self.outer))
            start = self._puller.name("start", mul(block, const(BLOCK)))
            rest = apply(Scalar.SUB, self._size(length), start)
            extent = self._puller.name("extent", apply(Scalar.MINIMUM, rest, const(BLOCK)))
            results = self._reduce(row, start, extent)
            for partial, result in zip(partials, results, strict=True):
                self._builder.store(partial, piece, result)
        with loops.serial(self._puller, [product(self.outer)]) as (row,):
            self._finish(row, self._combined(partials, row, blocks))

    def _blocks(self, length: Size) -> Expr:
        """The number of blocks; one for no elements, which gives the identity."""
        blocks = loops.size_blocks(self._puller, length, BLOCK)
        if isinstance(length, int):
            return blocks
        return self._puller.name("blocks", apply(Scalar.MAXIMUM, blocks, const(1)))

    def _partials(self, length: Size) -> list[Buffer]:
        """Scratch for the results of every block, one buffer for each reduction."""
        count = maximum(ceil_div(length, BLOCK), 1) * product(self.outer)
        dtypes = [node.type.dtype for node in self._reductions]
        self._scratch = tuple(count * dtype.itemsize for dtype in dtypes)
        size = self._puller.indices.size(count)
        return [self._builder.buffer("partial", dtype, Space.SCRATCH, size) for dtype in dtypes]

    def _reduce(self, row: Expr, start: Expr, extent: Expr) -> list[Expr]:
        """The reductions of `extent` elements of a row from `start` on."""
        with self._puller.reduce(extent) as reduction:
            return self._terms(reduction, row, add(start, reduction.var), ZERO)

    def _terms(self, reduction: Reduction, row: Expr, position: Expr, column: Expr) -> list[Expr]:
        """What every reduction combines of one element."""
        index = self._operand_index(row, position, column)
        values = [self._puller.pull(node.inputs[0], index) for node in self._reductions]
        return self._combine(reduction, values)

    def _combine(self, reduction: Reduction, values: Sequence[Expr]) -> list[Expr]:
        found: list[Expr] = []
        for node, value in zip(self._reductions, values, strict=True):
            assert node.op.combine is not None
            found.append(reduction.term(Scalar[node.op.combine], value, node.op.name))
        return found

    def _combined(self, partials: Sequence[Buffer], row: Expr, blocks: Expr) -> list[Expr]:
        """The results of a row's blocks, reduced by the same rule."""
        first = self._puller.name("first", mul(row, blocks))
        with self._puller.reduce(blocks) as reduction:
            at = add(first, reduction.var)
            return self._combine(reduction, [load(partial, at) for partial in partials])

    # -- across columns -------------------------------------------------------------------------

    def across_columns(self) -> None:
        """Threads over strips of columns of every outer index, vectors along a strip."""
        puller = self._puller
        columns, length = product(self.inner), product(self.reduced)
        lanes = self._lanes(columns)
        strip = self._strip(columns, lanes)
        ns = self._element * strip * (length if isinstance(length, int) else 1024)
        blocks = loops.size_blocks(puller, columns, strip)
        pieces = loops.times(puller, blocks, product(self.outer))
        with loops.parallel(puller, pieces, ns, self._total) as piece:
            row, block = loops.divided(puller, piece, blocks, product(self.outer))
            with loops.block_loop(puller, block, strip, columns, lanes) as column:
                with puller.reduce(self._size(length)) as reduction:
                    results = self._terms(reduction, row, reduction.var, column)
                self._finish(row, results, column)

    def _strip(self, columns: Size, lanes: int) -> int:
        """Columns that one thread reduces at a time. A strip of more than a vector is read in the
        order of memory, a page from each row, while its accumulators stay in the second-level
        cache; one vector is enough where there is little to read."""
        length = product(self.reduced)
        if cost.is_serial(self._total) or (isinstance(length, int) and length <= LANES):
            return lanes
        room = min(STRIP_BYTES, self._target.l2_bytes // 2) // self._column_bytes(length)
        widest = min(room, PAGE // max(n.type.dtype.itemsize for n in self._reductions))
        strip = lanes
        while 2 * strip <= widest and self._is_wider(columns, strip):
            strip *= 2
        return strip

    def _column_bytes(self, length: Size) -> int:
        """What the accumulators of a column take."""
        each = LANES * levels(length if isinstance(length, int) else math.inf)
        return sum(n.type.dtype.itemsize * each for n in self._reductions)

    def _is_wider(self, columns: Size, strip: int) -> bool:
        """Whether there are more columns than in a strip, and work for several threads in twice as
        wide ones too."""
        if not isinstance(columns, int):
            return True
        outer = product(self.outer)
        pieces = ceil_div(columns, 2 * strip) * outer if isinstance(outer, int) else PIECES
        return strip < columns and (strip < NARROW or pieces >= PIECES)

    def _lanes(self, columns: Size) -> int:
        """Lanes of a vector loop over columns."""
        bits = max(n.type.dtype.bits for node in self._reductions for n in (node, *node.inputs))
        lanes = max(self._target.vector_bits // bits, 1)
        if isinstance(columns, int) and columns < lanes * VECTORS:
            return max(1 << (columns - 1).bit_length() if columns > 1 else 1, 2)
        return lanes * VECTORS

    # -- both -----------------------------------------------------------------------------------

    def _finish(self, row: Expr, results: Sequence[Expr], column: Expr = ZERO) -> None:
        """Write what the kernel computes from the results of a row (and column)."""
        puller, shape = self._puller, self._result
        split = puller.indices.split
        index = (*split(row, self.outer), *split(column, self.inner))
        self._provide(index, results)
        for output in self._kernel.outputs:
            at = index
            if output.type.shape != shape:
                at = puller.reshaped(index, shape, output.type.shape)
                self._provide(puller.reshaped(at, output.type.shape, shape), results)
            puller.store(output, at, puller.pull(output, at))

    def _provide(self, index: Index, results: Sequence[Expr]) -> None:
        for node, result in zip(self._reductions, results, strict=True):
            self._puller.provide(node, index, result)

    def _operand_index(self, row: Expr, position: Expr, column: Expr) -> tuple[Expr, ...]:
        split = self._puller.indices.split
        return (
            *split(row, self.outer),
            *split(self._puller.indices.intern(position), self.reduced),
            *split(column, self.inner),
        )

    def _size(self, size: Size) -> Expr:
        return self._puller.indices.size(size)
