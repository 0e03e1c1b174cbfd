"""Systems of linear equations."""

from __future__ import annotations

from typing import Any, NamedTuple

from weft import diagnostics
from weft.linalg.matrices import cutoff_of, epsilon, identity, matrices, rank_of
from weft.ops import core, elementwise, reductions
from weft.ops.core import operation
from weft.ops.linear_algebra import matmul
from weft.promotion import as_float, promoted
from weft.tracing import Tracer, active, apply, lift, results
from weftc.ir.constraints import assume_equal
from weftc.ops import TABLE
from weftc.ops.least_squares import least_squares, pseudoinverse
from weftrt.errors import ShapeError


@operation()
def solve(x1: Any, x2: Any, /) -> Tracer:
    """x with x1 x = x2, for square matrices x1, by Gaussian elimination with partial pivoting. x2
    is a vector, or matrices; leading axes broadcast. LinAlgError where a matrix is singular."""
    a, b, vector = _columns("solve", *_system("solve", x1, x2))
    return _as_vector(results(TABLE["solve"](a.node, b.node, factors=True))[0], vector)


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
    a, b, vector = _columns("solve_triangular", *_system("solve_triangular", x1, x2))
    attrs: dict[str, Any] = {
        "lower": core.flag("solve_triangular", "lower", lower),
        "transposed": core.flag("solve_triangular", "transposed", transposed),
        "unit": core.flag("solve_triangular", "unit_diagonal", unit_diagonal),
    }
    node = TABLE["triangular_solve"](a.node, b.node, **attrs)
    return _as_vector(Tracer(node, active()), vector)


def _system(name: str, x1: Any, x2: Any, square: bool = True) -> tuple[Tracer, Tracer]:
    """The matrices and the right side of a system, in their common float dtype."""
    a, b = promoted(name, as_float(lift(x1)), as_float(lift(x2)))
    matrices(name, a, square)
    rows = b.type.shape[-1 if b.ndim == 1 else -2] if b.ndim else None
    if rows is None or not assume_equal(a.type.shape[-2], rows):
        problem = "{1} must have as many rows as {0}"
        diagnostics.fail(ShapeError, name, [a, b], problem)
    return a, b


def _columns(name: str, a: Tracer, b: Tracer) -> tuple[Tracer, Tracer, bool]:
    """Both with equal leading axes, and whether the right side was a vector: it is a column now."""
    vector = b.ndim == 1
    if vector:
        b = apply("reshape", b, shape=(*b.type.shape, 1))
    lead = core.broadcast_shapes(name, [a, b], trailing=2)
    a = core.broadcast(a, (*lead, *a.type.shape[-2:]))
    return a, core.broadcast(b, (*lead, *b.type.shape[-2:])), vector


def _as_vector(x: Tracer, vector: bool) -> Tracer:
    """Columns without their axis, if they were a vector."""
    return apply("reshape", x, shape=x.type.shape[:-1]) if vector else x


def _cutoff(name: str, called: str, value: Any, x: Tracer) -> float:
    """What LAPACK is given, which knows no 0."""
    return cutoff_of(name, called, value, x) or epsilon(x) / 2


class LstsqResult(NamedTuple):
    """What lstsq gives."""

    x: Any
    residuals: Any
    rank: Any
    s: Any


@operation("rcond")
def lstsq(x1: Any, x2: Any, /, *, rcond: float | None = None) -> LstsqResult:
    """(x, residuals, rank, s): the x with the least |x1 x - x2|, and the shortest of those; for
    each column the sum of squares of what is left; the rank (int64) and the singular values of x1.

    x2 is a vector, or matrices; leading axes broadcast. Singular values up to `rcond` times the
    largest count as 0: by default the larger size times the distance of 1 to the next float.
    LinAlgError where the iteration does not converge. The gradient is that at this rank.
    """
    a, b, vector = _columns("lstsq", *_system("lstsq", x1, x2, square=False))
    cutoff = _cutoff("lstsq", "rcond", rcond, a)
    x, s = (Tracer(node, active()) for node in least_squares(a.node, b.node, cutoff))
    left: Any = elementwise.subtract(b, matmul(a, x))
    residuals = reductions.sum(elementwise.multiply(left, left), -2)
    residuals = apply("reshape", residuals, shape=b.type.shape[:-2]) if vector else residuals
    return LstsqResult(_as_vector(x, vector), residuals, rank_of(s, cutoff), s)


@operation("rtol")
def pinv(x: Any, /, *, rtol: float | None = None) -> Tracer:
    """The pseudoinverse of each matrix, by its singular values: those up to `rtol` times the
    largest count as 0, by default the larger size times the distance of 1 to the next float.
    LinAlgError where the iteration does not converge. The gradient is that at this rank."""
    value = matrices("pinv", as_float(lift(x)), square=False)
    node = pseudoinverse(value.node, _cutoff("pinv", "rtol", rtol, value))
    return Tracer(node, active())


@operation()
def inv(x: Any, /) -> Tracer:
    """The inverse of each matrix: solve(x, the identity). LinAlgError where one is singular."""
    return inverse(matrices("inv", as_float(lift(x))))


def inverse(x: Tracer) -> Tracer:
    """The inverse of each matrix."""
    return results(TABLE["solve"](x.node, identity(x).node, factors=True))[0]
