"""Functions that make arrays. Inside a trace they are nodes; outside NumPy makes the elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from weft import diagnostics, tree
from weft.ops import core, elementwise, movement
from weft.ops.core import operation
from weft.promotion import as_strong, cast, convert, default_dtype, dtype_of, limits, number
from weft.symbolic import SymbolicInt, known
from weft.tracing import (
    SCALAR_DTYPES,
    Tracer,
    apply,
    array_dtype,
    check_rank,
    lift,
    scalar_item,
    state,
)
from weftc.ir.constraints import AtLeast, assume
from weftc.ir.sizes import Shape, Size, static_shape
from weftrt import array, dtypes
from weftrt.array import Array
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, UsageError


def asarray(obj: Any, /, *, dtype: Any = None, copy: bool | None = None) -> Any:
    """`obj` (an array, a scalar, nested lists, what NumPy can read) as an Array.

    Memory that anybody can write to is copied, unless copy is False, which promises that nobody
    does, and raises ValueError where a copy cannot be avoided. Python floats become float32,
    integers int64; with `dtype` integers in lists must fit it (RangeError), and arrays are
    converted as by astype.
    """
    chosen = None if dtype is None else dtype_of(dtype)
    if isinstance(obj, (Tracer, Array)):
        value = as_strong(obj) if isinstance(obj, Tracer) and chosen is None else obj
        same = chosen is None or (value.dtype is chosen and not getattr(value, "weak", False))
        return value if same else elementwise.astype(_copied(value, copy), chosen)
    if isinstance(obj, (list, tuple)) and any(isinstance(leaf, Tracer) for leaf in _leaves(obj)):
        stacked = movement.stack([asarray(item, dtype=chosen) for item in _copied(obj, copy)])
        return stacked if chosen is None else elementwise.astype(stacked, chosen)
    if isinstance(obj, (list, tuple, bool, int, float, complex, np.generic)):
        return array.from_numpy(_numbers(_copied(obj, copy), chosen), copy=False)
    return _foreign(obj, chosen, copy)


def _copied(obj: Any, copy: bool | None) -> Any:
    """`obj`, which has to be copied; ValueError if that is not allowed."""
    if copy is False:
        problem = f"asarray: copy=False, but {diagnostics.kind_of(obj)} has to be copied"
        raise diagnostics.located(UsageError, problem + " to be such an array")
    return obj


def _foreign(obj: Any, dtype: DType | None, copy: bool | None) -> Array:
    """An Array of an ndarray, or of an object that NumPy makes one of."""
    _note_numpy()
    source = obj if isinstance(obj, np.ndarray) else _read(obj)
    found = array_dtype(source, "the array")
    check_rank(source.ndim, "the array")
    if dtype is not None and found is not dtype:
        return array.from_numpy(cast(np.asarray(_copied(obj, copy)), dtype), copy=False)
    source = np.asarray(source)
    direct = source.flags.c_contiguous and source.flags.aligned and source.dtype is found.dtype
    if copy is False and not direct:
        _copied(obj, copy)
    return array.from_numpy(source, copy=copy is not False)


def _note_numpy() -> None:
    """Note that elements of NumPy's become a constant of the open trace, if there is one."""
    if state.trace is not None:
        state.trace.note_numpy()


def _read(obj: Any) -> np.ndarray[Any, Any]:
    """What NumPy makes of an object that is no array."""
    try:
        source = np.asarray(obj)
    except (ValueError, TypeError, OverflowError) as error:
        ragged = "inhomogeneous" in str(error)
        problem = "lists at one depth must be equally long" if ragged else str(error)
        raise diagnostics.located(ShapeError, f"asarray: {problem}") from None
    if source.dtype.kind in "OSU" and not hasattr(obj, "dtype"):
        numbers = (bool, int, float, complex, np.number)
        odd = next((o for o in tree.leaves(obj) if not isinstance(o, numbers)), None)
        if odd is None and isinstance(obj, (list, tuple)) and tree.leaves(obj):
            return np.asarray(obj, np.float64)  # fractions beside integers beyond int64
        odd = obj if odd is None else odd
        problem = f"asarray takes numbers and nested lists of them, not {diagnostics.kind_of(odd)}"
        raise diagnostics.located(DTypeError, problem)
    return source


def _leaves(obj: Any) -> Sequence[Any]:
    """The leaves of nested lists; a list of nothing but numbers is its own."""
    flat = isinstance(obj, (list, tuple)) and SCALAR_DTYPES.keys() >= set(map(type, obj))
    return obj if flat else tree.leaves(obj)


def _numbers(obj: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """A scalar or nested sequences as an ndarray of `dtype`, or of the default of their kind."""
    if type(obj) in SCALAR_DTYPES:
        return _fill(obj, dtype)
    leaves = _leaves(obj)
    has_dtypes = any(hasattr(leaf, "dtype") for leaf in leaves)
    if has_dtypes:
        _note_numpy()
    kinds = set(map(type, leaves))
    whole = int in kinds and kinds <= {int, bool}
    source = np.asarray(obj, object) if whole and _is_large(leaves) else _read(obj)
    check_rank(source.ndim, "the array")
    if dtype is None and not has_dtypes:
        dtype = _DEFAULTS.get("i" if whole else source.dtype.kind)
    if whole:
        assert dtype is not None
        return _exact(source, leaves, dtype)
    found = array_dtype(source, "the array")
    return cast(source, found if dtype is None else dtype)


_DEFAULTS = {
    "c": dtypes.DEFAULT_COMPLEX,
    "f": dtypes.DEFAULT_FLOAT,
    "i": dtypes.DEFAULT_INT,
    "b": dtypes.bool_,
}


def _is_large(leaves: Sequence[int]) -> bool:
    return not -(2**63) <= min(leaves) <= max(leaves) < 2**63


def _exact(
    source: np.ndarray[Any, Any], leaves: Sequence[int], dtype: DType
) -> np.ndarray[Any, Any]:
    """Python integers as an ndarray of `dtype`, each exact or rounded once."""
    if dtype.is_integer:
        for extreme in (min(leaves), max(leaves)):
            number(extreme, dtype)
    elif source.dtype == object:
        source = np.array([number(leaf, dtype) for leaf in source.flat]).reshape(source.shape)
    return source.astype(dtype.dtype)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An Array of any object with __dlpack__ on the CPU.

    The elements are copied, since others may write to them, unless copy is False, which promises
    that nobody does.
    """
    if device not in (None, "cpu"):
        raise diagnostics.located(UsageError, f"from_dlpack: there is no device {device!r:.40}")
    _note_numpy()
    try:
        source = np.from_dlpack(x)
    except (AttributeError, TypeError, BufferError, RuntimeError, ValueError) as error:
        problem = f"from_dlpack: {diagnostics.kind_of(x)} cannot be read: {error}"
        raise diagnostics.located(DTypeError, problem) from None
    found = array_dtype(source, "the array")
    check_rank(source.ndim, "the array")
    if copy is False:
        return array.from_numpy(source, copy=False)
    return array.from_numpy(source.astype(found.dtype), copy=False)


def full(shape: Any, fill_value: Any, *, dtype: Any = None) -> Any:
    """An array of `shape` with every element `fill_value`."""
    sizes = core.shape_of("full", shape)
    chosen = None if dtype is None else dtype_of(dtype)
    check_rank(len(sizes), "the result of full")
    if not isinstance(fill_value, (Tracer, Array, np.ndarray)) or fill_value.ndim:
        _check_scalar("full", "fill_value", fill_value, also=(complex, np.complexfloating))
    if state.trace is not None:
        value = lift(fill_value)
        value = as_strong(value) if chosen is None else convert(value, chosen)
        return core.broadcast(value, sizes)
    fixed, filler = static_shape(sizes), _fill(fill_value, chosen)
    dtype = array_dtype(filler, "the fill value")
    return core.made(dtype, fixed, lambda: array.from_numpy(np.full(fixed, filler), copy=False))


def _fill(value: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """A scalar or an array of no axes, as an ndarray of `dtype` or of the dtype it has alone."""
    value = scalar_item(value) if isinstance(value, np.generic) else value
    if type(value) not in SCALAR_DTYPES:
        source = core.host(np.asarray(value) if isinstance(value, Array) else value)
        return source if dtype is None else cast(source, dtype)
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
    return float(value) if dtype.is_inexact else bool(value) if dtype is dtypes.bool_ else value


def zeros_like(x: Any, /, *, dtype: Any = None) -> Any:
    """Zeros of the shape and dtype of `x`."""
    return full_like(x, 0, dtype=dtype)


def ones_like(x: Any, /, *, dtype: Any = None) -> Any:
    """Ones of the shape and dtype of `x`."""
    return full_like(x, 1, dtype=dtype)


empty_like = zeros_like


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None) -> Any:
    """An array of the shape and dtype of `x` with every element `fill_value`."""
    like = asarray(x)
    return full(like.shape, fill_value, dtype=dtype if dtype is not None else like.dtype)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None) -> Any:
    """start + i * step for i = 0, 1, ... while below stop; arange(n) counts from 0.

    Integers are exact, and RangeError says which does not fit `dtype`; fractions are computed in
    float64 and then converted, to an integer dtype too.
    """
    if stop is None:
        start, stop = 0, start
    start, stop, step = (_bound(b) for b in (start, stop, step))
    if step == 0:
        raise diagnostics.located(UsageError, "arange: the step is zero")
    whole = all(isinstance(b, Integral) for b in (start, stop, step))
    chosen = dtype_of(dtype) if dtype is not None else _default(whole)
    length = -((start - stop) // step) if whole else (stop - start) / step
    if isinstance(length, SymbolicInt) and chosen.bits == 64 and assume(AtLeast(length.dim, 0)):
        return _line(length.dim, start, step, chosen)
    start, stop, step, length = map(known, (start, stop, step, length))
    if not length < 2**63:
        problem = f"arange: no array holds the numbers from {start} to {stop} in steps of {step}"
        raise diagnostics.located(UsageError, problem)
    count = max(0, math.ceil(length))
    if chosen.is_integer and count:
        for end in (start, start + (count - 1) * step):
            number(int(end), chosen)
    return _line(count, start, step, chosen)


def _bound(value: Any) -> Any:
    """A bound of arange as a number."""
    if isinstance(value, Tracer):
        return value.__index__()
    if isinstance(value, (Array, np.ndarray)) and value.size == 1:
        value = np.asarray(value).item()
    value = _check_scalar("arange", "a bound", value)
    return value.item() if isinstance(value, np.generic) else value


def _check_scalar(name: str, what: str, value: Any, also: tuple[type, ...] = ()) -> Any:
    """`value`, if it is a number."""
    numbers = (*also, bool, int, float, np.bool_, np.integer, np.floating, SymbolicInt)
    if isinstance(value, numbers) and not isinstance(value, np.timedelta64):
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
    return core.made(dtype, sizes, lambda: _counters(sizes, axis, dtype))


def _counters(sizes: tuple[int, ...], axis: int, dtype: DType) -> Array:
    counter = np.arange(sizes[axis]).astype(dtype.dtype)
    column = counter.reshape([-1] + [1] * (len(sizes) - axis - 1))
    return array.from_numpy(np.broadcast_to(column, sizes), copy=True)


def _line(count: Size, start: Any, step: Any, dtype: DType) -> Any:
    """start + i * step in `dtype`, the same nodes eager and staged."""
    if not dtype.is_integer or not all(isinstance(b, Integral) for b in (start, step)):
        return _spaced(iota((count,), 0, dtypes.float64), float(step), float(start), dtype)
    index = iota((count,), 0, dtype)
    if start == 0 and step == 1:
        return index
    scaled = elementwise.multiply(index, _wrapped(step, dtype))
    return elementwise.add(scaled, _wrapped(start, dtype))


@operation("dtype")
def _spaced(index: Any, step: float, start: float, /, dtype: DType) -> Tracer:
    """i * step + start in float64, then in `dtype`."""
    line = elementwise.binary("add", "arange", elementwise.multiply(index, step), start)
    return convert(line, dtype)


def _wrapped(value: int, dtype: DType) -> int:
    """The number in the range of `dtype` that is `value` in its arithmetic, which wraps."""
    low, high = limits(dtype)
    return (value - low) % (high - low + 1) + low


def linspace(
    start: float, stop: float, /, num: int, *, dtype: Any = None, endpoint: bool = True
) -> Any:
    """`num` evenly spaced values from start to stop; the last one is stop itself.

    They are computed in float64, whatever the distance, and rounded down to an integer dtype.
    """
    chosen = dtype_of(dtype) if dtype is not None else dtypes.DEFAULT_FLOAT
    num = core.size_of("linspace", num)
    start, stop = (_end(end) for end in (start, stop))
    gaps = num - 1 if endpoint else num
    scale = 1.0 if math.isfinite(stop - start) else 2.0  # what overflows is computed for halves
    step = (stop / scale - start / scale) / gaps if gaps else 0.0
    last = float(gaps) if endpoint and gaps else -1.0
    index = iota((num,), 0, dtypes.float64)
    return _interpolated(index, step, start / scale, scale, last, stop, chosen)


@operation("dtype")
def _interpolated(
    index: Any, step: float, start: float, scale: float, last: float, stop: float, /, dtype: DType
) -> Tracer:
    """(i * step + start) * scale, and exactly stop at i = last."""
    line = elementwise.add(elementwise.multiply(index, step), start)
    line = elementwise.where(
        elementwise.equal(index, last), stop, elementwise.multiply(line, scale)
    )
    return convert(line if dtype.is_float else elementwise.floor(line), dtype)


def _end(value: Any) -> float:
    if isinstance(value, (Array, np.ndarray)) and not value.ndim:
        value = np.asarray(value).item()
    return float(_check_scalar("linspace", "an end", value))


def eye(rows: int, columns: int | None = None, /, *, k: int = 0, dtype: Any = None) -> Any:
    """Ones on the diagonal number `k`, zeros elsewhere."""
    chosen = dtype_of(dtype) if dtype is not None else dtypes.DEFAULT_FLOAT
    shape = core.shape_of("eye", (rows, rows if columns is None else columns))
    k = core.integer("eye", "the diagonal", k, UsageError)
    row, column = (iota(shape, axis, dtypes.int64) for axis in (0, 1))
    return elementwise.astype(elementwise.equal(elementwise.add(row, k), column), chosen)
