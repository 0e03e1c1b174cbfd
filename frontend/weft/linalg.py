"""Linear algebra: the functions of the Array API's `linalg` extension.

Matrices are the last two axes; those before them are as many matrices. LAPACK computes in float32
or float64. A matrix that does not have what a function needs (that is singular, say) is a
`numpy.linalg.LinAlgError` with the line that asked for it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from weft import diagnostics
from weft.ops import core, creation, elementwise, movement, reductions
from weft.ops.core import operation
from weft.ops.linear_algebra import matmul, outer, tensordot, vecdot
from weft.ops.movement import matrix_transpose
from weft.promotion import as_float, as_strong, promoted
from weft.tracing import Tracer, apply, lift, results
from weftc.ir.constraints import assume_equal
from weftc.ir.size_functions import minimum
from weftc.ir.sizes import Size
from weftc.ops import TABLE
from weftrt import dtypes
from weftrt.errors import ShapeError, UsageError

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
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


@operation()
def inv(x: Any, /) -> Tracer:
    """The inverse of each matrix: solve(x, the identity). LinAlgError where one is singular."""
    return _inverse("inv", _matrices("inv", as_float(lift(x))))


def _inverse(name: str, x: Tracer) -> Tracer:
    return apply("solve", x, _identity(x), name=name)


def _identity(x: Tracer) -> Tracer:
    """Identities of the shape of x."""
    rows, columns = (
        creation.iota(x.type.shape, x.ndim - 2 + axis, dtypes.int64) for axis in (0, 1)
    )
    return apply("convert", apply("eq", rows, columns), dtype=x.dtype)


# ---------------------------------------------------------------------------------------------
# Determinants
# ---------------------------------------------------------------------------------------------


class SlogdetResult(NamedTuple):
    """What slogdet gives."""

    sign: Any
    logabsdet: Any


def _pivots(x: Tracer) -> tuple[Tracer, Tracer]:
    """The diagonal of U in the factorization of x, and the sign of its exchanges of rows."""
    both, pivots, _ = results(TABLE["lu"](x.node))
    exchanged = apply("ne", pivots, creation.iota(pivots.type.shape, pivots.ndim - 1, dtypes.int64))
    count = reductions.sum(exchanged, axis=-1)
    sign = elementwise.subtract(1, elementwise.multiply(2, elementwise.remainder(count, 2)))
    return _diagonal(both, 0), elementwise.astype(sign, x.dtype)


@operation()
def det(x: Any, /) -> Any:
    """The determinant of each matrix: 0 where it is singular, 1 of no rows. It overflows early:
    slogdet does not. Its gradient is a LinAlgError where a matrix is exactly singular."""
    diagonal, sign = _pivots(_matrices("det", as_float(lift(x))))
    return elementwise.multiply(sign, reductions.prod(diagonal, axis=-1))


@operation()
def slogdet(x: Any, /) -> SlogdetResult:
    """(sign, logabsdet): the determinant of each matrix is sign * exp(logabsdet); where it is
    singular they are 0 and -inf."""
    diagonal, sign = _pivots(_matrices("slogdet", as_float(lift(x))))
    sign = elementwise.multiply(sign, reductions.prod(elementwise.sign(diagonal), axis=-1))
    logs = elementwise.log(elementwise.abs(diagonal))
    return SlogdetResult(sign, reductions.sum(logs, axis=-1))


# ---------------------------------------------------------------------------------------------
# Spectra
# ---------------------------------------------------------------------------------------------


class EighResult(NamedTuple):
    """What eigh gives."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """What svd gives."""

    U: Any
    S: Any
    Vh: Any


class QRResult(NamedTuple):
    """What qr gives."""

    Q: Any
    R: Any


@operation("mode")
def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """(Q, R) with x = Q R: orthogonal columns, as many as the smaller size, and an upper triangle;
    with mode "complete" as many as rows. UsageError for other modes.

    There is a gradient where x has at least as many rows as columns, and for "complete" as many:
    it is not finite, or a LinAlgError, where the columns of x depend on each other.
    """
    if mode not in ("reduced", "complete"):
        problem = f"qr: mode is 'reduced' or 'complete', not {mode!r:.40}"
        raise diagnostics.located(UsageError, problem)
    value = _matrices("qr", as_float(lift(x)), square=False)
    left, right = results(TABLE["qr"](value.node, full=mode == "complete"))
    rows = left.type.shape[-1]
    if rows != right.type.shape[-2]:
        stop = (*right.type.shape[:-2], rows, right.type.shape[-1])
        right = apply("slice", right, start=(0,) * right.ndim, stop=stop, step=(1,) * right.ndim)
    return QRResult(left, right)


@operation()
def eigh(x: Any, /) -> EighResult:
    """(eigenvalues, eigenvectors) of symmetric matrices, of which the lower triangle is read:
    ascending, and as columns. LinAlgError where the iteration does not converge.

    The gradient by the eigenvectors divides by the gaps between eigenvalues: it is not finite where
    two are equal. That by the eigenvalues always is.
    """
    value = _matrices("eigh", as_float(lift(x)))
    return EighResult(*results(TABLE["eigh"](value.node)))


@operation()
def eigvalsh(x: Any, /) -> Tracer:
    """The eigenvalues of symmetric matrices, ascending; see eigh."""
    return results(TABLE["eigh"](_matrices("eigvalsh", as_float(lift(x))).node))[0]


@operation("full_matrices")
def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """(U, S, Vh) with x = U[..., :k] * S @ Vh[..., :k, :], k the smaller size: singular values in
    descending order, orthogonal columns in U and rows in Vh, only k of each unless full_matrices.
    LinAlgError where the iteration does not converge.

    The gradient by the vectors divides by the gaps between squares of singular values: it is not
    finite where two are equal. That by the singular values always is. By the vectors of matrices
    that are not square there is none with full_matrices.
    """
    _flag("svd", "full_matrices", full_matrices)
    value = _matrices("svd", as_float(lift(x)), square=False)
    return SVDResult(*results(TABLE["svd"](value.node, full=full_matrices)))


@operation()
def svdvals(x: Any, /) -> Tracer:
    """The singular values of each matrix, descending; see svd."""
    return _singular_values("svdvals", as_float(lift(x)))


def _singular_values(name: str, x: Tracer) -> Tracer:
    return results(TABLE["svd"](_matrices(name, x, square=False).node, full=False))[1]


def _largest(x: Tracer, keepdims: bool = True) -> Any:
    """The largest element of the last axis, which may be empty."""
    return reductions.reduce("max", "max", x, -1, keepdims, or_lowest=True)


@operation("rtol")
def matrix_rank(x: Any, /, *, rtol: float | None = None) -> Any:
    """How many singular values (int64) are above rtol times the largest; rtol is the larger size
    times the distance of 1 to the next float unless given."""
    values = _singular_values("matrix_rank", as_float(lift(x)))
    if rtol is None:
        sizes = core.fixed(lift(x).type.shape[-2:])
        rtol = float(max(*sizes) * _epsilon(values))
    limit = elementwise.multiply(_largest(values), rtol)
    return reductions.sum(elementwise.astype(elementwise.greater(values, limit), dtypes.int64), -1)


def _epsilon(x: Tracer) -> float:
    return 2.0**-52 if x.dtype is dtypes.float64 else 2.0**-23


# ---------------------------------------------------------------------------------------------
# Norms
# ---------------------------------------------------------------------------------------------


@operation("axis", "keepdims", "ord")
def vector_norm(
    x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: int | float = 2
) -> Any:
    """The norm over `axis` (all axes by default): for `ord` 2 the root of the sum of squares, for
    inf and -inf the largest and smallest size, for 0 how many elements are not 0, else the root
    number `ord` of the sum of sizes to that power. The gradient of the norm of zeros is NaN."""
    value = as_float(lift(x))
    if not isinstance(ord, (int, float)):
        problem = f"vector_norm: ord is a number, not {ord!r:.40}"
        raise diagnostics.located(UsageError, problem)
    sizes = elementwise.abs(value)
    if math.isinf(ord):
        reduce = reductions.max if ord > 0 else reductions.min
        return reduce(sizes, axis, keepdims=keepdims)
    if ord == 0:
        some = elementwise.astype(elementwise.not_equal(value, 0), value.dtype)
        return reductions.sum(some, axis, keepdims=keepdims)
    if ord == 1:
        return reductions.sum(sizes, axis, keepdims=keepdims)
    if ord == 2:
        squares = reductions.sum(elementwise.multiply(value, value), axis, keepdims=keepdims)
        return elementwise.sqrt(squares)
    powers = reductions.sum(elementwise.pow(sizes, ord), axis, keepdims=keepdims)
    return elementwise.pow(powers, 1 / ord)


@operation("keepdims", "ord")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: int | float | str = "fro") -> Any:
    """The norm of each matrix: "fro" is the root of the sum of squares, "nuc" the sum of singular
    values, 2 and -2 the largest and smallest, 1 and -1 the largest and smallest sum of sizes of a
    column, inf and -inf of a row. UsageError for others."""
    value = _matrices("matrix_norm", as_float(lift(x)), square=False)
    if ord == "fro":
        return vector_norm(value, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        values = _singular_values("matrix_norm", value)
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


# ---------------------------------------------------------------------------------------------
# Diagonals, powers, products
# ---------------------------------------------------------------------------------------------


def _diagonal(x: Tracer, offset: int) -> Tracer:
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


@operation("offset")
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonal of each matrix; `offset` counts from it to the right."""
    value = _matrices("diagonal", as_strong(lift(x)), square=False)
    return _diagonal(value, core.integer("diagonal", "the offset", offset, UsageError))


@operation("offset", "dtype")
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of the diagonal of each matrix. Small integers are summed as int64 or uint64."""
    value = _matrices("trace", as_strong(lift(x)), square=False)
    offset = core.integer("trace", "the offset", offset, UsageError)
    return reductions.sum(_diagonal(value, offset), -1, dtype=dtype)


@operation("n")
def matrix_power(x: Any, n: int, /) -> Any:
    """Each square matrix times itself, n times in all, by squaring; the power of its inverse if n
    is negative, the identity if it is 0. LinAlgError where an inverse does not exist."""
    value = _matrices("matrix_power", as_strong(lift(x)))
    count = core.integer("matrix_power", "the exponent", n, UsageError)
    if count < 0:
        value, count = _inverse("matrix_power", as_float(value)), -count
    if count == 0:
        return _identity(value)
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
