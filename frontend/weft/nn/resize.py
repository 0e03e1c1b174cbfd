"""Images, and arrays of any rank, at another resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from weft import diagnostics
from weft.boundary import public
from weft.nn.operands import choice, real
from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import like
from weft.promotion import as_strong, convert
from weft.symbolic import value_of
from weft.tracing import Tracer, apply, lift
from weftc.ir.constraints import assume_equal
from weftc.ir.sizes import Shape
from weftrt import dtypes
from weftrt.array import Array
from weftrt.errors import ShapeError, UsageError
from weftrt.sizes import MAXIMUM_RANK

Change: TypeAlias = tuple[int, int]
"""An axis, and its new size."""


@public
def resize(x: Any, shape: Any, /, method: str, *, align_corners: bool = False) -> Any:
    """`x` resampled to `shape`, which has a size for each axis: those that stay are not touched, so
    that (n, c, 2 * h, 2 * w) makes images of NCHW twice as large.

    Elements are cells: the middle of cell i of m is at (i + 0.5) * n / m of n cells. `method` is
    "nearest", which copies the cell that this is in (any dtype), or "linear", which goes in a line
    from the middle of one to that of the next, and stays what it is beyond the last ones; in two
    axes that is bilinear. With `align_corners` the first and last elements, and not the edges, of
    both stay where they are: element i is at i * (n - 1) / (m - 1). Integers are resized linearly
    as floats. Nothing is averaged before it is made smaller.

    As in PyTorch: "nearest" is its "nearest-exact", the rest its "linear" to "trilinear". As in JAX
    with antialias=False. ShapeError for another number of axes, and where nothing is to become
    something.
    """
    kind = choice("resize", "method", method, ("nearest", "linear"))
    corners = core.flag("resize", "align_corners", align_corners)
    if corners and kind == "nearest":
        raise diagnostics.located(UsageError, 'resize: align_corners is for method="linear"')
    value = core.operand(x)
    sizes = core.shape_of("resize", shape)
    if len(sizes) != value.ndim:
        problem = f"the new shape {sizes} needs one size for each axis of {{0}}"
        diagnostics.fail(ShapeError, "resize", [value], problem)
    return _resized(value, _changes(value, sizes), kind, corners)


@operation("changes", "method", "align_corners")
def _resized(x: Any, changes: Sequence[Change], method: str, align_corners: bool) -> Tracer:
    """`x` with the axes that change at their new sizes; a program does for any others."""
    value = as_strong(lift(x)) if method == "nearest" else real("resize", x)
    for axis, wanted in changes:
        if method == "nearest":
            value = _nearest(value, axis, wanted)
        else:
            value = _linear(value, axis, wanted, align_corners)
    return apply("identity", value)


def _changes(x: Tracer | Array, sizes: Shape) -> tuple[Change, ...]:
    """The axes that change, with their new sizes. What shrinks comes first, and of that the outer
    axes, whose rows are read whole; what grows the other way round, while there is least of it."""
    changes = []
    for axis, (size, new) in enumerate(zip(core.sizes(x), sizes, strict=True)):
        if not assume_equal(size, new):
            changes.append((axis, value_of(size), value_of(new)))
    for axis, count, wanted in changes:
        if not count:
            problem = f"axis {axis} of {{0}} has no elements to make {wanted} of"
            diagnostics.fail(ShapeError, "resize", [x], problem)
    shrinking = [(axis, wanted) for axis, count, wanted in changes if wanted < count]
    growing = [(axis, wanted) for axis, count, wanted in changes if wanted > count]
    return (*shrinking, *reversed(growing))


def _nearest(x: Tracer, axis: int, wanted: int) -> Tracer:
    """By whole factors elements are repeated or left out: the gradient of that is a sum, or zeros
    between, where that of what is read by an index is a scatter."""
    before, after = x.type.shape[:axis], x.type.shape[axis + 1 :]
    count = value_of(x.type.shape[axis])
    if wanted % count == 0 and x.ndim < MAXIMUM_RANK:
        axes = (*range(axis + 1), *range(axis + 2, x.ndim + 1))
        repeated = (*before, count, wanted // count, *after)
        whole = apply("broadcast", x, shape=repeated, axes=axes)
        return apply("reshape", whole, shape=(*before, wanted, *after))
    if wanted and count % wanted == 0:
        step = count // wanted
        starts, steps = [0] * x.ndim, [1] * x.ndim
        starts[axis], steps[axis] = step // 2, step
        return apply("slice", x, start=tuple(starts), stop=x.type.shape, step=tuple(steps))
    middle = _affine(wanted, 2 * count, count)  # of the cell, in parts of 2 * wanted
    index = apply("floor_divide", middle, like(2 * wanted, middle))
    return apply("take", x, index, axis=axis)


def _linear(x: Tracer, axis: int, wanted: int, corners: bool) -> Tracer:
    """Between two neighbours each. Where an element is between them is a quotient of integers,
    which is rounded once."""
    count = value_of(x.type.shape[axis])
    if corners:
        place, unit = _affine(wanted, count - 1, 0), max(wanted - 1, 1)
    else:
        place, unit = _affine(wanted, 2 * count, count - wanted), max(2 * wanted, 1)
        inside = apply("maximum", place, like(0, place))
        place = apply("minimum", inside, like(unit * (count - 1), place))
    low = apply("floor_divide", place, like(unit, place))
    high = apply("minimum", apply("add", low, like(1, low)), like(count - 1, low))
    rest = convert(apply("sub", place, apply("mul", low, like(unit, low))), x.dtype)
    share = apply("div", rest, like(unit, rest))
    first, second = (apply("take", x, index, axis=axis) for index in (low, high))
    way = apply("broadcast", share, shape=first.type.shape, axes=(axis,))
    return apply("add", first, apply("mul", apply("sub", second, first), way))


def _affine(length: int, factor: int, offset: int) -> Tracer:
    """factor * i + offset for each i below `length`."""
    place = apply("iota", shape=(length,), axis=0, dtype=dtypes.int64)
    return apply("add", apply("mul", place, like(factor, place)), like(offset, place))
