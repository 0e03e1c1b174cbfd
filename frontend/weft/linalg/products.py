"""Powers, cross products, and sums of diagonals."""

from __future__ import annotations

from typing import Any

from weft import diagnostics
from weft.linalg.matrices import diagonal_of, identity, matrices
from weft.linalg.systems import inverse
from weft.ops import core, elementwise, movement, reductions
from weft.ops.core import operation
from weft.ops.linear_algebra import matmul
from weft.promotion import as_float, as_strong
from weft.tracing import Tracer, apply, lift
from weftc.ir.constraints import assume_equal
from weftrt.errors import ShapeError, UsageError


@operation("offset")
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonal of each matrix; `offset` counts from it to the right."""
    value = matrices("diagonal", as_strong(lift(x)), square=False)
    return diagonal_of(value, core.integer("diagonal", "the offset", offset, UsageError))


@operation("offset", "dtype")
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of the diagonal of each matrix. Small integers are summed as int64 or uint64."""
    value = matrices("trace", as_strong(lift(x)), square=False)
    offset = core.integer("trace", "the offset", offset, UsageError)
    return reductions.sum(diagonal_of(value, offset), -1, dtype=dtype)


@operation("n")
def matrix_power(x: Any, n: int, /) -> Any:
    """Each square matrix times itself, n times in all, by squaring; the power of its inverse if n
    is negative, the identity if it is 0. LinAlgError where an inverse does not exist."""
    value = matrices("matrix_power", as_strong(lift(x)))
    count = core.integer("matrix_power", "the exponent", n, UsageError)
    if count < 0:
        value, count = inverse("matrix_power", as_float(value)), -count
    if count == 0:
        return identity(value)
    result: Any = None
    while count:
        if count & 1:
            result = value if result is None else matmul(result, value)
        count >>= 1
        value = matmul(value, value) if count else value
    return apply("identity", result)


@operation("axis")
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The cross product of vectors of three elements along `axis`; other axes broadcast."""
    a, b = core.matched("cross", as_strong(lift(x1)), as_strong(lift(x2)))
    place = core.axis_of("cross", a, axis)
    if not assume_equal(a.type.shape[place], 3):
        diagnostics.fail(ShapeError, "cross", [a, b], f"axis {axis} must have 3 elements")
    first = elementwise.multiply(_turned(a, place, 1), _turned(b, place, 2))
    second = elementwise.multiply(_turned(a, place, 2), _turned(b, place, 1))
    return elementwise.subtract(first, second)


def _turned(x: Tracer, axis: int, turn: int) -> Any:
    """x with element i + turn in place i, around the end, of an axis of 3."""
    head, tail = [slice(None)] * axis, slice(turn, None)
    return movement.concat([x[(*head, tail)], x[(*head, slice(0, turn))]], axis=axis)
