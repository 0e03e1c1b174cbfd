"""Determinants, from the pivots of an elimination."""

from __future__ import annotations

from typing import Any, NamedTuple

from weft.linalg.matrices import diagonal_of, matrices
from weft.ops import creation, elementwise, reductions
from weft.ops.core import operation
from weft.promotion import as_float
from weft.tracing import Tracer, apply, lift, results
from weftc.ops import TABLE
from weftrt import dtypes


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
    return diagonal_of(both, 0), elementwise.astype(sign, x.dtype)


@operation()
def det(x: Any, /) -> Any:
    """The determinant of each matrix: 0 where it is singular, 1 of no rows. It overflows early:
    slogdet does not. Its gradient is a LinAlgError where a matrix is exactly singular."""
    diagonal, sign = _pivots(matrices("det", as_float(lift(x))))
    return elementwise.multiply(sign, reductions.prod(diagonal, axis=-1))


@operation()
def slogdet(x: Any, /) -> SlogdetResult:
    """(sign, logabsdet): the determinant of each matrix is sign * exp(logabsdet); where it is
    singular they are 0 and -inf."""
    diagonal, sign = _pivots(matrices("slogdet", as_float(lift(x))))
    sign = elementwise.multiply(sign, reductions.prod(elementwise.sign(diagonal), axis=-1))
    logs = elementwise.log(elementwise.abs(diagonal))
    return SlogdetResult(sign, reductions.sum(logs, axis=-1))
