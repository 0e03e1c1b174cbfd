"""Normalization: values with mean 0 and variance 1 along axes."""

from __future__ import annotations

from typing import Any

from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import binary
from weft.ops.reductions import average, variance
from weft.promotion import as_float
from weft.tracing import Tracer, apply, lift


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
