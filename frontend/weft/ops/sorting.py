"""Sorting along an axis, and the largest elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weft import diagnostics
from weft.ops import core, movement
from weft.ops.core import operation
from weft.promotion import as_strong
from weft.tracing import Tracer, apply, lift, results
from weftc.ir.sizes import Size
from weftc.ops import TABLE
from weftrt.errors import ShapeError


@operation("axis", "descending", "stable")
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tracer:
    """The elements of x in order along `axis`: floats from -inf over -0.0 and +0.0 to inf, then
    NaN, which is last in descending order too. Equal elements keep their order, `stable` or not.
    ShapeError if there is no such axis."""
    return _sorted("sort", x, axis, descending, stable)


@operation("axis", "descending", "stable")
def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tracer:
    """The indices (int64) that sort x along `axis`: take(x, argsort(x)) of one axis is sort(x).
    ShapeError if there is no such axis."""
    return _sorted("argsort", x, axis, descending, stable)


@operation("k", "axis")
def top_k(x: Any, /, k: int, *, axis: int = -1) -> tuple[Tracer, Tracer]:
    """(values, indices) of the k largest elements of x along `axis`, the largest first; of equal
    ones the first. A NaN is the largest, as it is to max. The indices are int64. ShapeError if
    there are fewer elements, or no such axis."""
    value = as_strong(lift(x))
    place = core.axis_of("top_k", value, axis)
    count = core.size_of("top_k", k)
    _check_count(value, count, value.type.shape[place], place)
    values, indices = _along(value, place, lambda rows: results(TABLE["top_k"](rows.node, k=count)))
    return values, indices


def _check_count(x: Tracer, k: int, size: Size, axis: int) -> None:
    if isinstance(size, int) and k > size:
        problem = f"axis {axis} of {{0}} has {size} elements, of which {k} are asked for"
        diagnostics.fail(ShapeError, "top_k", [x], problem)


def _sorted(name: str, x: Any, axis: Any, descending: Any, stable: Any) -> Tracer:
    core.flag(name, "descending", descending)
    core.flag(name, "stable", stable)
    value = as_strong(lift(x))
    place = core.axis_of(name, value, axis)
    (result,) = _along(
        value, place, lambda rows: [apply(name, rows, name=name, descending=descending)]
    )
    return result


def _along(x: Tracer, axis: int, rows: Callable[[Tracer], list[Tracer]]) -> list[Tracer]:
    """What `rows` makes of x with `axis` moved to the end, and moved back in each result."""
    others = [other for other in range(x.ndim) if other != axis]
    back = [*range(axis), x.ndim - 1, *range(axis, x.ndim - 1)]
    moved = movement.transposed(x, [*others, axis])
    return [movement.transposed(result, back) for result in rows(moved)]
