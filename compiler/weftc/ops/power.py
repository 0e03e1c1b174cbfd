"""pow: an elementary function on floats, wrap-around repeated squaring on integers.

An integer to a negative power is 0, except that 1 gives 1 and -1 gives 1 or -1 (NumPy raises).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Node
from weftc.loop.ir import Expr, Scalar, apply, const
from weftc.ops import build, complex_rules
from weftc.ops.check import NUMBERS
from weftc.ops.elementary import pow_lower
from weftc.ops.elementary.power import by_squarings
from weftc.ops.elementary.terms import Term
from weftc.ops.pointwise import binary, by_term

Array: TypeAlias = "np.ndarray[Any, Any]"


def _lower_integer(x: Expr, y: Expr) -> Expr:
    dtype = x.type.dtype
    power = by_squarings(Term(x), Term(y), dtype.bits - dtype.is_signed).expr
    if not dtype.is_signed:
        return power
    zero, one, minus_one = const(0, dtype), const(1, dtype), const(-1, dtype)
    odd = apply(Scalar.NE, apply(Scalar.AND, y, one), zero)
    alternating = apply(Scalar.SELECT, odd, minus_one, one)
    inverse = apply(Scalar.SELECT, apply(Scalar.EQ, x, minus_one), alternating, zero)
    inverse = apply(Scalar.SELECT, apply(Scalar.EQ, x, one), one, inverse)
    return apply(Scalar.SELECT, apply(Scalar.LT, y, zero), inverse, power)


def _lower(x: Expr, y: Expr) -> Expr:
    return pow_lower(x, y) if x.type.dtype.is_float else _lower_integer(x, y)


_float_reference = by_term(pow_lower)


def _reference(x: Array, y: Array) -> Any:
    if x.dtype.kind == "f":
        return _float_reference(x, y)
    if x.dtype.kind == "u":
        return np.power(x, y)
    unit = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (y & 1), 0))
    return np.where(y < 0, unit, np.power(x, np.maximum(y, 0)))


def _vjp(node: Node, g: Node) -> tuple[Node | None, ...]:
    """y * x**(y-1), 0 where y is 0; x**y * log(x), 0 where x is 0 and y >= 0, as in PyTorch. The
    latter is infinite for x = 0 and y < 0, and NaN for x < 0. For y < 0, x**(y-1) is x**y / x.
    What is infinite where it is not chosen is not computed there: its derivative would be NaN. And
    0 is chosen only where 1/x is not finite: elsewhere y * x**(y-1) has a slope along y."""
    call = build.call
    x, y = node.inputs
    zero, one, infinity = (build.like(value, x) for value in (0.0, 1.0, float("inf")))
    negative = call("lt", y, zero)
    has_inverse = call("lt", call("abs", call("div", one, x)), infinity)
    flat = call("bitwise_and", call("eq", y, zero), call("bitwise_not", has_inverse))
    lower = call("pow", x, call("where", flat, one, call("sub", y, one)))
    quotient = call("div", node, call("where", negative, x, one))
    by_base = call("mul", y, call("where", negative, quotient, lower))
    vanishes = call("bitwise_and", call("eq", x, zero), call("ge", y, zero))
    log = call("log", call("where", vanishes, one, x))
    by_exponent = call("where", vanishes, zero, call("mul", node, log))
    return call("mul", g, call("where", flat, zero, by_base)), call("mul", g, by_exponent)


pow = binary(
    "pow",
    _lower,
    _reference,
    kinds=NUMBERS,
    vjp=_vjp,
    pairs=complex_rules.power,
    cost=60,
    domain=(0.5, 3.0),
)
