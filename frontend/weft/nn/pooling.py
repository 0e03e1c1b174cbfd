"""Pooling: what is in a window, reduced. Windows are read where they lie in the array."""

from __future__ import annotations

from typing import Any

import numpy as np

from weft import diagnostics
from weft.nn.windows import Layout, Slide, each, padded, padding_of, slid
from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import binary
from weft.ops.reductions import average, reduce
from weft.promotion import as_float, as_strong, convert
from weft.symbolic import value_of
from weft.tracing import Tracer, apply, lift
from weftrt.dtypes import DType
from weftrt.errors import ShapeError

_OPTIONS = ("size", "stride", "padding", "dilation", "data_format")


@operation(*_OPTIONS)
def max_pool(
    x: Any,
    /,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = "valid",
    dilation: Any = 1,
    data_format: str = "NCHW",
) -> Tracer:
    """The largest element of each window of `size` over 1, 2 or 3 axes of x, NCHW (batch, channels,
    *sizes) or NHWC (batch, *sizes, channels); a NaN wins.

    Windows are `stride` apart (`size` when None); padding, told as to `conv`, is never the largest:
    -inf, or the least integer. The gradient goes in equal shares to all that are the largest.
    ShapeError where a window is larger than x.
    """
    value = as_strong(lift(x))
    pool = _Pool("max_pool", value, size, stride, padding, dilation, data_format)
    return pool.reduced("max", value, _least(value.dtype))


@operation(*_OPTIONS, "count_include_pad")
def avg_pool(
    x: Any,
    /,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = "valid",
    dilation: Any = 1,
    count_include_pad: bool = True,
    data_format: str = "NCHW",
) -> Tracer:
    """The mean of each window of `size`, as `max_pool` has them: the sum of its elements
    over their number, in which padding, zeros, counts unless `count_include_pad` is False."""
    value = as_float(lift(x))
    pool = _Pool("avg_pool", value, size, stride, padding, dilation, data_format)
    total = pool.reduced("sum", value, 0)
    if core.flag("avg_pool", "count_include_pad", count_include_pad) or not pool.is_padded:
        return binary("div", "avg_pool", total, int(np.prod(pool.slide.sizes)))
    shape = tuple(s if a in pool.axes else 1 for a, s in enumerate(value.type.shape))
    ones = core.broadcast(convert(lift(1.0), value.dtype), shape)
    return binary("div", "avg_pool", total, pool.reduced("sum", ones, 0))


@operation(*_OPTIONS)
def l2_pool(
    x: Any,
    /,
    size: Any,
    *,
    stride: Any = None,
    padding: Any = "valid",
    dilation: Any = 1,
    data_format: str = "NCHW",
) -> Tracer:
    """The root of the sum of the squares in each window of `size`, as `max_pool` has them."""
    value = as_float(lift(x))
    pool = _Pool("l2_pool", value, size, stride, padding, dilation, data_format)
    return apply("sqrt", pool.reduced("sum", apply("mul", value, value), 0))


class _Pool:
    """The windows of one call."""

    def __init__(
        self,
        name: str,
        x: Tracer,
        size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        data_format: Any,
    ) -> None:
        self.axes = Layout.of(name, x, data_format).spatial
        sizes = each(name, "size", size, len(self.axes))
        self.slide = Slide.of(
            name, len(self.axes), sizes, sizes if stride is None else stride, dilation
        )
        self._name = name
        self._pairs = padding_of(name, x, self.axes, padding, self.slide)
        self.slide.check(name, x, self.axes, self._pairs)

    @property
    def is_padded(self) -> bool:
        """Whether windows hold elements that are no part of the array."""
        return any(map(any, self._pairs))

    def reduced(self, op: str, x: Tracer, fill: float | int) -> Tracer:
        """Each window, reduced by the primitive `op`."""
        whole = padded(self._name, x, self.axes, self._pairs, fill)
        taps = range(x.ndim, x.ndim + len(self.axes))
        return reduce(op, self._name, slid(whole, self.axes, self.slide), tuple(taps), False)


def _least(dtype: DType) -> float | int:
    """What is never the largest; of no importance to dtypes that have no order."""
    if dtype.is_float:
        return float("-inf")
    info: Any = np.iinfo(dtype.name) if dtype.is_integer else None
    return int(info.min) if info else 0


# -- adaptive and global --------------------------------------------------------------------------


@operation("data_format", "keepdims")
def global_avg_pool(x: Any, /, *, data_format: str = "NCHW", keepdims: bool = False) -> Tracer:
    """The mean over all axes of x but its batch and channels; `keepdims` keeps them, of size 1."""
    value = as_float(lift(x))
    axes = Layout.of("global_avg_pool", value, data_format).spatial
    return average("global_avg_pool", value, axes, keepdims)


@operation("data_format", "keepdims")
def global_max_pool(x: Any, /, *, data_format: str = "NCHW", keepdims: bool = False) -> Tracer:
    """The largest element over all axes of x but its batch and channels."""
    value = as_strong(lift(x))
    axes = Layout.of("global_max_pool", value, data_format).spatial
    return reduce("max", "global_max_pool", value, axes, keepdims)


@operation("size", "data_format")
def adaptive_avg_pool(x: Any, /, size: Any, *, data_format: str = "NCHW") -> Tracer:
    """The mean of each of `size` parts along each axis of x but its batch and channels: of n
    elements, part i of k is those from i * n // k up to (i + 1) * n / k, rounded up."""
    value = as_float(lift(x))
    return _adapted("adaptive_avg_pool", value, size, data_format)


@operation("size", "data_format")
def adaptive_max_pool(x: Any, /, size: Any, *, data_format: str = "NCHW") -> Tracer:
    """The largest element of each of `size` parts along each axis, as `adaptive_avg_pool` has
    them."""
    return _adapted("adaptive_max_pool", as_strong(lift(x)), size, data_format)


def _adapted(name: str, x: Tracer, size: Any, data_format: Any) -> Tracer:
    """The parts of one axis after those of another: they may overlap, in windows of two sizes."""
    axes = Layout.of(name, x, data_format).spatial
    for axis, count in zip(axes, each(name, "size", size, len(axes)), strict=True):
        length = value_of(x.type.shape[axis])
        if not length:
            diagnostics.fail(ShapeError, name, [x], f"axis {axis} of {{0}} has no elements")
        x = _parts_of(name, x, axis, length, count)
    return x


def _parts_of(name: str, x: Tracer, axis: int, length: int, count: int) -> Tracer:
    if length % count == 0:
        return _reduced(name, x, axis, length // count)
    bounds = [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
    parts = [_reduced(name, _cut(x, axis, low, high), axis, high - low) for low, high in bounds]
    return apply("concat", *parts, axis=axis)


def _cut(x: Tracer, axis: int, low: int, high: int) -> Tracer:
    start, stop = [0] * x.ndim, list(x.type.shape)
    start[axis], stop[axis] = low, high
    return apply("slice", x, start=tuple(start), stop=tuple(stop), step=(1,) * x.ndim)


def _reduced(name: str, x: Tracer, axis: int, length: int) -> Tracer:
    """Runs of `length` along an axis, reduced."""
    shape = x.type.shape
    split = (*shape[:axis], value_of(shape[axis]) // length, length, *shape[axis + 1 :])
    runs = apply("reshape", x, shape=split)
    if name == "adaptive_max_pool":
        return reduce("max", name, runs, (axis + 1,), False)
    return average(name, runs, (axis + 1,), False)
