"""Scalar terms with operators, so that definitions read like maths.

`Term` wraps a loop expression; Python numbers beside a term become constants of its dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from weftc.loop import ir
from weftc.loop.ir import Expr, Scalar
from weftrt import dtypes
from weftrt.dtypes import DType

Operand: TypeAlias = "Term | float"


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """A scalar expression under construction."""

    expr: Expr

    @property
    def dtype(self) -> DType:
        return self.expr.type.dtype

    def like(self, value: Operand) -> Term:
        """`value` as a term: a number is rounded to this term's dtype."""
        if isinstance(value, Term):
            return value
        return Term(ir.const(self.dtype.dtype.type(value).item(), self.dtype, self.expr.type.lanes))

    def __add__(self, other: Operand) -> Term:
        return _apply(Scalar.ADD, self, other)

    def __radd__(self, other: float) -> Term:
        return _apply(Scalar.ADD, self.like(other), self)

    def __sub__(self, other: Operand) -> Term:
        return _apply(Scalar.SUB, self, other)

    def __rsub__(self, other: float) -> Term:
        return _apply(Scalar.SUB, self.like(other), self)

    def __mul__(self, other: Operand) -> Term:
        return _apply(Scalar.MUL, self, other)

    def __rmul__(self, other: float) -> Term:
        return _apply(Scalar.MUL, self.like(other), self)

    def __truediv__(self, other: Operand) -> Term:
        return _apply(Scalar.DIV, self, other)

    def __rtruediv__(self, other: float) -> Term:
        return _apply(Scalar.DIV, self.like(other), self)

    def __neg__(self) -> Term:
        return _apply(Scalar.NEG, self)

    def __abs__(self) -> Term:
        return _apply(Scalar.ABS, self)

    def __lt__(self, other: Operand) -> Term:
        return _apply(Scalar.LT, self, other)

    def __le__(self, other: Operand) -> Term:
        return _apply(Scalar.LE, self, other)

    def __gt__(self, other: Operand) -> Term:
        return _apply(Scalar.GT, self, other)

    def __ge__(self, other: Operand) -> Term:
        return _apply(Scalar.GE, self, other)

    def equals(self, other: Operand) -> Term:
        """self == other, as a bool term."""
        return _apply(Scalar.EQ, self, other)

    def differs(self, other: Operand) -> Term:
        """self != other, true for NaN."""
        return _apply(Scalar.NE, self, other)

    def __and__(self, other: Operand) -> Term:
        return _apply(Scalar.AND, self, other)

    def __or__(self, other: Operand) -> Term:
        return _apply(Scalar.OR, self, other)

    def __xor__(self, other: Operand) -> Term:
        return _apply(Scalar.XOR, self, other)

    def __invert__(self) -> Term:
        return _apply(Scalar.NOT, self)

    def __lshift__(self, count: int) -> Term:
        return _apply(Scalar.SHL, self, count)

    def __rshift__(self, count: int) -> Term:
        return _apply(Scalar.SHR, self, count)


def _apply(op: Scalar, first: Term, *others: Operand) -> Term:
    return Term(ir.apply(op, first.expr, *(first.like(o).expr for o in others)))


def fma(a: Term, b: Operand, c: Operand) -> Term:
    """a*b + c, rounded once."""
    return _apply(Scalar.FMA, a, b, c)


def rint(x: Term) -> Term:
    """The nearest integer, half to even."""
    return _apply(Scalar.RINT, x)


def sqrt(x: Term) -> Term:
    """The square root, correctly rounded."""
    return _apply(Scalar.SQRT, x)


def copysign(x: Term, sign: Term) -> Term:
    """|x| with the sign of `sign`."""
    return _apply(Scalar.COPYSIGN, x, sign)


def ldexp(x: Term, n: Term) -> Term:
    """x * 2**n rounded once; n is an integer term and 0.25 <= |x| <= 4."""
    return _apply(Scalar.LDEXP, x, n)


def select(condition: Term, then: Operand, otherwise: Operand) -> Term:
    """`then` where the condition holds, else `otherwise`; one of them is a term."""
    model = then if isinstance(then, Term) else otherwise
    assert isinstance(model, Term), "select needs a term to take its dtype from"
    parts = (condition, model.like(then), model.like(otherwise))
    return Term(ir.apply(Scalar.SELECT, *(p.expr for p in parts)))


def cast(x: Term, dtype: DType) -> Term:
    """x converted to `dtype`."""
    return Term(ir.cast(x.expr, dtype))


def bits(x: Term) -> Term:
    """The bits of a float as the signed integer of its width."""
    return Term(ir.bitcast(x.expr, dtypes.int32 if x.dtype.bits == 32 else dtypes.int64))


def from_bits(x: Term) -> Term:
    """The float whose bits the integer x holds."""
    return Term(ir.bitcast(x.expr, dtypes.float32 if x.dtype.bits == 32 else dtypes.float64))


def at_most(x: Term, top: float) -> Term:
    """min(x, top), keeping a NaN: the operand order makes it one instruction on x86."""
    limit = x.like(top)
    return select(limit < x, limit, x)


def at_least(x: Term, low: float) -> Term:
    """max(x, low), keeping a NaN."""
    limit = x.like(low)
    return select(limit > x, limit, x)


def horner(x: Term, coefficients: Sequence[float]) -> Term:
    """sum of coefficients[i] * x**i by fused multiply-adds."""
    value = x.like(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = fma(value, x, coefficient)
    return value


# ---------------------------------------------------------------------------------------------
# Double-double arithmetic (Dekker 1971; Joldes, Muller, Popescu 2017): high + low, unevaluated
# ---------------------------------------------------------------------------------------------

Pair: TypeAlias = tuple[Term, Term]


def two_sum(a: Term, b: Term) -> Pair:
    """a + b and its rounding error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def fast_two_sum(a: Term, b: Term) -> Pair:
    """a + b and its rounding error, for |a| >= |b| or a == 0 (Dekker)."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Term, b: Operand) -> Pair:
    """a * b and its rounding error."""
    product = a * b
    return product, fma(a, b, -product)


def split(value: object, dtype: DType) -> tuple[float, float]:
    """A number (mpmath or Fraction) as the two nearest constants of `dtype`."""
    round_ = dtype.dtype.type
    high = round_(float(value))  # type: ignore[arg-type]
    low = round_(float(value - float(high)))  # type: ignore[operator]
    return float(high), float(low)


# ---------------------------------------------------------------------------------------------
# From definitions over terms to functions of expressions
# ---------------------------------------------------------------------------------------------


def expression(definition: Callable[..., Term]) -> Callable[..., Expr]:
    """A definition over terms as a function of loop expressions."""

    def lower(*scalars: Expr) -> Expr:
        return definition(*map(Term, scalars)).expr

    return lower
