"""Exact folding of integers, bools and masks while values are numbered."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from weftc.loop.ir import BOOL, INDEX, Const, Expr, Load, Op, Scalar, Splat
from weftc.loop.values import Node

_INTEGER: dict[Scalar, Callable[[int, int], int]] = {
    Scalar.ADD: operator.add,
    Scalar.SUB: operator.sub,
    Scalar.MUL: operator.mul,
    Scalar.AND: operator.and_,
    Scalar.OR: operator.or_,
    Scalar.XOR: operator.xor,
    Scalar.MINIMUM: min,
    Scalar.MAXIMUM: max,
}

_COMPARISON: dict[Scalar, Callable[[int, int], bool]] = {
    Scalar.EQ: operator.eq,
    Scalar.NE: operator.ne,
    Scalar.LT: operator.lt,
    Scalar.LE: operator.le,
    Scalar.GT: operator.gt,
    Scalar.GE: operator.ge,
}


def is_true(expr: Expr) -> bool | None:
    """The value of a literal condition."""
    return bool(expr.value) if isinstance(expr, Const) else None


def trips(start: Expr, stop: Expr, step: int) -> int | None:
    """How often a loop runs, where that is known."""
    if isinstance(start, Const) and isinstance(stop, Const):
        return max(0, -((int(start.value) - int(stop.value)) // step))
    return None


def fold(expr: Expr, args: Sequence[Node]) -> Node | Const | None:
    """What `expr` over `args` is without computing anything, if that can be said."""
    if isinstance(expr, Op):
        if expr.op is Scalar.SELECT:
            return _select(args)
        if expr.type.dtype.is_float or len(args) != 2:
            return None
        return _constants(expr, args) or _cancelled(expr, args) or _neutral(expr, args)
    if isinstance(expr, Splat):
        value = args[0].template
        return Const(value.value, expr.type) if isinstance(value, Const) else None
    if isinstance(expr, Load) and expr.mask is not None and is_true(args[1].template) is False:
        zero = 0.0 if expr.type.dtype.is_float else 0
        return Const(zero, expr.type)
    return None


def _select(args: Sequence[Node]) -> Node | None:
    condition, if_true, if_false = args
    if if_true is if_false:
        return if_true
    chosen = is_true(condition.template)
    return None if chosen is None else (if_true if chosen else if_false)


def _constants(expr: Op, args: Sequence[Node]) -> Const | None:
    a, b = args[0].template, args[1].template
    if not isinstance(a, Const) or not isinstance(b, Const) or a.type != INDEX:
        return None
    if expr.op in _COMPARISON:
        return Const(_COMPARISON[expr.op](int(a.value), int(b.value)), BOOL)
    if expr.op in _INTEGER:
        value = _INTEGER[expr.op](int(a.value), int(b.value))
        return Const((value + (1 << 63)) % (1 << 64) - (1 << 63), INDEX)
    return None


def _cancelled(expr: Op, args: Sequence[Node]) -> Node | Const | None:
    """x + c - x of indices, and how an index compares with itself: a range of a known length needs
    no tail."""
    a, b = args
    if b.template.type != INDEX:
        return None
    if a is b and expr.op in _COMPARISON:
        return Const(_COMPARISON[expr.op](0, 0), BOOL)
    total = a.template
    if expr.op is Scalar.SUB and isinstance(total, Op) and total.op is Scalar.ADD:
        assert a.operands is not None
        return a.operands[1] if a.operands[0] is b else None
    return None


_ZERO_LEAVES = (Scalar.ADD, Scalar.SUB, Scalar.OR, Scalar.XOR, Scalar.SHL, Scalar.SHR)


def _neutral(expr: Op, args: Sequence[Node]) -> Node | None:
    """x + 0, x * 1, x & true and the like, of integers and bools."""
    a, b = args
    if isinstance(b.template, Const):
        value = b.template.value
        if value == 0 and expr.op in _ZERO_LEAVES:
            return a
        if value == 0 and expr.op in (Scalar.MUL, Scalar.AND):
            return b
        if value == 1 and (expr.op is Scalar.MUL or _is_bool_and(expr)):
            return a
    if isinstance(a.template, Const):
        value = a.template.value
        if value == 0 and expr.op in (Scalar.ADD, Scalar.OR, Scalar.XOR):
            return b
        if value == 0 and expr.op in (Scalar.MUL, Scalar.AND):
            return a
        if value == 1 and (expr.op is Scalar.MUL or _is_bool_and(expr)):
            return b
    return None


def _is_bool_and(expr: Op) -> bool:
    return expr.op is Scalar.AND and expr.type.dtype is BOOL.dtype
