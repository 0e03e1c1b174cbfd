"""Arithmetic of indices, which are never negative, beside that of weftc.loop.ir: constants fold."""

from __future__ import annotations

from weftc.loop import ir
from weftc.loop.ir import Const, Expr, Scalar, const


def divide(a: Expr, b: int | Expr) -> Expr:
    """a / b rounded down."""
    return _folded(Scalar.TDIV, a, b)


def modulo(a: Expr, b: int | Expr) -> Expr:
    """a mod b for indices."""
    return _folded(Scalar.TREM, a, b)


def _folded(op: Scalar, a: Expr, b: int | Expr) -> Expr:
    divisor = const(b) if isinstance(b, int) else b
    if isinstance(a, Const) and a.value == 0:
        return a
    if isinstance(divisor, Const) and divisor.value == 1:
        return a if op is Scalar.TDIV else const(0)
    if isinstance(a, Const) and isinstance(divisor, Const):
        quotient, rest = divmod(int(a.value), int(divisor.value))
        return const(quotient if op is Scalar.TDIV else rest)
    return ir.apply(op, a, divisor)


def ceil_divide(a: Expr, b: int | Expr) -> Expr:
    """a / b rounded up."""
    divisor = const(b) if isinstance(b, int) else b
    return divide(ir.add(a, ir.subtract(divisor, const(1))), divisor)


def minimum(a: Expr, b: Expr) -> Expr:
    """The smaller index."""
    if isinstance(a, Const) and isinstance(b, Const):
        return const(min(int(a.value), int(b.value)))
    return ir.apply(Scalar.MINIMUM, a, b)
