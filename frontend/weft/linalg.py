"""Linear algebra: the functions of the Array API's `linalg` extension.

Matrices are the last two axes; those before them are as many matrices. LAPACK computes in float32
or float64. A matrix that does not have what a function needs (that is singular, say) is a
`numpy.linalg.LinAlgError` with the line that asked for it.
"""

from __future__ import annotations

from typing import Any

from weft import diagnostics
from weft.ops import core, movement
from weft.ops.core import operation
from weft.ops.linear_algebra import matmul, outer, tensordot, vecdot
from weft.ops.movement import matrix_transpose
from weft.promotion import as_float, promoted
from weft.tracing import Tracer, apply, lift
from weftc.ir.constraints import assume_equal
from weftrt.errors import ShapeError, UsageError

__all__ = [
    "cholesky",
    "matmul",
    "matrix_transpose",
    "outer",
    "solve",
    "solve_triangular",
    "tensordot",
    "vecdot",
]


def _flag(name: str, called: str, value: Any) -> bool:
    if not isinstance(value, bool):
        problem = f"{name}: {called} is True or False, not {value!r:.40}"
        raise diagnostics.located(UsageError, problem)
    return value


def _matrices(name: str, x: Tracer, square: bool = True) -> Tracer:
    """`x`, after a look at its last two axes."""
    if x.ndim < 2:
        diagnostics.fail(ShapeError, name, [x], "it takes matrices: {0} has no two axes")
    if square and not assume_equal(*x.type.shape[-2:]):
        diagnostics.fail(
            ShapeError, name, [x], "it takes square matrices: the last two axes of {0}"
        )
    return x


@operation("upper")
def cholesky(x: Any, /, *, upper: bool = False) -> Tracer:
    """The triangle L of each matrix x = L L^T, or U of x = U^T U if `upper`: zeros elsewhere. Only
    that triangle of x is read. LinAlgError where a matrix is not positive definite.

    The gradient is symmetric, as of a function of symmetric matrices.
    """
    _flag("cholesky", "upper", upper)
    value = _matrices("cholesky", as_float(lift(x)))
    if not upper:
        return apply("cholesky", value)
    swapped = movement.swapped(value.ndim)
    lower = apply("cholesky", apply("transpose", value, permutation=swapped), name="cholesky")
    return apply("transpose", lower, permutation=swapped)


@operation()
def solve(x1: Any, x2: Any, /) -> Tracer:
    """x with x1 x = x2, for square matrices x1, by Gaussian elimination with partial pivoting. x2
    is a vector, or matrices; leading axes broadcast. LinAlgError where a matrix is singular."""
    a, b = _system("solve", x1, x2)
    return _solved("solve", "solve", a, b)


@operation("lower", "transposed", "unit_diagonal")
def solve_triangular(
    x1: Any,
    x2: Any,
    /,
    *,
    lower: bool = False,
    transposed: bool = False,
    unit_diagonal: bool = False,
) -> Tracer:
    """x with t x = x2, where t is the upper or `lower` triangle of x1, `transposed` or not; the
    rest of x1 is not read, nor is the diagonal, which is ones, with `unit_diagonal`. x2 is a
    vector, or matrices; leading axes broadcast. LinAlgError where the diagonal has a zero."""
    a, b = _system("solve_triangular", x1, x2)
    attrs = {
        "lower": _flag("solve_triangular", "lower", lower),
        "transposed": _flag("solve_triangular", "transposed", transposed),
        "unit": _flag("solve_triangular", "unit_diagonal", unit_diagonal),
    }
    return _solved("solve_triangular", "triangular_solve", a, b, **attrs)


def _system(name: str, x1: Any, x2: Any) -> tuple[Tracer, Tracer]:
    """The matrices and the right side of a system, in their common float dtype."""
    a, b = promoted(name, as_float(lift(x1)), as_float(lift(x2)))
    _matrices(name, a)
    rows = b.type.shape[-1 if b.ndim == 1 else -2] if b.ndim else None
    if rows is None or not assume_equal(a.type.shape[-1], rows):
        problem = "{1} must have as many rows as {0}"
        diagnostics.fail(ShapeError, name, [a, b], problem)
    return a, b


def _solved(name: str, op: str, a: Tracer, b: Tracer, **attrs: bool) -> Tracer:
    """`op` of matrices with equal leading axes; a vector is a matrix of one column."""
    vector = b.ndim == 1
    if vector:
        b = apply("reshape", b, shape=(*b.type.shape, 1))
    lead = core.broadcast_shapes(name, [a, b], trailing=2)
    a = core.broadcast(a, (*lead, *a.type.shape[-2:]))
    b = core.broadcast(b, (*lead, *b.type.shape[-2:]))
    result = apply(op, a, b, name=name, **attrs)
    return apply("reshape", result, shape=result.type.shape[:-1]) if vector else result
