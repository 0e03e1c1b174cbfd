"""What the functions of this room ask of their arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from weft import diagnostics
from weft.ops import core
from weft.promotion import as_float
from weft.tracing import Tracer, lift
from weftc.ops.check import same_sizes
from weftrt.errors import DTypeError, ShapeError, UsageError


def real(name: str, x: Any) -> Tracer:
    """`x` as floats: its own, or the default ones; DTypeError for complex numbers."""
    value = as_float(lift(x))
    if value.dtype.is_complex:
        problem = f"{{0}} must be real, not {value.dtype}; take wf.real(z), wf.imag(z) or wf.abs(z)"
        diagnostics.fail(DTypeError, name, [value], problem)
    return value


def fitting(name: str, called: str, value: Tracer, x: Tracer) -> Tracer:
    """`value` broadcast to the shape of `x`; ShapeError where it has more axes, or larger ones."""
    shape = core.broadcast_shapes(name, [x, value])
    if not same_sizes(shape, x.type.shape):
        problem = f"{called} has shape {value.type.shape}, and must broadcast to the shape of {{0}}"
        diagnostics.fail(ShapeError, name, [x], problem)
    return core.broadcast(value, x.type.shape)


def number(name: str, called: str, value: Any, low: float = 0.0, high: float = math.inf) -> float:
    """`value` as a float, if it is a number from `low` to `high`; UsageError."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and low <= value <= high:
        return float(value)
    span = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
    raise diagnostics.located(UsageError, f"{name}: {called} is a number {span}, not {value!r:.40}")


def choice(name: str, called: str, value: Any, known: Sequence[str]) -> str:
    """`value`, if it is one of the `known` words; UsageError."""
    if isinstance(value, str) and value in known:
        return value
    words = [f'"{word}"' for word in known]
    listed = f"{', '.join(words[:-1])} or {words[-1]}"
    raise diagnostics.located(UsageError, f"{name}: {called} is {listed}, not {value!r:.40}")
