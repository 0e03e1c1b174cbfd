"""Long reductions to reductions of one block each, combined by the same rule again.

    let s = reduce add over r in 0..n of x[r]

    alloc lanes[64]                                   # and so on for blocks of 4096 * 4096
    for lane in 0..64
      store lanes[lane] = 0
    for block in 0..n step 4096
      let part = reduce add over k in 0..minimum(n - block, 4096) of x[block + k]
      store lanes[block >> 12 & 63] = lanes[block >> 12 & 63] + part
    ...                                               # the halving tree over lanes
    let s = lanes[0]

A level over a single block changes no bit, so an unknown extent gets as many levels as any
extent may need, and those that are not needed touch one lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from weftc.loop import ir
from weftc.loop.bounds import Bounds
from weftc.loop.build import Builder, Names, load
from weftc.loop.ir import (
    Block,
    Buffer,
    Const,
    Expr,
    For,
    If,
    Let,
    LoopFunction,
    Reduce,
    Scalar,
    Stmt,
    Term,
    const,
)
from weftc.loop.reductions import BLOCK, LANES, identity, power_of_two
from weftc.loop.walk import names, statements

_MOST = BLOCK**4
"""Elements of an unknown extent: a pass over more would take a day."""


def split_reductions(
    function: LoopFunction, apart: Callable[[For, Bounds], bool] = lambda loop, bounds: False
) -> LoopFunction:
    """`function` with no Reduce that is longer than a block and whose order matters, but for those
    in loops that are `apart`."""
    if not any(isinstance(s, Reduce) for s in statements(function.body)):
        return function
    return replace(function, body=_Splitter(function, apart).block(function.body))


def reach(most: float) -> int:
    """The elements that so many levels of blocks take as a reduction of up to `most` needs."""
    block = BLOCK
    while block < min(most, _MOST):
        block *= BLOCK
    return block


def levels(most: float) -> int:
    """How many levels of lanes a reduction of up to so many elements has."""
    return round(math.log(reach(most), BLOCK))


def order_matters(term: Term) -> bool:
    """Whether another order may give other bits: integers wrap, and an extremum is one element."""
    return term.op in (Scalar.ADD, Scalar.MUL) and term.result.type.dtype.is_float


class _Splitter:
    def __init__(self, function: LoopFunction, apart: Callable[[For, Bounds], bool]) -> None:
        self._names = Names(tuple(names(function)))
        self._bounds = Bounds()
        self._apart = apart

    def block(self, body: Block) -> Block:
        return tuple(new for s in body for new in self._statement(s))

    def _statement(self, s: Stmt) -> Sequence[Stmt]:
        if isinstance(s, Let):
            self._bounds.note(s)
        if isinstance(s, For) and self._apart(s, self._bounds):
            return [s]
        if isinstance(s, For):
            return [replace(s, body=self.block(s.body))]
        if isinstance(s, If):
            return [replace(s, then=self.block(s.then), otherwise=self.block(s.otherwise))]
        if isinstance(s, Reduce) and any(map(order_matters, s.terms)):
            return self._split(s, self._bounds.most(s.extent))
        return [s]

    def _split(self, s: Reduce, most: float) -> Sequence[Stmt]:
        if most <= BLOCK:
            return [s]
        builder = Builder("", self._names)
        totals = _combined(builder, s, const(0), s.extent, reach(most))
        builder.emit(*(Let(t.result, total) for t, total in zip(s.terms, totals)))
        return builder.statements()


def _combined(b: Builder, s: Reduce, first: Expr, extent: Expr, block: int) -> Sequence[Expr]:
    """The results of `s` over `extent` elements from `first` on, at most `block`."""
    if block == BLOCK:
        return _one_block(b, s, first, extent)
    part = block // BLOCK
    lanes = [b.alloc(f"{t.result.name}_lanes", t.result.type.dtype, LANES) for t in s.terms]
    if isinstance(extent, Const):
        width = min(power_of_two(-(-int(extent.value) // part)), LANES)
        _fill(b, s.terms, lanes, const(width))
        _take_parts(b, s, lanes, first, extent, part, keep=False)
        return _tree(b, s.terms, lanes, width)
    several = ir.apply(Scalar.GT, extent, const(part))
    trees = b.let("trees", ir.apply(Scalar.SELECT, several, const(1), const(0)))
    used = b.let("width", ir.apply(Scalar.SELECT, several, const(LANES), const(1)))
    _fill(b, s.terms, lanes, used)
    last = _take_parts(b, s, lanes, first, extent, part)
    carried = [(t.result.name, value) for t, value in zip(s.terms, last)]
    with b.for_("tree", 0, trees, carried=carried) as tree:  # a branch that gives values
        tree.next(*_tree(b, s.terms, lanes, LANES))
    return tree.results


def _fill(b: Builder, terms: Sequence[Term], lanes: Sequence[Buffer], width: Expr) -> None:
    with b.for_("lane", 0, width) as lane:
        for term, row in zip(terms, lanes):
            b.store(row, lane.var, identity(term.op, row.dtype))


def _take_parts(
    b: Builder,
    s: Reduce,
    lanes: Sequence[Buffer],
    first: Expr,
    extent: Expr,
    part: int,
    keep: bool = True,
) -> Sequence[Expr]:
    """The results of every `part` elements into their lanes; those of the last part, if kept."""
    kept = s.terms if keep else ()
    carried = [(t.result.name, identity(t.op, row.dtype)) for t, row in zip(kept, lanes)]
    with b.for_("block", 0, extent, step=part, carried=carried) as loop:
        rest = ir.apply(Scalar.MINIMUM, ir.subtract(extent, loop.var), const(part))
        start = b.let("first", ir.add(first, loop.var))
        values = _combined(b, s, start, b.let("extent", rest), part)
        number = ir.apply(Scalar.SHR, loop.var, const(part.bit_length() - 1))
        lane = b.let("lane", ir.apply(Scalar.AND, number, const(LANES - 1)))
        for term, row, value in zip(s.terms, lanes, values):
            b.store(row, lane, ir.apply(term.op, load(row, lane), value))
        loop.next(*values[: len(kept)])
    return loop.results


def _one_block(b: Builder, s: Reduce, first: Expr, extent: Expr) -> Sequence[Expr]:
    with b.reduce(s.var.name, extent) as inner:
        b.emit(Let(s.var, ir.add(first, inner.var)), *s.body)
        return [inner.term(t.op, t.value, t.result.name) for t in s.terms]


def _tree(b: Builder, terms: Sequence[Term], lanes: Sequence[Buffer], width: int) -> Sequence[Expr]:
    """Lane i with lane i + half, for half = width / 2, width / 4, ..., 1."""
    with b.for_("level", 1, width.bit_length()) as level:
        half = b.let("half", ir.apply(Scalar.SHR, const(width), level.var))
        with b.for_("lane", 0, half) as lane:
            for term, row in zip(terms, lanes):
                high = load(row, ir.add(lane.var, half))
                b.store(row, lane.var, ir.apply(term.op, load(row, lane.var), high))
    return [b.let(t.result.name, load(row, 0)) for t, row in zip(terms, lanes)]
