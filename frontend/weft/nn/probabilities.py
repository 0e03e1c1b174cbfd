"""Probabilities of classes, and their logarithms, from scores."""

from __future__ import annotations

from typing import Any

from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import binary
from weft.ops.reductions import reduce
from weft.promotion import as_float
from weft.tracing import Tracer, apply, lift


def below_largest(name: str, x: Any, axis: Any) -> tuple[Tracer, tuple[int, ...]]:
    """x minus its largest value along `axis`, which a constant for the gradient."""
    value = as_float(lift(x))
    axes = core.axes_of(name, value, axis)
    if any(value.type.shape[axis] == 0 for axis in axes):
        return value, axes  # no element is the largest, and none is to be shifted
    any_size = not all(isinstance(value.type.shape[axis], int) for axis in axes)
    more = {"or_lowest": True} if any_size and name != "cross_entropy" else {}
    largest = apply("stop_gradient", reduce("max", name, value, axes, True, **more))
    return binary("sub", name, value, largest), axes


@operation("axis")
def softmax(x: Any, /, axis: Any = -1) -> Tracer:
    """exp(x) / sum(exp(x)) along `axis`, without overflow."""
    shifted, axes = below_largest("softmax", x, axis)
    raised = apply("exp", shifted)
    return binary("div", "softmax", raised, reduce("sum", "softmax", raised, axes, True))


@operation("axis")
def log_softmax(x: Any, /, axis: Any = -1) -> Tracer:
    """log(softmax(x)), without overflow."""
    shifted, axes = below_largest("log_softmax", x, axis)
    total = reduce("sum", "log_softmax", apply("exp", shifted), axes, True)
    return binary("sub", "log_softmax", shifted, apply("log", total))
