"""Common subexpressions, loop invariants, integer constants and dead values of a loop function.

    for i in 0 .. n                         let base = m * 4
      store y[m * 4 + i] = x[m * 4 + i]  =>   for i in 0 .. n
                                                let t = base + i
                                                store y[t] = x[t]

One walk numbers every value: equal operations over equal values are one, kept in the scope where
it may be used longest: the block before the outermost loop that it does not depend on. A value is
never moved over an If alone (it would run where it did not), and a load moves only out of a loop
that surely runs and does not store to its buffer. What was just stored to a constant place of a
local buffer is not loaded from there, and a local buffer that nothing loads from goes. The Lets are
then written anew: for values with several users, users further down, or users in another block.
Works on both levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, TypeAlias

from weftc.loop.build import Names
from weftc.loop.fold import fold, is_true, trips
from weftc.loop.ir import (
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
    Stmt,
    Store,
    Tree,
    Var,
)
from weftc.loop.values import Key, Node, Scope, Step, write_block
from weftc.loop.walk import blocks, names, operands, postorder


def simplify(function: LoopFunction) -> LoopFunction:
    """An equal function that computes every value once, as early as it safely can."""
    simplifier = _Simplifier()
    for size in function.sizes:
        simplifier.leaf(size, simplifier.scope)
    simplifier.block(function.body)
    simplifier.drop_unread()
    simplifier.scope.count_uses()
    body = write_block(simplifier.scope, Names(tuple(names(function))))
    return LoopFunction(function.name, function.buffers, function.sizes, body)


_Held: TypeAlias = "dict[tuple[int, int], Node]"
"""By place, from an element to another: what a buffer holds there."""

_READS = attrgetter("reads")
_INLINED = (LoopKind.SERIAL, LoopKind.UNROLLED, LoopKind.VECTOR)


class _Simplifier:
    """Walks the statements once, numbering values into scopes."""

    def __init__(self) -> None:
        self.scope = Scope(None, loop=False)
        self.known: dict[str, Node] = {}
        self.memo: dict[Expr, Node] = {}
        """The numbers that expressions have here: those of the scope and of scopes around it."""
        self.reading: list[Expr] = []
        """What in `memo` loads from a buffer, and has the same number until one is stored to."""
        self.version: dict[Buffer, int] = {}
        self.home: dict[Buffer, Scope] = {}
        self.held: dict[Buffer, _Held] = {}
        self.forwarded: set[Buffer] = set()
        """What was taken for a load from there."""
        self.loaded: set[Buffer] = set()
        self.local: dict[Buffer, list[Step]] = {}
        """The stores to a local buffer, and its Alloc."""
        self.stores: dict[Block, set[Buffer]] = {}
        self.clock = 0
        self.root = self.scope

    # -- statements ---------------------------------------------------------------------------

    def block(self, block: Block) -> None:
        for statement in block:
            self.tick()
            _STATEMENTS[type(statement)](self, statement)

    def tick(self) -> None:
        """A new position: loads of an earlier one are not evaluated again by later users."""
        self.clock += 1

    @contextmanager
    def inside(self, scope: Scope) -> Iterator[None]:
        """Number what is in `scope`, a new one in this: what it alone has is not known after it."""
        outer, memo, reading, held = self.scope, self.memo, self.reading, self.held
        self.scope = scope
        if scope.thread:
            self.memo, self.reading, self.held = {}, [], {}
        else:
            self.memo, self.reading = dict(memo), list(reading)
        yield
        outer.effects |= scope.effects
        self.scope, self.memo, self.reading, self.held = outer, memo, reading, held

    def forget(self, buffers: set[Buffer]) -> None:
        """Loads of these from here on are new values."""
        self.clock += 1
        for buffer in buffers:
            self.version[buffer] = self.clock
            self.held.pop(buffer, None)
        for expr in self.reading:
            del self.memo[expr]
        self.reading.clear()
        if not self.forwarded.isdisjoint(buffers):
            self.memo.clear()  # what stands for a load need not read

    def written(self, block: Block) -> set[Buffer]:
        """The buffers that a block stores to."""
        found = self.stores.get(block)
        if found is None:
            own = {s.buffer for s in block if isinstance(s, Store)}
            found = own.union(*[self.written(inner) for s in block for inner in blocks(s)])
            self.stores[block] = found
        return found

    def append(self, statement: Stmt, *values: Node | None, effect: bool = True) -> Step:
        step = Step(statement, values, (), self.clock)
        self.scope.items.append(step)
        self.scope.effects |= effect
        return step

    def let(self, s: Let) -> None:
        node = self.value(s.value)
        if node.var is None and node.operands is not None:
            node.var = s.var
        self.known[s.var.name] = node

    def store(self, s: Store) -> None:
        mask = None if s.mask is None else self.value(s.mask)
        if mask is not None and is_true(mask.template) is not None:
            if not is_true(mask.template):
                return
            mask = None
        index, value = self.value(s.index), self.value(s.value)
        step = self.append(s, index, value, mask)
        before = self.held.get(s.buffer, {})
        self.forget({s.buffer})
        if s.buffer in self.local:
            self.local[s.buffer].append(step)
            if mask is None:
                self._hold(s, index, value, before)

    def _hold(self, s: Store, index: Node, value: Node, before: _Held) -> None:
        """What a local buffer holds after a store to a constant place."""
        if isinstance(index.template, Const):
            start = int(index.template.value)
            end = start + s.value.type.lanes
            rest = {place: v for place, v in before.items() if place[1] <= start or end <= place[0]}
            self.held[s.buffer] = {**rest, (start, end): value}

    def drop_unread(self) -> None:
        """Leave out the local buffers that nothing loads from."""
        for buffer, steps in self.local.items():
            if buffer not in self.loaded:
                for step in steps:
                    step.needed = False

    def alloc(self, s: Alloc) -> None:
        self.home[s.buffer] = self.scope
        self.forget({s.buffer})
        step = self.append(s, effect=False)
        if s.buffer.space is Space.LOCAL:
            self.local[s.buffer] = [step]

    def barrier(self, s: Barrier) -> None:
        self.append(s)
        self.forget(set(self.version))

    def call(self, s: Call) -> None:
        self.append(s, *[self.value(arg) for arg in s.args])

    def branch(self, s: If) -> None:
        condition = self.value(s.condition)
        taken = is_true(condition.template)
        if taken is not None:
            self.block(s.then if taken else s.otherwise)
            return
        position = self.clock
        scopes = []
        for side in (s.then, s.otherwise):
            stores = self.written(side)
            scopes.append(Scope(self.scope, loop=False, stores=stores))
            with self.inside(scopes[-1]):
                self.block(side)
            self.forget(stores)
        step = Step(s, (condition,), tuple(scopes), position)
        self.scope.items.append(step)

    def loop(self, s: For) -> None:
        start, stop = self.value(s.start), self.value(s.stop)
        inits = [self.value(carry.init) for carry in s.carried]
        count = trips(start.template, stop.template, s.step)
        if count == 0 or (count == 1 and s.kind in _INLINED):
            self._straight(s, start, inits, count)
            return
        grain = None if s.grain is None else self.value(s.grain)
        position = self.clock
        stores = self.written(s.body)
        self.forget(stores)
        inner = self._scope_inside(s, stores, count)
        with self.inside(inner):
            for var in (s.var, *(carry.var for carry in s.carried)):
                self.leaf(var, inner)
            self.block(s.body)
            self.tick()
            inner.ends = ([self.value(carry.next) for carry in s.carried], self.clock)
        self.forget(stores)
        results = [self.leaf(carry.result, self.scope) for carry in s.carried]
        step = Step(s, (start, stop, grain, *inits), (inner,), position, results)
        self.scope.items.append(step)

    def _scope_inside(self, s: For, stores: set[Buffer], count: int | None) -> Scope:
        sure = count is not None and s.kind in _INLINED
        scope = Scope(self.scope, s.kind is not LoopKind.PARALLEL, stores, sure)
        scope.thread = s.kind is LoopKind.PARALLEL
        return scope

    def _straight(self, s: For, start: Node, inits: list[Node], count: int) -> None:
        """A loop of no or one iteration."""
        values = inits
        if count:
            self.known[s.var.name] = start
            for carry, init in zip(s.carried, inits):
                self.known[carry.var.name] = init
            self.block(s.body)
            self.tick()
            values = [self.value(carry.next) for carry in s.carried]
        for carry, value in zip(s.carried, values):
            self.known[carry.result.name] = value

    def reduce(self, s: Reduce) -> None:
        extent = self.value(s.extent)
        position = self.clock
        stores = self.written(s.body)
        self.forget(stores)
        inner = Scope(self.scope, True, stores)
        with self.inside(inner):
            self.leaf(s.var, inner)
            self.block(s.body)
            self.tick()
            inner.ends = ([self.value(term.value) for term in s.terms], self.clock)
        self.forget(stores)
        results = [self.leaf(term.result, self.scope) for term in s.terms]
        self.scope.items.append(Step(s, (extent,), (inner,), position, results))

    # -- values -------------------------------------------------------------------------------

    def leaf(self, var: Var, scope: Scope) -> Node:
        node = Node(var, None, scope, self.clock)
        self.known[var.name] = node
        return node

    def value(self, expr: Expr) -> Node:
        """The number of a value."""
        memo = self.memo
        for node in postorder(expr, memo):
            found = memo[node] = self._number(node)
            if found.reads:
                self.reading.append(node)
        return memo[expr]

    def _number(self, expr: Expr) -> Node:
        if isinstance(expr, Var):
            return self.known[expr.name]
        if isinstance(expr, Const):
            return self._constant(expr)
        args = [self.memo[child] for child in operands(expr)]
        folded = fold(expr, args)
        if folded is not None:
            return folded if isinstance(folded, Node) else self._constant(folded)
        if isinstance(expr, Load) and len(args) == 2 and is_true(args[1].template):
            expr, args = Load(expr.buffer, expr.index, expr.type), args[:1]
        if isinstance(expr, Load):
            held = self._stored(expr, args)
            if held is not None:
                return held
            self.loaded.add(expr.buffer)
        key = self._key(expr, args)
        depth = max([arg.scope.depth for arg in args], default=0)
        if isinstance(expr, Load) and expr.buffer in self.home:
            depth = max(depth, self.home[expr.buffer].depth)
        found = self.scope.find(key, depth, expr.type.lanes > 1)
        return found or self._new(expr, args, key, depth)

    def _stored(self, expr: Load, args: Sequence[Node]) -> Node | None:
        """The value that was stored where this loads, and the same elements alone."""
        (index, *mask), held = args, self.held.get(expr.buffer)
        if held is None or mask or not isinstance(index.template, Const):
            return None
        start = int(index.template.value)
        found = held.get((start, start + expr.type.lanes))
        if found is None or found.template.type != expr.type:
            return None
        self.forwarded.add(expr.buffer)
        return found

    def _new(self, expr: Expr, args: Sequence[Node], key: Key, depth: int) -> Node:
        scope = self._scope_of(expr, args, depth)
        node = Node(expr, tuple(args), scope, self.clock)
        node.reads = isinstance(expr, Load) or any(map(_READS, args))
        scope.table[key] = node
        scope.items.append(node)
        return node

    def _constant(self, expr: Const) -> Node:
        # repr tells 0.0 from -0.0, and a nan equals itself
        key = (repr(expr.value), expr.type.dtype, expr.type.lanes)
        node = self.root.table.get(key)
        if node is None:
            node = self.root.table[key] = Node(expr, None, self.root, self.clock)
        return node

    def _key(self, expr: Expr, args: Sequence[Node]) -> Key:
        what: object = type(expr)
        version = 0
        if isinstance(expr, (Op, Tree)):
            what = (type(expr), expr.op)
        elif isinstance(expr, Ramp):
            what = (Ramp, expr.step)
        elif isinstance(expr, Load):
            what, version = expr.buffer, self.version.get(expr.buffer, 0)
        return (what, version, expr.type.dtype, expr.type.lanes, *map(id, args))

    def _scope_of(self, expr: Expr, args: Sequence[Node], depth: int) -> Scope:
        if isinstance(expr, Load):
            return self.scope.before_sure_loops(expr.buffer, depth)
        if isinstance(expr, Op) and expr.op in (Scalar.TDIV, Scalar.TREM):
            divisor = args[1].template
            if not isinstance(divisor, Const) or divisor.value in (0, -1):
                return self.scope
        return self.scope.before_loops(depth)


_STATEMENTS: dict[type, Callable[[_Simplifier, Any], None]] = {
    Let: _Simplifier.let,
    Store: _Simplifier.store,
    For: _Simplifier.loop,
    Reduce: _Simplifier.reduce,
    If: _Simplifier.branch,
    Alloc: _Simplifier.alloc,
    Barrier: _Simplifier.barrier,
    Call: _Simplifier.call,
}
