"""The canonical reduction on a GPU: its 64 lanes as 64 threads, or as one thread's own array.

Both write: for each block of 4096 elements, lanes at the identity take their elements in order; the
halving tree combines lanes; block results are combined in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from weftc.loop import ir
from weftc.loop.build import Names
from weftc.loop.ir import (
    INDEX,
    Alloc,
    Barrier,
    Block,
    Buffer,
    Carry,
    Const,
    Expr,
    For,
    Let,
    Load,
    LoopKind,
    LoopType,
    Reduce,
    Scalar,
    Space,
    Stmt,
    Store,
    Var,
    const,
)
from weftc.loop.reductions import BLOCK, LANES, identity

__all__ = ["LANES", "private", "shared"]

_HALVINGS = LANES.bit_length() - 1

OneBlock = Callable[[Expr, Expr], Sequence[Stmt]]
"""Statements that leave the result of elements start..stop in lane 0 of each row."""


def shared(s: Reduce, rows: Sequence[Buffer], names: Names) -> list[Stmt]:
    """By the threads of a block, through the SHARED arrays `rows`; all threads get the results."""

    def one_block(start: Expr, stop: Expr) -> list[Stmt]:
        lane = Var(names.fresh("lane"), INDEX)
        take = _lane_loop(s, rows, lane, start, stop, names)
        fill = For(lane, const(0), const(LANES), take, LoopKind.THREAD)
        return [fill, Barrier(), _tree(s, rows, names, LoopKind.THREAD, (Barrier(),))]

    return _blocks(s, rows, names, one_block, (Barrier(),))


def private(s: Reduce, names: Names) -> list[Stmt]:
    """By one thread, through arrays of its own."""
    rows = [
        Buffer(names.fresh(f"{t.result.name}_lanes"), t.result.type.dtype, Space.LOCAL, LANES)
        for t in s.terms
    ]

    def one_block(start: Expr, stop: Expr) -> list[Stmt]:
        lane, at = Var(names.fresh("lane"), INDEX), Var(names.fresh("lane"), INDEX)
        clear = [Store(row, lane, _identity(row, t.op)) for row, t in zip(rows, s.terms)]
        first = Let(at, ir.apply(Scalar.AND, s.var, const(LANES - 1)))
        take = [
            Store(row, at, ir.apply(t.op, _load(row, at), t.value)) for row, t in zip(rows, s.terms)
        ]
        return [
            For(lane, const(0), const(LANES), tuple(clear)),
            For(s.var, start, stop, (*s.body, first, *take)),
            _tree(s, rows, names, LoopKind.SERIAL, ()),
        ]

    return [*map(Alloc, rows), *_blocks(s, rows, names, one_block, ())]


def _blocks(
    s: Reduce, rows: Sequence[Buffer], names: Names, one_block: OneBlock, after: Block
) -> list[Stmt]:
    """Block results in order. Starting at the identity gives the same bits as starting at the
    first block's result: none of these is -0 for a sum."""
    extent = s.extent
    if isinstance(extent, Const) and 0 < extent.value <= BLOCK:
        results = [Let(t.result, _load(row, const(0))) for t, row in zip(s.terms, rows)]
        return [*one_block(const(0), extent), *results, *after]
    parts = [Var(names.fresh(f"{t.result.name}_part"), t.result.type) for t in s.terms]
    read = [Let(part, _load(row, const(0))) for part, row in zip(parts, rows)]
    start, stop = Var(names.fresh("block"), INDEX), Var(names.fresh("stop"), INDEX)
    limit = Let(stop, ir.apply(Scalar.MINIMUM, ir.add(start, const(BLOCK)), extent))
    carried = []
    for t, row, part in zip(s.terms, rows, parts):
        total = Var(names.fresh(f"{t.result.name}_total"), t.result.type)
        following = ir.apply(t.op, total, part)
        carried.append(Carry(total, _identity(row, t.op), following, t.result))
    body = (limit, *one_block(start, stop), *read, *after)
    return [For(start, const(0), extent, body, LoopKind.SERIAL, BLOCK, tuple(carried))]


def _lane_loop(
    s: Reduce, rows: Sequence[Buffer], lane: Var, start: Expr, stop: Expr, names: Names
) -> Block:
    """One lane's elements, in order, then its value into each row."""
    carried = []
    for t, row in zip(s.terms, rows):
        var = Var(names.fresh(f"{t.result.name}_lane"), t.result.type)
        result = Var(names.fresh(f"{t.result.name}_lane"), t.result.type)
        carried.append(Carry(var, _identity(row, t.op), ir.apply(t.op, var, t.value), result))
    loop = For(s.var, ir.add(start, lane), stop, s.body, LoopKind.SERIAL, LANES, tuple(carried))
    return (loop, *(Store(row, lane, c.result) for row, c in zip(rows, carried)))


def _tree(s: Reduce, rows: Sequence[Buffer], names: Names, kind: LoopKind, after: Block) -> For:
    """Lane i with lane i + half, for half = 32, 16, 8, 4, 2, 1."""
    level, lane = Var(names.fresh("level"), INDEX), Var(names.fresh("lane"), INDEX)
    half = Var(names.fresh("half"), INDEX)
    stores = tuple(
        Store(row, lane, ir.apply(t.op, _load(row, lane), _load(row, ir.add(lane, half))))
        for row, t in zip(rows, s.terms)
    )
    halve = Let(half, ir.apply(Scalar.SHR, const(LANES // 2), level))
    body = (halve, For(lane, const(0), half, stores, kind), *after)
    return For(level, const(0), const(_HALVINGS), body)


def _identity(row: Buffer, op: Scalar) -> Expr:
    return identity(op, row.dtype)


def _load(row: Buffer, index: Expr) -> Load:
    return Load(row, index, LoopType(row.dtype))
