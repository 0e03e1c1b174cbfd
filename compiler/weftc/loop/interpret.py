"""The loop oracle: runs written and widened loop functions over NumPy arrays, literally.

Every access is checked: bounds, reads of uninitialized LOCAL, SHARED and SCRATCH memory, and
threads that use one SHARED element without a barrier between them. Values are Python ints for
scalar indices and NumPy arrays otherwise; iterations that run together give arrays one element
each ("lanes"), with a mask of those that are on.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import numpy as np

from weftc.loop.ir import (
    INDEX,
    Alloc,
    Barrier,
    Block,
    Buffer,
    Call,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    LoopFunction,
    LoopKind,
    Op,
    Ramp,
    Reduce,
    Scalar,
    Space,
    Splat,
    Store,
    Tree,
    Var,
)
from weftc.loop.memory import ALL_THREADS, Array, LoopFault, Memory
from weftc.loop.reductions import halve, reduce_canonically
from weftc.loop.scalar import result
from weftc.loop.walk import statements, under
from weftrt.program import Report

Value: TypeAlias = "int | Array"


class Order(Enum):
    """How iterations that may run in any order are run."""

    TOGETHER = "together"  # VECTOR and THREAD iterations as lanes, PARALLEL and BLOCK ascending
    FORWARD = "forward"  # one by one, ascending
    REVERSE = "reverse"  # one by one, descending


def interpret(
    function: LoopFunction,
    arrays: Sequence[Array],
    sizes: Sequence[int],
    order: Order = Order.TOGETHER,
    unwritten: Collection[Buffer] = (),
) -> Report:
    """Run `function` over C-contiguous `arrays`, one per GLOBAL buffer, in place. Of the buffers
    `unwritten` nothing may be read that was not written first."""
    return _Machine(function, arrays, sizes, order, unwritten).run()


@dataclass(frozen=True)
class _Together:
    """Iterations that run together: how many, and which are on (None: all)."""

    count: int
    active: Array | None = None


_ALONE = _Together(0)
_STEP = 4096
"""Iterations of a vector loop that run together at most."""


class _Machine:
    def __init__(
        self,
        function: LoopFunction,
        arrays: Sequence[Array],
        sizes: Sequence[int],
        order: Order,
        unwritten: Collection[Buffer],
    ) -> None:
        self.function = function
        self.order = order
        self.values: dict[str, Value] = {}
        self.memory: dict[Buffer, Memory] = {}
        self.tapes: dict[Expr, _Tape] = {}
        self.lanes = _ALONE
        self.thread: Array = np.asarray(ALL_THREADS)
        self.report: Report = None
        for size, given in zip(function.sizes, sizes, strict=True):
            self.values[size.name] = int(given)
        self._bind(arrays, unwritten)

    def _bind(self, arrays: Sequence[Array], unwritten: Collection[Buffer]) -> None:
        scratch = set(self.function.scratch)
        globals_ = [b for b in self.function.buffers if b not in scratch]
        for buffer, array in zip(globals_, arrays, strict=True):
            if array.dtype != buffer.dtype.dtype or not array.flags.c_contiguous:
                raise LoopFault(f"{buffer.name} needs a contiguous array of {buffer.dtype}")
            self.memory[buffer] = Memory(buffer, array.reshape(-1), buffer not in unwritten)
        for buffer in scratch:
            assert buffer.size is not None
            size = buffer.size if isinstance(buffer.size, int) else self.integer(buffer.size)
            self.memory[buffer] = Memory.fresh(buffer, size)

    def run(self) -> Report:
        with np.errstate(all="ignore"):
            self.block(self.function.body)
        return self.report

    # -- expressions --------------------------------------------------------------------------

    def evaluate(self, root: Expr) -> Value:
        """The value of an expression; what it shares is evaluated once."""
        tape = self.tapes.get(root)
        if tape is None:
            tape = self.tapes[root] = _tape(root)
        values: dict[Expr, Value] = {}
        for node, evaluate in tape:
            values[node] = evaluate(self, node, values)
        return values[root]

    def array(self, root: Expr) -> Array:
        return np.asarray(self.evaluate(root), dtype=root.type.dtype.dtype)

    def integer(self, root: Expr) -> int:
        """The value of an expression that must be the same in all lanes."""
        value = self.evaluate(root)
        if isinstance(value, int):
            return value
        found = np.unique(value if self.lanes.active is None else value[self.lanes.active])
        if found.size == 1:
            return int(found[0])
        raise LoopFault("an extent differs between lanes")

    def _const(self, node: Const, values: dict[Expr, Value]) -> Value:
        if node.type == INDEX:
            return int(node.value)
        shape = () if node.type.lanes == 1 else (node.type.lanes,)
        return np.full(shape, node.value, node.type.dtype.dtype)

    def _var(self, node: Var, values: dict[Expr, Value]) -> Value:
        return self.values[node.name]

    def _op(self, node: Op, values: dict[Expr, Value]) -> Value:
        args = [values[arg] for arg in node.args]
        fast = _INTEGER.get(node.op)
        if fast is not None and type(args[0]) is int and type(args[1]) is int:
            found = fast(args[0], args[1])
            if type(found) is bool:
                return np.asarray(found)
            return (found + (1 << 63)) % (1 << 64) - (1 << 63)
        arrays = [
            np.asarray(value, dtype=arg.type.dtype.dtype) for value, arg in zip(args, node.args)
        ]
        return _plain(result(node.op, arrays, node.type.dtype), node)

    def _load(self, node: Load, values: dict[Expr, Value]) -> Value:
        memory = self.memory[node.buffer]
        at = _elements(values[node.index], node.index, node.type.lanes)
        own = None if node.mask is None else np.asarray(values[node.mask])
        return _plain(memory.read(at, self._mask(own), self.thread), node)

    def _mask(self, own: Array | None) -> Array | None:
        active = self.lanes.active
        if own is None or active is None:
            return active if own is None else own
        return own & active

    def _ramp(self, node: Ramp, values: dict[Expr, Value]) -> Value:
        base = np.asarray(values[node.base], dtype=node.type.dtype.dtype)
        return np.asarray(base + np.arange(node.type.lanes, dtype=base.dtype) * node.step)

    def _splat(self, node: Splat, values: dict[Expr, Value]) -> Value:
        return np.full((node.type.lanes,), values[node.value], node.type.dtype.dtype)

    def _tree(self, node: Tree, values: dict[Expr, Value]) -> Value:
        value = np.asarray(values[node.value])
        return _plain(halve(node.op, value, node.type.dtype), node)

    # -- statements ---------------------------------------------------------------------------

    def block(self, block: Block) -> None:
        for statement in block:
            _STATEMENTS[type(statement)](self, statement)

    def let(self, s: Let) -> None:
        self.values[s.var.name] = self.evaluate(s.value)

    def store(self, s: Store) -> None:
        at = _elements(self.evaluate(s.index), s.index, s.value.type.lanes)
        own = None if s.mask is None else self.array(s.mask)
        value = self.array(s.value)
        self.memory[s.buffer].write(at, value, self._mask(own), self.thread)

    def alloc(self, s: Alloc) -> None:
        assert isinstance(s.buffer.size, int)
        copies = self.lanes.count or 1
        if s.buffer.space is Space.SHARED:
            copies = 1
        self.memory[s.buffer] = Memory.fresh(s.buffer, s.buffer.size, copies)

    def barrier(self, s: Barrier) -> None:
        for memory in self.memory.values():
            memory.barrier()

    def call(self, s: Call) -> None:
        if s.name != "report":
            return
        condition, site, element = (np.atleast_1d(self.array(arg)) for arg in s.args)
        mask = self._mask(condition)
        assert mask is not None
        for at, holds in zip(*np.broadcast_arrays(element, mask)):
            if holds:
                found = int(site[0]), int(at)
                self.report = min(self.report or found, found)

    def branch(self, s: If) -> None:
        condition = self.array(s.condition)
        if condition.ndim == 0:
            self.block(s.then if condition else s.otherwise)
            return
        before = self.lanes
        for side, chosen in ((s.then, condition), (s.otherwise, ~condition)):
            active = chosen if before.active is None else chosen & before.active
            if np.any(active):
                self.lanes = _Together(before.count, active)
                self.block(side)
        self.lanes = before

    def loop(self, s: For) -> None:
        start, stop = self.evaluate(s.start), self.evaluate(s.stop)
        for carry in s.carried:
            self.values[carry.var.name] = self.evaluate(carry.init)
        if isinstance(start, int) and isinstance(stop, int):
            self._uniform(s, range(start, stop, s.step))
        else:
            self._varying(s, np.asarray(start), np.asarray(stop))
        for carry in s.carried:
            self.values[carry.result.name] = self.values[carry.var.name]

    def _uniform(self, s: For, iterations: range) -> None:
        alone = self.lanes is _ALONE
        if s.kind is LoopKind.VECTOR and alone and self.order is Order.TOGETHER:
            for at in range(0, len(iterations), _STEP):
                self._together(s, iterations[at : at + _STEP])
        elif s.kind is LoopKind.THREAD:
            self._threads(s, iterations)
        else:
            self._one_by_one(s, iterations)

    def _together(self, s: For, iterations: range) -> None:
        if not iterations:
            return
        before = self.lanes
        self.lanes = _Together(len(iterations))
        self.values[s.var.name] = np.arange(
            iterations.start, iterations.stop, iterations.step, dtype=np.int64
        )
        self.block(s.body)
        self.lanes = before

    def _threads(self, s: For, iterations: range) -> None:
        before = self.thread
        meets = any(isinstance(inner, Barrier) for inner in statements(s.body))
        if meets or self.order is Order.TOGETHER:
            self.thread = np.asarray(iterations, dtype=np.int64)
            self._together(s, iterations)
        else:
            self._one_by_one(s, iterations)
        self.thread = before

    def _one_by_one(self, s: For, iterations: range) -> None:
        backwards = self.order is Order.REVERSE and s.kind in _ANY_ORDER
        ordered: Iterable[int] = reversed(iterations) if backwards else iterations
        for i in ordered:
            self.values[s.var.name] = i
            if s.kind is LoopKind.THREAD:
                self.thread = np.asarray(i)
            elif s.kind is LoopKind.BLOCK:
                self.barrier(Barrier())
            self.block(s.body)
            self._carry(s)

    def _carry(self, s: For) -> None:
        following = [self.evaluate(carry.next) for carry in s.carried]
        for carry, value in zip(s.carried, following):
            self.values[carry.var.name] = value

    def _varying(self, s: For, start: Array, stop: Array) -> None:
        """Bounds that differ between lanes: each lane is on while its own loop runs."""
        before, at = self.lanes, start
        while True:
            active = np.broadcast_to(at < stop, (before.count,))
            if before.active is not None:
                active = active & before.active
            if not np.any(active):
                break
            self.lanes = _Together(before.count, active)
            self.values[s.var.name] = at
            self.block(s.body)
            old = [np.asarray(self.values[carry.var.name]) for carry in s.carried]
            self._carry(s)
            for carry, kept in zip(s.carried, old):
                new = np.asarray(self.values[carry.var.name])
                self.values[carry.var.name] = np.where(active, new, kept)
            at = at + s.step
        self.lanes = before

    # -- reductions ---------------------------------------------------------------------------

    def reduce(self, s: Reduce) -> None:
        extent = self.integer(s.extent)
        together = self.lanes is _ALONE and self.order is Order.TOGETHER and extent > 0
        rows = (self._elements_together if together else self._elements_in_turn)(s, extent)
        for term, values in zip(s.terms, rows):
            total = reduce_canonically(term.op, values, term.result.type.dtype)
            self.values[term.result.name] = _plain(total, term.result)

    def _elements_together(self, s: Reduce, extent: int) -> list[Array]:
        self.lanes = _Together(extent)
        self.values[s.var.name] = np.arange(extent, dtype=np.int64)
        self.block(s.body)
        values = [np.broadcast_to(self.array(term.value), (extent,)) for term in s.terms]
        self.lanes = _ALONE
        return values

    def _elements_in_turn(self, s: Reduce, extent: int) -> list[Array]:
        """Per term, the values of all elements (each with the lanes that run together)."""
        elements = range(extent)
        shape = (self.lanes.count,) if self.lanes.count else ()
        rows = [np.zeros((extent, *shape), term.result.type.dtype.dtype) for term in s.terms]
        for r in reversed(elements) if self.order is Order.REVERSE else elements:
            self.values[s.var.name] = r
            self.block(s.body)
            for term, row in zip(s.terms, rows):
                row[r] = self.array(term.value)
        return rows


def _tape(root: Expr) -> _Tape:
    """The nodes under `root`, operands first, each with what evaluates it."""
    return [(node, _EXPRESSIONS[type(node)]) for node in under((root,))]


def _plain(value: Array, expr: Expr) -> Value:
    """A scalar index as a Python int."""
    if value.ndim == 0 and expr.type.dtype is INDEX.dtype:
        return int(value)
    return value


def _elements(index: Value, at: Expr, lanes: int) -> Array:
    """The element of each lane; a scalar index of a vector is its first lane's."""
    elements = np.asarray(index, dtype=np.int64)
    if lanes > 1 and at.type.lanes == 1:
        return np.asarray(elements + np.arange(lanes))
    return elements


_INTEGER: dict[Scalar, Callable[[int, int], int]] = {
    Scalar.ADD: operator.add,
    Scalar.SUB: operator.sub,
    Scalar.MUL: operator.mul,
    Scalar.AND: operator.and_,
    Scalar.MINIMUM: min,
    Scalar.MAXIMUM: max,
    Scalar.EQ: operator.eq,
    Scalar.NE: operator.ne,
    Scalar.LT: operator.lt,
    Scalar.LE: operator.le,
    Scalar.GT: operator.gt,
    Scalar.GE: operator.ge,
}
"""Scalar index arithmetic on Python ints, wrapped afterwards."""

_ANY_ORDER = (LoopKind.VECTOR, LoopKind.PARALLEL, LoopKind.BLOCK, LoopKind.THREAD)

_Evaluator: TypeAlias = Callable[[_Machine, Any, dict[Expr, Value]], Value]
_Tape: TypeAlias = list[tuple[Expr, _Evaluator]]

_EXPRESSIONS: dict[type, _Evaluator] = {
    Const: _Machine._const,
    Var: _Machine._var,
    Op: _Machine._op,
    Load: _Machine._load,
    Ramp: _Machine._ramp,
    Splat: _Machine._splat,
    Tree: _Machine._tree,
}

_STATEMENTS: dict[type, Callable[[_Machine, Any], None]] = {
    Let: _Machine.let,
    Store: _Machine.store,
    For: _Machine.loop,
    Reduce: _Machine.reduce,
    If: _Machine.branch,
    Alloc: _Machine.alloc,
    Barrier: _Machine.barrier,
    Call: _Machine.call,
}
