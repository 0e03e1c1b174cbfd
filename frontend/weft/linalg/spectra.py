"""Eigenvalues and singular values, and what they tell."""

from __future__ import annotations

from typing import Any, NamedTuple

from weft.linalg.matrices import cutoff_of, matrices, rank_of
from weft.ops import core
from weft.ops.core import operation
from weft.promotion import as_float
from weft.tracing import Tracer, active, apply, lift, results
from weftc.ops import TABLE
from weftc.ops.eigenvalues import eigenvectors


class EigResult(NamedTuple):
    """What eig gives."""

    eigenvalues: Any
    eigenvectors: Any


class EighResult(NamedTuple):
    """What eigh gives."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """What svd gives."""

    U: Any
    S: Any
    Vh: Any


@operation()
def eigh(x: Any, /) -> EighResult:
    """(eigenvalues, eigenvectors) of symmetric matrices, of which the lower triangle is read:
    ascending, and as columns. LinAlgError where the iteration does not converge.

    The gradient by the eigenvectors divides by the gaps between eigenvalues: it is not finite where
    two are equal. That by the eigenvalues always is.
    """
    value = matrices("eigh", as_float(lift(x)))
    return EighResult(*results(TABLE["eigh"](value.node)))


@operation()
def eigvalsh(x: Any, /) -> Tracer:
    """The eigenvalues of symmetric matrices, ascending; see eigh."""
    return results(TABLE["eigh"](matrices("eigvalsh", as_float(lift(x))).node))[0]


@operation()
def eig(x: Any, /) -> EigResult:
    """(eigenvalues, eigenvectors) of real square matrices, both complex: in no order, but with
    conjugates next to each other, and as columns of length 1. LinAlgError where the iteration does
    not converge.

    The gradient is infinite or NaN where two eigenvalues are equal. By the eigenvectors it is that
    of functions for which their phases do not count.
    """
    real, imag, packed = results(TABLE["eig"](matrices("eig", as_float(lift(x))).node))
    vectors = eigenvectors(imag.node, packed.node)
    parts = (Tracer(part, active()) for part in vectors)
    return EigResult(apply("complex", real, imag), apply("complex", *parts))


@operation()
def eigvals(x: Any, /) -> Tracer:
    """The eigenvalues of real square matrices, complex; see eig."""
    real, imag, _ = results(TABLE["eig"](matrices("eigvals", as_float(lift(x))).node))
    return apply("complex", real, imag)


@operation("full_matrices")
def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """(U, S, Vh) with x = U[..., :k] * S @ Vh[..., :k, :], k the smaller size: singular values in
    descending order, orthogonal columns in U and rows in Vh, only k of each unless full_matrices.
    LinAlgError where the iteration does not converge.

    The gradient by the vectors divides by the gaps between squares of singular values: it is not
    finite where two are equal. That by the singular values always is. By the vectors of matrices
    that are not square there is none with full_matrices.
    """
    core.flag("svd", "full_matrices", full_matrices)
    value = matrices("svd", as_float(lift(x)), square=False)
    return SVDResult(*results(TABLE["svd"](value.node, full=full_matrices)))


@operation()
def svdvals(x: Any, /) -> Tracer:
    """The singular values of each matrix, descending; see svd."""
    return singular_values("svdvals", as_float(lift(x)))


def singular_values(name: str, x: Tracer) -> Tracer:
    """The singular values of each matrix, descending."""
    return results(TABLE["svd"](matrices(name, x, square=False).node, full=False))[1]


@operation("rtol")
def matrix_rank(x: Any, /, *, rtol: float | None = None) -> Any:
    """How many singular values (int64) are above rtol times the largest; rtol is the larger size
    times the distance of 1 to the next float unless given."""
    value = as_float(lift(x))
    values = singular_values("matrix_rank", value)
    return rank_of(values, cutoff_of("matrix_rank", "rtol", rtol, value))
