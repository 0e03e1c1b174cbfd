"""Sums, products and extremes of each element and all before it, and differences of neighbours."""

from __future__ import annotations

from typing import Any

from weft import diagnostics
from weft.ops import core, elementwise, movement
from weft.ops.core import operation
from weft.ops.reductions import accumulated
from weft.promotion import as_float, as_strong, convert
from weft.tracing import Tracer, apply, lift
from weftrt.dtypes import Kind
from weftrt.errors import ShapeError, UsageError


@operation("axis", "dtype", "reverse")
def cumsum(x: Any, /, axis: Any = None, *, dtype: Any = None, reverse: bool = False) -> Tracer:
    """The sum of each element and those before it along `axis` (of the flat array without one); of
    those after it with `reverse`. Added one by one, in order. Small integers are summed as int64 or
    uint64. ShapeError if there is no such axis."""
    return _running("sum", "cumsum", accumulated(x, dtype), axis, reverse)


@operation("axis", "dtype", "reverse")
def cumprod(x: Any, /, axis: Any = None, *, dtype: Any = None, reverse: bool = False) -> Tracer:
    """The product of each element and those before it along `axis` (of the flat array without one);
    of those after it with `reverse`. Small integers are multiplied as int64 or uint64. ShapeError
    if there is no such axis."""
    return _running("prod", "cumprod", accumulated(x, dtype), axis, reverse)


@operation("axis", "reverse")
def cummax(x: Any, /, axis: Any = None, *, reverse: bool = False) -> Tracer:
    """The largest of each element and those before it along `axis` (of the flat array without one);
    of those after it with `reverse`. A NaN wins. ShapeError if there is no such axis."""
    return _running("max", "cummax", as_strong(lift(x)), axis, reverse)


@operation("axis", "reverse")
def cummin(x: Any, /, axis: Any = None, *, reverse: bool = False) -> Tracer:
    """The smallest of each element and those before it along `axis` (of the flat array without
    one); of those after it with `reverse`. A NaN wins. ShapeError if there is no such axis."""
    return _running("min", "cummin", as_strong(lift(x)), axis, reverse)


@operation("axis", "reverse")
def logcumsumexp(x: Any, /, axis: Any = None, *, reverse: bool = False) -> Tracer:
    """log(cumsum(exp(x))) along `axis` (of the flat array without one), without overflow: sums of
    exponentials relative to the largest so far, rescaled where that grows (the online softmax of
    Milakov and Gimelshein, 2018). ShapeError if there is no such axis."""
    value, place = _axis("logcumsumexp", as_float(lift(x)), axis)
    largest = apply("stop_gradient", _cumulate("max", "logcumsumexp", value, place, reverse))
    finite = apply("lt", apply("abs", largest), elementwise.like(float("inf"), largest))
    shift = apply("where", finite, largest, elementwise.like(0.0, largest))
    before = _delayed(largest, place, reverse)
    factors = apply("exp", apply("sub", before, shift))
    terms = apply("exp", apply("sub", value, shift))
    total = apply("recurrence", factors, terms, axis=place, reverse=reverse)
    return apply("add", apply("log", total), shift)


@operation("axis", "dtype", "include_initial")
def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Tracer:
    """`cumsum` along `axis`, which only arrays of one axis may leave out; with `include_initial` a
    0 comes first, so that the axis has one element more. ShapeError without an axis to sum over."""
    return _with_initial("sum", "cumulative_sum", accumulated(x, dtype), axis, include_initial)


@operation("axis", "dtype", "include_initial")
def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Tracer:
    """`cumprod` along `axis`, which only arrays of one axis may leave out; with `include_initial` a
    1 comes first, so that the axis has one element more. ShapeError without such an axis."""
    return _with_initial("prod", "cumulative_prod", accumulated(x, dtype), axis, include_initial)


@operation("n", "axis")
def diff(
    x: Any, /, n: int = 1, axis: int = -1, *, prepend: Any = None, append: Any = None
) -> Tracer:
    """The differences of neighbours along `axis`, taken `n` times, after `prepend` and `append`
    (arrays, or numbers for one element) were put before and after x. Bools: whether neighbours
    differ. ShapeError if there is no such axis, or n is negative."""
    value = as_strong(lift(x))
    place = core.axis_of("diff", value, axis)
    count = core.integer("diff", "n", n, UsageError)
    if count < 0:
        raise diagnostics.located(ShapeError, f"diff: n is 0 or more, not {count}")
    if count == 0:  # then nothing is put beside x either, as in NumPy
        return value
    value = _joined(value, place, prepend, append)
    op = "ne" if value.dtype.kind is Kind.BOOL else "sub"
    for _ in range(count):
        later, earlier = _part(value, place, slice(1, None)), _part(value, place, slice(None, -1))
        value = apply(op, later, earlier)
    return value


# -- what they are made of ------------------------------------------------------------------------


def _axis(name: str, x: Tracer, axis: Any) -> tuple[Tracer, int]:
    """(x, its axis), or (x with one axis, 0) without an axis."""
    if axis is not None:
        return x, core.axis_of(name, x, axis)
    return (x if x.ndim == 1 else apply("reshape", x, shape=(x.type.size,))), 0


def _running(kind: str, name: str, x: Tracer, axis: Any, reverse: Any) -> Tracer:
    value, place = _axis(name, x, axis)
    return _cumulate(kind, name, value, place, reverse)


def _cumulate(kind: str, name: str, x: Tracer, axis: int, reverse: Any) -> Tracer:
    core.flag(name, "reverse", reverse)
    return apply("cumulate", x, axis=axis, kind=kind, reverse=reverse, name=name)


def _delayed(x: Tracer, axis: int, reverse: bool) -> Tracer:
    """Each element in the place of the next, and -inf in the first place."""
    one = tuple(int(a == axis) for a in range(x.ndim))
    none = (0,) * x.ndim
    low, high = (none, one) if reverse else (one, none)
    fill = convert(lift(-float("inf")), x.dtype)
    padded = apply("pad", x, fill, low=low, high=high, interior=none)
    stop = padded.type.shape if reverse else x.type.shape
    return apply("slice", padded, start=high, stop=stop, step=(1,) * x.ndim)


def _with_initial(kind: str, name: str, x: Tracer, axis: Any, include: Any) -> Tracer:
    core.flag(name, "include_initial", include)
    if axis is None and x.ndim != 1:
        diagnostics.fail(ShapeError, name, [x], "an array of more axes, or of none, needs an axis")
    result = _running(kind, name, x, axis, False)
    if not include:
        return result
    place = core.axis_of(name, x, 0 if axis is None else axis)
    first = convert(lift(int(kind == "prod")), result.dtype)
    one = tuple(int(a == place) for a in range(x.ndim))
    none = (0,) * x.ndim
    return apply("pad", result, first, low=one, high=none, interior=none)


def _joined(x: Tracer, axis: int, prepend: Any, append: Any) -> Tracer:
    """`prepend`, x and `append` side by side, in their common dtype."""
    shape = (*x.type.shape[:axis], 1, *x.type.shape[axis + 1 :])
    parts = [
        core.broadcast(part, shape) if part.ndim == 0 else part
        for part in (lift(p) for p in (prepend, x, append) if p is not None)
    ]
    return x if len(parts) == 1 else movement.concat(parts, axis)


def _part(x: Tracer, axis: int, part: slice) -> Tracer:
    found: Tracer = x[(*(slice(None),) * axis, part)]
    return found
