"""Copies of an operand in the order the tiles read it.

B becomes panels of `lanes` columns, A strips of `rows` rows; a panel or strip is contiguous, k by
k. What lies past the last row or column is a copy of the last one, or zero: no result reads it.
"""

from __future__ import annotations

from weftc.ir.types import Size
from weftc.loop import ir
from weftc.loop.build import load
from weftc.loop.ir import Buffer, Expr, LoopKind, Scalar, Space, const
from weftc.schedule.cpu.contraction_address import (
    batch_offset,
    batches,
    ceil_divide,
    divide,
    minimum,
    modulo,
    operand_index,
    subtract,
)
from weftc.schedule.cpu.contraction_problem import Operand, Problem, Strided
from weftc.schedule.cpu.contraction_tiling import assumed, ceil_div
from weftc.schedule.pull import Puller

_SQUARE = 64
"""A transposing copy goes by squares of this side, which stay in L1."""
_ELEMENTS = 1 << 15
"""The fewest elements worth a thread."""


def scratch_elements(operand: Operand, free: Size, k: Size, width: int) -> Size:
    """Room for the panels of `width`: a bound that is a polynomial."""
    padded = -(-free // width) * width if isinstance(free, int) else free + (width - 1)
    return batches(operand) * padded * k


def pack(puller: Puller, problem: Problem, operand: Operand, free: Size, width: int) -> Buffer:
    """A parallel loop that fills a scratch buffer with the panels of an operand, and the buffer.
    Panel number `batch * panels + panel` starts at that number times k * width."""
    size = puller.indices.size
    elements = size(scratch_elements(operand, free, problem.k, width))
    packed = puller.builder.buffer("packed", problem.dtype, Space.SCRATCH, elements, aligned=64)
    panels = puller.name("panels", ceil_divide(size(free), width))
    count = ir.mul(size(batches(operand)), panels)
    k = assumed(problem.k)
    grain = ceil_div(_ELEMENTS, max(1, k) * width)
    opened = puller.builder.for_("panel", 0, count, LoopKind.PARALLEL, grain=grain)
    with puller.loop(opened) as number:
        _Panel(puller, problem, operand, free, width, packed).copy(number, panels)
    return packed


class _Panel:
    """One panel of a copy."""

    def __init__(
        self,
        puller: Puller,
        problem: Problem,
        operand: Operand,
        free: Size,
        width: int,
        packed: Buffer,
    ) -> None:
        self._puller, self._b, self._size = puller, puller.builder, puller.indices.size
        self._operand, self._packed, self._width = operand, packed, width
        self._extent, self._k = self._size(free), self._size(problem.k)

    def copy(self, number: Expr, panels: Expr) -> None:
        """Panel `number` of all."""
        name = self._puller.name
        self._to = name("to", ir.mul(number, ir.mul(self._k, const(self._width))))
        self._first = name("first", ir.mul(modulo(number, panels), const(self._width)))
        batch = name("batch", divide(number, panels))
        strided = self._operand.strided
        if strided is None:
            self._general(batch)
            return
        base = batch_offset(self._puller, self._operand.sizes(0), strided, batch)
        if strided.free == 1:
            self._rows(base, strided)
        else:
            self._transposed(base, strided)

    def _rows(self, base: Expr, strided: Strided) -> None:
        """Columns are contiguous: copy them k by k, zero past the last."""
        b, width, step = self._b, self._width, self._size(strided.contracted)
        buffer = self._puller.buffers[strided.source]
        whole = isinstance(self._extent, ir.Const) and int(self._extent.value) % width == 0
        lanes = width & -width
        with (
            self._puller.loop(b.for_("k", 0, self._k)) as k,
            self._puller.loop(b.for_("lane", 0, width, LoopKind.VECTOR, lanes=lanes)) as lane,
        ):
            column = ir.add(self._first, lane)
            inside = None if whole else ir.apply(Scalar.LT, column, self._extent)
            at = ir.add(ir.add(base, ir.mul(k, step)), column)
            self._put(k, lane, load(buffer, at, inside))

    def _transposed(self, base: Expr, strided: Strided) -> None:
        """Copy squares, along k where it is contiguous."""
        b, step = self._b, self._size(strided.contracted)
        buffer = self._puller.buffers[strided.source]
        with (
            self._puller.loop(b.for_("square", 0, self._k, step=_SQUARE)) as square,
            self._puller.loop(b.for_("lane", 0, self._width)) as lane,
        ):
            column = ir.mul(self._column(lane), self._size(strided.free))
            at = self._puller.name("from", ir.add(base, column))
            length = self._puller.name("length", minimum(const(_SQUARE), subtract(self._k, square)))
            vector = b.for_("k", 0, length, LoopKind.VECTOR, lanes=16)
            with self._puller.loop(vector) as offset:
                k = ir.add(square, offset)
                self._put(k, lane, load(buffer, ir.add(at, ir.mul(k, step))))

    def _general(self, batch: Expr) -> None:
        """Pull each element through its index."""
        b = self._b
        with self._puller.loop(b.for_("lane", 0, self._width)) as lane:
            column = self._puller.name("column", self._column(lane))
            with self._puller.loop(b.for_("k", 0, self._k)) as k:
                index = operand_index(self._puller, self._operand, (batch, column, k))
                self._put(k, lane, self._puller.pull(self._operand.node, index))

    def _column(self, lane: Expr) -> Expr:
        last = subtract(self._extent, const(1))
        return minimum(ir.add(self._first, lane), last)

    def _put(self, k: Expr, lane: Expr, value: Expr) -> None:
        at = ir.add(self._to, ir.add(ir.mul(k, const(self._width)), lane))
        self._b.store(self._packed, at, value)
