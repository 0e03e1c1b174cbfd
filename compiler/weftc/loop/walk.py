"""Walking expressions (a DAG, so every walk remembers what it has seen) and statements."""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Iterable, Iterator

from weftc.loop.ir import (
    Alloc,
    Barrier,
    Block,
    Call,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    LoopFunction,
    Op,
    Ramp,
    Reduce,
    Splat,
    Stmt,
    Store,
    Tree,
    Var,
)


def operands(expr: Expr) -> tuple[Expr, ...]:
    """The expressions that `expr` is made of, in order; a mask comes last."""
    return _OPERANDS[type(expr)](expr)


_OPERANDS: dict[type, Callable[..., tuple[Expr, ...]]] = {
    Const: lambda expr: (),
    Var: lambda expr: (),
    Op: operator.attrgetter("args"),
    Load: lambda expr: (expr.index,) if expr.mask is None else (expr.index, expr.mask),
    Ramp: lambda expr: (expr.base,),
    Splat: lambda expr: (expr.value,),
    Tree: lambda expr: (expr.value,),
}


def with_operands(expr: Expr, new: tuple[Expr, ...]) -> Expr:
    """`expr` over other operands; `expr` itself when they are the same objects."""
    if operands(expr) == new:  # expressions are compared by identity
        return expr
    if isinstance(expr, Op):
        return Op(expr.op, new, expr.type)
    if isinstance(expr, Load):
        return Load(expr.buffer, new[0], expr.type, new[1] if len(new) > 1 else None)
    if isinstance(expr, Splat):
        return Splat(new[0], expr.type)
    if isinstance(expr, Tree):
        return Tree(expr.op, new[0], expr.type)
    if isinstance(expr, Ramp):
        return Ramp(new[0], expr.type, expr.step)
    return expr


def postorder(root: Expr, known: Container[Expr]) -> Iterator[Expr]:
    """The nodes under `root` that `known` lacks, operands first.

    The caller adds each node to `known` before it asks for the next, so none comes twice.
    """
    stack = [root]
    while stack:
        node = stack[-1]
        if node not in known:
            missing = [c for c in _OPERANDS[type(node)](node) if c not in known]
            if missing:
                stack += missing[::-1]
                continue
            yield node
        stack.pop()


def under(roots: Iterable[Expr]) -> Iterator[Expr]:
    """The distinct nodes under some expressions, operands first."""
    seen: set[Expr] = set()
    for root in roots:
        for node in postorder(root, seen):
            seen.add(node)
            yield node


def expressions(statement: Stmt) -> tuple[Expr, ...]:
    """The expressions a statement evaluates itself, not those of its blocks, in order."""
    return _EXPRESSIONS[type(statement)](statement)


def blocks(statement: Stmt) -> tuple[Block, ...]:
    """The blocks inside a statement."""
    if isinstance(statement, (For, Reduce)):
        return (statement.body,)
    if isinstance(statement, If):
        return (statement.then, statement.otherwise)
    return ()


def bound(statement: Stmt) -> tuple[Var, ...]:
    """The variables a statement binds, inside its body or after it."""
    if isinstance(statement, Let):
        return (statement.var,)
    if isinstance(statement, For):
        inner = [v for carry in statement.carried for v in (carry.var, carry.result)]
        return (statement.var, *inner)
    if isinstance(statement, Reduce):
        return (statement.var, *(term.result for term in statement.terms))
    return ()


def statements(block: Block) -> Iterator[Stmt]:
    """Every statement of a block, outer ones before those inside them."""
    stack = list(reversed(block))
    while stack:
        statement = stack.pop()
        yield statement
        for inner in reversed(blocks(statement)):
            stack.extend(reversed(inner))


def names(function: LoopFunction) -> set[str]:
    """Every name of a variable or a buffer."""
    taken = {buffer.name for buffer in function.buffers} | {v.name for v in function.sizes}
    for statement in statements(function.body):
        taken.update(var.name for var in bound(statement))
        if isinstance(statement, Alloc):
            taken.add(statement.buffer.name)
    return taken


def _optional(*found: Expr | None) -> tuple[Expr, ...]:
    return tuple(expr for expr in found if expr is not None)


def _for(s: For) -> tuple[Expr, ...]:
    carried = [expr for carry in s.carried for expr in (carry.init, carry.next)]
    return _optional(s.start, s.stop, s.grain, *carried)


def _reduce(s: Reduce) -> tuple[Expr, ...]:
    return (s.extent, *(term.value for term in s.terms))


_EXPRESSIONS: dict[type, Callable[..., tuple[Expr, ...]]] = {
    Let: lambda s: (s.value,),
    Store: lambda s: _optional(s.index, s.value, s.mask),
    For: _for,
    Reduce: _reduce,
    If: lambda s: (s.condition,),
    Alloc: lambda s: (),
    Barrier: lambda s: (),
    Call: lambda s: s.args,
}


def count(exprs: Iterable[Expr]) -> int:
    """The number of distinct nodes under some expressions."""
    return sum(1 for _ in under(exprs))
