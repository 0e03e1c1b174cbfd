"""A reduction on a GPU: its 64 lanes as 64 threads, or as one thread's own array.

Both write: lanes at the identity take their elements in order; the halving tree combines lanes. A
reduction whose order matters is no longer than a block (weftc.loop.split_reduce).
"""

from __future__ import annotations

from collections.abc import Sequence

from weftc.loop import ir
from weftc.loop.build import Names
from weftc.loop.ir import (
    INDEX,
    Alloc,
    Barrier,
    Block,
    Buffer,
    Carry,
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
from weftc.loop.reductions import LANES, identity

__all__ = ["LANES", "private", "shared"]

_HALVINGS = LANES.bit_length() - 1


def shared(s: Reduce, rows: Sequence[Buffer], names: Names) -> list[Stmt]:
    """By the threads of a block, through the SHARED arrays `rows`; all threads get the results."""
    lane = Var(names.fresh("lane"), INDEX)
    fill = For(lane, const(0), const(LANES), _lane_loop(s, rows, lane, names), LoopKind.THREAD)
    tree = _tree(s, rows, names, LoopKind.THREAD, (Barrier(),))
    return [fill, Barrier(), tree, *_results(s, rows), Barrier()]


def private(s: Reduce, names: Names) -> list[Stmt]:
    """By one thread, through arrays of its own."""
    rows = [
        Buffer(names.fresh(f"{t.result.name}_lanes"), t.result.type.dtype, Space.LOCAL, LANES)
        for t in s.terms
    ]
    lane, at = Var(names.fresh("lane"), INDEX), Var(names.fresh("lane"), INDEX)
    clear = [Store(row, lane, _identity(row, t.op)) for row, t in zip(rows, s.terms)]
    first = Let(at, ir.apply(Scalar.AND, s.var, const(LANES - 1)))
    take = [
        Store(row, at, ir.apply(t.op, _load(row, at), t.value)) for row, t in zip(rows, s.terms)
    ]
    return [
        *map(Alloc, rows),
        For(lane, const(0), const(LANES), tuple(clear)),
        For(s.var, const(0), s.extent, (*s.body, first, *take)),
        _tree(s, rows, names, LoopKind.SERIAL, ()),
        *_results(s, rows),
    ]


def _results(s: Reduce, rows: Sequence[Buffer]) -> list[Stmt]:
    return [Let(t.result, _load(row, const(0))) for t, row in zip(s.terms, rows)]


def _lane_loop(s: Reduce, rows: Sequence[Buffer], lane: Var, names: Names) -> Block:
    """One lane's elements, in order, then its value into each row."""
    carried = []
    for t, row in zip(s.terms, rows):
        var = Var(names.fresh(f"{t.result.name}_lane"), t.result.type)
        result = Var(names.fresh(f"{t.result.name}_lane"), t.result.type)
        carried.append(Carry(var, _identity(row, t.op), ir.apply(t.op, var, t.value), result))
    loop = For(s.var, lane, s.extent, s.body, LoopKind.SERIAL, LANES, tuple(carried))
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
