"""Every instruction's reference function, by the name it has in weft."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from tests.fuzz.reference import (
    checks,
    complex_numbers,
    cumulative,
    elementwise,
    fourier,
    linear_algebra,
    movement,
    reductions,
    sorting,
)
from tests.fuzz.reference.values import INTEGERS, Bounded, Invalid, as_float, exactly, moved

Reference = Callable[..., Bounded]


def relu(x: Bounded) -> Bounded:
    if x.dtype == "bool":
        raise Invalid("bools have no arithmetic")
    return Bounded(np.where(x.value <= 0, 0, x.value), x.error, x.dtype)


def silu(x: Bounded) -> Bounded:
    x = as_float(x)
    return elementwise.multiply(x, elementwise.sigmoid(x))


def gelu(x: Bounded, approximate: bool = True) -> Bounded:
    x = as_float(x)

    def scaled(factor: float, y: Bounded) -> Bounded:
        return elementwise.multiply(exactly(factor, x.dtype), y)

    if approximate:
        cube = elementwise.multiply(elementwise.multiply(x, x), x)
        inner = elementwise.add(x, scaled(0.044715, cube))
        curve = elementwise.tanh(scaled(math.sqrt(2 / math.pi), inner))
    else:
        curve = elementwise.erf(scaled(math.sqrt(0.5), x))
    return elementwise.multiply(scaled(0.5, x), elementwise.add(exactly(1.0, x.dtype), curve))


def cross_entropy(logits: Bounded, labels: Bounded) -> Bounded:
    """The label's part, of the losses of every label."""
    if logits.ndim != labels.ndim + 1 or labels.dtype not in INTEGERS:
        raise Invalid("no label for each row")
    value = as_float(logits)
    if not labels.exact.all() or ((labels.value < 0) | (labels.value >= value.shape[-1])).any():
        raise Invalid("no such label")
    losses = elementwise.negative(reductions.log_softmax(value))
    place = labels.value[..., None].astype("int64")
    return moved(lambda v: np.take_along_axis(v, place, -1)[..., 0], losses)


def _public(module: object, *names: str) -> dict[str, Reference]:
    return {name: getattr(module, name) for name in names}


FLOAT_UNARY = (
    "exp", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "sin", "cos", "tan", "asin", "acos",
    "atan", "sinh", "cosh", "tanh", "sigmoid", "erf", "reciprocal",
)  # fmt: skip
UNARY = (
    "abs", "negative", "positive", "square", "sign", "floor", "ceil", "trunc", "round",
    "isnan", "isinf", "isfinite", "logical_not", "bitwise_invert",
)  # fmt: skip
ARITHMETIC = (
    "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "maximum", "minimum",
    "atan2", "pow",
)  # fmt: skip
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
LOGICAL = ("logical_and", "logical_or", "logical_xor")
BITWISE = (
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift",
)  # fmt: skip
REDUCTIONS = (
    "sum", "prod", "max", "min", "any", "all", "argmax", "argmin", "mean", "var", "std",
    "logsumexp",
)  # fmt: skip
ROWWISE = ("softmax", "log_softmax", "layer_norm")
MOVEMENT = (
    "reshape", "transpose", "permute_dims", "matrix_transpose", "broadcast_to", "expand_dims",
    "squeeze", "flip", "concat", "stack", "pad", "astype", "index", "take", "one_hot", "size",
)  # fmt: skip
PRODUCTS = ("matmul", "outer", "tensordot", "vecdot", "einsum")
CUMULATIVE = ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")
FOURIER = ("irfft", "hfft", "fftshift", "ifftshift")
LINEAR_ALGEBRA = ("diagonal", "trace", "cross")
SORTING = ("sort", "argsort", "top_k")
CREATION = ("arange", "linspace", "full", "full_like", "eye")

FUNCTIONS: dict[str, Reference] = {
    **_public(elementwise, *FLOAT_UNARY, *UNARY, *ARITHMETIC, *COMPARISONS, *LOGICAL, *BITWISE),
    **_public(elementwise, "where", "clip", "literal_power"),
    **_public(reductions, *REDUCTIONS, *ROWWISE),
    **_public(cumulative, *CUMULATIVE, "diff"),
    **_public(sorting, *SORTING),
    "checked": checks.checked,
    "complex_part": complex_numbers.complex_part,
    **_public(movement, *MOVEMENT, *PRODUCTS, *CREATION),
    "spectrum": fourier.spectrum,
    **{f"fft.{name}": getattr(fourier, name) for name in FOURIER},
    "linear_algebra": linear_algebra.linear_algebra,
    **{f"linalg.{name}": getattr(linear_algebra, name) for name in LINEAR_ALGEBRA},
    "nn.relu": relu,
    "nn.windows": movement.windows,
    "nn.silu": silu,
    "nn.gelu": gelu,
    "nn.cross_entropy": cross_entropy,
}
