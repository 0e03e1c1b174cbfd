"""The register tile: rows x lanes accumulators over a run of k, kept in registers.

    for k in 0..K step 2                 # 24 accumulators of 16 lanes for float32 on AVX-512
      b = B[k, j0 : j0+64]               # contiguous: 4 vectors
      acc0 = fma(A[i0, k], b, acc0)      # a uniform load, broadcast
      ...
      acc5 = fma(A[i0+5, k], b, acc5)

Written widened: its vectors are longer than the machine's and LLVM splits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weftc.loop import ir
from weftc.loop.build import Builder
from weftc.loop.ir import Buffer, Const, Expr, Load, LoopType, Op, Scalar, Splat, Store, const

_AHEAD = 8
"""Rows of B that a prefetch is ahead."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Where a strip of A lies: one offset for each row, and the distance of neighbours in k."""

    buffer: Buffer
    offsets: tuple[Expr, ...]
    step: Expr


@dataclass(frozen=True, eq=False)
class Columns:
    """Where a panel of B lies: its lanes are contiguous, `step` apart for neighbours in k."""

    buffer: Buffer
    offset: Expr
    step: Expr
    prefetch: bool = False


@dataclass(frozen=True, eq=False)
class Run:
    """The segment start <= k < stop."""

    start: Expr
    stop: Expr
    whole: bool
    """Whether the length is certainly a multiple of the unroll."""
    first: Expr | None = None
    last: Expr | None = None
    """Whether it is the first or last segment; None where there is only one."""


def accumulate(
    b: Builder, rows: Rows, columns: Columns, lanes: int, run: Run, unroll: int
) -> tuple[Expr, ...]:
    """The accumulators, one vector for each row, after one chain over `run`."""
    wide = LoopType(rows.buffer.dtype, lanes)
    zero = Const(0.0 if wide.dtype.is_float else 0, wide)
    values: Sequence[Expr] = [zero] * len(rows.offsets)
    if run.whole:
        return _loop(b, rows, columns, wide, (run.start, run.stop), unroll, values)
    length = ir.apply(Scalar.SUB, run.stop, run.start)
    rest = ir.apply(Scalar.TREM, length, const(unroll))
    middle = b.let("k_middle", ir.apply(Scalar.SUB, run.stop, rest))
    values = _loop(b, rows, columns, wide, (run.start, middle), unroll, values)
    return _loop(b, rows, columns, wide, (middle, run.stop), 1, values)


def _loop(
    b: Builder,
    rows: Rows,
    columns: Columns,
    wide: LoopType,
    bounds: tuple[Expr, Expr],
    unroll: int,
    values: Sequence[Expr],
) -> tuple[Expr, ...]:
    carried = [(f"acc{row}", value) for row, value in enumerate(values)]
    with b.for_("k", *bounds, step=unroll, carried=carried) as loop:
        accumulators: tuple[Expr, ...] = loop.values
        for step in range(unroll):
            k = ir.add(loop.var, const(step))
            at = ir.add(columns.offset, ir.mul(k, columns.step))
            vector = b.let("b", Load(columns.buffer, at, wide))
            if columns.prefetch:
                _prefetch(b, columns, at, wide)
            accumulators = tuple(
                b.let("acc", _multiply_add(_broadcast(rows, row, k, wide), vector, value))
                for row, value in enumerate(accumulators)
            )
        loop.next(*accumulators)
    return loop.results


def _prefetch(b: Builder, columns: Columns, at: Expr, wide: LoopType) -> None:
    """Ask for a row of B before its turn: rows are too far apart for the hardware to see."""
    ahead = ir.add(at, ir.mul(const(_AHEAD), columns.step))
    for lane in range(0, wide.lanes, 64 // wide.dtype.itemsize):
        b.call("prefetch", ir.add(ahead, const(lane)), buffer=columns.buffer)


def _broadcast(rows: Rows, row: int, k: Expr, wide: LoopType) -> Expr:
    at = ir.add(rows.offsets[row], ir.mul(k, rows.step))
    return Splat(Load(rows.buffer, at, LoopType(wide.dtype)), wide)


def _multiply_add(x: Expr, y: Expr, total: Expr) -> Expr:
    if x.type.dtype.is_float:
        return ir.apply(Scalar.FMA, x, y, total)
    return ir.apply(Scalar.ADD, ir.apply(Scalar.MUL, x, y), total)


def keep(b: Builder, tile: Buffer, at: Expr, values: Sequence[Expr], first: Expr | None) -> None:
    """Store the accumulators of a segment at `tile[at]`, added to those of the segments before;
    `first` says whether there are none (None: there never are)."""
    if first is None:
        _store(b, tile, at, values)
        return
    with b.if_(first):
        _store(b, tile, at, values)
    with b.else_():
        sums: list[Expr] = []
        for row, value in enumerate(values):
            before = Load(tile, _row(at, row, value), value.type)
            sums.append(Op(Scalar.ADD, (before, value), value.type))
        _store(b, tile, at, sums)


def _store(b: Builder, tile: Buffer, at: Expr, values: Sequence[Expr]) -> None:
    for row, value in enumerate(values):
        b.emit(Store(tile, _row(at, row, value), value))


def _row(at: Expr, row: int, value: Expr) -> Expr:
    return ir.add(at, const(row * value.type.lanes))
