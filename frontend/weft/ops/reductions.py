"""Reductions over one axis, several, or all."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from weft import diagnostics
from weft.ops import core, elementwise
from weft.ops.core import operation
from weft.promotion import as_float, as_strong, convert, dtype_of
from weft.tracing import Tracer, apply, lift
from weftc.ir.sizes import Size, product
from weftrt import dtypes
from weftrt.dtypes import Kind
from weftrt.errors import UsageError

_SUM_DTYPES = {
    dtypes.bool_: dtypes.int64,
    dtypes.int32: dtypes.int64,
    dtypes.uint8: dtypes.uint64,
    dtypes.uint32: dtypes.uint64,
}


def _adjacent(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Ascending axes in runs of adjacent ones, the innermost run first."""
    runs: list[list[int]] = []
    for axis in axes:
        if runs and axis == runs[-1][-1] + 1:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return [tuple(run) for run in reversed(runs)]


def reduce(op: str, name: str, x: Tracer, axis: Any, keepdims: bool, **more: bool) -> Tracer:
    """The primitive reduction `op` over `axis`; axes that are not adjacent go innermost first.
    `more`: other attributes of it."""
    axes = core.axes_of(name, x, axis)
    shape = x.type.shape
    result = x
    for run in _adjacent(axes):
        result = apply(op, result, axes=run, name=name, **more)
    if not axes:
        return apply("identity", result)
    return core.keep_axes(result, axes, shape) if keepdims else result


def accumulated(x: Any, dtype: Any) -> Tracer:
    """`x` as what it is summed in: `dtype`, or int64 or uint64 for smaller integers and bools."""
    value = as_strong(lift(x))
    wanted = dtype_of(dtype) if dtype is not None else _SUM_DTYPES.get(value.dtype, value.dtype)
    return convert(value, wanted)


@operation("axis", "dtype", "keepdims")
def sum(x: Any, /, axis: Any = None, *, dtype: Any = None, keepdims: bool = False) -> Tracer:
    """The sum over `axis`. Small integers are summed as int64 or uint64."""
    return reduce("sum", "sum", accumulated(x, dtype), axis, keepdims)


@operation("axis", "dtype", "keepdims")
def prod(x: Any, /, axis: Any = None, *, dtype: Any = None, keepdims: bool = False) -> Tracer:
    """The product over `axis`. Small integers are multiplied as int64 or uint64."""
    return reduce("prod", "prod", accumulated(x, dtype), axis, keepdims)


@operation("axis", "keepdims")
def max(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Tracer:
    """The largest element along `axis`; a NaN wins."""
    return reduce("max", "max", as_strong(lift(x)), axis, keepdims)


@operation("axis", "keepdims")
def min(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Tracer:
    """The smallest element along `axis`; a NaN wins."""
    return reduce("min", "min", as_strong(lift(x)), axis, keepdims)


@operation("axis", "keepdims")
def any(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Tracer:
    """Whether any element along `axis` is true (not zero)."""
    return reduce("any", "any", elementwise.truth(x), axis, keepdims)


@operation("axis", "keepdims")
def all(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Tracer:
    """Whether all elements along `axis` are true (not zero)."""
    return reduce("all", "all", elementwise.truth(x), axis, keepdims)


def count(x: Tracer, axes: Sequence[int]) -> Size:
    """How many elements a reduction over `axes` combines."""
    return product([x.type.shape[axis] for axis in axes])


def average(name: str, x: Tracer, axis: Any, keepdims: bool) -> Tracer:
    """The sum over `axis` of floats, divided by the number of elements."""
    axes = core.axes_of(name, x, axis)
    total = reduce("sum", name, x, axes, keepdims)
    return elementwise.binary("div", name, total, count(x, axes))


@operation("axis", "keepdims")
def mean(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Tracer:
    """The sum over `axis` divided by the number of elements."""
    return average("mean", as_float(lift(x)), axis, keepdims)


def _number(name: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise diagnostics.located(
            UsageError, f"{name}: the correction is a number, not {value!r:.40}"
        )
    return float(value)


def variance(name: str, x: Tracer, axis: Any, correction: float, keepdims: bool) -> Tracer:
    """The variance of floats over `axis`, in two passes."""
    axes = core.axes_of(name, x, axis)
    centered = elementwise.binary("sub", name, x, average(name, x, axes, True))
    total = reduce("sum", name, elementwise.squares(centered), axes, keepdims)
    return elementwise.binary(
        "div", name, total, _freedom(count(x, axes), _number(name, correction))
    )


def _freedom(size: Size, correction: float) -> Any:
    """max(size - correction, 0) as a float64, computed while tracing where the size is known."""
    if isinstance(size, int):
        return builtins.max(float(size) - float(correction), 0.0)
    exact = apply("convert", lift(size), dtype=dtypes.float64, weak=True)
    left = apply("sub", exact, _weak(float(correction)), weak=True)
    return apply("maximum", left, _weak(0.0), weak=True)


def _weak(value: float) -> Tracer:
    return lift(value)


@operation("axis", "correction", "keepdims")
def var(x: Any, /, axis: Any = None, *, correction: float = 0, keepdims: bool = False) -> Tracer:
    """The mean squared distance from the mean (two passes), over n - correction."""
    return variance("var", as_float(lift(x)), axis, correction, keepdims)


@operation("axis", "correction", "keepdims")
def std(x: Any, /, axis: Any = None, *, correction: float = 0, keepdims: bool = False) -> Tracer:
    """The square root of the variance."""
    return apply("sqrt", variance("std", as_float(lift(x)), axis, correction, keepdims))


@operation("axis", "keepdims")
def logsumexp(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> Tracer:
    """log(sum(exp(x))) over `axis`, without overflow."""
    value = as_float(lift(x))
    axes = core.axes_of("logsumexp", value, axis)
    largest = apply("stop_gradient", reduce("max", "logsumexp", value, axes, True))
    finite = apply("lt", apply("abs", largest), elementwise.like(float("inf"), largest))
    shift = apply("where", finite, largest, elementwise.like(0.0, largest))
    shifted = elementwise.binary("sub", "logsumexp", value, shift)
    total = reduce("sum", "logsumexp", apply("exp", shifted), axes, True)
    result = apply("add", apply("log", total), shift)
    return result if keepdims else _dropped(result, axes)


def _dropped(x: Tracer, axes: Sequence[int]) -> Tracer:
    shape = tuple(size for axis, size in enumerate(x.type.shape) if axis not in axes)
    return apply("reshape", x, shape=shape) if axes else x


def _arg(name: str, op: str, x: Any, axis: int | None, keepdims: bool) -> Tracer:
    """The first index where x equals its extreme or is NaN (a NaN is the extreme)."""
    value = as_strong(lift(x))
    shape = value.type.shape
    if axis is None:
        value = apply("reshape", value, shape=(value.type.size,))
    place = core.axis_of(name, value, axis if axis is not None else 0)
    if value.dtype.kind is Kind.BOOL:
        value = convert(value, dtypes.uint8)
    extreme = core.broadcast(reduce(op, name, value, (place,), True), value.type.shape)
    found = apply("eq", value, extreme)
    if value.dtype.is_float:
        found = apply("bitwise_or", found, apply("ne", value, value))
    length = value.type.shape[place]
    fits = isinstance(length, int) and length < 1 << 31  # then as many of them as of float32
    dtype = dtypes.int32 if fits else dtypes.int64
    index = apply("iota", shape=value.type.shape, axis=place, dtype=dtype)
    size = core.broadcast(convert(lift(length), dtype), value.type.shape)
    first = reduce("min", name, apply("where", found, index, size), (place,), keepdims)
    result = convert(first, dtypes.int64)
    if keepdims and axis is None:
        return apply("reshape", result, shape=(1,) * len(shape))
    return result


@operation("axis", "keepdims")
def argmax(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Tracer:
    """The index of the first largest element along `axis` (of the flat array without one)."""
    return _arg("argmax", "max", x, axis, keepdims)


@operation("axis", "keepdims")
def argmin(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Tracer:
    """The index of the first smallest element along `axis` (of the flat array without one)."""
    return _arg("argmin", "min", x, axis, keepdims)
