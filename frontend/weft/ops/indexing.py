"""Indexing: basic slices, integer arrays, one-hot."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from weft import diagnostics, tree
from weft.ops import core, elementwise, movement
from weft.ops.core import operation
from weft.promotion import as_strong, convert, dtype_of
from weft.symbolic import SymbolicInt, known
from weft.tracing import Trace, Tracer, apply, lift, state, tracing
from weftc.ir.constraints import AtLeast, AtMost, assume, assume_minimum
from weftc.ir.size_functions import ceil_div
from weftc.ir.sizes import Size, product
from weftrt import array, dtypes
from weftrt.array import Array
from weftrt.dtypes import Kind
from weftrt.errors import (
    DTypeError,
    IndexingError,
    OutOfBoundsError,
    ShapeError,
    UsageError,
    WeftError,
)
from weftrt.sizes import MOST_BYTES

_NO_MASK = "; a mask would give a shape that depends on values: use wf.where"


@operation("axis")
def take(x: Any, indices: Any, /, axis: int | None = None) -> Tracer:
    """The elements of x at integer `indices` along `axis`; negative ones count from the end.

    An index outside the axis raises IndexError when the function runs.
    """
    value = as_strong(lift(x))
    if axis is None and value.ndim != 1:
        diagnostics.fail(ShapeError, "take", [value], "axis is needed unless {0} is 1-d")
    return _take(value, lift(indices), core.axis_of("take", value, axis or 0))


def _take(x: Tracer, indices: Tracer, axis: int) -> Tracer:
    if not indices.dtype.is_integer:
        mask = indices.dtype.kind is Kind.BOOL
        problem = "the indices must be integers" + _NO_MASK * mask
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
    expanded = (*value.type.shape[:place], 1, *value.type.shape[place:])
    shape = (*value.type.shape[:place], num_classes, *value.type.shape[place:])
    column = core.broadcast(apply("reshape", value, shape=expanded), shape)
    index = apply("iota", shape=shape, axis=place, dtype=dtypes.int64)
    return convert(apply("eq", index, column), dtype_of(dtype))


def getitem(x: Any, key: Any) -> Any:
    """x[key] by NumPy's rules: integers, slices, None, Ellipsis, and arrays or lists of integers,
    which broadcast against each other."""
    items = _items(x, key)
    if state.trace is not None:
        return _staged(x, items)
    if any(isinstance(item, _ARRAYS) for item in items):
        # Integers among arrays are arrays: checked as the program runs, which fits all sizes.
        items = tuple(np.asarray(item) if _is_int64(item) else item for item in items)
        arrays = tuple(item for item in items if isinstance(item, _ARRAYS))
        return _getitem_arrays(x, arrays, tuple(map(_frozen, items)))
    # Elements are only copied, so NumPy does it: no compile for every x[i].
    try:
        part = array.to_numpy(x)[items]
    except (IndexError, OverflowError, ValueError):
        with tracing(Trace("index", 0)):  # staging says what is wrong, in our words
            _staged(x, items)
        raise
    return array.from_numpy(np.asarray(part), copy=True)


_ARRAYS = (Tracer, Array, np.ndarray)
_PLAIN = (int, type(None))


def _is_int64(item: Any) -> bool:
    return type(item) is int and -(2**63) <= item < 2**63


def _items(x: Any, key: Any) -> tuple[Any, ...]:
    """The items of a key: None, Ellipsis, ints, slices of ints, and arrays."""
    return tuple([_item(x, item) for item in key]) if type(key) is tuple else (_item(x, key),)


def _item(x: Any, item: Any) -> Any:
    if item is None or item is Ellipsis or type(item) is int or isinstance(item, _ARRAYS):
        return item
    if isinstance(item, SymbolicInt):
        return item.dim
    if isinstance(item, slice):
        if type(item.start) in _PLAIN and type(item.stop) in _PLAIN and type(item.step) in _PLAIN:
            return item
        step = known(item.step)
        return slice(*(_bound(x, bound) for bound in (item.start, item.stop, step)))
    if isinstance(item, (list, tuple, range)):
        return _listed(x, item)
    if isinstance(item, (bool, np.bool_)):
        _fail(x, f"{item} is not an index" + _NO_MASK)
    return _integer(x, item, f"{item!r:.40} is not an index")


def _bound(x: Any, bound: Any) -> Size | None:
    if isinstance(bound, SymbolicInt):
        return bound.dim
    problem = f"a slice is of integers, not {diagnostics.kind_of(bound)}"
    return None if bound is None else _integer(x, bound, problem)


def _integer(x: Any, value: Any, problem: str) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        if isinstance(error, WeftError):  # of a traced value
            raise
        _fail(x, problem)


def _listed(x: Any, item: Any) -> Any:
    """An array of nested lists of integers."""
    leaves = tree.leaves(item)
    if not leaves:
        return np.zeros(np.shape(item), np.int64)
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        return movement.stack([lift(entry) for entry in item])
    try:
        return np.asarray(item)
    except ValueError as error:
        _fail(x, f"the list {item!r:.40} is no array: {error}")


def _fail(x: Any, problem: str) -> NoReturn:
    diagnostics.fail(IndexingError, "index", [x], problem.replace("{", "{{").replace("}", "}}"))


def _frozen(item: Any) -> Any:
    """A slice as a hashable tuple, and True for an array, so that they can be static arguments."""
    if isinstance(item, slice):
        return (item.start, item.stop, item.step)
    return True if isinstance(item, _ARRAYS) else item


@operation("rest")
def _getitem_arrays(x: Any, arrays: tuple[Any, ...], /, rest: tuple[Any, ...]) -> Tracer:
    following = iter(arrays)
    items = (
        next(following) if item is True else slice(*item) if isinstance(item, tuple) else item
        for item in rest
    )
    return _staged(x, tuple(items))


@dataclass
class _Plan:
    """What basic indexing does, axis by axis, once some are `flipped`, and the shape of the result;
    then the arrays, each with its axis of the array that is indexed and its axis of the result, and
    the places in the key of all that NumPy counts as arrays: integers too, if there is one."""

    start: list[Size]
    stop: list[Size]
    step: list[int]
    flipped: list[int]
    shape: list[Size]
    arrays: list[tuple[Tracer, int, int]]
    places: list[int]
    first: int = 0


def _staged(x: Any, items: tuple[Any, ...]) -> Tracer:
    value = as_strong(lift(x))
    plan = _Plan([], [], [], [], [], [], [])
    axis = 0
    for place, item in enumerate(_expanded(value, items)):
        if item is None:
            plan.shape.append(1)
            continue
        if not isinstance(item, slice):
            plan.first = plan.first if plan.places else len(plan.shape)
            plan.places.append(place)
        _plan_axis(value, plan, item, axis)
        axis += 1
    result = _sliced(value, plan)
    return _gathered(result, plan) if plan.arrays else result


def _expanded(x: Tracer, items: tuple[Any, ...]) -> list[Any]:
    """A key with Ellipsis and missing axes written out as full slices."""
    used = len([item for item in items if item is not None and item is not Ellipsis])
    ellipses = [place for place, item in enumerate(items) if item is Ellipsis]
    if used > x.ndim or len(ellipses) > 1:
        _fail(x, f"{used} indices for {x.ndim} axes" if used > x.ndim else "two ellipses")
    place = ellipses[0] if ellipses else len(items)
    full = [slice(None)] * (x.ndim - used)
    return [*items[:place], *full, *items[place + 1 :]]


def _plan_axis(x: Tracer, plan: _Plan, item: Any, axis: int) -> None:
    size = x.type.shape[axis]
    if isinstance(item, slice):
        _plan_slice(x, plan, item, axis)
    elif isinstance(item, _ARRAYS):
        plan.arrays.append((_integers(x, item), axis, len(plan.shape)))
        _plan_range(plan, 0, size, 1)
        plan.shape.append(size)
    else:
        first = size + item if type(item) is int and item < 0 else item
        if not (assume(AtLeast(first, 0)) and assume(AtMost(first + 1, size))):
            problem = f"index {item} is out of bounds for axis {axis} of size {size}"
            diagnostics.fail(OutOfBoundsError, "index", [x], problem)
        _plan_range(plan, first, first + 1, 1)


def _integers(x: Tracer, item: Any) -> Tracer:
    indices = as_strong(lift(item, "an index"))
    if not indices.dtype.is_integer:
        mask = indices.dtype.kind is Kind.BOOL
        _fail(x, f"an index is of integers, not {indices.dtype}" + _NO_MASK * mask)
    return indices


def _plan_range(plan: _Plan, start: Size, stop: Size, step: int) -> None:
    plan.start.append(start)
    plan.stop.append(stop)
    plan.step.append(step)


def _plan_slice(x: Tracer, plan: _Plan, item: slice, axis: int) -> None:
    """x[a:b:-s] is x backwards, then [-1 - a:-1 - b:s]."""
    size = x.type.shape[axis]
    start, stop, step = item.start, item.stop, 1 if item.step is None else item.step
    if step == 0:
        diagnostics.fail(UsageError, "index", [x], "the step of a slice cannot be 0")
    if step < 0:
        plan.flipped.append(axis)
        start, stop = (None if bound is None else -1 - bound for bound in (start, stop))
        step = -step
    first = _within(0 if start is None else start, size)
    length = _positive(_within(size if stop is None else stop, size) - first)
    step = min(step, MOST_BYTES)
    _plan_range(plan, first, first + length, step)
    plan.shape.append(ceil_div(length, step))


def _within(bound: Size, size: Size) -> Size:
    """Where a bound of a slice lies in an axis; negative ones count from its end."""
    if isinstance(bound, int) and abs(bound) >= MOST_BYTES:
        return size if bound > 0 else 0
    if assume(AtLeast(bound, 0)):
        return assume_minimum(bound, size)
    assume(AtMost(bound, -1))
    return _positive(size + bound)


def _positive(size: Size) -> Size:
    return size - assume_minimum(size, 0)


def _sliced(x: Tracer, plan: _Plan) -> Tracer:
    whole = all(
        a == 0 and b == n and s == 1
        for a, b, s, n in zip(plan.start, plan.stop, plan.step, x.type.shape, strict=True)
    )
    if plan.flipped:
        x = apply("flip", x, axes=tuple(plan.flipped))
    if not whole:
        x = apply("slice", x, start=tuple(plan.start), stop=tuple(plan.stop), step=tuple(plan.step))
    shape = tuple(plan.shape)
    return apply("reshape", x, shape=shape) if shape != x.type.shape else apply("identity", x)


def _gathered(x: Tracer, plan: _Plan) -> Tracer:
    """The elements at the arrays' indices. Their axes stand where the first array stood, or in
    front if something stands between the arrays."""
    together = plan.places[-1] - plan.places[0] == len(plan.places) - 1
    place = plan.first if together else 0
    axes = [axis for _, _, axis in plan.arrays]
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    moved = movement.transposed(x, [*rest[:place], *axes, *rest[place:]])
    if len(axes) == 1:
        return _take(moved, plan.arrays[0][0], place)
    sizes = moved.type.shape[place : place + len(axes)]
    flat = (*moved.type.shape[:place], product(sizes), *moved.type.shape[place + len(axes) :])
    return _take(apply("reshape", moved, shape=flat), _flat_index(x, plan, sizes), place)


def _flat_index(x: Tracer, plan: _Plan, sizes: Sequence[Size]) -> Tracer:
    """The index into axes merged into one of several arrays that index them."""
    indices = [
        _counted(indices, size, axis)
        for (indices, axis, _), size in zip(plan.arrays, sizes, strict=True)
    ]
    try:
        shape = core.broadcast_shapes("index", indices)
    except ShapeError:
        shapes = diagnostics.listed([str(index.type.shape) for index in indices])
        _fail(x, f"the arrays have shapes {shapes}, which do not broadcast")
    result = core.broadcast(indices[0], shape)
    for index, size in zip(indices[1:], sizes[1:], strict=True):
        scaled = elementwise.binary("mul", "index", result, size)
        result = apply("add", scaled, core.broadcast(index, shape))
    return result


def _counted(indices: Tracer, size: Size, axis: int) -> Tracer:
    """Indices into an axis as counted from its front; those outside fail."""
    numbers = apply("iota", shape=(*(1,) * axis, size), axis=axis, dtype=dtypes.int64)
    return apply("reshape", _take(numbers, indices, axis), shape=indices.type.shape)
