"""Functions that make arrays. Inside a trace they are nodes; outside NumPy makes the elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weft import diagnostics, tree
from weft.ops import core, elementwise, movement
from weft.ops.core import operation
from weft.promotion import as_strong, convert, default_dtype, dtype_of, number
from weft.tracing import SCALAR_DTYPES, Tracer, apply, array_dtype, check_rank, lift, state
from weftc.ir.types import Dim, Shape, static_shape
from weftc.loop import scalar
from weftrt import array, dtypes
from weftrt.array import Array
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, TraceError, UsageError


def asarray(obj: Any, /, *, dtype: Any = None, copy: bool | None = None) -> Any:
    """`obj` (an array, a scalar, nested lists) as an Array.

    A NumPy array is copied, unless it is read-only or copy is False, which promises that nobody
    writes to it. Lists of Python floats become float32.
    """
    dtype = None if dtype is None else dtype_of(dtype)
    if isinstance(obj, Tracer):
        return obj if dtype is None or obj.dtype is dtype else elementwise.astype(obj, dtype)
    if isinstance(obj, Array):
        return obj if dtype is None or obj.dtype is dtype else elementwise.astype(obj, dtype)
    if isinstance(obj, (list, tuple)) and any(isinstance(o, Tracer) for o in tree.leaves(obj)):
        stacked = movement.stack([asarray(item) for item in obj])
        return stacked if dtype is None else elementwise.astype(stacked, dtype)
    return array.from_numpy(*_host(obj, dtype, copy))


def _host(obj: Any, dtype: DType | None, copy: bool | None) -> tuple[np.ndarray[Any, Any], bool]:
    """The elements of `obj` as an ndarray, and whether the Array must copy it."""
    source = obj if isinstance(obj, np.ndarray) else _numbers(obj)
    own = source is not obj and not hasattr(obj, "__array__")
    if dtype is None and not hasattr(obj, "dtype"):
        kinds = {"f": dtypes.DEFAULT_FLOAT, "i": dtypes.DEFAULT_INT, "b": dtypes.bool_}
        typed = any(hasattr(leaf, "dtype") for leaf in tree.leaves(obj))
        dtype = kinds.get(source.dtype.kind) if not typed else None
    _check(source)
    if dtype is None:
        return source, not own and copy is not False
    converted = source.astype(dtype.dtype, copy=False)
    return converted, converted is source and not own and copy is not False


def _numbers(obj: Any) -> np.ndarray[Any, Any]:
    """Nested sequences as an ndarray."""
    try:
        source = np.asarray(obj)
    except (ValueError, TypeError, OverflowError) as error:
        raise diagnostics.located(ShapeError, f"asarray: {error}") from None
    if source.dtype.kind in "OSU" and not hasattr(obj, "dtype"):
        odd = next((o for o in tree.leaves(obj) if not isinstance(o, (bool, int, float))), None)
        problem = f"asarray takes numbers and nested lists of them, not {diagnostics.kind_of(odd)}"
        raise diagnostics.located(DTypeError, problem)
    return source


def _check(source: np.ndarray[Any, Any]) -> None:
    array_dtype(source, "the array")
    check_rank(source.ndim, "the array")


def from_dlpack(x: Any, /) -> Array:
    """An Array over the memory of any object with __dlpack__ (on the CPU); it must not change."""
    source = np.from_dlpack(x)
    array_dtype(source, "the array")
    return array.from_numpy(source, copy=False)


def full(shape: Any, fill_value: Any, *, dtype: Any = None) -> Any:
    """An array of `shape` with every element `fill_value`."""
    sizes = core.shape_of("full", shape)
    chosen = None if dtype is None else dtype_of(dtype)
    check_rank(len(sizes), "the result of full")
    if not isinstance(fill_value, (Tracer, Array, np.ndarray)) or fill_value.ndim:
        _check_scalar("full", "fill_value", fill_value)
    if state.trace is not None:
        value = lift(fill_value)
        value = as_strong(value) if chosen is None else convert(value, chosen)
        return core.broadcast(value, sizes)
    return array.from_numpy(np.full(static_shape(sizes), _fill(fill_value, chosen)), copy=False)


def _fill(value: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """A scalar or an array of no axes, as an ndarray of `dtype` or of the dtype it has alone."""
    if type(value) not in SCALAR_DTYPES:
        source = core.host(value)
        return source if dtype is None else scalar.cast(source, dtype)
    chosen = dtype if dtype is not None else default_dtype(SCALAR_DTYPES[type(value)])
    return np.asarray(number(value, chosen), chosen.dtype)


def zeros(shape: Any, *, dtype: Any = dtypes.DEFAULT_FLOAT) -> Any:
    """An array of zeros."""
    chosen = dtype_of(dtype)
    return full(shape, _scalar(0, chosen), dtype=chosen)


def ones(shape: Any, *, dtype: Any = dtypes.DEFAULT_FLOAT) -> Any:
    """An array of ones."""
    chosen = dtype_of(dtype)
    return full(shape, _scalar(1, chosen), dtype=chosen)


empty = zeros


def _scalar(value: int, dtype: DType) -> Any:
    return float(value) if dtype.is_float else bool(value) if dtype is dtypes.bool_ else value


def zeros_like(x: Any, /, *, dtype: Any = None) -> Any:
    """Zeros of the shape and dtype of `x`."""
    return full_like(x, 0, dtype=dtype)


def ones_like(x: Any, /, *, dtype: Any = None) -> Any:
    """Ones of the shape and dtype of `x`."""
    return full_like(x, 1, dtype=dtype)


empty_like = zeros_like


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None) -> Any:
    """An array of the shape and dtype of `x` with every element `fill_value`."""
    like = x if isinstance(x, (Tracer, Array)) else asarray(x)
    return full(like.shape, fill_value, dtype=dtype if dtype is not None else like.dtype)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None) -> Any:
    """start + i * step for i = 0, 1, ... while below stop; arange(n) counts from 0."""
    if stop is None:
        start, stop = 0, start
    start, stop, step = (_bound(b) for b in (start, stop, step))
    if step == 0:
        raise diagnostics.located(UsageError, "arange: the step is zero")
    whole = all(isinstance(b, (int, np.integer)) for b in (start, stop, step))
    chosen = dtype_of(dtype) if dtype is not None else _default(whole)
    length = -((start - stop) // step) if whole else (stop - start) / step
    if not length < 2**63:
        problem = f"arange: no array holds the numbers from {start} to {stop} in steps of {step}"
        raise diagnostics.located(UsageError, problem)
    return _line(max(0, math.ceil(length)), start, step, chosen)


def _bound(value: Any) -> Any:
    """A bound of arange as a number."""
    if isinstance(value, Dim):
        raise diagnostics.located(TraceError, f"arange needs a known length, not {value}")
    if isinstance(value, Tracer):
        return value.__index__()
    if isinstance(value, (Array, np.ndarray)):
        value = np.asarray(value).item()
    return _check_scalar("arange", "a bound", value)


def _check_scalar(name: str, what: str, value: Any) -> Any:
    """`value`, if it is a number."""
    if isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating, Dim)):
        return value
    problem = f"{name}: {what} is a number, not {value!r:.40}"
    raise diagnostics.located(UsageError, problem)


def _default(whole: bool) -> DType:
    return dtypes.DEFAULT_INT if whole else dtypes.DEFAULT_FLOAT


def iota(shape: Shape, axis: int, dtype: DType) -> Any:
    """An array whose elements are their index along `axis`."""
    if state.trace is not None:
        return Tracer(apply("iota", shape=shape, axis=axis, dtype=dtype).node, state.trace)
    sizes = static_shape(shape)
    counter = np.arange(sizes[axis]).astype(dtype.dtype)
    column = counter.reshape([-1] + [1] * (len(sizes) - axis - 1))
    return array.from_numpy(np.broadcast_to(column, sizes), copy=True)


def _line(count: int, start: Any, step: Any, dtype: DType) -> Any:
    """start + i * step in `dtype`, the same nodes eager and staged."""
    index = iota((count,), 0, dtype)
    if start == 0 and step == 1:
        return index
    if dtype.is_float:
        start, step = float(start), float(step)
    return elementwise.add(elementwise.multiply(index, step), start)


def linspace(
    start: float, stop: float, /, num: int, *, dtype: Any = None, endpoint: bool = True
) -> Any:
    """`num` evenly spaced values from start to stop; the last one is stop itself."""
    chosen = dtype_of(dtype) if dtype is not None else dtypes.DEFAULT_FLOAT
    num = core.size_of("linspace", num)
    start, stop = (float(_check_scalar("linspace", "an end", end)) for end in (start, stop))
    gaps = num - 1 if endpoint else num
    index = iota((num,), 0, chosen if chosen.is_float else dtypes.DEFAULT_FLOAT)
    if not gaps:
        line = elementwise.add(elementwise.multiply(index, 0.0), start)
    else:
        line = _interpolated(index, start, stop, float(gaps), endpoint)
    return line if chosen.is_float else elementwise.astype(line, chosen)


@operation("endpoint")
def _interpolated(index: Any, start: float, stop: float, gaps: float, endpoint: bool) -> Tracer:
    """start + i * ((stop - start) / gaps), and exactly stop at i = gaps."""
    place, low, high, last = lift(index), lift(start), lift(stop), lift(gaps)
    width = apply("sub", _wide(high), _wide(low), weak=True)
    step = apply("div", width, _wide(last), weak=True)
    line = elementwise.binary("add", "linspace", _times(place, step), low)
    if not endpoint:
        return line
    at_end = elementwise.binary("eq", "linspace", place, last)
    end = core.broadcast(convert(high, line.dtype), line.shape)
    return apply("where", at_end, end, line)


def _wide(x: Tracer) -> Tracer:
    return x if x.dtype is dtypes.float64 else apply("convert", x, dtype=dtypes.float64, weak=True)


def _times(x: Tracer, y: Tracer) -> Tracer:
    return elementwise.binary("mul", "linspace", x, y)


def eye(rows: int, columns: int | None = None, /, *, k: int = 0, dtype: Any = None) -> Any:
    """Ones on the diagonal number `k`, zeros elsewhere."""
    chosen = dtype_of(dtype) if dtype is not None else dtypes.DEFAULT_FLOAT
    shape = core.shape_of("eye", (rows, rows if columns is None else columns))
    row, column = (iota(shape, axis, dtypes.int64) for axis in (0, 1))
    return elementwise.astype(elementwise.equal(elementwise.add(row, k), column), chosen)
