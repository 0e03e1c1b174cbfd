"""A reduction as loops: 64 lanes of a vector, or 64 vectors of a vector loop's lanes.

let s = reduce add over r in 0..n of x[r]

let whole = n & -64
for r in 0..whole step 64 carried (lanes = splat(0))
  next lanes + x[r:64]
for r in whole..n step 64 carried ...                  # at most once, masked
  next select(r.. < n, lanes + x[r:64], lanes)
let s = tree(lanes)

A reduction whose order matters is no longer than a block (weftc.loop.split_reduce).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weftc.loop import ir
from weftc.loop.build import Builder
from weftc.loop.ir import (
    Buffer,
    Const,
    Expr,
    Let,
    LoopType,
    Reduce,
    Scalar,
    Tree,
    Var,
    const,
)
from weftc.loop.lanes import Lanes, Value
from weftc.loop.reductions import LANES, identity, known_extent, power_of_two
from weftc.loop.walk import count, expressions, statements

if TYPE_CHECKING:
    from weftc.loop.widen import Widener

UNROLL_LIMIT = 256
"""Nodes of straight code that a short column reduction may become."""

_STRAIGHT = 8
"""Accumulators that a column's tree combines in one expression."""

Values = list[Expr]
"""One expression per term of a Reduce."""


def reduce_scalar(widener: Widener, s: Reduce) -> None:
    """A Reduce outside of vector loops."""
    totals = _row(widener, s) if known_extent(s.extent) != 0 else _identities(s, 1)
    for term, total in zip(s.terms, totals):
        widener.builder.emit(Let(term.result, total))


def reduce_in_lanes(widener: Widener, lanes: Lanes, s: Reduce) -> None:
    """A Reduce inside a vector loop: each lane reduces its own elements."""
    extent = lanes.value(s.extent).expr
    n = known_extent(extent)
    if n == 0:
        totals = _identities(s, lanes.count)
    elif n is not None and n <= LANES and n * _cost(s) <= UNROLL_LIMIT:
        totals = _unrolled_column(widener, lanes, s, n)
    else:
        totals = _column(widener, lanes, s, extent)
    for term, total in zip(s.terms, totals):
        name = term.result.name
        lanes.bind(name, Value(widener.builder.let(name, total)))


def _cost(s: Reduce) -> int:
    inside = [expr for statement in statements(s.body) for expr in expressions(statement)]
    return count((*inside, *(term.value for term in s.terms)))


def _identities(s: Reduce, count: int) -> Values:
    return [identity(t.op, t.result.type.dtype, count) for t in s.terms]


def _combine(s: Reduce, left: Sequence[Expr], right: Sequence[Expr]) -> Values:
    return [ir.apply(t.op, a, b) for t, a, b in zip(s.terms, left, right)]


def _width(extent: Expr) -> int:
    """The lanes that elements fall into, as a power of two: those left out change no bit."""
    n = known_extent(extent)
    return LANES if n is None else min(LANES, power_of_two(n))


def _whole(b: Builder, extent: Expr, width: int) -> Expr:
    """The end of the full rounds of `width` elements."""
    if isinstance(extent, Const):
        return const(int(extent.value) // width * width)
    return b.let("whole", ir.apply(Scalar.AND, extent, const(-width)))


# -- along a row: lanes are elements ------------------------------------------------------------


def _row(widener: Widener, s: Reduce) -> Values:
    b = widener.builder
    n, width = known_extent(s.extent), _width(s.extent)
    lanes = _identities(s, width)
    whole = _whole(b, s.extent, width)
    if n is None or n >= width:
        lanes = _row_loop(widener, s, lanes, const(0), whole, None)
    if n is None or n % width:
        lanes = _row_loop(widener, s, lanes, whole, s.extent, s.extent)
    return [_tree(b.let(t.result.name, v), t.op) for t, v in zip(s.terms, lanes)]


def _row_loop(
    widener: Widener, s: Reduce, lanes: Values, start: Expr, stop: Expr, limit: Expr | None
) -> Values:
    """`lanes` after the elements start..stop, masked when `limit` is given."""
    width = lanes[0].type.lanes if lanes else LANES
    carried = [(t.result.name, value) for t, value in zip(s.terms, lanes)]
    with widener.builder.for_(s.var.name, start, stop, step=width, carried=carried) as loop:
        inner = widener.run_lanes(s.var.name, width, loop.var, s.body, limit)
        values = _combine(s, loop.values, [inner.vector(t.value) for t in s.terms])
        if inner.mask is not None:
            values = [
                ir.apply(Scalar.SELECT, inner.mask, new, old)
                for new, old in zip(values, loop.values)
            ]
        loop.next(*values)
    return list(loop.results)


def _tree(value: Expr, op: Scalar) -> Expr:
    if value.type.lanes == 1:
        return value
    return Tree(op, value, LoopType(value.type.dtype))


# -- along a column: lanes are rows of their own ------------------------------------------------


def _unrolled_column(widener: Widener, lanes: Lanes, s: Reduce, n: int) -> Values:
    """Straight code, in the order in which the tree needs the elements."""
    width, start = power_of_two(n), _identities(s, lanes.count)
    partial: dict[tuple[int, int], Values] = {}
    stack = [(0, 1)]
    while stack:
        lane, stride = stack[-1]
        children = [(lane, 2 * stride), (lane + stride, 2 * stride)] if stride < width else []
        missing = [c for c in children if c[0] < n and c not in partial]
        if missing:
            stack.extend(reversed(missing))
            continue
        stack.pop()
        if stride == width:
            partial[lane, stride] = _element(widener, lanes, s, const(lane), start)
            continue
        found = [partial.pop(child) for child in children if child[0] < n]
        partial[lane, stride] = found[0] if len(found) == 1 else _combine(s, found[0], found[1])
    return partial[0, 1]


def _element(widener: Widener, lanes: Lanes, s: Reduce, at: Expr, onto: Values) -> Values:
    """`onto` combined with the values of element `at`, named."""
    inner = lanes.inner()
    inner.bind(s.var.name, Value(at, 0))
    widener.lane_block(inner, s.body)
    new = _combine(s, onto, [inner.vector(t.value) for t in s.terms])
    return [widener.builder.let(t.result.name, value) for t, value in zip(s.terms, new)]


def _accumulators(widener: Widener, lanes: Lanes, result: Var, width: int) -> Buffer:
    hint = f"{result.name}_lanes"
    return widener.builder.alloc(hint, result.type.dtype, width * lanes.count)


def _column(widener: Widener, lanes: Lanes, s: Reduce, extent: Expr) -> Values:
    """Accumulator k, a vector of the loop's lanes, takes the elements r with r mod 64 = k.

    The accumulators are whole vectors whatever lanes are off: those hold values nobody reads.
    """
    b = widener.builder
    n, width = known_extent(extent), _width(extent)
    buffers = [_accumulators(widener, lanes, term.result, width) for term in s.terms]
    with b.for_("lane", 0, width) as loop:
        for buffer, value in zip(buffers, _identities(s, lanes.count)):
            b.store(buffer, _at(loop.var, lanes), value)
    whole = _whole(b, extent, LANES)
    if n is None or n >= LANES:
        with (
            b.for_(s.var.name, 0, whole, step=LANES) as outer,
            b.for_("lane", 0, LANES) as loop,
        ):
            _accumulate(widener, lanes, s, buffers, ir.add(outer.var, loop.var), loop.var)
    if n is None or n % LANES:
        with b.for_("lane", 0, ir.subtract(extent, whole)) as loop:
            _accumulate(widener, lanes, s, buffers, ir.add(whole, loop.var), loop.var)
    return [_column_tree(b, t.op, buffer, lanes, width) for t, buffer in zip(s.terms, buffers)]


def _at(lane: Expr, lanes: Lanes) -> Expr:
    return ir.mul(lane, const(lanes.count))


def _accumulate(
    widener: Widener, lanes: Lanes, s: Reduce, buffers: list[Buffer], at: Expr, lane: Expr
) -> None:
    old = [_vector_load(buffer, _at(lane, lanes), lanes) for buffer in buffers]
    for buffer, value in zip(buffers, _element(widener, lanes, s, at, old)):
        widener.builder.store(buffer, _at(lane, lanes), value)


def _vector_load(buffer: Buffer, at: Expr, lanes: Lanes) -> Expr:
    return ir.Load(buffer, at, LoopType(buffer.dtype, lanes.count))


def _column_tree(b: Builder, op: Scalar, buffer: Buffer, lanes: Lanes, width: int) -> Expr:
    """The halving tree over the accumulators: loops while it is wide, then one expression."""
    while width > _STRAIGHT:
        width //= 2
        with b.for_("lane", 0, width) as loop:
            low = _vector_load(buffer, _at(loop.var, lanes), lanes)
            high = _vector_load(buffer, _at(ir.add(loop.var, const(width)), lanes), lanes)
            b.store(buffer, _at(loop.var, lanes), ir.apply(op, low, high))
    values = [_vector_load(buffer, const(k * lanes.count), lanes) for k in range(width)]
    while len(values) > 1:
        half = len(values) // 2
        values = [ir.apply(op, a, b) for a, b in zip(values[:half], values[half:])]
    return values[0]
