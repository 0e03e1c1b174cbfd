"""What runs along one axis, element after element, each result from the one before.

Across columns, vectors go down a few rows, then those beside them; the last results stand on the
stack:

    parallel for (index before the axis, strip of the axes after it)
      for part of the axis, DEPTH long
        vector for column of the strip, carrying last[column]
          for k in the part: out[k, column] = step(result before, x[k, column])

Along rows a step waits for the one before it, so a few rows run side by side. What is costly to
compute, and what is computed from the results, is done a piece of the row at a time, in vectors:

    parallel for group of ROWS rows
      for piece of the axis, carrying a result for each row
        vector: local = the operand     (left out where it is read from memory
        for k in the piece: local = step   and only the results are written)
        vector: outputs = local
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from weftc.fusion.kernel import Kernel
from weftc.ir.opdef import Family
from weftc.ir.size_functions import minimum
from weftc.ir.sizes import Shape, Size, product
from weftc.loop.build import Builder, Loop, load
from weftc.loop.ir import Buffer, Const, Expr, LoopKind, Scalar, add, apply, const, mul, subtract
from weftc.ops.cumulative import initial, step
from weftc.schedule.cpu import cost, loops
from weftc.schedule.indices import ZERO
from weftc.schedule.lowered import Lowered
from weftc.schedule.pull import Puller
from weftrt.target import Target

ROWS: Final = 4
"""Rows side by side: as many steps as an addition of floats takes cycles, about."""
PIECE: Final = 256
"""Elements of a row between two passes over it."""
STRIP: Final = 512
"""Columns whose last results stand on the stack."""
DEPTH: Final = 16
"""Rows that a vector goes down before the one beside it."""
LATENCY: Final = 1.0
"""Nanoseconds that a step of a row takes, about."""


def lower_cumulative(kernel: Kernel, target: Target, name: str) -> Lowered:
    """The loops of a CUMULATIVE kernel."""
    schedule = _Schedule(kernel, target, name)
    if product(schedule.inner) == 1:
        schedule.along_rows()
    else:
        schedule.across_columns()
    return schedule.lowered()


class _Schedule:
    def __init__(self, kernel: Kernel, target: Target, name: str) -> None:
        self._kernel = kernel
        self._builder = Builder(name)
        self._puller = Puller(kernel, self._builder)
        (self._node,) = (n for n in kernel.nodes if n.op.family is Family.CUMULATIVE)
        shape, axis = self._node.type.shape, self._node["axis"]
        self.outer: Shape = shape[:axis]
        self.length: Size = shape[axis]
        self.inner: Shape = shape[axis + 1 :]
        self._full = [n for n in kernel.nodes if n.type.size == self._node.type.size]
        touched = [
            n for n in (*kernel.inputs, *kernel.outputs) if n.type.size == self._node.type.size
        ]
        self._lanes = cost.lanes(self._full, target, self._node.type.size)
        self._element = cost.element([*self._full, self._node], touched, target)
        if product(self.inner) == 1:
            self._element += LATENCY
        self._total = cost.scale(self._node.type.size, self._element)

    def lowered(self) -> Lowered:
        return Lowered(
            self._builder.function(),
            (*self._kernel.inputs, *self._kernel.outputs),
            self._puller.indices.sizes,
            (),
            self._puller.sites,
            self._total,
        )

    # -- across columns -------------------------------------------------------------------------

    def across_columns(self) -> None:
        puller, columns = self._puller, product(self.inner)
        strip = _most(STRIP, columns)
        lanes = min(self._lanes, 1 << max(strip - 1, 1).bit_length())
        deep = isinstance(columns, int) and columns <= lanes
        depth = _most(DEPTH, self.length) if not deep else self.length
        strips = loops.size_blocks(puller, columns, strip)
        pieces = loops.times(puller, strips, product(self.outer))
        with self._threads(pieces, minimum(columns, strip) * self.length) as piece:
            outer, block = loops.divided(puller, piece, strips, product(self.outer))
            if depth == self.length:
                with loops.block_loop(puller, block, strip, columns, lanes) as column:
                    self._down(outer, column, ZERO, self._size(self.length), self._initial())
                return
            assert isinstance(depth, int)
            start = puller.name("start", mul(block, const(strip)))
            last = self._builder.alloc("last", self._node.type.dtype, strip)
            with loops.block_loop(puller, block, strip, columns, lanes) as column:
                self._builder.store(last, subtract(column, start), self._initial())
            with self._steps(loops.size_blocks(puller, self.length, depth)) as (_, part):
                first, extent = self._bounds(part, depth)
                with loops.block_loop(puller, block, strip, columns, lanes) as column:
                    at = subtract(column, start)
                    before = self._builder.let("before", load(last, at))
                    result = self._down(outer, column, first, extent, before)
                    self._builder.store(last, at, result)

    def _down(self, outer: Expr, column: Expr, first: Expr, extent: Expr, before: Expr) -> Expr:
        """The steps down some rows, from `first` on; the last result."""
        puller = self._puller
        with self._steps(extent, [("last", before)]) as (loop, k):
            index = self._index(outer, puller.name("place", add(first, k)), column)
            elements = [puller.pull(x, index) for x in self._node.inputs]
            value = self._step(loop.values[0], elements)
            puller.provide(self._node, index, value)
            self._write(index)
            loop.next(value)
        return loop.results[0]

    def _bounds(self, part: Expr, length: int) -> tuple[Expr, Expr]:
        """Where part number `part` of the axis begins, and how many elements it has."""
        first = self._puller.name("first", mul(part, const(length)))
        rest = subtract(self._size(self.length), first)
        extent = apply(Scalar.MINIMUM, rest, const(length))
        return first, self._puller.name("extent", extent)

    # -- along rows -----------------------------------------------------------------------------

    def along_rows(self) -> None:
        """Groups of ROWS rows, then the rows that are left."""
        count = product(self.outer)
        if count == 1:
            self._rows([ZERO])
            return
        puller, rows = self._puller, self._size(count)
        if not isinstance(count, int) or count >= ROWS:
            groups = puller.name("groups", apply(Scalar.TDIV, rows, const(ROWS)))
            with self._threads(groups, self.length * ROWS) as group:
                first = mul(group, const(ROWS))
                self._rows([puller.name("row", add(first, const(r))) for r in range(ROWS)])
        if isinstance(count, int) and count % ROWS == 0:
            return
        left = puller.name("left", apply(Scalar.AND, rows, const(-ROWS)))
        rest = puller.name("rest", subtract(rows, left))
        with self._threads(rest, self.length) as k:
            self._rows([puller.name("row", add(left, k))])

    def _rows(self, rows: Sequence[Expr]) -> None:
        read = all(x in self._puller.buffers for x in self._node.inputs)
        if read and self._kernel.outputs == (self._node,):
            self._straight(rows)
        else:
            self._piecewise(rows)

    def _straight(self, rows: Sequence[Expr]) -> None:
        """Steps from memory to memory."""
        puller = self._puller
        carried = [("last", self._initial())] * len(rows)
        with self._steps(self._size(self.length), carried) as (loop, place):
            values = []
            for row, before in zip(rows, loop.values, strict=True):
                index = self._index(row, place, ZERO)
                value = self._step(before, [puller.pull(x, index) for x in self._node.inputs])
                puller.store(self._node, index, value)
                values.append(value)
            loop.next(*values)

    def _piecewise(self, rows: Sequence[Expr]) -> None:
        """Steps on the stack, between the vectors of what is read and of what is written."""
        puller, length = self._puller, self.length
        piece = _most(PIECE, length)
        pieces = loops.size_blocks(puller, length, piece)
        carried = [("last", self._initial())] * len(rows)
        with self._steps(pieces, carried) as (loop, block):
            buffers = [
                self._builder.alloc("local", x.type.dtype, piece * len(rows))
                for x in self._node.inputs
            ]
            start, extent = self._bounds(block, piece)
            for number, row in enumerate(rows):
                with self._along(block, piece) as i:
                    index = self._index(row, i, ZERO)
                    values = [puller.pull(x, index) for x in self._node.inputs]
                    for buffer, value in zip(buffers, values, strict=True):
                        self._builder.store(buffer, _local(number, piece, i, start), value)
            results = self._local_steps(buffers, piece, extent, loop)
            for number, row in enumerate(rows):
                with self._along(block, piece) as i:
                    index = self._index(row, i, ZERO)
                    place = _local(number, piece, i, start)
                    puller.recall(self._node, index, load(buffers[-1], place))
                    self._write(index)
            loop.next(*results)

    def _local_steps(
        self, buffers: Sequence[Buffer], piece: int, extent: Expr, rows: Loop
    ) -> Sequence[Expr]:
        """The steps of a piece of some rows, in place in the last buffer; the last results."""
        carried = [("last", value) for value in rows.values]
        with self._steps(extent, carried) as (loop, place):
            values = []
            for number, before in enumerate(loop.values):
                at = add(const(number * piece), place)
                elements = [self._builder.let("x", load(buffer, at)) for buffer in buffers]
                values.append(self._step(before, elements))
                self._builder.store(buffers[-1], at, values[-1])
            loop.next(*values)
        return loop.results

    @contextmanager
    def _along(self, block: Expr, piece: int) -> Iterator[Expr]:
        """A vector loop over a piece of a row."""
        lanes = min(self._lanes, 1 << max(piece - 1, 1).bit_length())
        with loops.block_loop(self._puller, block, piece, self.length, lanes) as i:
            yield i

    # -- both -----------------------------------------------------------------------------------

    @contextmanager
    def _threads(self, count: Expr, elements: Size) -> Iterator[Expr]:
        """A loop over pieces of so many elements each, over threads where it pays: a call tells
        that of sizes that it alone knows."""
        puller = self._puller
        if isinstance(elements, int) or cost.is_serial(self._total):
            ns = self._element * elements if isinstance(elements, int) else 0.0
            with loops.parallel(puller, count, ns, self._total) as piece:
                yield piece
            return
        paid = const(cost.grain(self._element))
        size = apply(Scalar.MAXIMUM, self._size(elements), const(1))
        grain = apply(Scalar.MAXIMUM, apply(Scalar.TDIV, paid, size), const(1))
        opened = self._builder.for_(
            "p", 0, count, LoopKind.PARALLEL, grain=puller.name("grain", grain)
        )
        with puller.loop(opened) as piece:
            yield piece

    @contextmanager
    def _steps(
        self, extent: Expr, carried: Sequence[tuple[str, Expr]] = ()
    ) -> Iterator[tuple[Loop, Expr]]:
        """A serial loop, and the place that a turn is at: the last one first in reverse."""
        puller = self._puller
        opened = self._builder.for_("k", 0, extent, LoopKind.SERIAL, carried=carried)
        with puller.carrying(opened) as loop:
            place: Expr = loop.var
            if self._node["reverse"]:
                place = puller.name("place", subtract(subtract(extent, const(1)), place))
            yield loop, place

    def _step(self, before: Expr, elements: Sequence[Expr]) -> Expr:
        value = step(self._node.op.name, self._node.attrs, before, elements)
        return self._builder.let(self._node.op.name, value)

    def _initial(self) -> Const:
        return initial(self._node.op.name, self._node.attrs, self._node.type.dtype)

    def _write(self, index: tuple[Expr, ...]) -> None:
        for output in self._kernel.outputs:
            self._puller.store(output, index, self._puller.pull(output, index))

    def _index(self, row: Expr, place: Expr, column: Expr) -> tuple[Expr, ...]:
        split = self._puller.indices.split
        return (*split(row, self.outer), *split(place, (self.length,)), *split(column, self.inner))

    def _size(self, size: Size) -> Expr:
        return self._puller.indices.size(size)


def _local(number: int, piece: int, place: Expr, start: Expr) -> Expr:
    """Where an element of row `number` of a group is in a local buffer."""
    return add(const(number * piece), subtract(place, start))


def _most(limit: int, size: Size) -> int:
    """`limit` elements, or fewer where it is known that there are fewer; at least one."""
    return max(min(limit, size), 1) if isinstance(size, int) else limit
