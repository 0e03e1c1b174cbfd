"""Functions of neural networks: activations, normalization, losses. All are compositions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from weft import diagnostics
from weft.boundary import public
from weft.names import missing
from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import binary, like, sigmoid, tanh
from weft.ops.indexing import one_hot
from weft.ops.reductions import average, logsumexp, reduce, variance
from weft.promotion import as_float, as_strong
from weft.tracing import Tracer, apply, lift
from weftc.ops.check import same_sizes
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError, UsageError

__all__ = [
    "cross_entropy",
    "gelu",
    "layer_norm",
    "log_softmax",
    "logsumexp",
    "one_hot",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]


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


def _shifted(name: str, x: Any, axis: Any) -> tuple[Tracer, tuple[int, ...]]:
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
    shifted, axes = _shifted("softmax", x, axis)
    raised = apply("exp", shifted)
    return binary("div", "softmax", raised, reduce("sum", "softmax", raised, axes, True))


@operation("axis")
def log_softmax(x: Any, /, axis: Any = -1) -> Tracer:
    """log(softmax(x)), without overflow."""
    shifted, axes = _shifted("log_softmax", x, axis)
    total = reduce("sum", "log_softmax", apply("exp", shifted), axes, True)
    return binary("sub", "log_softmax", shifted, apply("log", total))


@operation()
def cross_entropy(logits: Any, labels: Any, /) -> Tracer:
    """-log_softmax(logits)[label] for each row of `logits`; `labels`, integers, have its shape
    without the last axis. A label that is negative, or not below the size of that axis, raises
    IndexError when the function runs."""
    value, label = as_float(lift(logits)), lift(labels)
    if not label.dtype.is_integer:
        diagnostics.fail(DTypeError, "cross_entropy", [value, label], "labels must be integers")
    if not value.ndim or not same_sizes(value.type.shape[:-1], label.type.shape):
        problem = "{1} must have the shape of {0} without the last axis"
        diagnostics.fail(ShapeError, "cross_entropy", [value, label], problem)
    axis = value.ndim - 1
    if value.type.shape[axis] == 0:
        diagnostics.fail(ShapeError, "cross_entropy", [value, label], "{0} has no classes")
    shifted, axes = _shifted("cross_entropy", value, axis)
    total = reduce("sum", "cross_entropy", apply("exp", shifted), axes, False)
    chosen = apply("where", _is_label(shifted, label), shifted, like(0.0, shifted))
    return binary("sub", "cross_entropy", apply("log", total), _sum_last(chosen))


def _is_label(x: Tracer, labels: Tracer) -> Tracer:
    """Whether each place of the last axis of `x` is the label of its row."""
    place = apply("iota", shape=x.type.shape, axis=x.ndim - 1, dtype=dtypes.int64)
    classes = apply("iota", shape=x.type.shape[-1:], axis=0, dtype=dtypes.int64)
    unsigned = apply("convert", as_strong(labels), dtype=dtypes.uint64)  # no label is negative
    label = apply("take", classes, unsigned, axis=0)
    column = apply("reshape", label, shape=(*labels.type.shape, 1))
    return binary("eq", "cross_entropy", place, column)


def _sum_last(x: Tracer) -> Tracer:
    return reduce("sum", "cross_entropy", x, x.ndim - 1, False)


@operation("axis", "epsilon")
def layer_norm(
    x: Any, /, weight: Any = None, bias: Any = None, *, axis: Any = -1, epsilon: float = 1e-5
) -> Tracer:
    """(x - mean) / sqrt(var + epsilon) along `axis`, times `weight`, plus `bias`."""
    value = as_float(lift(x))
    axes = core.axes_of("layer_norm", value, axis)
    centered = binary("sub", "layer_norm", value, average("layer_norm", value, axes, True))
    spread = binary("add", "layer_norm", variance("layer_norm", value, axes, 0, True), epsilon)
    result = binary("mul", "layer_norm", centered, apply("rsqrt", spread))
    if weight is not None:
        result = binary("mul", "layer_norm", result, weight)
    return result if bias is None else binary("add", "layer_norm", result, bias)


if not TYPE_CHECKING:
    __getattr__ = public(missing("nn", __all__))
