"""The schedule of a contraction: packing, tasks of tiles, and the epilogue of each tile.

    parallel for panel: pack B (and A) where that pays
    parallel for (batch, block of columns, block of rows)
      for segment of k                                 # 1024 long: one fma chain each
        for strip of rows; for panel of columns
          tile = strip of A times panel of B           # in registers
          after the last segment, for row of the tile
            vector for column: the epilogue of C[row, column], stored

One register tile serves every size: the last strip and panel overlap the ones before (or are
padded, where packed), and only the rows and columns that are new are stored. Where much of the last
panel would not be, narrower tiles stand side by side in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial, reduce

from weftc.fusion.kernel import Kernel
from weftc.ir.opdef import Family
from weftc.ir.sizes import Dim, Size, product
from weftc.loop import ir
from weftc.loop.build import Builder, Loop, load
from weftc.loop.ir import Buffer, Const, Expr, LoopKind, Scalar, const
from weftc.schedule.cpu.arithmetic import ceil_divide, divide, minimum, modulo
from weftc.schedule.cpu.contraction_address import (
    batch_offset,
    count_if,
)
from weftc.schedule.cpu.contraction_column import may_sum, write_sums
from weftc.schedule.cpu.contraction_micro import Columns, Rows, Run, accumulate, keep
from weftc.schedule.cpu.contraction_pack import (
    Form,
    Packer,
    Part,
    copy_strip,
    pack_all,
    scratch_elements,
)
from weftc.schedule.cpu.contraction_problem import Operand, Problem, Strided, analyse, batches
from weftc.schedule.cpu.contraction_tiling import (
    FEW_ROWS,
    SEGMENT,
    Packing,
    Tiling,
    choose,
    for_few_rows,
    grain,
    needs_packed_b,
    own_elements,
    own_length,
)
from weftc.schedule.lowered import Lowered
from weftc.schedule.pull import Puller
from weftrt.target import Target

_MEDIUM = 128
"""Chains for which it counts whether a tile goes by way of memory."""
_WRITTEN_OUT = 48
"""The most work of the epilogue of a tile whose rows are written out."""


def lower_contraction(
    kernel: Kernel, target: Target, name: str, tiling: Tiling | None = None
) -> Lowered:
    """The loop function of a cluster around one contract node. `tiling` overrides the choice."""
    (contract,) = (node for node in kernel.nodes if node.op.family is Family.CONTRACTION)
    problem = analyse(contract, kernel.inputs)
    chosen = _possible(problem, tiling or choose(problem, target))
    puller = Puller(kernel, Builder(name))
    scratch: list[Size] = []
    elsewhere: list[Expr] = []
    if may_sum(problem):
        elsewhere.append(write_sums(kernel, problem, puller))
    few = for_few_rows(problem, chosen) if tiling is None else None
    if few is not None:
        is_few = _is_few(puller, problem, few)
        scratch += _Schedule(kernel, problem, few, puller, is_few).write()
        elsewhere.append(is_few)
    if not may_sum(problem) or problem.n != 1:
        rest = _none_of(puller, elsewhere)
        scratch += _Schedule(kernel, problem, chosen, puller, rest).write()
    return Lowered(
        puller.builder.function(),
        (*kernel.inputs, *kernel.outputs),
        puller.indices.sizes,
        tuple(scratch),
        puller.sites,
        _nanoseconds(problem),
    )


def _none_of(puller: Puller, conditions: Sequence[Expr]) -> Expr | None:
    """Whether none of the conditions holds; None for no conditions."""
    if not conditions:
        return None
    some = reduce(partial(ir.apply, Scalar.OR), conditions)
    return puller.name("is_many", ir.apply(Scalar.NOT, some))


def _possible(problem: Problem, tiling: Tiling) -> Tiling:
    """`tiling`, with the operands packed that must be."""
    if tiling.pack_b is Packing.DIRECT and needs_packed_b(problem, tiling.lanes):
        tiling = replace(tiling, pack_b=Packing.SHARED, last=())
    if problem.a.strided is not None or tiling.own_a:
        return tiling
    return replace(tiling, pack_a=True)


def _is_few(puller: Puller, problem: Problem, few: Tiling) -> Expr:
    size = puller.indices.size
    condition = ir.apply(Scalar.LE, size(problem.m), const(FEW_ROWS))
    if not isinstance(problem.n, int):
        wide = ir.apply(Scalar.GE, size(problem.n), const(few.lanes))
        condition = ir.apply(Scalar.AND, condition, wide)
    return puller.name("is_few", condition)


@dataclass(frozen=True, eq=False)
class _Task:
    """What one iteration of the parallel loop computes."""

    batch: Expr
    strips: tuple[Expr, Expr]
    panels: tuple[Expr, Expr]
    a_base: Expr
    b_base: Expr
    tiles: Buffer
    panel: Buffer | None
    """Room for a panel of B, where each task packs its own."""
    strip: Buffer | None
    """The same for a strip of A."""


@dataclass(frozen=True, eq=False)
class _Span:
    """The part of one axis that a tile covers: it starts at `start`, its elements low .. high are
    this tile's to store."""

    start: Expr
    low: Expr
    high: Expr

    def is_whole(self, width: int) -> bool:
        """Whether all of a tile's `width` elements are to be stored, certainly."""
        bounds = (self.low, self.high)
        return [b.value for b in bounds if isinstance(b, Const)] == [0, width]


@dataclass(frozen=True, eq=False)
class _Panel:
    """A panel, or a part of the last one that starts at its column `first`: `lanes` wide. One that
    `is_full` has all of its columns, whatever its number."""

    number: Expr
    lanes: int
    first: int = 0
    is_full: bool = False


@dataclass(frozen=True, eq=False)
class _Tile:
    """The rows and columns of a tile, its lanes, and where its sums are kept."""

    rows: _Span
    columns: _Span
    lanes: int
    at: Expr


class _Schedule:
    """The loops of one tiling; with `enabled`, they run only where that holds."""

    def __init__(
        self,
        kernel: Kernel,
        problem: Problem,
        tiling: Tiling,
        puller: Puller,
        enabled: Expr | None = None,
    ) -> None:
        self._kernel, self._problem, self._tiling = kernel, problem, tiling
        self._puller, self._b, self._size = puller, puller.builder, puller.indices.size
        self._m, self._n, self._k = map(self._size, (problem.m, problem.n, problem.k))
        self._one_segment = isinstance(problem.k, int) and problem.k <= SEGMENT
        self._packed: dict[Operand, Buffer] = {}
        self._enabled = enabled

    def write(self) -> list[Size]:
        """Write the loops; the bytes of the scratch buffers they need."""
        problem, tiling = self._problem, self._tiling
        scratch: list[Size] = []
        for operand, free, width, wanted in (
            (problem.b, problem.n, tiling.lanes, tiling.pack_b is Packing.SHARED),
            (problem.a, problem.m, tiling.rows, tiling.pack_a),
        ):
            if wanted:
                form = Form(operand, free, width, self._enabled)
                self._packed[operand] = pack_all(self._puller, problem, form)
                elements = scratch_elements(operand, free, problem.k, width)
                scratch.append(elements * problem.dtype.itemsize)
        self._tasks()
        return scratch

    # -- loops ----------------------------------------------------------------------------------

    def _tasks(self) -> None:
        tiling, name = self._tiling, self._puller.name
        strips = name("strips", ceil_divide(self._m, tiling.rows))
        panels = name("panels", ceil_divide(self._n, tiling.lanes))
        row_blocks = name("row_blocks", ceil_divide(strips, tiling.strips))
        column_blocks = name("column_blocks", ceil_divide(panels, tiling.panels))
        blocks = ir.mul(row_blocks, column_blocks)
        tasks = ir.mul(self._size(product(self._problem.batch)), blocks)
        with self._puller.loop(self._opened(name("tasks", count_if(self._enabled, tasks)))) as task:
            rest = name("block", divide(task, row_blocks))
            batch = name("batch", divide(rest, column_blocks))
            block = modulo(task, row_blocks), modulo(rest, column_blocks)
            self._segments(self._task(batch, block, (strips, panels)))

    def _opened(self, tasks: Expr) -> AbstractContextManager[Loop]:
        """The loop over tasks, on threads where there are enough."""
        least = grain(self._problem, self._tiling)
        if isinstance(tasks, Const) and int(tasks.value) <= least:
            return self._b.for_("task", 0, tasks)
        return self._b.for_("task", 0, tasks, LoopKind.PARALLEL, grain=least)

    def _task(self, batch: Expr, block: tuple[Expr, Expr], counts: tuple[Expr, Expr]) -> _Task:
        """The task of a block of rows and one of columns, of so many strips and panels in all."""
        tiling, problem, (strips, panels) = self._tiling, self._problem, counts
        tiles = self._room("tiles", self._tiles() * tiling.rows * tiling.lanes)
        own, own_a = tiling.pack_b is Packing.OWN, tiling.own_a
        return _Task(
            batch,
            self._range(block[0], tiling.strips, strips),
            self._range(block[1], tiling.panels, panels),
            const(0) if own_a else self._base(problem.a, batch, strips, tiling.rows),
            const(0) if own else self._base(problem.b, batch, panels, tiling.lanes),
            tiles,
            self._room("own_b", own_elements(problem, tiling.lanes)) if own else None,
            self._room("own_a", own_elements(problem, tiling.rows)) if own_a else None,
        )

    def _room(self, hint: str, elements: int) -> Buffer:
        return self._b.alloc(hint, self._problem.dtype, elements)

    def _range(self, block: Expr, length: int, stop: Expr) -> tuple[Expr, Expr]:
        start = self._puller.name("start", ir.mul(block, const(length)))
        return start, self._puller.name("stop", minimum(ir.add(start, const(length)), stop))

    def _tiles(self) -> int:
        return 1 if self._one_segment else self._tiling.strips * self._tiling.panels

    def _base(self, operand: Operand, batch: Expr, panels: Expr, width: int) -> Expr:
        """Where the operand's matrix of a batch element starts."""
        if operand in self._packed:
            matrix = const(0) if batches(operand) == 1 else batch
            size = ir.mul(panels, ir.mul(self._k, const(width)))
            return self._puller.name("base", ir.mul(matrix, size))
        return batch_offset(self._puller, operand.sizes(0), _memory(operand), batch)

    def _segments(self, task: _Task) -> None:
        unroll = self._tiling.unroll
        k = self._problem.k
        whole = isinstance(k, int) and k % unroll == 0
        if self._one_segment:
            self._all_tiles(task, Run(const(0), self._k, whole))
            return
        b = self._b
        least_one = ir.apply(Scalar.MAXIMUM, ceil_divide(self._k, SEGMENT), const(1))
        segments = self._puller.name("segments", least_one)
        with self._puller.loop(b.for_("segment", 0, segments)) as loop:
            start = self._puller.name("k_start", ir.mul(loop, const(SEGMENT)))
            stop = self._puller.name("k_stop", minimum(ir.add(start, const(SEGMENT)), self._k))
            first = self._puller.name("is_first", ir.apply(Scalar.EQ, loop, const(0)))
            following = ir.add(loop, const(1))
            last = self._puller.name("is_last", ir.apply(Scalar.EQ, following, segments))
            self._all_tiles(task, Run(start, stop, whole, first, last))

    def _all_tiles(self, task: _Task, run: Run) -> None:
        """All tiles over one run of k: along rows of tiles, or, where each panel of B is packed for
        the task, along columns."""
        b, puller = self._b, self._puller
        if self._tiling.pack_b is Packing.OWN:
            for panel in self._panels(task):
                columns = self._columns(panel)
                source = self._own_panel(task, columns, run)
                with puller.loop(b.for_("strip", *task.strips)) as strip:
                    rows, at = self._rows(strip), self._slot(task, panel, strip)
                    strip_of_a = self._a_strip(task, strip, rows, run)
                    self._tile(task, _Tile(rows, columns, panel.lanes, at), strip_of_a, source, run)
            return
        with puller.loop(b.for_("strip", *task.strips)) as strip:
            rows = self._rows(strip)
            strip_of_a = self._a_strip(task, strip, rows, run)
            for panel in self._panels(task):
                columns, at = self._columns(panel), self._slot(task, panel, strip)
                source = self._b_panel(task, panel, columns)
                self._tile(task, _Tile(rows, columns, panel.lanes, at), strip_of_a, source, run)

    def _panels(self, task: _Task) -> Iterator[_Panel]:
        """The panels of a task, in a loop; the parts of the last one of all after it. What is done
        for a panel is written where it is asked for."""
        (start, stop), tiling = task.panels, self._tiling
        if not tiling.last:
            with self._puller.loop(self._b.for_("panel", start, stop)) as panel:
                yield _Panel(panel, tiling.lanes)
            return
        last = divide(self._n, const(tiling.lanes))
        with self._puller.loop(self._b.for_("panel", start, minimum(stop, last))) as panel:
            yield _Panel(panel, tiling.lanes, is_full=True)
        after = ir.apply(Scalar.MAXIMUM, start, last)
        with self._puller.loop(self._b.for_("panel", after, stop)):
            first = 0
            for lanes in tiling.last:
                yield _Panel(last, lanes, first)
                first += lanes

    def _tile(self, task: _Task, tile: _Tile, a: Rows, columns: Columns, run: Run) -> None:
        b = self._b
        sums = accumulate(b, a, columns, tile.lanes, run, self._tiling.unroll)
        keep(b, task.tiles, tile.at, sums, run.first)
        if run.last is None:
            self._epilogue(task, tile)
        else:
            with b.if_(run.last):
                self._epilogue(task, tile)

    def _slot(self, task: _Task, panel: _Panel, strip: Expr) -> Expr:
        """Where the tile is kept between segments."""
        if self._one_segment:
            return const(0)
        rows = self._tiling.rows
        panel_number = ir.subtract(panel.number, task.panels[0])
        strip_number = ir.subtract(strip, task.strips[0])
        number = ir.add(ir.mul(panel_number, const(self._tiling.strips)), strip_number)
        slot = ir.add(ir.mul(number, const(rows * self._tiling.lanes)), const(rows * panel.first))
        return self._puller.name("slot", slot)

    # -- tiles ----------------------------------------------------------------------------------

    def _rows(self, strip: Expr) -> _Span:
        overlap = self._fits() and self._problem.a not in self._packed
        begin = self._puller.name("begin", ir.mul(strip, const(self._tiling.rows)))
        return self._span(begin, self._tiling.rows, self._m, overlap)

    def _columns(self, panel: _Panel) -> _Span:
        first = ir.add(ir.mul(panel.number, const(self._tiling.lanes)), const(panel.first))
        begin = self._puller.name("begin", first)
        if panel.is_full:
            return _Span(begin, const(0), const(panel.lanes))
        return self._span(begin, panel.lanes, self._n, self._tiling.pack_b is Packing.DIRECT)

    def _span(self, begin: Expr, width: int, extent: Expr, overlap: bool) -> _Span:
        if isinstance(extent, Const) and int(extent.value) % width == 0:
            return _Span(begin, const(0), const(width))
        if overlap:
            start = self._puller.name("shifted", minimum(begin, ir.subtract(extent, const(width))))
            return _Span(start, self._puller.name("low", ir.subtract(begin, start)), const(width))
        if isinstance(extent, Const) and int(extent.value) < width:
            return _Span(begin, const(0), extent)
        high = minimum(const(width), ir.subtract(extent, begin))
        return _Span(begin, const(0), self._puller.name("high", high))

    def _own_panel(self, task: _Task, columns: _Span, run: Run) -> Columns:
        """Copy the panel at `columns` for this task."""
        assert task.panel is not None
        lanes = const(self._tiling.lanes)
        length = ir.subtract(run.stop, run.start)
        packer = Packer(self._puller, self._problem.b, self._n, self._tiling.lanes, task.panel)
        packer.copy(task.batch, columns.start, const(0), run.start, length)
        return Columns(task.panel, ir.subtract(const(0), ir.mul(run.start, lanes)), lanes)

    def _b_panel(self, task: _Task, panel: _Panel, columns: _Span) -> Columns:
        operand = self._problem.b
        lanes = const(self._tiling.lanes)
        if operand in self._packed:
            offset = ir.add(task.b_base, ir.mul(panel.number, ir.mul(self._k, lanes)))
            return Columns(self._packed[operand], self._puller.name("b_at", offset), lanes)
        strided = _memory(operand)
        offset = self._puller.name("b_at", ir.add(task.b_base, columns.start))
        step = self._size(strided.contracted)
        source = self._puller.buffers[strided.source]
        return Columns(source, offset, step, self._tiling.prefetch)

    def _own_strip(self, task: _Task, rows: _Span, run: Run) -> Rows:
        """Copy the strip at `rows` for this task."""
        assert task.strip is not None
        room, count = own_length(self._problem), self._tiling.rows
        last = ir.subtract(self._m, const(1))
        part = Part(task.batch, run.start, run.stop, room)
        copy_strip(self._puller, self._problem.a, task.strip, count, rows.start, last, part)
        offsets = [ir.subtract(const(row * room), run.start) for row in range(count)]
        return Rows(task.strip, tuple(offsets), const(1))

    def _fits(self) -> bool:
        return isinstance(self._problem.m, int) and self._problem.m >= self._tiling.rows

    def _a_strip(self, task: _Task, strip: Expr, rows: _Span, run: Run) -> Rows:
        operand, count = self._problem.a, self._tiling.rows
        if self._tiling.own_a:
            return self._own_strip(task, rows, run)
        if operand in self._packed:
            size = ir.mul(self._k, const(count))
            base = self._puller.name("a_at", ir.add(task.a_base, ir.mul(strip, size)))
            offsets = tuple(ir.add(base, const(row)) for row in range(count))
            return Rows(self._packed[operand], offsets, const(count))
        strided = _memory(operand)
        stride = self._size(strided.free)
        if self._fits():
            base = self._puller.name("a_at", ir.add(task.a_base, ir.mul(rows.start, stride)))
            offsets = tuple(ir.add(base, ir.mul(const(row), stride)) for row in range(count))
        else:
            last = ir.subtract(self._m, const(1))
            clamped = (minimum(ir.add(rows.start, const(row)), last) for row in range(count))
            offsets = tuple(
                self._puller.name("a_at", ir.add(task.a_base, ir.mul(row, stride)))
                for row in clamped
            )
        step = self._size(strided.contracted)
        return Rows(self._puller.buffers[strided.source], offsets, step)

    # -- epilogue -------------------------------------------------------------------------------

    def _epilogue(self, task: _Task, tile: _Tile) -> None:
        if self._in_registers(tile):
            for number in range(self._tiling.rows):
                self._row(task, tile, const(number), tile.lanes)
            return
        lanes = min(tile.lanes, 32)
        with self._puller.loop(self._b.for_("row", tile.rows.low, tile.rows.high)) as row:
            self._row(task, tile, row, lanes)

    def _in_registers(self, tile: _Tile) -> bool:
        """Whether the rows of a tile are written out, so that none goes by way of memory: it counts
        where chains are short, and takes more code."""
        k, rows, lanes = self._problem.k, self._tiling.rows, tile.lanes
        if not (tile.rows.is_whole(rows) and tile.columns.is_whole(lanes)):
            return False
        if not isinstance(k, int) or k > _MEDIUM:
            return False
        work = sum(n.op.cost for n in self._kernel.nodes if n.op.family is Family.POINTWISE)
        return rows * work <= _WRITTEN_OUT

    def _row(self, task: _Task, tile: _Tile, row: Expr, lanes: int) -> None:
        """The epilogue of a row, in vectors of so many lanes."""
        b, puller, problem, columns = self._b, self._puller, self._problem, tile.columns
        split = self._puller.indices.split
        i = puller.name("i", ir.add(tile.rows.start, row))
        outer = split(task.batch, problem.batch) + split(i, problem.a.sizes(1))
        tile_row = puller.name("tile_row", ir.add(tile.at, ir.mul(row, const(tile.lanes))))
        vector = b.for_("lane", columns.low, columns.high, LoopKind.VECTOR, lanes=lanes)
        with puller.loop(vector) as lane:
            total = b.let("total", load(task.tiles, ir.add(tile_row, lane)))
            j = puller.indices.intern(ir.add(columns.start, lane))
            index = outer + split(j, problem.b.sizes(1))
            puller.provide(problem.node, index, total)
            for output in self._kernel.outputs:
                puller.store(output, index, puller.pull(output, index))


def _memory(operand: Operand) -> Strided:
    assert operand.strided is not None
    return operand.strided


def _nanoseconds(problem: Problem) -> Size:
    """At about 180 flops a nanosecond."""
    fixed = 1
    symbolic: Size = 1
    for size in (*problem.batch, problem.m, problem.n, problem.k):
        if isinstance(size, Dim):
            symbolic = symbolic * size
        else:
            fixed *= size
    return symbolic * max(1, fixed // 90)
