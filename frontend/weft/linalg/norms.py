"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from typing import Any

from weft import diagnostics
from weft.linalg.matrices import matrices
from weft.linalg.spectra import singular_values
from weft.linalg.systems import inverse
from weft.ops import elementwise, reductions
from weft.ops.core import operation
from weft.promotion import as_float
from weft.tracing import apply, lift
from weftrt.errors import UsageError


@operation("axis", "keepdims", "ord")
def vector_norm(
    x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: int | float = 2
) -> Any:
    """The norm over `axis` (all axes by default): for `ord` 2 the root of the sum of squares, for
    inf and -inf the largest and smallest size, for 0 how many elements are not 0, else the root
    number `ord` of the sum of sizes to that power. The gradient of the norm of zeros is NaN."""
    value = as_float(lift(x))
    value = elementwise.abs(value) if value.dtype.is_complex else value
    if not isinstance(ord, (int, float)):
        problem = f"vector_norm: ord is a number, not {ord!r:.40}"
        raise diagnostics.located(UsageError, problem)
    sizes = elementwise.abs(value)
    if math.isinf(ord):
        reduce = reductions.max if ord > 0 else reductions.min
        return reduce(sizes, axis, keepdims=keepdims)
    if ord == 0:
        some = elementwise.astype(elementwise.not_equal(value, 0), sizes.dtype)
        return reductions.sum(some, axis, keepdims=keepdims)
    if ord == 1:
        return reductions.sum(sizes, axis, keepdims=keepdims)
    if ord == 2:
        squares = reductions.sum(elementwise.squares(value), axis, keepdims=keepdims)
        return elementwise.sqrt(squares)
    powers = reductions.sum(elementwise.pow(sizes, ord), axis, keepdims=keepdims)
    return elementwise.pow(powers, 1 / ord)


@operation("keepdims", "ord")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: int | float | str = "fro") -> Any:
    """The norm of each matrix: "fro" is the root of the sum of squares, "nuc" the sum of singular
    values, 2 and -2 the largest and smallest, 1 and -1 the largest and smallest sum of sizes of a
    column, inf and -inf of a row. UsageError for others."""
    value = matrices("matrix_norm", as_float(lift(x)), square=False, real=False)
    if ord == "fro":
        return vector_norm(value, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        values = singular_values("matrix_norm", value)
        reduce = {"nuc": reductions.sum, 2: reductions.max, -2: reductions.min}[ord]
        result = reduce(values, -1)
    elif ord in (1, -1, math.inf, -math.inf):
        along = -2 if abs(ord) == 1 else -1
        sums = reductions.sum(elementwise.abs(value), along)
        result = (reductions.max if ord > 0 else reductions.min)(sums, -1)
    else:
        problem = f"matrix_norm: ord is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not {ord!r:.40}"
        raise diagnostics.located(UsageError, problem)
    return apply("reshape", result, shape=(*result.type.shape, 1, 1)) if keepdims else result


@operation("p")
def cond(x: Any, /, p: int | float | str | None = None) -> Any:
    """The condition number of each matrix by a norm: for `p` 2, or None, the largest singular value
    over the smallest, for -2 the reverse, inf of zeros; else the norm of the matrix, which is
    square then, times that of its inverse. LinAlgError where it has none."""
    value = matrices("cond", as_float(lift(x)), square=p not in (None, 2, -2))
    if p not in (None, 2, -2):
        return elementwise.multiply(matrix_norm(value, ord=p), matrix_norm(inverse(value), ord=p))
    values = singular_values("cond", value)
    largest, smallest = reductions.max(values, -1), reductions.min(values, -1)
    pair = (smallest, largest) if p == -2 else (largest, smallest)
    return elementwise.where(elementwise.equal(largest, 0), math.inf, elementwise.divide(*pair))
