"""Systems of linear equations."""

from __future__ import annotations

from typing import Any

from weft import diagnostics
from weft.linalg.matrices import flag, identity, matrices
from weft.ops import core
from weft.ops.core import operation
from weft.promotion import as_float, promoted
from weft.tracing import Tracer, apply, lift
from weftc.ir.constraints import assume_equal
from weftrt.errors import ShapeError


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
        "lower": flag("solve_triangular", "lower", lower),
        "transposed": flag("solve_triangular", "transposed", transposed),
        "unit": flag("solve_triangular", "unit_diagonal", unit_diagonal),
    }
    return _solved("solve_triangular", "triangular_solve", a, b, **attrs)


def _system(name: str, x1: Any, x2: Any) -> tuple[Tracer, Tracer]:
    """The matrices and the right side of a system, in their common float dtype."""
    a, b = promoted(name, as_float(lift(x1)), as_float(lift(x2)))
    matrices(name, a)
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


@operation()
def inv(x: Any, /) -> Tracer:
    """The inverse of each matrix: solve(x, the identity). LinAlgError where one is singular."""
    return inverse("inv", matrices("inv", as_float(lift(x))))


def inverse(name: str, x: Tracer) -> Tracer:
    """The inverse of each matrix."""
    return apply("solve", x, identity(x), name=name)
