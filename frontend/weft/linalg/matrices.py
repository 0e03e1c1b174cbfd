"""What the functions of matrices share."""

from __future__ import annotations

from typing import Any

from weft import diagnostics
from weft.ops import core, creation, elementwise, movement, reductions
from weft.tracing import Tracer, apply
from weftc.ir.constraints import assume_equal
from weftc.ir.size_functions import minimum
from weftc.ir.sizes import Shape, Size
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError, UsageError


def matrices(name: str, x: Tracer, square: bool = True, real: bool = True) -> Tracer:
    """`x`, after a look at its last two axes and its dtype."""
    if real and x.dtype.is_complex:
        problem = f"it takes real matrices, and {{0}} has dtype {x.dtype}"
        diagnostics.fail(DTypeError, name, [x], problem)
    if x.ndim < 2:
        diagnostics.fail(ShapeError, name, [x], "it takes matrices: {0} has no two axes")
    if square and not assume_equal(*x.type.shape[-2:]):
        problem = "it takes square matrices: the last two axes of {0} are unequal"
        diagnostics.fail(ShapeError, name, [x], problem)
    return x


def identity(x: Tracer) -> Tracer:
    """Identities of the shape of x."""
    return apply("convert", apply("eq", *places_of(x.type.shape)), dtype=x.dtype)


def places_of(shape: Shape) -> tuple[Tracer, Tracer]:
    """The row and the column of each element."""
    first = len(shape) - 2
    return creation.iota(shape, first, dtypes.int64), creation.iota(shape, first + 1, dtypes.int64)


def epsilon(x: Tracer) -> float:
    """The distance of 1 to the next float of the dtype."""
    return 2.0**-52 if x.dtype is dtypes.float64 else 2.0**-23


def diagonal_of(x: Tracer, offset: int) -> Tracer:
    """The diagonal of each matrix that is `offset` to the right of its own."""
    rows, columns = x.type.shape[-2:]
    count = minimum(rows, columns)
    if offset:
        rows, columns = core.fixed((rows, columns))
        count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    start: Size = offset if offset >= 0 else -offset * columns
    step = apply("size", size=columns + 1)
    places = elementwise.multiply(creation.iota((count,), 0, dtypes.int64), step)
    places = elementwise.add(places, apply("size", size=start))
    flat = apply("reshape", x, shape=(*x.type.shape[:-2], rows * columns))
    return apply("take", flat, places, axis=x.ndim - 2)


def cut(x: Tracer, axis: int, stop: Size) -> Tracer:
    """The first rows (axis -2) or columns (axis -1) of each matrix."""
    return x if x.type.shape[axis] == stop else movement.part(x, x.ndim + axis, 0, stop)


def usual_cutoff(x: Tracer) -> float:
    """The larger size times the distance of 1 to the next float."""
    return max(core.fixed(x.type.shape[-2:])) * epsilon(x)


def cutoff_of(name: str, called: str, value: Any, x: Tracer) -> float:
    """`value`, if it is a number from 0 to 1, or the usual one."""
    if value is None:
        return usual_cutoff(x)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        problem = f"{name}: {called} is a number from 0 to 1, not {value!r:.40}"
        raise diagnostics.located(UsageError, problem)
    return float(value)


def rank_of(values: Tracer, cutoff: float) -> Any:
    """How many singular values, of which there may be none, are above the cutoff times the
    largest."""
    largest = reductions.reduce("max", "max", values, -1, True, or_lowest=True)
    above = elementwise.greater(values, elementwise.multiply(largest, cutoff))
    return reductions.sum(elementwise.astype(above, dtypes.int64), -1)
