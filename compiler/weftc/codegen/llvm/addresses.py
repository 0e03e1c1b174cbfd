"""Indices as linear forms, so that addresses a constant apart are written as one and an offset.

    x[i*64 + b], x[i*64 + b + 1], x[(i+1)*64 + b]   ->   p = &x[i*64 + b];  p, p + 1, p + 64

LLVM finds that out too, after it has looked at every pair of the addresses in a loop: of the time
it took for a matrix product, two thirds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from weftc.loop.ir import INDEX, Const, Expr, Op, Scalar

Terms: TypeAlias = "frozenset[tuple[str, int]]"
"""Operands and their factors."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A sum of operands times factors, and a constant, modulo 2^64 like all index arithmetic."""

    terms: Terms
    constant: int


def offset(a: Linear, constant: int) -> int:
    """How far `a` is past a form with the same terms and another constant, as an int64."""
    return (a.constant - constant + (1 << 63)) % (1 << 64) - (1 << 63)


def of_operand(operand: str) -> Linear:
    """An operand that nothing more is known of."""
    return Linear(frozenset(((operand, 1),)), 0)


def linear(expr: Expr, leaf: Callable[[Expr], Linear]) -> Linear:
    """An int64 expression; `leaf` tells what its parts are that are no sum or multiple."""
    if isinstance(expr, Const):
        return Linear(frozenset(), int(expr.value))
    if isinstance(expr, Op) and expr.type == INDEX:
        sign = _SIGNS.get(expr.op)
        if sign is not None:
            return _sum(linear(expr.args[0], leaf), linear(expr.args[1], leaf), sign)
        if expr.op is Scalar.MUL:
            return _product(expr, leaf)
    return leaf(expr)


_SIGNS: Final = {Scalar.ADD: 1, Scalar.SUB: -1}


def _sum(a: Linear, b: Linear, sign: int) -> Linear:
    if not b.terms:
        return Linear(a.terms, a.constant + sign * b.constant)
    total = dict(a.terms)
    for operand, factor in b.terms:
        total[operand] = total.get(operand, 0) + sign * factor
    terms = frozenset((operand, factor) for operand, factor in total.items() if factor)
    return Linear(terms, a.constant + sign * b.constant)


def _product(expr: Op, leaf: Callable[[Expr], Linear]) -> Linear:
    a, b = (linear(arg, leaf) for arg in expr.args)
    if a.terms and b.terms:
        return leaf(expr)
    if not a.terms:
        a, b = b, a
    factor = b.constant
    if not factor:
        return Linear(frozenset(), 0)
    return Linear(frozenset((o, f * factor) for o, f in a.terms), a.constant * factor)
