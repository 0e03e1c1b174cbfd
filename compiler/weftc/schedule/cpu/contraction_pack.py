"""Copies of an operand in the order the tiles read it.

B becomes panels of `lanes` columns, A strips of `rows` rows; a panel or strip is contiguous, k by
k. What lies past the last row or column is a copy of the last one, or zero: no result reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weftc.ir.size_functions import ceil_div
from weftc.ir.sizes import Size
from weftc.loop import ir
from weftc.loop.build import load
from weftc.loop.ir import Buffer, Const, Expr, LoopKind, LoopType, Scalar, Space, const
from weftc.schedule.cpu.arithmetic import ceil_divide, divide, minimum, modulo
from weftc.schedule.cpu.contraction_address import (
    batch_offset,
    count_if,
    joined,
    operand_index,
    runs,
    vectors,
)
from weftc.schedule.cpu.contraction_problem import Operand, Problem, Strided, batches
from weftc.schedule.cpu.contraction_tiling import assumed
from weftc.schedule.pull import Puller

_SQUARE = 64
"""A transposing copy goes by squares of this side, which stay in L1."""
_AHEAD = 16
"""Rows that a copy prefetches ahead: they are too far apart for the hardware to see."""
_ELEMENTS = 1 << 15
"""The fewest elements worth a thread."""


def scratch_elements(operand: Operand, free: Size, k: Size, width: int) -> Size:
    """Room for the panels of `width`."""
    return batches(operand) * ceil_div(free, width) * width * k


@dataclass(frozen=True, eq=False)
class Form:
    """Panels of `width` over an operand's axis of `free` elements; made only where `enabled`."""

    operand: Operand
    free: Size
    width: int
    enabled: Expr | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """The segment start <= k < stop of a batch element, for which there is `room`."""

    batch: Expr
    start: Expr
    stop: Expr
    room: int


def pack_all(puller: Puller, problem: Problem, form: Form) -> Buffer:
    """A parallel loop that fills a scratch buffer with the panels of an operand, and the buffer.
    Panel number `batch * panels + panel` starts at that number times k * width."""
    size, name = puller.indices.size, puller.name
    operand, free, width = form.operand, form.free, form.width
    elements = size(scratch_elements(operand, free, problem.k, width))
    packed = puller.builder.buffer("packed", problem.dtype, Space.SCRATCH, elements, aligned=64)
    k = size(problem.k)
    panels = name("panels", ceil_divide(size(free), width))
    count = count_if(form.enabled, ir.mul(size(batches(operand)), panels))
    grain = ceil_div(_ELEMENTS, max(1, assumed(problem.k)) * width)
    opened = puller.builder.for_("panel", 0, count, LoopKind.PARALLEL, grain=grain)
    with puller.loop(opened) as number:
        to = name("to", ir.mul(number, ir.mul(k, const(width))))
        first = name("first", ir.mul(modulo(number, panels), const(width)))
        batch = name("batch", divide(number, panels))
        Packer(puller, operand, size(free), width, packed).copy(batch, first, to, const(0), k)
    return packed


class Packer:
    """Copies panels of `width` of an operand's `extent` rows or columns into `packed`."""

    def __init__(
        self, puller: Puller, operand: Operand, extent: Expr, width: int, packed: Buffer
    ) -> None:
        self._puller, self._b, self._size = puller, puller.builder, puller.indices.size
        self._operand, self._packed = operand, packed
        self._width, self._extent = width, extent

    def copy(self, batch: Expr, first: Expr, to: Expr, start: Expr, length: Expr) -> None:
        """The panel of columns `first` and up, start <= k < start + length, to packed[to]."""
        self._first, self._to = first, to
        strided = self._operand.strided
        if strided is None:
            self._general(batch, start, length)
            return
        base = batch_offset(self._puller, self._operand.sizes(0), strided, batch)
        step = self._size(strided.contracted)
        base = self._puller.name("base", ir.add(base, ir.mul(start, step)))
        if strided.free == 1:
            self._rows(base, strided, length)
        else:
            self._transposed(base, strided, length)

    def _rows(self, base: Expr, strided: Strided, length: Expr) -> None:
        """Columns are contiguous: copy them k by k, zero past the last."""
        b, width, step = self._b, self._width, self._size(strided.contracted)
        buffer = self._puller.buffers[strided.source]
        whole = self._is_whole()
        lanes = min(16, width & -width)
        with (
            self._puller.loop(b.for_("k", 0, length)) as k,
            self._puller.loop(b.for_("lane", 0, width, LoopKind.VECTOR, lanes=lanes)) as lane,
        ):
            column = ir.add(self._first, lane)
            inside = None if whole else ir.apply(Scalar.LT, column, self._extent)
            at = ir.add(ir.add(base, ir.mul(k, step)), column)
            ahead = ir.add(at, ir.mul(const(_AHEAD), step))
            b.call("prefetch", ahead, buffer=buffer)
            self._put(k, lane, load(buffer, at, inside))

    def _transposed(self, base: Expr, strided: Strided, length: Expr) -> None:
        """Copy squares, along k where it is contiguous."""
        b, step = self._b, self._size(strided.contracted)
        buffer = self._puller.buffers[strided.source]
        with (
            self._puller.loop(b.for_("square", 0, length, step=_SQUARE)) as square,
            self._puller.loop(b.for_("lane", 0, self._width)) as lane,
        ):
            column = ir.mul(self._column(lane), self._size(strided.free))
            at = self._puller.name("from", ir.add(base, column))
            rest = minimum(const(_SQUARE), ir.subtract(length, square))
            rest = self._puller.name("rest", rest)
            vector = b.for_("k", 0, rest, LoopKind.VECTOR, lanes=16)
            with self._puller.loop(vector) as offset:
                k = ir.add(square, offset)
                self._put(k, lane, load(buffer, ir.add(at, ir.mul(k, step))))

    def _general(self, batch: Expr, start: Expr, length: Expr) -> None:
        """Pull each element through its index: in runs, where neighbours lie side by side."""
        if self._operand.runs(1):
            self._columns_in_runs(batch, start, length)
            return
        if self._operand.runs(2):
            self._along_k(batch, start, length)
            return
        b = self._b
        with self._puller.loop(b.for_("lane", 0, self._width)) as lane:
            column = self._puller.name("column", self._column(lane))
            with self._puller.loop(b.for_("k", 0, length)) as offset:
                k = self._puller.indices.intern(ir.add(start, offset))
                index = operand_index(self._puller, self._operand, (batch, column, k))
                self._put(offset, lane, self._puller.pull(self._operand.node, index))

    def _columns_in_runs(self, batch: Expr, start: Expr, length: Expr) -> None:
        """For each run of columns along the last axis, k by k; zero past the last."""
        b, puller, width = self._b, self._puller, const(self._width)
        end = puller.name("end", minimum(ir.add(self._first, width), self._extent))
        with runs(puller, self._operand.sizes(1), self._first, end) as run:
            to = puller.name("lanes", ir.subtract(run.base, self._first))
            with (
                puller.loop(b.for_("k", 0, length)) as offset,
                puller.loop(vectors(b, "column", run)) as column,
            ):
                k = puller.indices.intern(ir.add(start, offset))
                groups = self._split(0, batch), run.at(column), self._split(2, k)
                self._put(offset, ir.add(to, column), self._element(groups))
        self._zeros(puller.name("rest", ir.subtract(end, self._first)), length)

    def _along_k(self, batch: Expr, start: Expr, length: Expr) -> None:
        """For each column, runs of k along the last axis; zero past the last."""
        b, puller = self._b, self._puller
        end = puller.name("end", ir.add(start, length))
        rest = minimum(const(self._width), ir.subtract(self._extent, self._first))
        rest = const(self._width) if self._is_whole() else puller.name("rest", rest)
        with puller.loop(b.for_("lane", 0, rest)) as lane:
            column = puller.name("column", ir.add(self._first, lane))
            with (
                runs(puller, self._operand.sizes(2), start, end) as run,
                puller.loop(vectors(b, "k", run)) as k,
            ):
                groups = self._split(0, batch), self._split(1, column), run.at(k)
                offset = ir.subtract(ir.add(run.base, k), start)
                self._put(offset, lane, self._element(groups))
        self._zeros(rest, length)

    def _zeros(self, rest: Expr, length: Expr) -> None:
        """Fill the panel from lane `rest` on, where it may have columns past the last."""
        if self._is_whole():
            return
        b, type_ = self._b, LoopType(self._packed.dtype)
        zero = Const(0.0 if type_.dtype.is_float else 0, type_)
        with (
            self._puller.loop(b.for_("k", 0, length)) as offset,
            self._puller.loop(b.for_("lane", rest, self._width, LoopKind.VECTOR, lanes=16)) as lane,
        ):
            self._put(offset, lane, zero)

    def _split(self, group: int, position: Expr) -> tuple[Expr, ...]:
        return self._puller.indices.split(position, self._operand.sizes(group))

    def _element(self, groups: Sequence[Sequence[Expr]]) -> Expr:
        return self._puller.pull(self._operand.node, joined(self._operand, groups))

    def _is_whole(self) -> bool:
        """Whether every panel is full of columns."""
        return isinstance(self._extent, Const) and int(self._extent.value) % self._width == 0

    def _column(self, lane: Expr) -> Expr:
        last = ir.subtract(self._extent, const(1))
        return minimum(ir.add(self._first, lane), last)

    def _put(self, k: Expr, lane: Expr, value: Expr) -> None:
        at = ir.add(self._to, ir.add(ir.mul(k, const(self._width)), lane))
        self._b.store(self._packed, at, value)


def copy_strip(
    puller: Puller, operand: Operand, strip: Buffer, rows: int, first: Expr, last: Expr, part: Part
) -> None:
    """So many rows of A from `first` on, none past `last`, each contiguous: k of `part` to
    strip[row * part.room + k - part.start]."""
    b, split = puller.builder, puller.indices.split
    end = puller.name("end", part.stop)
    with puller.loop(b.for_("row", 0, rows)) as row:
        number = puller.name("number", minimum(ir.add(first, row), last))
        to = puller.name("to", ir.subtract(ir.mul(row, const(part.room)), part.start))
        of_batch, of_row = split(part.batch, operand.sizes(0)), split(number, operand.sizes(1))
        with (
            runs(puller, operand.sizes(2), part.start, end) as run,
            puller.loop(vectors(b, "k", run)) as k,
        ):
            index = joined(operand, (of_batch, of_row, run.at(k)))
            at = ir.add(to, ir.add(run.base, k))
            b.store(strip, at, puller.pull(operand.node, index))
