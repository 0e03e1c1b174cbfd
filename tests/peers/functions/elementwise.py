"""Functions of each element, in torch's signatures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import weft as wf

Function = Callable[..., Any]
LIMITS = np.finfo(np.float64)


def divide(x: Any, y: Any, *, rounding_mode: str | None = None) -> Any:
    quotient = wf.divide(x, y)
    if rounding_mode is None:
        return quotient
    return wf.trunc(quotient) if rounding_mode == "trunc" else wf.floor(quotient)


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    return wf.clip(x, min, max)


def rounded(x: Any, *, decimals: int = 0) -> Any:
    return wf.round(x * 10.0**decimals) / 10.0**decimals


def logit(x: Any, eps: float | None = None) -> Any:
    inside = x if eps is None else wf.clip(x, eps, 1 - eps)
    return wf.log(inside / (1 - inside))


def sinc(x: Any) -> Any:
    turned = wf.where(x == 0, 1.0, x) * math.pi
    return wf.where(x == 0, 1.0, wf.sin(turned) / turned)


def nan_to_num(x: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    finite = wf.where(wf.isnan(x), 0.0 if nan is None else nan, x)
    finite = wf.where(finite == wf.inf, LIMITS.max if posinf is None else posinf, finite)
    return wf.where(finite == -wf.inf, LIMITS.min if neginf is None else neginf, finite)


def logaddexp(x: Any, y: Any) -> Any:
    larger = wf.stop_gradient(wf.maximum(x, y))
    return larger + wf.log(wf.exp(x - larger) + wf.exp(y - larger))


def copysign(x: Any, y: Any) -> Any:
    negative = (wf.stop_gradient(wf.atan2(y, -1.0)) if hasattr(y, "ndim") else y) < 0
    return wf.where(negative, -wf.abs(x), wf.abs(x))


def fmax(x: Any, y: Any) -> Any:
    return wf.where(wf.isnan(x), y, wf.where(wf.isnan(y), x, wf.maximum(x, y)))


def fmod(x: Any, y: Any) -> Any:
    return x - y * wf.stop_gradient(wf.trunc(wf.divide(x, y)))


def times_log(x: Any, y: Any, log: Function = wf.log) -> Any:
    nothing = (x == 0) & ~wf.isnan(y)
    return wf.where(nothing, 0.0, x * log(wf.where(nothing, 1.0, y)))


def entropy(x: Any) -> Any:
    positive = wf.where(x > 0, x, 1.0)
    return wf.where(x < 0, -wf.inf, wf.where(x == 0, 0.0, -positive * wf.log(positive)))


def ldexp(x: Any, exponent: Any) -> Any:
    return x * wf.exp(math.log(2) * wf.astype(exponent, wf.float64))


def plus(sign: int) -> Function:
    """x plus or minus `alpha` times y."""
    return lambda x, y, *, alpha=1: x + sign * alpha * y


def added(function: Function) -> Function:
    """x plus `value` times a function of two others."""
    return lambda x, y, z, *, value=1: x + value * function(y, z)


TABLE: dict[str, Function] = {
    "abs": wf.abs,
    "acos": wf.acos,
    "acosh": lambda x: wf.log(x + wf.sqrt(x * x - 1)),
    "add": plus(1),
    "addcdiv": added(lambda y, z: y / z),
    "addcmul": added(lambda y, z: y * z),
    "asin": wf.asin,
    "asinh": lambda x: wf.sign(x) * wf.log(wf.abs(x) + wf.sqrt(x * x + 1)),
    "atan": wf.atan,
    "atan2": wf.atan2,
    "atanh": lambda x: 0.5 * (wf.log1p(x) - wf.log1p(-x)),
    "ceil": wf.ceil,
    "clamp": clamp,
    "clamp_max": lambda x, max: wf.clip(x, None, max),
    "clamp_min": lambda x, min: wf.clip(x, min, None),
    "clone": lambda x, **_: wf.positive(x),
    "contiguous": wf.positive,
    "copysign": copysign,
    "cos": wf.cos,
    "cosh": wf.cosh,
    "deg2rad": lambda x: x * (math.pi / 180),
    "div": divide,
    "erf": wf.erf,
    "erfc": lambda x: 1 - wf.erf(x),
    "exp": wf.exp,
    "exp2": lambda x: wf.pow(2.0, x),
    "expm1": wf.expm1,
    "fill": lambda x, value: 0 * x + value,
    "float_power": wf.pow,
    "floor": wf.floor,
    "fmax": fmax,
    "fmin": lambda x, y: -fmax(-x, -y),
    "fmod": fmod,
    "frac": lambda x: x - wf.trunc(x),
    "hypot": lambda x, y: wf.sqrt(x * x + y * y),
    "ldexp": ldexp,
    "lerp": lambda x, end, weight: x + weight * (end - x),
    "log": wf.log,
    "log10": lambda x: wf.log(x) / math.log(10),
    "log1p": wf.log1p,
    "log2": wf.log2,
    "logaddexp": logaddexp,
    "logaddexp2": lambda x, y: logaddexp(x * math.log(2), y * math.log(2)) / math.log(2),
    "logit": logit,
    "maximum": wf.maximum,
    "minimum": wf.minimum,
    "mul": wf.multiply,
    "nan_to_num": nan_to_num,
    "neg": wf.negative,
    "positive": wf.positive,
    "pow": wf.pow,
    "rad2deg": lambda x: x * (180 / math.pi),
    "real": wf.positive,
    "reciprocal": wf.reciprocal,
    "remainder": wf.remainder,
    "round": rounded,
    "rsqrt": wf.rsqrt,
    "rsub": lambda x, y, *, alpha=1: y - alpha * x,
    "sgn": wf.sign,
    "sigmoid": wf.sigmoid,
    "sign": wf.sign,
    "sin": wf.sin,
    "sinc": sinc,
    "sinh": wf.sinh,
    "special.entr": entropy,
    "special.ndtr": lambda x: 0.5 * (1 + wf.erf(x / math.sqrt(2))),
    "special.xlog1py": lambda x, y: times_log(x, y, wf.log1p),
    "sqrt": wf.sqrt,
    "square": wf.square,
    "sub": plus(-1),
    "tan": wf.tan,
    "tanh": wf.tanh,
    "true_divide": wf.divide,
    "trunc": wf.trunc,
    "where": lambda x, condition, y: wf.where(condition, x, y),
    "xlogy": times_log,
    "__radd__": lambda x, y: y + x,
    "__rdiv__": lambda x, y: y / x,
    "__rmod__": lambda x, y: wf.remainder(y, x),
    "__rmul__": lambda x, y: y * x,
    "__rpow__": lambda x, y: y**x,
    "__rsub__": lambda x, y: y - x,
}
