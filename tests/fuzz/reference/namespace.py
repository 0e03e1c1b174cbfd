"""Every instruction's reference function, by the name it has in weft."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.reference import (
    checks,
    complex_numbers,
    cumulative,
    elementwise,
    fourier,
    linear_algebra,
    movement,
    networks,
    reductions,
    sorting,
)
from tests.fuzz.reference.values import Bounded

Reference = Callable[..., Bounded]


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
ROWWISE = ("softmax", "log_softmax", "layer_norm", "rms_norm", "l2_normalize")
ACTIVATIONS = (
    "relu", "silu", "gelu", "relu6", "softplus", "log_sigmoid", "elu", "selu", "mish", "softsign",
    "hard_tanh", "hard_sigmoid", "hard_silu",
)  # fmt: skip
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
    "nn.windows": movement.windows,
    **{f"nn.{name}": getattr(networks, name) for name in (*ACTIVATIONS, "cross_entropy")},
}
