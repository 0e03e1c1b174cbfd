"""Losses: how far a prediction is from what was wanted."""

from __future__ import annotations

from typing import Any

from weft import diagnostics
from weft.nn.probabilities import below_largest
from weft.ops.core import operation
from weft.ops.elementwise import binary, like
from weft.ops.reductions import reduce
from weft.promotion import as_float, as_strong
from weft.tracing import Tracer, apply, lift
from weftc.ops.check import same_sizes
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError


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
    shifted, axes = below_largest("cross_entropy", value, axis)
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
