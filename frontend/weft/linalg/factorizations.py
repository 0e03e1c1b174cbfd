"""Matrices as products of simpler ones."""

from __future__ import annotations

from typing import Any, NamedTuple

from weft import diagnostics
from weft.linalg.matrices import flag, matrices
from weft.ops import movement
from weft.ops.core import operation
from weft.promotion import as_float
from weft.tracing import Tracer, apply, lift, results
from weftc.ops import TABLE
from weftrt.errors import UsageError


@operation("upper")
def cholesky(x: Any, /, *, upper: bool = False) -> Tracer:
    """The triangle L of each matrix x = L L^T, or U of x = U^T U if `upper`: zeros elsewhere. Only
    that triangle of x is read. LinAlgError where a matrix is not positive definite.

    The gradient is symmetric, as of a function of symmetric matrices.
    """
    flag("cholesky", "upper", upper)
    value = matrices("cholesky", as_float(lift(x)))
    if not upper:
        return apply("cholesky", value)
    swapped = movement.swapped(value.ndim)
    lower = apply("cholesky", apply("transpose", value, permutation=swapped), name="cholesky")
    return apply("transpose", lower, permutation=swapped)


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
    rows = left.type.shape[-1]
    if rows != right.type.shape[-2]:
        stop = (*right.type.shape[:-2], rows, right.type.shape[-1])
        right = apply("slice", right, start=(0,) * right.ndim, stop=stop, step=(1,) * right.ndim)
    return QRResult(left, right)
