"""Reductions of a strip of columns: accumulators in rows, and the columns innermost.

for j in 0..1024 vector(64)
  let s = reduce add over r in 0..n of x[r, j]
  store y[j] = s

alloc rows[64 * 1024]                              # lane k of every column
for k in 0..64, j in 0..1024 step 64
  store rows[k, j:64] = 0
for r in 0..whole step 512
  for k in 0..64, j in 0..1024 step 64
    store rows[k, j:64] = rows[k, j:64] + x[r + k, j:64] + x[r + k + 64, j:64] + ...   # 8 of them
for r in whole..n                                  # the rest, row by row
  for j in 0..1024 step 64
    store rows[r mod 64, j:64] = rows[r mod 64, j:64] + x[r, j:64]
...                                                # the halving tree over rows
for j in 0..1024 step 64
  store y[j:64] = rows[0, j:64]

A vector of columns alone would meet another page of memory in each row: address translation and
prefetching give up. A strip of a page or more is read in order, and each accumulator is brought
from the second-level cache once for several rows. Where the order does not matter there is one
row of accumulators, but the way through memory is the same: several rows of one page at a time are
read at half the speed. More than a block are blocks of such, as in weftc.loop.split_reduce.

A schedule asks for this by a vector loop whose bounds say that it has more iterations than lanes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from weftc.loop import ir
from weftc.loop.bounds import Bounds
from weftc.loop.build import Builder
from weftc.loop.ir import (
    Buffer,
    Const,
    Expr,
    For,
    Let,
    Load,
    LoopKind,
    LoopType,
    Reduce,
    Scalar,
    Store,
    Term,
    Var,
    const,
)
from weftc.loop.lanes import Lanes, Value
from weftc.loop.reductions import BLOCK, LANES, identity, known_extent, power_of_two
from weftc.loop.split_reduce import order_matters, reach
from weftc.loop.walk import bound, count, expressions, statements

if TYPE_CHECKING:
    from weftc.loop.widen import Widener

ROWS: Final = 8
"""Rows that an accumulator takes at once: it comes from the caches, they come from memory."""
NODES: Final = 96
"""Nodes of the code for these."""
_STRAIGHT: Final = 8
"""Rows that the tree combines in one pass."""

_Run: TypeAlias = Callable[[Lanes, Expr], None]
"""What is done for the lanes of a vector of columns, whose place in a row is given."""


def is_strip(loop: For, bounds: Bounds) -> bool:
    """Whether a vector loop is a strip of columns, which reduces long columns and then writes."""
    if loop.kind is not LoopKind.VECTOR or loop.step != 1 or loop.lanes & (loop.lanes - 1):
        return False
    if not loop.lanes < bounds.iterations(loop) < math.inf:
        return False
    kinds = [type(s) for s in loop.body]
    if Reduce not in kinds or not set(kinds) <= {Let, Reduce, Store}:
        return False
    last = len(kinds) - 1 - kinds[::-1].index(Reduce)
    inside = {var.name for s in loop.body for var in bound(s)}
    return Store not in kinds[:last] and all(
        _is_long(s.extent, inside) and all(isinstance(each, Let) for each in s.body)
        for s in loop.body
        if isinstance(s, Reduce)
    )


def _is_long(extent: Expr, inside: set[str]) -> bool:
    if isinstance(extent, Const):
        return int(extent.value) > LANES
    return isinstance(extent, Var) and extent.name not in inside


def reduce_strip(widener: Widener, loop: For) -> None:
    """The loops of a strip."""
    strip = _Strip(widener, loop)
    for position, s in enumerate(loop.body):
        if isinstance(s, Reduce):
            strip.reduce(s, position)
    rest = tuple(s for s in loop.body if not isinstance(s, Reduce))
    strip.columns(lambda lanes, at: widener.lane_block(lanes, rest))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of accumulators, one for each lane that elements fall into, or a single one."""

    term: Term
    buffer: Buffer
    height: int

    def row(self, lane: Expr) -> Expr:
        return lane if self.height > 1 else const(0)


class _Strip:
    """A strip, and rows of accumulators as long as it is, in whole vectors."""

    def __init__(self, widener: Widener, loop: For) -> None:
        self.widener, self._loop = widener, loop
        self._builder = b = widener.builder
        most = int(widener.bounds.iterations(loop))
        self._lanes = loop.lanes
        self._width = -(-most // loop.lanes) * loop.lanes
        self._known: dict[str, Buffer] = {}
        """The results so far, one for each column."""
        if widener.bounds.is_full(loop):
            self._extent: Expr = const(most)
            self._end: Expr = const(self._width)
        else:
            self._extent = b.let("columns", ir.subtract(loop.stop, loop.start))
            more = ir.add(self._extent, const(loop.lanes - 1))
            self._end = b.let("end", ir.apply(Scalar.AND, more, const(-loop.lanes)))

    def reduce(self, s: Reduce, position: int) -> None:
        """The statement `s`, which is number `position` of the loop."""
        before = tuple(other for other in self._loop.body[:position] if isinstance(other, Let))
        ordered = any(map(order_matters, s.terms))
        most = self.widener.bounds.most(s.extent) if ordered else BLOCK
        reduction = _Reduction(self, s, before)
        for rows in reduction.combined(const(0), s.extent, reach(most)):
            self._known[rows.term.result.name] = rows.buffer

    def columns(self, run: _Run) -> None:
        """`run` for the elements of all columns, with the results so far."""

        def vector(count: int, base: Expr, stop: Expr | None) -> None:
            lanes = self.widener.lanes(self._loop.var.name, count, base, self._loop.body, stop)
            at = ir.subtract(base, self._loop.start)
            for name, buffer in self._known.items():
                lanes.bind(name, Value(self.load(buffer, const(0), at, count)))
            run(lanes, at)

        self.widener.spread(self._loop, self._extent, vector)

    def rows(self, terms: Sequence[Term], heights: Sequence[int]) -> list[_Rows]:
        """Uninitialized accumulators."""
        made = []
        for term, height in zip(terms, heights, strict=True):
            result = term.result
            size = height * self._width
            buffer = self._builder.alloc(f"{result.name}_rows", result.type.dtype, size)
            made.append(_Rows(term, buffer, height))
        return made

    # Accumulators are met in whole vectors: lanes that are off hold values that nobody reads.

    def load(self, buffer: Buffer, row: Expr, at: Expr, count: int) -> Expr:
        value = Load(buffer, self._place(row, at), LoopType(buffer.dtype, count))
        return self._builder.let(buffer.name, value)

    def store(self, buffer: Buffer, row: Expr, at: Expr, value: Expr) -> None:
        self._builder.store(buffer, self._place(row, at), value)

    def _place(self, row: Expr, at: Expr) -> Expr:
        return ir.add(ir.mul(row, self._end), at)

    def fill(self, some: Sequence[_Rows], height: Expr) -> None:
        """The identity in the first rows."""
        with self._rows_and_vectors(height) as (row, at):
            for rows in some:
                start = identity(rows.term.op, rows.buffer.dtype, self._lanes)
                self.store(rows.buffer, row, at, start)

    def add(self, above: Sequence[_Rows], row: Expr, below: Sequence[_Rows]) -> None:
        """The first row of `below` to one of `above`."""
        with self._rows_and_vectors(const(1)) as (_, at):
            for to, results in zip(above, below, strict=True):
                old = self.load(to.buffer, row, at, self._lanes)
                new = self.load(results.buffer, const(0), at, self._lanes)
                self.store(to.buffer, row, at, ir.apply(to.term.op, old, new))

    def tree(self, some: Sequence[_Rows], height: int) -> None:
        """Row i with row i + half, until row 0 has all: one half at a time, then what is left."""
        while height > _STRAIGHT:
            height //= 2
            with self._rows_and_vectors(const(height)) as (row, at):
                for rows in some:
                    pair = self._loaded(rows, [row, ir.add(row, const(height))], at)
                    self.store(rows.buffer, row, at, ir.apply(rows.term.op, *pair))
        with self._rows_and_vectors(const(1)) as (_, at):
            for rows in some:
                values = self._loaded(rows, [const(k) for k in range(height)], at)
                while len(values) > 1:
                    half = len(values) // 2
                    pairs = zip(values[:half], values[half:], strict=True)
                    values = [ir.apply(rows.term.op, low, high) for low, high in pairs]
                self.store(rows.buffer, const(0), at, values[0])

    def _loaded(self, rows: _Rows, numbers: Sequence[Expr], at: Expr) -> list[Expr]:
        return [self.load(rows.buffer, number, at, self._lanes) for number in numbers]

    @contextmanager
    def _rows_and_vectors(self, height: Expr) -> Iterator[tuple[Expr, Expr]]:
        """Loops over the first rows and the vectors of each."""
        with (
            self._builder.for_("row", 0, height) as row,
            self._builder.for_("at", 0, self._end, step=self._lanes) as at,
        ):
            yield row.var, at.var


class _Reduction:
    """One statement of a strip; `before` are the Lets that it may use."""

    def __init__(self, strip: _Strip, s: Reduce, before: tuple[Let, ...]) -> None:
        self._strip, self._s, self._before = strip, s, before
        self._widener = strip.widener
        self._builder = strip.widener.builder

    def combined(self, first: Expr, extent: Expr, block: int) -> list[_Rows]:
        """Accumulators of which the first row has the results of `extent` elements from `first` on,
        at most `block`."""
        if block == BLOCK:
            return self._one_block(first, extent)
        b, strip, part = self._builder, self._strip, block // BLOCK
        n = known_extent(extent)
        height = LANES if n is None else min(power_of_two(-(-n // part)), LANES)
        above = strip.rows(self._s.terms, [height] * len(self._s.terms))
        several = ir.apply(Scalar.GT, extent, const(part))
        used = ir.apply(Scalar.SELECT, several, const(height), const(1))
        strip.fill(above, const(height) if n is not None else b.let("height", used))
        with b.for_("block", 0, extent, step=part) as loop:
            rest = ir.apply(Scalar.MINIMUM, ir.subtract(extent, loop.var), const(part))
            start = b.let("first", ir.add(first, loop.var))
            below = self.combined(start, b.let("extent", rest), part)
            number = ir.apply(Scalar.SHR, loop.var, const(part.bit_length() - 1))
            strip.add(above, b.let("lane", ir.apply(Scalar.AND, number, const(LANES - 1))), below)
        if n is not None:
            strip.tree(above, height)
            return above
        with b.if_(several):
            strip.tree(above, height)
        return above

    def _one_block(self, first: Expr, extent: Expr) -> list[_Rows]:
        b, terms, strip = self._builder, self._s.terms, self._strip
        heights = [LANES if order_matters(t) else 1 for t in terms]
        made = strip.rows(terms, heights)
        ordered = [rows for rows in made if rows.height > 1]
        n = known_extent(extent)
        each = self._at_once(n)
        step = each * LANES
        once = n is not None and n // step == 1  # then an accumulator starts where it is met
        if len(ordered) < len(made):
            strip.fill([rows for rows in made if rows.height == 1], const(1))
        if ordered and not once:
            strip.fill(ordered, const(LANES))
        whole = _whole(b, extent, step)
        if n is None or n >= step:
            with b.for_("round", 0, whole, step=step) as outer, b.for_("lane", 0, LANES) as lane:
                row = b.let("row", ir.add(ir.add(first, outer.var), lane.var))
                elements = [ir.add(row, const(k * LANES)) for k in range(each)]
                self._take(made, lane.var, elements, once)
        if n is None or n % step:
            with b.for_("rest", whole, extent) as rest:
                number = b.let("lane", ir.apply(Scalar.AND, rest.var, const(LANES - 1)))
                self._take(made, number, [ir.add(first, rest.var)], fresh=False)
        if ordered:
            strip.tree(ordered, LANES)
        return made

    def _at_once(self, n: int | None) -> int:
        """How many rows an accumulator takes at once."""
        inside = [expr for s in statements(self._s.body) for expr in expressions(s)]
        nodes = count((*inside, *(term.value for term in self._s.terms)))
        most = min(ROWS, power_of_two(NODES // (nodes + 1) + 1) // 2 or 1)
        if n is None:
            return most
        rounds = max(n // LANES, 1)
        return rounds // -(-rounds // most)

    def _take(
        self, made: Sequence[_Rows], lane: Expr, elements: Sequence[Expr], fresh: bool
    ) -> None:
        """The elements of all columns to their accumulators, which are number `lane`."""
        strip = self._strip

        def run(lanes: Lanes, at: Expr) -> None:
            self._widener.lane_block(lanes, self._before)
            values = [
                identity(rows.term.op, rows.buffer.dtype, lanes.count)
                if fresh and rows.height > 1
                else strip.load(rows.buffer, rows.row(lane), at, lanes.count)
                for rows in made
            ]
            for element in elements:
                values = self._with(lanes, values, element)
            for rows, value in zip(made, values):
                strip.store(rows.buffer, rows.row(lane), at, value)

        strip.columns(run)

    def _with(self, lanes: Lanes, values: Sequence[Expr], element: Expr) -> list[Expr]:
        b, inner = self._builder, lanes.inner()
        inner.bind(self._s.var.name, Value(b.let(self._s.var.name, element), 0))
        self._widener.lane_block(inner, self._s.body)
        return [
            b.let(t.result.name, ir.apply(t.op, old, inner.vector(t.value)))
            for t, old in zip(self._s.terms, values)
        ]


def _whole(b: Builder, extent: Expr, step: int) -> Expr:
    """The end of the full rounds of `step` elements."""
    if isinstance(extent, Const):
        return const(int(extent.value) // step * step)
    return b.let("whole", ir.apply(Scalar.AND, extent, const(-step)))
