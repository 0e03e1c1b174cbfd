"""Indexing: basic slices, integer arrays, one-hot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weft import diagnostics
from weft.ops import core
from weft.ops.core import operation
from weft.promotion import as_strong, convert, dtype_of
from weft.tracing import Trace, Tracer, apply, lift, state, tracing
from weftc.ir.types import Dim, Size
from weftrt import array, dtypes
from weftrt.array import Array
from weftrt.dtypes import Kind
from weftrt.errors import DTypeError, OutOfBoundsError, ShapeError, TraceError, UsageError


@operation("axis")
def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Tracer:
    """The elements of x at integer `indices` along `axis`; negative ones count from the end.

    An index outside the axis raises IndexError when the function runs.
    """
    value = as_strong(lift(x))
    if axis is None and value.ndim != 1:
        diagnostics.fail(ShapeError, "take", [value], "axis is needed unless {0} is 1-d")
    return _take(value, lift(indices), core.axis_of("take", value, axis or 0))


def _take(x: Tracer, indices: Tracer, axis: int) -> Tracer:
    if not indices.dtype.is_integer:
        problem = "the indices must be integers"
        if indices.dtype.kind is Kind.BOOL:
            problem += "; a mask would give a shape that depends on values: use wf.where"
        diagnostics.fail(DTypeError, "take", [x, indices], problem)
    return apply("take", x, as_strong(indices), axis=axis)


@operation("num_classes", "dtype", "axis")
def one_hot(
    indices: Any, num_classes: int, /, *, dtype: Any = dtypes.float32, axis: int = -1
) -> Tracer:
    """1 where the new axis' index equals `indices`, else 0."""
    value = lift(indices)
    if not value.dtype.is_integer:
        diagnostics.fail(
            DTypeError, "one_hot", [value], f"{{0}} must be integers, not {value.dtype}"
        )
    value, num_classes = convert(value, dtypes.int64), core.size_of("one_hot", num_classes)
    rank = value.ndim + 1
    place = core.axis_of("one_hot", value, axis, rank)
    expanded = (*value.shape[:place], 1, *value.shape[place:])
    shape = (*value.shape[:place], num_classes, *value.shape[place:])
    column = core.broadcast(apply("reshape", value, shape=expanded), shape)
    index = apply("iota", shape=shape, axis=place, dtype=dtypes.int64)
    return convert(apply("eq", index, column), dtype_of(dtype))


def getitem(x: Any, key: Any) -> Any:
    """x[key]: integers, slices, None, Ellipsis, or one array of integers."""
    if state.trace is None and isinstance(x, Array) and not _has_array(key):
        # Elements are only copied, so NumPy does it: no compile for every x[i].
        try:
            part = array.to_numpy(x)[key]
        except (IndexError, TypeError, ValueError):
            with tracing(Trace("index", 0)):  # staging says what is wrong, in our words
                _staged(x, key)
            raise
        return array.from_numpy(np.asarray(part), copy=True)
    if state.trace is None:
        return _getitem_arrays(x, *_split(key))
    return _staged(x, key)


def _has_array(key: Any) -> bool:
    items = key if isinstance(key, tuple) else (key,)
    return any(isinstance(item, (Array, np.ndarray, list, Tracer)) for item in items)


def _split(key: Any) -> tuple[Any, Any]:
    """The one array of a key, and the static rest of it with True in the array's place."""
    items = key if isinstance(key, tuple) else (key,)
    places = [p for p, item in enumerate(items) if isinstance(item, (Array, np.ndarray, list))]
    if len(places) != 1:
        raise diagnostics.located(TraceError, "an index may hold one array of integers, not more")
    found = items[places[0]]
    rest = tuple(True if p == places[0] else _frozen(item) for p, item in enumerate(items))
    return np.asarray(found) if isinstance(found, list) else found, rest


def _frozen(item: Any) -> Any:
    """A slice as a hashable tuple, so that it can be a static argument."""
    return ("slice", item.start, item.stop, item.step) if isinstance(item, slice) else item


@operation("rest")
def _getitem_arrays(x: Any, indices: Any, /, rest: tuple[Any, ...]) -> Tracer:
    items = tuple(
        indices if item is True else slice(*item[1:]) if isinstance(item, tuple) else item
        for item in rest
    )
    return _staged(x, items)


@dataclass
class _Plan:
    """What basic indexing does, axis by axis, then the shape of the result."""

    start: list[Size]
    stop: list[Size]
    step: list[int]
    flipped: list[int]
    shape: list[Size]
    taken: tuple[Any, int] | None = None


def _staged(x: Any, key: Any) -> Tracer:
    value = as_strong(lift(x))
    items = _expanded(value, key if isinstance(key, tuple) else (key,))
    plan = _Plan([], [], [], [], [])
    axis = 0
    for item in items:
        if item is None:
            plan.shape.append(1)
            continue
        _plan_axis(value, plan, item, axis)
        axis += 1
    return _run(value, plan)


def _expanded(x: Tracer, items: tuple[Any, ...]) -> list[Any]:
    """A key with Ellipsis and missing axes written out as full slices."""
    used = len([item for item in items if item is not None and item is not Ellipsis])
    ellipses = [place for place, item in enumerate(items) if item is Ellipsis]
    if used > x.ndim or len(ellipses) > 1:
        problem = f"{used} indices for {x.ndim} axes" if used > x.ndim else "two ellipses"
        diagnostics.fail(ShapeError, "index", [x], problem)
    place = ellipses[0] if ellipses else len(items)
    full = [slice(None)] * (x.ndim - used)
    return [*items[:place], *full, *items[place + 1 :]]


def _plan_axis(x: Tracer, plan: _Plan, item: Any, axis: int) -> None:
    size = x.shape[axis]
    if isinstance(item, slice):
        _plan_slice(x, plan, item, axis)
    elif isinstance(item, (Tracer, Array, np.ndarray, list)):
        if plan.taken is not None:
            problem = "an index may hold one array of integers, not more"
            diagnostics.fail(TraceError, "index", [x], problem)
        plan.taken = (np.asarray(item) if isinstance(item, list) else item, axis)
        _plan_range(plan, 0, size, 1)
        plan.shape.append(size)
    elif isinstance(item, (bool, np.bool_)) or not hasattr(item, "__index__"):
        diagnostics.fail(TraceError, "index", [x], f"{item!r} is not an index")
    else:
        index = item.__index__()
        if isinstance(size, int) and not -size <= index < size:
            problem = f"index {index} is out of bounds for axis {axis} of size {size}"
            diagnostics.fail(OutOfBoundsError, "index", [x], problem)
        first = size + index if index < 0 else index
        _plan_range(plan, first, first + 1, 1)


def _plan_range(plan: _Plan, start: Size, stop: Size, step: int) -> None:
    plan.start.append(start)
    plan.stop.append(stop)
    plan.step.append(step)


def _plan_slice(x: Tracer, plan: _Plan, item: slice, axis: int) -> None:
    size = x.shape[axis]
    if item == slice(None) or item == slice(None, None, -1):
        _plan_range(plan, 0, size, 1)
        plan.shape.append(size)
        if item.step == -1:
            plan.flipped.append(axis)
        return
    if isinstance(size, Dim):
        raise ShapeError(f"a slice needs a size known while tracing, but it is {size}")
    if item.step == 0:
        diagnostics.fail(UsageError, "index", [x], "the step of a slice cannot be 0")
    start, stop, step = item.indices(size)
    count = len(range(start, stop, step))
    if step < 0:
        plan.flipped.append(axis)
        start, step = start + (count - 1) * step, -step
    if count == 0:
        start, step = 0, 1
    _plan_range(plan, start, start + (count - 1) * step + 1 if count else 0, step)
    plan.shape.append(count)


def _run(x: Tracer, plan: _Plan) -> Tracer:
    whole = all(
        a == 0 and b == n and s == 1
        for a, b, s, n in zip(plan.start, plan.stop, plan.step, x.shape, strict=True)
    )
    if not whole:
        x = apply("slice", x, start=tuple(plan.start), stop=tuple(plan.stop), step=tuple(plan.step))
    if plan.flipped:
        x = apply("flip", x, axes=tuple(plan.flipped))
    if plan.taken is not None:
        return _run_take(x, plan)
    shape = tuple(plan.shape)
    return apply("reshape", x, shape=shape) if shape != x.shape else apply("identity", x)


def _run_take(x: Tracer, plan: _Plan) -> Tracer:
    assert plan.taken is not None
    if tuple(plan.shape) != x.shape:
        problem = "integers and None do not mix with an array in one index; index twice"
        diagnostics.fail(TraceError, "index", [x], problem)
    indices, axis = plan.taken
    return _take(x, lift(indices), axis)
