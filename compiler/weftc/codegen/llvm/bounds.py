"""How large a float can be: what lets a conversion to integers skip its guards.

    t = select(89 < x, 89, x);  u = select(-104 > t, -104, t);  rint(u * 1.44)   ->   [-151, 130]

A bound speaks of values that are not NaN: the conversion handles NaN anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from weftc.loop.ir import Const, Expr, Op, Scalar, Splat, Var

Definition: TypeAlias = Callable[[Var], Expr | None]
"""What a Let gave to a name; None if it is not known."""

Interval: TypeAlias = tuple[float, float]

_ANY: Interval = (-math.inf, math.inf)
_DEPTH = 12  # far enough for a range reduction, and no recursion over a user's graph
_WHOLE = frozenset((Scalar.RINT, Scalar.FLOOR, Scalar.CEIL, Scalar.TRUNC))


def bounds(expr: Expr, definition: Definition, depth: int = _DEPTH) -> Interval:
    """An interval that holds every value of `expr` but NaN; generous by a rounding or two."""
    if depth == 0:
        return _ANY
    if isinstance(expr, Const):
        value = float(expr.value)
        return _ANY if math.isnan(value) else (value, value)
    if isinstance(expr, Splat):
        return bounds(expr.value, definition, depth)
    if isinstance(expr, Var):
        value_of = definition(expr)
        return _ANY if value_of is None else bounds(value_of, definition, depth - 1)
    if not isinstance(expr, Op) or not expr.type.dtype.is_float:
        return _ANY
    if expr.op is Scalar.SELECT:
        return _select(expr, definition, depth - 1)
    rule = _RULES.get(expr.op)
    if rule is None:
        return _ANY
    return rule(*(bounds(arg, definition, depth - 1) for arg in expr.args))


def is_whole(expr: Expr, definition: Definition) -> bool:
    """Whether `expr` is rounded to an integer."""
    found = definition(expr) if isinstance(expr, Var) else expr
    return isinstance(found, Op) and found.op in _WHOLE


def _select(expr: Op, definition: Definition, depth: int) -> Interval:
    """The union of both sides; `select(limit < x, limit, x)` and the like are clamps."""
    condition, then, otherwise = expr.args
    low, high = bounds(otherwise, definition, depth)
    limit, most = bounds(then, definition, depth)
    clamp = _is_literal(then) and limit == most
    if clamp and isinstance(condition, Op) and same(condition.args[0], then):
        if condition.op is Scalar.LT and same(condition.args[1], otherwise):
            return min(low, limit), min(high, limit)
        if condition.op is Scalar.GT and same(condition.args[1], otherwise):
            return max(low, limit), max(high, limit)
    return min(low, limit), max(high, most)


def _is_literal(expr: Expr) -> bool:
    return isinstance(expr.value if isinstance(expr, Splat) else expr, Const)


def same(a: Expr, b: Expr) -> bool:
    """Whether two leaves are the same value."""
    if isinstance(a, Splat) and isinstance(b, Splat):
        a, b = a.value, b.value
    if isinstance(a, Const) and isinstance(b, Const):
        return a.value == b.value
    return a is b or (isinstance(a, Var) and isinstance(b, Var) and a.name == b.name)


_HUGE = 2.0**120  # beyond it a float32 may have overflowed


def _moderate(*intervals: Interval) -> bool:
    return all(abs(end) < _HUGE for interval in intervals for end in interval)


def _product(a: Interval, b: Interval) -> Interval:
    ends = [x * y for x in a for y in b] if _moderate(a, b) else []
    return (min(ends), max(ends)) if ends and _moderate((min(ends), max(ends))) else _ANY


def _sum(a: Interval, b: Interval) -> Interval:
    return (a[0] + b[0], a[1] + b[1]) if _moderate(a, b) else _ANY


def _negative(a: Interval) -> Interval:
    return -a[1], -a[0]


def _absolute(a: Interval) -> Interval:
    return 0.0, max(abs(a[0]), abs(a[1]))


def _rounded(a: Interval) -> Interval:
    return a[0] - 1.0, a[1] + 1.0


_RULES: dict[Scalar, Callable[..., Interval]] = {
    Scalar.MUL: _product,
    Scalar.ADD: _sum,
    Scalar.SUB: lambda a, b: _sum(a, _negative(b)),
    Scalar.FMA: lambda a, b, c: _sum(_product(a, b), c),
    Scalar.NEG: _negative,
    Scalar.ABS: _absolute,
    Scalar.MINIMUM: lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    Scalar.MAXIMUM: lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    **dict.fromkeys(_WHOLE, _rounded),
}
