"""Functions that move elements without changing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weft import diagnostics
from weft.ops import core
from weft.ops.core import operation
from weft.promotion import as_strong, convert, promoted
from weft.tracing import Tracer, apply, lift
from weftc.ir.constraints import AtLeast, Divides, assume, assume_equal, assume_is_one
from weftc.ir.size_functions import exact_quotient, floor_div
from weftc.ir.sizes import Shape, Size, product
from weftc.ops.check import same_sizes
from weftrt.array import Array
from weftrt.errors import ShapeError, UsageError


def reshape(x: Any, /, shape: Any) -> Any:
    """x with another shape of the same size; one size may be -1, which is worked out."""
    value = core.operand(x)
    sizes = core.shape_of("reshape", shape, unknown=True)
    if -1 in sizes:
        sizes = _worked_out(value, sizes)
    size = product(core.sizes(value))
    if not assume_equal(product(sizes), size):
        problem = f"{{0}} has {size} elements, which do not make shape {sizes}"
        diagnostics.fail(ShapeError, "reshape", [value], problem)
    return core.reshaped(value, sizes)


def _worked_out(x: Tracer | Array, sizes: Shape) -> Shape:
    if sizes.count(-1) > 1:
        diagnostics.fail(ShapeError, "reshape", [x], f"only one size of {sizes} may be -1")
    total, known = product(core.sizes(x)), product(tuple(s for s in sizes if s != -1))
    size = _quotient(total, known)
    if size is None:
        problem = f"{{0}} has {total} elements, which do not make shape {sizes}"
        diagnostics.fail(ShapeError, "reshape", [x], problem)
    return tuple(size if s == -1 else s for s in sizes)


def _quotient(total: Size, known: Size) -> Size | None:
    """total / known, a whole number; None where it is not."""
    if not assume(AtLeast(known, 1)):
        return None
    exact = exact_quotient(total, known)
    if exact is None and assume(Divides(known, total)):
        exact = floor_div(total, known)
    return exact


def part(x: Tracer, axis: int, start: Size, stop: Size) -> Tracer:
    """The elements of an axis, which counts from the first, from start to stop."""
    before, shape = (0,) * axis, x.type.shape
    starts = (*before, start, *(0,) * (x.ndim - axis - 1))
    stops = (*shape[:axis], stop, *shape[axis + 1 :])
    return apply("slice", x, start=starts, stop=stops, step=(1,) * x.ndim)


def transposed(x: Tracer, permutation: Sequence[int]) -> Tracer:
    """Axes in the order of `permutation`; `x` itself if that is the order they have."""
    if tuple(permutation) == tuple(range(x.ndim)):
        return x
    return apply("transpose", x, permutation=tuple(permutation))


@operation("axes")
def permute_dims(x: Any, /, axes: Sequence[int]) -> Tracer:
    """The axes of x in another order."""
    value = as_strong(lift(x))
    return apply("transpose", value, permutation=_permutation("permute_dims", value, axes))


@operation("axes")
def transpose(x: Any, /, axes: Sequence[int] | None = None) -> Tracer:
    """The axes of x reversed, or in the order `axes`."""
    value = as_strong(lift(x))
    order = tuple(reversed(range(value.ndim))) if axes is None else axes
    return apply("transpose", value, permutation=_permutation("transpose", value, order))


def _permutation(name: str, x: Tracer, axes: Any) -> tuple[int, ...]:
    given = core.items_of(name, "an order of axes", axes)
    order = tuple(core.axis_of(name, x, axis) for axis in given)
    if sorted(order) != list(range(x.ndim)):
        problem = f"{given} is not an order of the axes of {{0}}"
        diagnostics.fail(ShapeError, name, [x], problem)
    return order


@operation()
def matrix_transpose(x: Any, /) -> Tracer:
    """The last two axes exchanged."""
    value = as_strong(lift(x))
    if value.ndim < 2:
        diagnostics.fail(ShapeError, "matrix_transpose", [value], "it needs two axes or more")
    return apply("transpose", value, permutation=swapped(value.ndim))


def swapped(rank: int) -> tuple[int, ...]:
    """The permutation that exchanges the last two of `rank` axes."""
    return (*range(rank - 2), rank - 1, rank - 2)


@operation("shape")
def broadcast_to(x: Any, /, shape: Any) -> Tracer:
    """x repeated along new leading axes and axes of size 1 up to `shape`."""
    value = as_strong(lift(x))
    sizes = core.shape_of("broadcast_to", shape)
    lead = len(sizes) - value.ndim
    fits = lead >= 0 and all(
        own == 1 or assume_equal(own, new) or assume_is_one(own)
        for own, new in zip(value.type.shape, sizes[max(lead, 0) :])
    )
    if not fits:
        problem = f"{{0}} does not broadcast to {sizes}"
        diagnostics.fail(ShapeError, "broadcast_to", [value], problem)
    result = core.broadcast(value, sizes)
    return result if result is not value else apply("identity", value)


def expand_dims(x: Any, /, axis: Any = 0) -> Any:
    """x with new axes of size 1 at `axis`, counted in the result."""
    value = core.operand(x)
    given = axis if isinstance(axis, tuple) else (axis,)
    rank = value.ndim + len(given)
    new = {core.axis_of("expand_dims", value, a, rank) for a in given}
    if len(new) < len(given):
        diagnostics.fail(ShapeError, "expand_dims", [value], f"an axis is repeated in {axis}")
    sizes = iter(core.sizes(value))
    shape = tuple(1 if place in new else next(sizes) for place in range(rank))
    return core.reshaped(value, shape)


def squeeze(x: Any, /, axis: Any = None) -> Any:
    """x without the axes of size 1 at `axis` (all of them when it is None)."""
    value = core.operand(x)
    sizes, gone = core.sizes(value), []
    for place in core.axes_of("squeeze", value, axis):
        if assume_is_one(sizes[place]):
            gone.append(place)
        elif axis is not None:
            problem = f"axis {place} of {{0}} has size {sizes[place]}, not 1"
            diagnostics.fail(ShapeError, "squeeze", [value], problem)
    shape = tuple(size for place, size in enumerate(sizes) if place not in gone)
    return core.reshaped(value, shape)


@operation("axis")
def flip(x: Any, /, axis: Any = None) -> Tracer:
    """x backwards along `axis` (all axes when it is None)."""
    value = as_strong(lift(x))
    axes = core.axes_of("flip", value, axis)
    return apply("flip", value, axes=axes) if axes else apply("identity", value)


@operation("axis")
def concat(arrays: Any, /, axis: int | None = 0) -> Tracer:
    """Arrays one after another along `axis`; flattened first when it is None."""
    values = _several("concat", arrays)
    if axis is None:
        values = [apply("reshape", v, shape=(v.type.size,)) for v in values]
        axis = 0
    place = core.axis_of("concat", values[0], axis)
    for number, value in enumerate(values):
        _check_concat(values[0], value, place, number)
    return apply("concat", *values, axis=place)


def _several(name: str, arrays: Any) -> list[Tracer]:
    if not isinstance(arrays, (tuple, list)) or not arrays:
        problem = f"{name} takes a tuple or list of at least one array"
        raise diagnostics.located(UsageError, problem)
    return promoted(name, *(lift(a) for a in arrays))


def _check_concat(first: Tracer, other: Tracer, axis: int, number: int) -> None:
    fits = other.ndim == first.ndim and all(
        place == axis or assume_equal(a, b)
        for place, (a, b) in enumerate(zip(first.type.shape, other.type.shape, strict=True))
    )
    if not fits:
        problem = f"all axes but {axis} must have equal sizes"
        diagnostics.fail(ShapeError, "concat", [first, other], problem, places=(0, number))


@operation("axis")
def stack(arrays: Any, /, axis: int = 0) -> Tracer:
    """Arrays of one shape along a new axis."""
    values = _several("stack", arrays)
    first = values[0]
    place = core.axis_of("stack", first, axis, first.ndim + 1)
    for number, value in enumerate(values):
        if not same_sizes(first.type.shape, value.type.shape):
            problem = "the shapes must be equal"
            diagnostics.fail(ShapeError, "stack", [first, value], problem, places=(0, number))
    shape: tuple[Size, ...] = (*first.type.shape[:place], 1, *first.type.shape[place:])
    return apply("concat", *(apply("reshape", v, shape=shape) for v in values), axis=place)


@operation("pad_width")
def pad(x: Any, /, pad_width: Any, *, constant_values: Any = 0) -> Tracer:
    """x with `constant_values` around it: a count, a (before, after), or one such pair per axis."""
    value = as_strong(lift(x))
    pairs = _pairs(value, pad_width)
    fill = convert(lift(constant_values), value.dtype)
    return apply(
        "pad",
        value,
        fill,
        low=tuple(low for low, _ in pairs),
        high=tuple(high for _, high in pairs),
        interior=(0,) * value.ndim,
    )


def _pairs(x: Tracer, width: Any) -> list[tuple[int, int]]:
    try:
        pairs = [(int(low), int(high)) for low, high in np.broadcast_to(width, (x.ndim, 2))]
        whole = np.asarray(width).dtype.kind in "iu"
    except (TypeError, ValueError):
        whole = False
    if not whole or any(low < 0 or high < 0 for low, high in pairs):
        problem = (
            f"the width {width!r:.40} is no count, no (before, after) and no such pair per axis"
        )
        diagnostics.fail(ShapeError, "pad", [x], problem)
    return pairs
