"""The elementary functions as ops: name, definition, gradient, cost.

The reference of each is its own definition, evaluated in NumPy: interpreter and kernels agree to
the bit, and tests compare the definitions with exact values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weftc.ir.node import Node
from weftc.ir.opdef import OpDef
from weftc.ops import build, complex_rules
from weftc.ops.elementary import (
    error_function,
    exponential,
    hyperbolic,
    inverse_trigonometric,
    logarithm,
    root,
    trigonometric,
)
from weftc.ops.elementary.terms import Term, expression
from weftc.ops.pointwise import (
    abs,
    add,
    binary,
    by_term,
    div,
    eq,
    maximum,
    minimum,
    mul,
    neg,
    stop_gradient,
    sub,
    unary,
    where,
)


def _op(
    name: str,
    definition: Callable[[Term], Term],
    slope: Callable[[Node, Node], Node],
    **fields: Any,
) -> OpDef:
    """An op of one operand; `slope(x, y)` is dy/dx."""
    lower = expression(definition)

    def vjp(node: Node, g: Node) -> tuple[Node | None, ...]:
        return (mul(g, slope(node.inputs[0], node)),)

    return unary(name, lower, by_term(lower), vjp=vjp, **fields)


def _times(factor: float, x: Node) -> Node:
    return mul(build.like(factor, x), x)


def _plus(x: Node, summand: float) -> Node:
    return add(x, build.like(summand, x))


def _one_minus(x: Node) -> Node:
    return sub(build.like(1.0, x), x)


def _inverse(x: Node) -> Node:
    return div(build.like(1.0, x), x)


POSITIVE = {"domain": (0.5, 3.0)}
INSIDE = {"domain": (-0.9, 0.9)}

sqrt = _op(
    "sqrt",
    root.sqrt,
    lambda x, y: _inverse(_times(2.0, y)),
    pairs=complex_rules.sqrt,
    cost=6,
    **POSITIVE,
)
rsqrt = _op(
    "rsqrt",
    root.rsqrt,
    lambda x, y: _times(-0.5, mul(y, mul(y, y))),
    cost=11,
    **POSITIVE,
)
exp = _op("exp", exponential.exp, lambda x, y: y, pairs=complex_rules.exp, cost=15)
expm1 = _op("expm1", exponential.expm1, lambda x, y: _plus(y, 1.0), cost=20)
sigmoid = _op("sigmoid", exponential.sigmoid, lambda x, y: mul(y, _one_minus(y)), cost=25)
log = _op(
    "log", logarithm.log, lambda x, y: _inverse(x), pairs=complex_rules.log, cost=30, **POSITIVE
)
log1p = _op("log1p", logarithm.log1p, lambda x, y: _inverse(_plus(x, 1.0)), cost=30, **POSITIVE)
log2 = _op(
    "log2",
    logarithm.log2,
    lambda x, y: _inverse(_times(0.6931471805599453, x)),
    cost=30,
    **POSITIVE,
)
sin: OpDef = _op("sin", trigonometric.sin, lambda x, y: cos(x), pairs=complex_rules.sin, cost=65)
cos: OpDef = _op(
    "cos", trigonometric.cos, lambda x, y: neg(sin(x)), pairs=complex_rules.cos, cost=65
)
tan = _op(
    "tan",
    trigonometric.tan,
    lambda x, y: _plus(mul(y, y), 1.0),
    pairs=complex_rules.tan,
    cost=70,
    domain=(-1.2, 1.2),
)
tanh = _op(
    "tanh", hyperbolic.tanh, lambda x, y: _one_minus(mul(y, y)), pairs=complex_rules.tanh, cost=30
)
sinh: OpDef = _op("sinh", hyperbolic.sinh, lambda x, y: cosh(x), pairs=complex_rules.sinh, cost=35)
cosh: OpDef = _op("cosh", hyperbolic.cosh, lambda x, y: sinh(x), pairs=complex_rules.cosh, cost=30)


def _slope_asin(x: Node, y: Node) -> Node:
    """1 / sqrt((1 - x) (1 + x))."""
    return rsqrt(mul(_one_minus(x), _plus(x, 1.0)))


asin = _op("asin", inverse_trigonometric.asin, _slope_asin, cost=25, **INSIDE)
acos = _op(
    "acos",
    inverse_trigonometric.acos,
    lambda x, y: neg(_slope_asin(x, y)),
    cost=35,
    **INSIDE,
)
atan = _op(
    "atan", inverse_trigonometric.atan, lambda x, y: _inverse(_plus(mul(x, x), 1.0)), cost=30
)


def _vjp_atan2(node: Node, g: Node) -> tuple[Node | None, ...]:
    """x / (x^2 + y^2) and -y / (x^2 + y^2), of operands scaled to at most 1 so that no square
    over- or underflows; 0 at the origin, as in PyTorch, and so is its derivative."""
    y, x = node.inputs
    zero = build.like(0.0, x)
    one, largest = build.like(1.0, x), build.like(float(np.finfo(x.type.dtype.name).max), x)
    size = stop_gradient(minimum(maximum(abs(x), abs(y)), largest))
    at_origin = eq(size, zero)
    size = where(at_origin, one, size)
    across, up = (where(at_origin, zero, div(v, size)) for v in (x, y))
    squares = where(at_origin, one, add(mul(across, across), mul(up, up)))
    part = div(div(g, size), squares)
    return mul(part, across), neg(mul(part, up))


_lower_atan2 = expression(inverse_trigonometric.atan2)
atan2 = binary(
    "atan2",
    _lower_atan2,
    by_term(_lower_atan2),
    vjp=_vjp_atan2,
    cost=40,
    **POSITIVE,
)


def _slope_erf(x: Node, y: Node) -> Node:
    """2 / sqrt(pi) e^(-x^2)."""
    return _times(1.1283791670955126, exp(neg(mul(x, x))))


erf = _op("erf", error_function.erf, _slope_erf, cost=40)
