"""Products of vectors and of many matrices, and sums of diagonals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weft import diagnostics
from weft.linalg.matrices import diagonal_of, matrices
from weft.ops import core, elementwise, movement, reductions
from weft.ops.core import operation
from weft.ops.linear_algebra import matmul
from weft.promotion import as_strong, promoted
from weft.tracing import Tracer, lift
from weftc.ir.constraints import assume_equal
from weftc.ir.sizes import Size
from weftrt.errors import ShapeError, UsageError


@operation("offset")
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonal of each matrix; `offset` counts from it to the right."""
    value = matrices("diagonal", as_strong(lift(x)), square=False, real=False)
    return diagonal_of(value, core.integer("diagonal", "the offset", offset, UsageError))


@operation("offset", "dtype")
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of the diagonal of each matrix. Small integers are summed as int64 or uint64."""
    value = matrices("trace", as_strong(lift(x)), square=False, real=False)
    offset = core.integer("trace", "the offset", offset, UsageError)
    return reductions.sum(diagonal_of(value, offset), -1, dtype=dtype)


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


@operation()
def multi_dot(arrays: Sequence[Any], /) -> Any:
    """The matrix product of two or more arrays, in the order that takes the fewest multiplications;
    all have two axes, but the first and the last may be vectors. UsageError of fewer arrays."""
    if not isinstance(arrays, (list, tuple)) or len(arrays) < 2:
        problem = "multi_dot: it takes a list of at least two arrays"
        raise diagnostics.located(UsageError, problem)
    values = promoted("multi_dot", *(as_strong(lift(array)) for array in arrays))
    for place, value in enumerate(values):
        if value.ndim != 2 and not (value.ndim == 1 and place in (0, len(values) - 1)):
            problem = "all are matrices, but the first and the last, which may be vectors"
            diagnostics.fail(ShapeError, "multi_dot", values, problem)
    return _chained(values, _splits(_sizes(values)), 0, len(values) - 1)


def _sizes(values: Sequence[Tracer]) -> list[int]:
    """The rows of each of a chain of matrices, and the columns of the last."""
    first, last = values[0].type.shape, values[-1].type.shape
    rows = [value.type.shape[0] for value in values[1:]]
    head: Size = first[0] if len(first) == 2 else 1
    return list(core.fixed((head, *rows, last[1] if len(last) == 2 else 1)))


def _splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where the chain from one matrix to another is best split, by both (T. Cormen et al.,
    Introduction to algorithms, 15.2)."""
    count = len(sizes) - 1
    costs, best = {(i, i): 0 for i in range(count)}, dict[tuple[int, int], int]()
    for length, first in ((n, i) for n in range(1, count) for i in range(count - n)):
        last = first + length
        costs[first, last], best[first, last] = min(
            (
                costs[first, middle]
                + costs[middle + 1, last]
                + sizes[first] * sizes[middle + 1] * sizes[last + 1],
                middle,
            )
            for middle in range(first, last)
        )
    return best


def _chained(
    values: Sequence[Tracer], best: Mapping[tuple[int, int], int], first: int, last: int
) -> Any:
    """The product of those from one to another."""
    if first == last:
        return values[first]
    middle = best[first, last]
    left, right = _chained(values, best, first, middle), _chained(values, best, middle + 1, last)
    return matmul(left, right)
