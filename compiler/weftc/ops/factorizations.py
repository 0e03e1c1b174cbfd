"""Matrices as products of simpler ones."""

from __future__ import annotations

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, ExternCall, Failure, Family, OpDef
from weftc.ir.size_functions import minimum
from weftc.ir.sizes import Size, static_shape
from weftc.ir.types import TensorType, TupleType
from weftc.ops import build, check
from weftc.ops.matrices import (
    NANOSECONDS,
    Array,
    Arrays,
    Types,
    by_matrix,
    call_of,
    failing,
    matmul,
    matrix_type,
    run,
    run_square,
    samples_of,
    scaled,
    square_samples,
    square_type,
    transposed,
    triangle,
    triangular,
    zeros,
    zeros_of,
)
from weftrt import dtypes
from weftrt.errors import OutOfMemoryError, TraceError

# ---------------------------------------------------------------------------------------------
# cholesky(a): the lower triangle L with a = L L^T, of the lower triangle of a
# ---------------------------------------------------------------------------------------------


def _infer_cholesky(types: Types, attrs: Attrs) -> TensorType:
    check.arity("cholesky", types, 1)
    return square_type("cholesky", types[0])


def _reference_cholesky(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    result = zeros_of(type_)
    run_square("cholesky", "the matrix is not positive definite", "potrf", arrays, result)
    return result


def _vjp_cholesky(node: Node, g: Node) -> tuple[Node | None, ...]:
    """L^-T Phi(L^T g) L^-1, symmetrized, where Phi takes the lower triangle and half the diagonal
    (I. Murray, Differentiation of the Cholesky decomposition, 2016, eq. 10)."""
    inner = triangle(matmul(transposed(node), g), True, 0.5)
    left = triangular(node, inner, transposed_=True)
    right = transposed(triangular(node, transposed(left), transposed_=True))
    return (scaled(build.call("add", right, transposed(right)), 0.5),)


def _call_cholesky(node: Node) -> ExternCall:
    n = node.type.shape[-1]
    return call_of("potrf", node, (n,), n * n * n)


cholesky = TABLE.add(
    OpDef(
        "cholesky",
        Family.EXTERN,
        infer=_infer_cholesky,
        reference=_reference_cholesky,
        vjp=_vjp_cholesky,
        batch=by_matrix,
        extern=_call_cholesky,
        fails=failing("the matrix is not positive definite"),
        cost=NANOSECONDS,
        samples=square_samples,
    )
)


# ---------------------------------------------------------------------------------------------
# lu(a): the triangles of a[permutation] = L U in one matrix, without the ones of L; pivots: the row
# that each was exchanged with; the permutation
# ---------------------------------------------------------------------------------------------


def _infer_lu(types: Types, attrs: Attrs) -> TupleType:
    check.arity("lu", types, 1)
    a = square_type("lu", types[0])
    places = a.with_shape(a.shape[:-1]).with_dtype(dtypes.int64)
    return TupleType((a, places, places))


def _reference_lu(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Array, ...]:
    results = zeros(type_)
    n = arrays[0].shape[-1]
    run("getrf", arrays, list(zip(results, (2, 1, 1))), n, n, n)
    return results


def _vjp_lu(node: Node, g: Node | None, *_: None) -> tuple[Node | None, ...]:
    """P^T L^-T (tril(L^T gL, -1) + triu(gU U^T)) U^-T: as of a solution with L and U, which take
    their triangles of the cotangent (Giles 2008, 2.3.1)."""
    if g is None:
        return (None,)
    both, permutation = (build.call("project", node, index=index) for index in (0, 2))
    below, upper = triangle(both, True, 0.0), triangle(both, False, 1.0)
    strict = matmul(transposed(below), triangle(g, True, 0.0))
    strict = build.call("add", strict, triangle(g, True, 0.0))
    full = matmul(triangle(g, False, 1.0), transposed(upper))
    inner = build.call("add", triangle(strict, True, 0.0), triangle(full, False, 1.0))
    left = triangular(both, inner, transposed_=True, unit=True)
    right = triangular(both, transposed(left), transposed_=False, lower=False)
    return (_rows_back(transposed(right), permutation),)


def _rows_back(x: Node, permutation: Node) -> Node:
    """The matrices whose rows, in the order of a permutation, are x."""
    lead = x.type.rank - 2
    shared = {"batch": lead} if lead else {}
    return build.call("scatter_add", build.like(0.0, x), permutation, x, axis=lead, **shared)


def _call_lu(node: Node) -> ExternCall:
    n = node.inputs[0].type.shape[-1]
    return call_of("getrf", node, (n, n, n), n * n * n)


lu = TABLE.add(
    OpDef(
        "lu",
        Family.EXTERN,
        infer=_infer_lu,
        reference=_reference_lu,
        vjp=_vjp_lu,
        batch=by_matrix,
        extern=_call_lu,
        fails=lambda node: Failure(OutOfMemoryError, "lu: there is no memory to work in"),
        cost=NANOSECONDS,
        samples=square_samples,
    )
)


# ---------------------------------------------------------------------------------------------
# qr(full; a): q, with orthogonal columns, as many as rows if `full`, else at most as many as a has;
# r, upper triangular, of the shape of a: a = q r[:columns of q]
# ---------------------------------------------------------------------------------------------


def _infer_qr(types: Types, attrs: Attrs) -> TupleType:
    check.arity("qr", types, 1)
    a = matrix_type("qr", types[0])
    *lead, m, n = a.shape
    columns = m if attrs["full"] else minimum(m, n)
    return TupleType((a.with_shape((*lead, m, columns)), a))


def _room_qr(m: Size, n: Size, full: bool) -> tuple[Size, ...]:
    """The sizes that the routine is told; the room is at least what LAPACK likes best."""
    k = minimum(m, n)
    columns = m if full else k
    return (m, n, k, columns, 64 * (n + columns) + 64 * 65 + 1)


def _reference_qr(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Array, ...]:
    results = zeros(type_)
    m, n = arrays[0].shape[-2:]
    sizes = _room_qr(m, n, attrs["full"])
    run("geqrf", arrays, [(result, 2) for result in results], *static_shape(sizes))
    return results


def _vjp_qr(node: Node, by_q: Node | None, by_r: Node | None) -> tuple[Node | None]:
    """(gq + q copyltu(r gr^T - gq^T q)) r^-T, where copyltu mirrors the lower triangle; of more
    columns than rows, what is right of the square is q^T times those of a (S. Walter and L.
    Lehmann, Algorithmic differentiation of linear algebra functions, 2010, 3.2)."""
    (a,), full = node.inputs, node["full"]
    m, n = a.type.shape[-2:]
    if full and m != n:
        problem = "qr has no gradient with mode='complete' of matrices that are not square"
        raise TraceError(f"{problem}: ask for mode='reduced'")
    if minimum(m, n) != n:
        raise TraceError("qr has no gradient for more columns than rows: take it of x[:, :rows]")
    q, r = (build.call("project", node, index=index) for index in (0, 1))
    square = _head(r, n)
    inner = build.like(0.0, square)
    if by_r is not None:
        inner = matmul(square, transposed(_head(by_r, n)))
    if by_q is not None:
        inner = build.call("sub", inner, matmul(transposed(by_q), q))
    below = triangle(inner, True, 0.0)
    mirrored = build.call("add", triangle(inner, True, 1.0), transposed(below))
    whole = matmul(q, mirrored)
    if by_q is not None:
        whole = build.call("add", by_q, whole)
    solved = triangular(square, transposed(whole), transposed_=False, lower=False)
    return (transposed(solved),)


def _head(x: Node, rows: Size) -> Node:
    """The first rows of matrices."""
    shape = x.type.shape
    stop = (*shape[:-2], rows, shape[-1])
    zeros_, ones = (0,) * len(shape), (1,) * len(shape)
    return x if stop == shape else build.call("slice", x, start=zeros_, stop=stop, step=ones)


def _call_qr(node: Node) -> ExternCall:
    m, n = node.inputs[0].type.shape[-2:]
    return call_of("geqrf", node, _room_qr(m, n, node["full"]), 3 * m * n * minimum(m, n))


def _samples_qr() -> list[tuple[Types, Attrs]]:
    shapes = ((3, 3), (4, 2), (1, 1), (0, 0), (3, 0), (2, 3, 2), (2, 3, 3))
    return [
        (types, {"full": full})
        for shape in shapes
        for full in ((False, True) if shape[-1] == shape[-2] else (False,))
        for types in samples_of(shape)
    ]


qr = TABLE.add(
    OpDef(
        "qr",
        Family.EXTERN,
        infer=_infer_qr,
        reference=_reference_qr,
        vjp=_vjp_qr,
        batch=by_matrix,
        extern=_call_qr,
        fails=lambda node: Failure(OutOfMemoryError, "qr: there is no memory to work in"),
        cost=NANOSECONDS,
        samples=_samples_qr,
    )
)
