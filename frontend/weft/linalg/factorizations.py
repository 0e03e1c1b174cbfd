"""Matrices as products of simpler ones."""

from __future__ import annotations

from typing import Any, NamedTuple

from weft import diagnostics
from weft.linalg.matrices import cut, identity, matrices, places_of
from weft.ops import core, elementwise, movement
from weft.ops.core import operation
from weft.promotion import as_float
from weft.tracing import Tracer, apply, lift, results
from weftc.ir.size_functions import minimum
from weftc.ops import TABLE
from weftrt.errors import UsageError


@operation("upper")
def cholesky(x: Any, /, *, upper: bool = False) -> Tracer:
    """The triangle L of each matrix x = L L^T, or U of x = U^T U if `upper`: zeros elsewhere. Only
    that triangle of x is read. LinAlgError where a matrix is not positive definite.

    The gradient is symmetric, as of a function of symmetric matrices.
    """
    core.flag("cholesky", "upper", upper)
    value = matrices("cholesky", as_float(lift(x)))
    if not upper:
        return apply("cholesky", value)
    swapped = movement.swapped(value.ndim)
    lower = apply("cholesky", apply("transpose", value, permutation=swapped), name="cholesky")
    return apply("transpose", lower, permutation=swapped)


class LUResult(NamedTuple):
    """What lu gives."""

    P: Any
    L: Any
    U: Any


@operation()
def lu(x: Any, /) -> LUResult:
    """(P, L, U) with x = P L U, by Gaussian elimination with partial pivoting: a permutation, a
    lower triangle with ones on its diagonal and as many columns as the smaller size, and an upper
    one with as many rows. There is one of singular matrices too, but its gradient is a LinAlgError
    where a pivot is exactly 0."""
    value = matrices("lu", as_float(lift(x)), square=False)
    rows, columns = value.type.shape[-2:]
    both, _, permutation = results(TABLE["lu"](value.node))
    count = minimum(rows, columns)
    lower, upper = cut(both, -1, count), cut(both, -2, count)
    left = elementwise.where(_order("gt", lower), lower, identity(lower))
    right = elementwise.where(_order("le", upper), upper, 0)
    return LUResult(_permuting(permutation, value), left, right)


def _order(op: str, x: Tracer) -> Tracer:
    """Whether the row compares with the column."""
    return apply(op, *places_of(x.type.shape))


def _permuting(permutation: Tracer, x: Tracer) -> Tracer:
    """The matrix that puts row i where permutation[i] says, in the dtype of x."""
    shape = (*permutation.type.shape, permutation.type.shape[-1])
    rank = len(shape)
    axes = (*range(rank - 2), rank - 1)
    wanted = apply("broadcast", permutation, shape=shape, axes=axes)
    return apply("convert", apply("eq", places_of(shape)[0], wanted), dtype=x.dtype)


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
    value = matrices("qr", as_float(lift(x)), square=False)
    left, right = results(TABLE["qr"](value.node, full=mode == "complete"))
    return QRResult(left, cut(right, -2, left.type.shape[-1]))
