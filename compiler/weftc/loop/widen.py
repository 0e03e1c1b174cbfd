"""Written loop functions to widened ones: vector loops become lanes and masks, reductions loops.

    for i in 0..n vector(16)          let end = n & -16
      store y[i] = x[i] + s     =>    for i in 0..end step 16
                                        store y[i] = x[i:16] + splat(s)
                                      if end < n
                                        store y[end] = ... if ramp(end) < splat(n)

A vector loop that cannot be widened (an inner loop with bounds that differ between lanes, a step
other than 1) runs as a serial loop, which means the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from weftc.loop import ir
from weftc.loop.bounds import Bounds
from weftc.loop.build import Builder, Names
from weftc.loop.intrinsics import INTRINSICS
from weftc.loop.ir import (
    INDEX,
    Alloc,
    Barrier,
    Block,
    Call,
    Carry,
    Const,
    Expr,
    For,
    If,
    Let,
    LoopFunction,
    LoopKind,
    LoopType,
    Ramp,
    Reduce,
    Scalar,
    Space,
    Splat,
    Stmt,
    Store,
    Tree,
    Var,
    const,
)
from weftc.loop.lanes import Lanes, Value, any_of, both
from weftc.loop.reductions import power_of_two
from weftc.loop.split_reduce import split_reductions
from weftc.loop.varying import VaryingNames
from weftc.loop.walk import names, statements
from weftc.loop.widen_reduce import reduce_in_lanes, reduce_scalar
from weftc.loop.widen_strip import is_strip, reduce_strip
from weftrt import dtypes
from weftrt.target import Target

Run: TypeAlias = Callable[[int, Expr, "Expr | None"], None]
"""What a vector loop does for so many lanes, from an index on, off from another on."""


def widen(function: LoopFunction, target: Target) -> LoopFunction:
    """`function` without VECTOR loops and Reduce; `target` is for choices that keep the bits."""
    function = split_reductions(function, is_strip)
    widener = Widener(Builder(function.name, Names(tuple(names(function)))), target)
    widener.scalar_block(function.body)
    body = widener.builder.statements()
    return LoopFunction(function.name, function.buffers, function.sizes, body)


class Widener:
    """Writes widened statements into its builder."""

    def __init__(self, builder: Builder, target: Target) -> None:
        self.builder = builder
        self.target = target
        self.bounds = Bounds()
        self._varying: dict[tuple[str, Block], VaryingNames] = {}

    def varying(self, name: str, body: Block) -> VaryingNames:
        """What differs between lanes of the loop over `name`; asked for by main loop and tail."""
        known = self._varying.get((name, body))
        if known is None:
            known = self._varying[name, body] = VaryingNames(name, body)
        return known

    # -- outside of vector loops: statements keep their names ---------------------------------

    def scalar_block(self, block: Block) -> None:
        for statement in block:
            _SCALAR[type(statement)](self, statement)

    def _inside(self, block: Block) -> Block:
        with self.builder.block() as opened:
            self.scalar_block(block)
        return tuple(opened)

    def _keep(self, statement: Alloc | Barrier | Call) -> None:
        self.builder.emit(statement)

    def _scalar_let(self, s: Let) -> None:
        self.bounds.note(s)
        self.builder.emit(s)

    def _scalar_store(self, s: Store) -> None:
        self._store(s)

    def _scalar_if(self, s: If) -> None:
        self.builder.emit(If(s.condition, self._inside(s.then), self._inside(s.otherwise)))

    def _scalar_for(self, s: For) -> None:
        if s.kind is LoopKind.VECTOR and self._widenable(s):
            if is_strip(s, self.bounds):
                reduce_strip(self, s)
            else:
                self._vector_loop(s)
            return
        kind = LoopKind.SERIAL if s.kind is LoopKind.VECTOR else s.kind
        body = self._inside(s.body)
        self.builder.emit(For(s.var, s.start, s.stop, body, kind, s.step, s.carried, 1, s.grain))

    def _widenable(self, loop: For) -> bool:
        """Whether all lanes can run the body together."""
        if loop.step != 1 or loop.lanes < 2 or loop.lanes & (loop.lanes - 1):
            return False
        varying = self.varying(loop.var.name, loop.body)
        for statement in statements(loop.body):
            if isinstance(statement, For) and statement.kind not in _TOGETHER:
                return False
            if isinstance(statement, Barrier):
                return False
            if isinstance(statement, Alloc) and statement.buffer.space is not Space.LOCAL:
                return False
            if any(varying.depends(bound) for bound in _bounds(statement)):
                return False
        return True

    def _scalar_reduce(self, s: Reduce) -> None:
        reduce_scalar(self, s)

    # -- vector loops -------------------------------------------------------------------------

    def _vector_loop(self, s: For) -> None:
        def run(count: int, base: Expr, stop: Expr | None) -> None:
            self.run_lanes(s.var.name, count, base, s.body, stop)

        self.spread(s, ir.subtract(s.stop, s.start), run)

    def spread(self, s: For, extent: Expr, run: Run) -> None:
        """`run` for all of a loop of so many iterations: so many lanes from an index on, off from a
        stop on."""
        if isinstance(extent, Const):
            self._constant_loop(s, int(extent.value), run)
            return
        b = self.builder
        known = isinstance(s.start, Const) and s.start.value == 0 and isinstance(s.stop, Var)
        if not known:
            extent = ir.apply(Scalar.MAXIMUM, extent, const(0))
        whole = ir.apply(Scalar.AND, extent, const(-s.lanes))
        end = b.let(f"{s.var.name}_end", ir.add(s.start, whole))
        with b.for_(s.var.name, s.start, end, step=s.lanes) as loop:
            run(s.lanes, loop.var, None)
        with b.if_(ir.apply(Scalar.LT, end, s.stop)):
            run(s.lanes, end, s.stop)

    def _constant_loop(self, s: For, extent: int, run: Run) -> None:
        whole = max(extent, 0) // s.lanes * s.lanes
        end = ir.add(s.start, const(whole))
        if whole:
            with self.builder.for_(s.var.name, s.start, end, step=s.lanes) as loop:
                run(s.lanes, loop.var, None)
        if extent > whole:
            lanes = power_of_two(extent - whole)
            stop = s.stop if lanes > extent - whole else None
            run(lanes, end, stop)

    def run_lanes(
        self, name: str, count: int, base: Expr, body: Block, stop: Expr | None = None
    ) -> Lanes:
        """One pass over `body` for the lanes base, base+1, ..., off from `stop` on."""
        lanes = self.lanes(name, count, base, body, stop)
        self.lane_block(lanes, body)
        return lanes

    def lanes(
        self, name: str, count: int, base: Expr, body: Block, stop: Expr | None = None
    ) -> Lanes:
        """The lanes of a pass over `body`."""
        mask = None
        if stop is not None and count > 1:
            mask = self.builder.let("mask", tail_mask(base, count, stop))
        return Lanes(count, self.varying(name, body).names, {name: Value(base, 1)}, mask=mask)

    def lane_block(self, lanes: Lanes, block: Block) -> None:
        for statement in block:
            _LANES[type(statement)](self, lanes, statement)

    def _lane_let(self, lanes: Lanes, s: Let) -> None:
        value = lanes.value(s.value)
        named = self.builder.let(s.var.name, value.expr)
        lanes.bind(s.var.name, Value(named, value.stride))

    def _lane_store(self, lanes: Lanes, s: Store) -> None:
        at, value = lanes.value(s.index), lanes.value(s.value)
        mask = both(lanes.mask, None if s.mask is None else lanes.vector(s.mask))
        local = lanes.local.get(s.buffer)
        if local is not None:
            self._store(Store(local, lanes.local_index(at), lanes.spread(value), mask))
        elif at.stride == 1:
            self._store(Store(s.buffer, at.expr, lanes.spread(value), mask, s.nontemporal))
        elif at.uniform and value.uniform and lanes.any_lane is None and s.mask is None:
            self.builder.store(s.buffer, at.expr, value.expr)
        else:
            self._store(Store(s.buffer, lanes.spread(at), lanes.spread(value), mask))

    def _store(self, s: Store) -> None:
        """A store under one lane's mask is a store under an If."""
        if s.mask is None or s.mask.type.lanes > 1:
            self.builder.emit(s)
            return
        with self.builder.if_(s.mask):
            self.builder.emit(Store(s.buffer, s.index, s.value, None, s.nontemporal))

    def _lane_for(self, lanes: Lanes, s: For) -> None:
        b = self.builder
        start, stop = lanes.value(s.start), lanes.value(s.stop)
        flags = [carry.var.name in lanes.varying for carry in s.carried]
        inits = [
            lanes.vector(carry.init) if varies else lanes.value(carry.init).expr
            for carry, varies in zip(s.carried, flags)
        ]
        carried = [(carry.var.name, init) for carry, init in zip(s.carried, inits)]
        kind = LoopKind.UNROLLED if s.kind is LoopKind.UNROLLED else LoopKind.SERIAL
        inner = lanes.inner()
        with b.for_(s.var.name, start.expr, stop.expr, kind, s.step, carried) as loop:
            inner.bind(s.var.name, Value(loop.var, 0))
            for carry, value, varies in zip(s.carried, loop.values, flags):
                inner.bind(carry.var.name, Value(value, None if varies else 0))
            self.lane_block(inner, s.body)
            loop.next(*_nexts(inner, s.carried, flags))
        for carry, result, varies in zip(s.carried, loop.results, flags):
            lanes.bind(carry.result.name, Value(result, None if varies else 0))

    def _lane_if(self, lanes: Lanes, s: If) -> None:
        condition = lanes.value(s.condition)
        if condition.uniform or lanes.count == 1:
            with self.builder.if_(condition.expr):
                self.lane_block(lanes.inner(), s.then)
            if s.otherwise:
                with self.builder.else_():
                    self.lane_block(lanes.inner(), s.otherwise)
            return
        chosen = self.builder.let("chosen", condition.expr)
        self._masked(lanes, s.then, chosen)
        if s.otherwise:
            self._masked(lanes, s.otherwise, ir.apply(Scalar.NOT, chosen))

    def _masked(self, lanes: Lanes, block: Block, chosen: Expr) -> None:
        mask = both(lanes.mask, chosen)
        assert mask is not None
        mask = self.builder.let("mask", mask)
        any_lane = self.builder.let("any", any_of(mask))
        self.lane_block(lanes.inner(mask, any_lane), block)

    def _lane_alloc(self, lanes: Lanes, s: Alloc) -> None:
        assert isinstance(s.buffer.size, int)
        size = s.buffer.size * lanes.count
        lanes.local[s.buffer] = self.builder.alloc(s.buffer.name, s.buffer.dtype, size)

    def _lane_call(self, lanes: Lanes, s: Call) -> None:
        if INTRINSICS[s.name].hint:
            values = [lanes.value(arg) for arg in s.args]
            if all(value.stride in (0, 1) for value in values):
                self.builder.call(s.name, *(v.expr for v in values), buffer=s.buffer)
            return
        condition, site, element = s.args
        if lanes.any_lane is None and all(lanes.value(arg).uniform for arg in s.args):
            self.builder.call(s.name, *(lanes.value(arg).expr for arg in s.args))
            return
        failed = both(lanes.mask, lanes.vector(condition))
        assert failed is not None
        failed = self.builder.let("failed", failed)
        with self.builder.if_(self.builder.let("any", any_of(failed))):
            last = Const((1 << 63) - 1, LoopType(INDEX.dtype, lanes.count))
            elements = ir.apply(Scalar.SELECT, failed, lanes.vector(element), last)
            smallest = elements if lanes.count == 1 else Tree(Scalar.MINIMUM, elements, INDEX)
            self.builder.call(s.name, _TRUE, lanes.value(site).expr, smallest)

    def _lane_reduce(self, lanes: Lanes, s: Reduce) -> None:
        reduce_in_lanes(self, lanes, s)


_TRUE = Const(True, ir.BOOL)


def tail_mask(base: Expr, count: int, stop: Expr) -> Expr:
    """The lanes l with base + l < stop, where some are and at most `count`: compared as int32,
    which is one machine vector per vector of float32."""
    type_ = LoopType(dtypes.int32, count)
    left = ir.subtract(stop, base)
    if isinstance(left, Const):
        limit: Expr = Const(left.value, type_)
    else:
        limit = Splat(ir.cast(left, dtypes.int32), type_)
    return ir.apply(Scalar.LT, Ramp(const(0, dtypes.int32), type_), limit)


def _nexts(lanes: Lanes, carried: tuple[Carry, ...], flags: list[bool]) -> list[Expr]:
    return [
        lanes.vector(carry.next) if varies else lanes.value(carry.next).expr
        for carry, varies in zip(carried, flags)
    ]


_TOGETHER = (LoopKind.SERIAL, LoopKind.UNROLLED, LoopKind.VECTOR)


def _bounds(statement: Stmt) -> tuple[Expr, ...]:
    """What must be the same in every lane."""
    if isinstance(statement, For):
        return (statement.start, statement.stop)
    if isinstance(statement, Reduce):
        return (statement.extent,)
    if isinstance(statement, Call) and not INTRINSICS[statement.name].hint:
        return (statement.args[1],)
    return ()


_SCALAR: dict[type, Callable[[Widener, Any], None]] = {
    Let: Widener._scalar_let,
    Alloc: Widener._keep,
    Barrier: Widener._keep,
    Call: Widener._keep,
    Store: Widener._scalar_store,
    If: Widener._scalar_if,
    For: Widener._scalar_for,
    Reduce: Widener._scalar_reduce,
}

_LANES: dict[type, Callable[[Widener, Lanes, Any], None]] = {
    Let: Widener._lane_let,
    Alloc: Widener._lane_alloc,
    Call: Widener._lane_call,
    Store: Widener._lane_store,
    If: Widener._lane_if,
    For: Widener._lane_for,
    Reduce: Widener._lane_reduce,
}
