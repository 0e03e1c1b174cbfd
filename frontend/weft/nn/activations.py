"""Activations: functions of one element."""

from __future__ import annotations

import math
from typing import Any

from weft import diagnostics
from weft.ops.core import operation
from weft.ops.elementwise import like
from weft.promotion import as_float, as_strong
from weft.tracing import Tracer, apply, lift
from weftrt.errors import UsageError


@operation()
def relu(x: Any, /) -> Tracer:
    """max(x, 0); NaN stays NaN. Its gradient at 0 is 0."""
    value = as_strong(lift(x))
    zero = like(0, value)
    return apply("where", apply("le", value, zero), zero, value, name="relu")


@operation()
def silu(x: Any, /) -> Tracer:
    """x * sigmoid(x)."""
    value = as_float(lift(x))
    return apply("mul", value, apply("sigmoid", value))


@operation("approximate")
def gelu(x: Any, /, *, approximate: bool = True) -> Tracer:
    """x times the normal distribution function at x: by tanh, or by erf if not approximate."""
    if not isinstance(approximate, bool):
        problem = f"gelu: approximate is True (by tanh) or False (by erf), not {approximate!r:.40}"
        raise diagnostics.located(UsageError, problem)
    value = as_float(lift(x))
    if approximate:
        cube = apply("mul", apply("mul", value, value), value)
        inner = apply("add", value, apply("mul", like(0.044715, value), cube))
        curve = apply("tanh", apply("mul", like(math.sqrt(2 / math.pi), value), inner))
    else:
        curve = apply("erf", apply("mul", like(math.sqrt(0.5), value), value))
    half = apply("mul", like(0.5, value), value)
    return apply("mul", half, apply("add", like(1.0, value), curve))
