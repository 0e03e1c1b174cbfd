"""Normalization along axes: values with mean 0 and variance 1, or of size or length 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.nn.operands import number, real
from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import binary, like
from weft.ops.reductions import average, reduce, variance
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


@operation("axis", "epsilon")
def rms_norm(x: Any, /, weight: Any = None, *, axis: Any = -1, epsilon: float = 1e-6) -> Tracer:
    """x / sqrt(mean(x * x) + epsilon) along `axis`, times `weight`, which broadcasts as that of
    layer_norm (Zhang and Sennrich, Root Mean Square Layer Normalization, 2019)."""
    value, small = real("rms_norm", x), number("rms_norm", "epsilon", epsilon)
    axes = core.axes_of("rms_norm", value, axis)
    squares = average("rms_norm", apply("mul", value, value), axes, True)
    scale = apply("rsqrt", binary("add", "rms_norm", squares, small))
    result = binary("mul", "rms_norm", value, scale)
    return result if weight is None else binary("mul", "rms_norm", result, weight)


@operation("axis", "epsilon")
def l2_normalize(x: Any, /, axis: Any = -1, *, epsilon: float = 1e-12) -> Tracer:
    """x divided by the root of its sum of squares along `axis`, or by `epsilon` where that is less:
    zeros stay, and their gradient is finite."""
    value = real("l2_normalize", x)
    axes = core.axes_of("l2_normalize", value, axis)
    return binary("mul", "l2_normalize", value, _shrink("l2_normalize", value, axes, epsilon, True))


@operation("axis", "epsilon")
def cosine_similarity(x1: Any, x2: Any, /, axis: Any = -1, *, epsilon: float = 1e-8) -> Tracer:
    """The sum of products along `axis`, divided by both lengths, which count as `epsilon` where
    they are less. Shapes broadcast."""
    name = "cosine_similarity"
    left, right = core.matched(name, real(name, x1), real(name, x2))
    axes = core.axes_of(name, left, axis)
    total = reduce("sum", name, apply("mul", left, right), axes, False)
    scales = (_shrink(name, x, axes, epsilon, False) for x in (left, right))
    return apply("mul", total, apply("mul", *scales))


def _shrink(name: str, x: Tracer, axes: Sequence[int], epsilon: Any, keepdims: bool) -> Tracer:
    """One over the length of `x` along axes, which counts as `epsilon` where it is less."""
    least = number(name, "epsilon", epsilon) ** 2
    squares = reduce("sum", name, apply("mul", x, x), axes, keepdims)
    return apply("rsqrt", apply("maximum", squares, like(least, squares)))
