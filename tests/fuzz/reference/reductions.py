"""Reductions and row-wise compositions on bounded values."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.fuzz.reference import elementwise
from tests.fuzz.reference.values import (
    Array,
    Bounded,
    Invalid,
    as_float,
    bounded,
    cast,
    discrete,
    exactly,
    largest,
    moved,
    tiny,
)

Axes = tuple[int, ...]
_WIDE = {"bool": "int64", "int32": "int64", "uint8": "uint64", "uint32": "uint64"}


def axes_of(x: Bounded, axis: Any) -> Axes:
    """`axis` as ascending axes counted from the front."""
    if axis is None:
        return tuple(range(x.ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    if builtins.any(not -x.ndim <= a < x.ndim for a in given):
        raise Invalid("no such axis")
    axes = tuple(sorted(a % x.ndim for a in given))
    if len(set(axes)) < len(axes):
        raise Invalid("an axis is repeated")
    return axes


def _count(x: Bounded, axes: Axes) -> int:
    return int(np.prod([x.shape[a] for a in axes], dtype=np.int64))


def depth(count: int) -> float:
    """More roundings than any element takes part in when `count` are summed in 64 lanes."""
    return 80.0 + count / 4096


def sum(x: Bounded, axis: Any = None, keepdims: bool = False, dtype: str | None = None) -> Bounded:
    x, axes = cast(x, dtype or _WIDE.get(x.dtype, x.dtype)), axes_of(x, axis)
    value = _by_halves(x.value, axes, keepdims)
    if not x.is_float:
        return discrete(value, x.exact.all(axes, keepdims=keepdims), x.dtype)
    if not axes:
        return x
    size = (np.abs(x.value) + x.error).sum(axes, keepdims=keepdims)
    error = x.error.sum(axes, keepdims=keepdims)
    return _of_size(value, error, size, depth(_count(x, axes)), x.dtype)


def _of_size(value: Array, error: Any, size: Any, ulps: float, dtype: str) -> Bounded:
    """A sum of numbers whose magnitudes add up to `size`; nothing is said of infinite ones."""
    scale = bounded(size, np.zeros(np.shape(size)), dtype, ulps).error
    error = np.where(np.asarray(size) < largest(dtype) * 0.9, error + scale, np.inf)
    error = np.where(np.isfinite(value) & ~np.isnan(error), error, np.inf)
    return Bounded(np.asarray(value), error, dtype)


def _by_halves(values: Array, axes: Axes, keepdims: bool) -> Array:
    """NumPy sums halves of contiguous rows, but along another axis one element after the other."""
    last = np.moveaxis(values, axes, range(-len(axes), 0))
    kept = last.shape[: values.ndim - len(axes)]
    rows = np.ascontiguousarray(last).reshape(*kept, math.prod(last.shape[len(kept) :]))
    total = np.asarray(rows.sum(-1))
    return np.expand_dims(total, axes) if keepdims else total


def prod(x: Bounded, axis: Any = None, keepdims: bool = False, dtype: str | None = None) -> Bounded:
    x, axes = cast(x, dtype or _WIDE.get(x.dtype, x.dtype)), axes_of(x, axis)
    value = np.asarray(x.value.prod(axes, keepdims=keepdims))
    if not x.is_float:
        return discrete(value, x.exact.all(axes, keepdims=keepdims), x.dtype)
    if not axes:
        return x
    size, count = np.abs(x.value), _count(x, axes)
    high = (size + x.error).prod(axes, keepdims=keepdims)
    error = high - size.prod(axes, keepdims=keepdims)
    most = np.maximum(size + x.error, 1).prod(axes, keepdims=keepdims)
    error = error + most * count * tiny(x.dtype)
    error = np.where(most < largest(x.dtype) * 0.5, error, np.inf)
    return bounded(value, np.where(np.isfinite(value), error, np.inf), x.dtype, 2.0 * count + 2)


def _extremum(function: Callable[..., Any], zero: float) -> Any:
    """`zero` is the one of 0.0 and -0.0 that counts, of which NumPy gives either."""

    def apply(x: Bounded, axis: Any = None, keepdims: bool = False) -> Bounded:
        axes = axes_of(x, axis)
        if x.dtype == "bool" or _count(x, axes) == 0:
            raise Invalid("an extreme of bools or of nothing")
        value = np.asarray(function(x.value, axis=axes, keepdims=keepdims))
        if x.is_float:
            found = (x.value == 0) & (np.signbit(x.value) == np.signbit(zero))
            signed = np.where(found.any(axes, keepdims=keepdims), zero, -zero)
            value = np.where(value == 0, signed, value)
        error = np.asarray(x.error.max(axes, keepdims=keepdims))
        return Bounded(value, np.where(np.isfinite(value) | (error == 0), error, np.inf), x.dtype)

    return apply


max, min = _extremum(np.max, 0.0), _extremum(np.min, -0.0)


def _quantifier(function: Callable[..., Any]) -> Any:
    def apply(x: Bounded, axis: Any = None, keepdims: bool = False) -> Bounded:
        x, axes = cast(x, "bool"), axes_of(x, axis)
        known = x.exact.all(axes, keepdims=keepdims)
        return discrete(np.asarray(function(x.value, axis=axes, keepdims=keepdims)), known, "bool")

    return apply


any, all = _quantifier(np.any), _quantifier(np.all)


def _place(function: Callable[..., Any], sign: int) -> Any:
    """Where the extreme is: known if all is exact, or if no other comes near it."""

    def apply(x: Bounded, axis: Any = None, keepdims: bool = False) -> Bounded:
        if isinstance(axis, tuple):
            raise Invalid("one axis or all")
        place = axes_of(x, 0 if axis is None and x.ndim == 0 else axis) if x.ndim else ()
        if _count(x, place) == 0:
            raise Invalid("the extreme of nothing")
        if not x.ndim and axis is not None:
            raise Invalid("no such axis")
        value = np.asarray(function(x.value, axis=axis, keepdims=keepdims))
        known = x.exact.all(place, keepdims=keepdims)
        if x.is_float and x.ndim:
            known = known | _apart(x, place, sign, keepdims)
        return discrete(value, known, "int64")

    return apply


def _apart(x: Bounded, axes: Axes, sign: int, keepdims: bool) -> Any:
    value = x.value * sign
    low, high = value - x.error, value + x.error
    best = low.max(axes, keepdims=True)
    rivals = (high >= best).sum(axes, keepdims=keepdims)
    return (rivals == 1) & np.isfinite(x.value).all(axes, keepdims=keepdims)


argmax, argmin = _place(np.argmax, 1), _place(np.argmin, -1)


def mean(x: Bounded, axis: Any = None, keepdims: bool = False) -> Bounded:
    x = as_float(x)
    axes = axes_of(x, axis)
    return _over(sum(x, axes, keepdims), float(_count(x, axes)))


def _over(x: Bounded, count: float) -> Bounded:
    return elementwise.divide(x, exactly(count, x.dtype))


def var(x: Bounded, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Bounded:
    x = as_float(x)
    axes = axes_of(x, axis)
    centered = elementwise.subtract(x, mean(x, axes, True))
    total = sum(elementwise.multiply(centered, centered), axes, keepdims)
    return _over(total, np.maximum(_count(x, axes) - correction, 0.0))


def std(x: Bounded, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Bounded:
    return elementwise.sqrt(var(x, axis, correction, keepdims))


def logsumexp(x: Bounded, axis: Any = None, keepdims: bool = False) -> Bounded:
    x = as_float(x)
    axes = axes_of(x, axis)
    top = max(x, axes, True)
    shift = Bounded(np.where(np.isfinite(top.value), top.value, 0.0), top.error, x.dtype)
    total = sum(elementwise.exp(elementwise.subtract(x, shift)), axes, True)
    result = elementwise.add(elementwise.log(total), shift)
    return result if keepdims else moved(lambda v: np.squeeze(v, axes), result)


def _raised(x: Bounded, axis: Any) -> tuple[Bounded, Bounded, Bounded]:
    x = as_float(x)
    axes = axes_of(x, axis)
    shifted = elementwise.subtract(x, max(x, axes, True))
    raised = elementwise.exp(shifted)
    return shifted, raised, sum(raised, axes, True)


def softmax(x: Bounded, axis: Any = -1) -> Bounded:
    _, raised, total = _raised(x, axis)
    return elementwise.divide(raised, total)


def log_softmax(x: Bounded, axis: Any = -1) -> Bounded:
    shifted, _, total = _raised(x, axis)
    return elementwise.subtract(shifted, elementwise.log(total))


def layer_norm(
    x: Bounded,
    weight: Bounded | None = None,
    bias: Bounded | None = None,
    axis: Any = -1,
    epsilon: float = 1e-5,
) -> Bounded:
    x = as_float(x)
    axes = axes_of(x, axis)
    centered = elementwise.subtract(x, mean(x, axes, True))
    spread = elementwise.add(var(x, axes, 0, True), exactly(epsilon, x.dtype))
    result = elementwise.multiply(centered, elementwise.rsqrt(spread))
    if weight is not None:
        result = elementwise.multiply(result, weight)
    return result if bias is None else elementwise.add(result, bias)


def rms_norm(x: Bounded, weight: Bounded | None = None, axis: Any = -1) -> Bounded:
    x = as_float(x)
    squares = mean(elementwise.multiply(x, x), axes_of(x, axis), True)
    spread = elementwise.add(squares, exactly(1e-6, x.dtype))
    result = elementwise.multiply(x, elementwise.rsqrt(spread))
    return result if weight is None else elementwise.multiply(result, weight)


def l2_normalize(x: Bounded, axis: Any = -1) -> Bounded:
    x = as_float(x)
    squares = sum(elementwise.multiply(x, x), axes_of(x, axis), True)
    least = elementwise.maximum(squares, exactly(1e-24, x.dtype))
    return elementwise.multiply(x, elementwise.rsqrt(least))
