"""The value graph that simplify numbers a function into, and the way back to statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from weftc.loop.build import Names
from weftc.loop.ir import (
    Block,
    Buffer,
    Call,
    Carry,
    Expr,
    For,
    If,
    Let,
    Reduce,
    Stmt,
    Store,
    Term,
    Var,
)
from weftc.loop.walk import with_operands

_DEEP = 12
"""A single user takes a value without a Let up to this nesting of expressions."""


class Node:
    """One value: an operation over other values, or (operands None) a literal or a variable."""

    __slots__ = (
        "depth",
        "expr",
        "operands",
        "position",
        "reads",
        "scope",
        "template",
        "user",
        "uses",
        "var",
    )

    def __init__(
        self, template: Expr, operands: tuple[Node, ...] | None, scope: Scope, position: int
    ) -> None:
        self.template = template
        self.operands = operands
        self.scope = scope
        self.position = position
        self.reads = False
        """Whether it is of what a buffer holds."""
        self.uses = 0
        self.user: tuple[Scope, int] | None = None
        self.var: Var | None = None
        self.depth = 0
        self.expr: Expr
        """What users take, once it is written."""
        if operands is None:
            self.expr = template

    def use(self, scope: Scope, position: int) -> None:
        self.uses += 1
        self.user = (scope, position)

    @property
    def inline(self) -> bool:
        """Whether the one user takes the expression itself, in the very statement it is from."""
        alone = self.uses == 1 and self.user == (self.scope, self.position)
        return alone and self.depth <= _DEEP


class Step:
    """A statement with the numbers of its expressions and the scopes of its blocks."""

    __slots__ = ("needed", "position", "results", "scopes", "statement", "values")

    def __init__(
        self,
        statement: Stmt,
        values: tuple[Node | None, ...],
        scopes: tuple[Scope, ...],
        position: int,
        results: Sequence[Node] = (),
    ) -> None:
        self.statement = statement
        self.values = values
        self.scopes = scopes
        self.position = position
        self.results = results
        self.needed = True

    @property
    def live(self) -> bool:
        if not self.scopes:
            return self.needed
        return any(s.effects for s in self.scopes) or any(node.uses for node in self.results)


Item: TypeAlias = "Node | Step"
Key: TypeAlias = "tuple[object, ...]"


class Scope:
    """A block: its values and statements in order, and what a loop around it stores to."""

    __slots__ = (
        "depth",
        "effects",
        "ends",
        "items",
        "outside",
        "parent",
        "stores",
        "sure",
        "table",
        "thread",
    )

    def __init__(
        self,
        parent: Scope | None,
        loop: bool,
        stores: set[Buffer] | None = None,
        sure: bool = False,
    ) -> None:
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.items: list[Item] = []
        self.table: dict[Key, Node] = {}
        self.stores = stores if stores is not None else set()
        self.sure = sure
        """A loop that runs at least once."""
        self.thread = False
        """The body of a PARALLEL loop: scalars may come in from outside, vectors may not."""
        self.effects = False
        self.ends: tuple[list[Node], int] = ([], 0)
        """Values taken at the end of the block (carried on, or reduced), and their position."""
        self.outside: list[Scope | None] = []
        """By depth d: the block before the outermost loop deeper than d, if there is one."""
        if parent is not None:
            before = parent if loop else None
            self.outside = [found or before for found in (*parent.outside, None)]

    def find(self, key: Key, depth: int, vector: bool) -> Node | None:
        """The value numbered `key` in this block or one around it, down to `depth`."""
        scope: Scope | None = self
        while scope is not None and scope.depth >= depth:
            found = scope.table.get(key)
            if found is not None:
                return found
            if vector and scope.thread:
                return None
            scope = scope.parent
        return None

    def before_loops(self, depth: int) -> Scope:
        """Where a value whose operands live at `depth` is computed."""
        return (self.outside[depth] or self) if depth < self.depth else self

    def before_sure_loops(self, buffer: Buffer, depth: int) -> Scope:
        """The same for a load: out of loops that run and do not store to its buffer."""
        scope = self
        while scope.sure and scope.depth > depth and buffer not in scope.stores:
            assert scope.parent is not None
            scope = scope.parent
        return scope

    def count_uses(self) -> None:
        """Count the live users of every value, backwards, so that users come before operands."""
        values, position = self.ends
        for node in values:
            node.use(self, position)
        for item in reversed(self.items):
            if isinstance(item, Step):
                if not item.live:
                    continue
                for scope in reversed(item.scopes):
                    scope.count_uses()
                for value in item.values:
                    if value is not None:
                        value.use(self, item.position)
            elif item.uses and item.operands is not None:
                for operand in item.operands:
                    operand.use(self, item.position)


# -- back to statements -------------------------------------------------------------------------


def write_block(scope: Scope, names: Names) -> Block:
    """The statements of a scope; Lets for the values that need one."""
    written: list[Stmt] = []
    for item in scope.items:
        if isinstance(item, Step):
            if item.live:
                written.append(_WRITERS.get(type(item.statement), _same)(item, names))
        elif item.uses:
            _write_value(item, names, written)
    return tuple(written)


def _write_value(node: Node, names: Names, written: list[Stmt]) -> None:
    assert node.operands is not None
    node.depth = 1 + max([child.depth for child in node.operands], default=0)
    expr = with_operands(node.template, tuple([child.expr for child in node.operands]))
    if node.inline:
        node.expr = expr
        return
    var = node.var or Var(names.fresh("t"), expr.type)
    written.append(Let(var, expr))
    node.expr, node.depth = var, 0


def _expr(node: Node | None) -> Expr:
    assert node is not None
    return node.expr


def _same(step: Step, names: Names) -> Stmt:
    return step.statement


def _store(step: Step, names: Names) -> Stmt:
    s = step.statement
    assert isinstance(s, Store)
    index, value, mask = step.values
    chosen = None if mask is None else _expr(mask)
    return Store(s.buffer, _expr(index), _expr(value), chosen, s.nontemporal)


def _call(step: Step, names: Names) -> Stmt:
    s = step.statement
    assert isinstance(s, Call)
    return Call(s.name, tuple(_expr(value) for value in step.values), s.buffer)


def _branch(step: Step, names: Names) -> Stmt:
    then, otherwise = (write_block(scope, names) for scope in step.scopes)
    return If(_expr(step.values[0]), then, otherwise)


def _loop(step: Step, names: Names) -> Stmt:
    s = step.statement
    assert isinstance(s, For)
    start, stop, grain, *inits = step.values
    begins = [_expr(init) for init in inits]
    (inner,) = step.scopes
    body = write_block(inner, names)
    carried = tuple(
        Carry(carry.var, init, _expr(following), carry.result)
        for carry, init, following in zip(s.carried, begins, inner.ends[0])
    )
    chosen = None if grain is None else _expr(grain)
    return For(s.var, _expr(start), _expr(stop), body, s.kind, s.step, carried, s.lanes, chosen)


def _reduce(step: Step, names: Names) -> Stmt:
    s = step.statement
    assert isinstance(s, Reduce)
    (inner,) = step.scopes
    body = write_block(inner, names)
    terms = tuple(
        Term(term.op, _expr(value), term.result) for term, value in zip(s.terms, inner.ends[0])
    )
    return Reduce(s.var, _expr(step.values[0]), body, terms)


_WRITERS: dict[type, Callable[[Step, Names], Any]] = {
    Store: _store,
    Call: _call,
    If: _branch,
    For: _loop,
    Reduce: _reduce,
}
