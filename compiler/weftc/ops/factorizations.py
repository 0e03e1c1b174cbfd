"""Matrices as products of simpler ones."""

from __future__ import annotations

import numpy as np

from weftc.ir.constraints import assume_equal
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
    cut,
    failing,
    joined,
    matmul,
    matrix_type,
    parts,
    rows_back,
    run,
    run_square,
    samples_of,
    scaled,
    square_samples,
    square_type,
    total,
    transposed,
    triangle,
    triangular,
    zeros,
    zeros_of,
)
from weftrt import dtypes
from weftrt.errors import OutOfMemoryError, ShapeError, TraceError

# ---------------------------------------------------------------------------------------------
# cholesky(a): the lower triangle L with a = L L^T, of the lower triangle of a
# ---------------------------------------------------------------------------------------------


def _infer_cholesky(types: Types, attrs: Attrs) -> TensorType:
    check.arity("cholesky", types, 1)
    return square_type("cholesky", types[0])


def _reference_cholesky(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    result = zeros_of(type_)
    problem = "the matrix is not positive definite"
    run_square("cholesky", problem, "potrf", arrays, [(result, 2)])
    return result


def _vjp_cholesky(node: Node, g: Node) -> tuple[Node | None, ...]:
    return (build.call("cholesky_gradient", node, g),)


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
# cholesky_gradient(l, g): the cotangent of a symmetric matrix for that of its cholesky, which is l;
# of both the lower triangle counts. L^-T Phi(L^T g) L^-1, symmetrized, where Phi takes the lower
# triangle and half the diagonal (I. Murray, Differentiation of the Cholesky decomposition, 2016,
# eq. 10): the same as L^-T M L^-1, where M is half of that triangle, on both sides
# ---------------------------------------------------------------------------------------------


def _infer_cholesky_gradient(types: Types, attrs: Attrs) -> TensorType:
    check.arity("cholesky_gradient", types, 2)
    check.same_dtype("cholesky_gradient", types)
    lower, g = (square_type("cholesky_gradient", type_) for type_ in types)
    if not check.same_sizes(lower.shape, g.shape):
        raise ShapeError(f"cholesky_gradient: {check.describe_all(types)} differ in shape")
    return lower


def _sizes_cholesky_gradient(type_: TensorType) -> tuple[Size, ...]:
    """The sizes that the routine is told: the bits of 0.5, and which products sygst makes."""
    half = np.asarray(0.5, type_.dtype.dtype).view(f"u{type_.dtype.itemsize}")
    return (type_.shape[-1], int(half), 1)


def _reference_cholesky_gradient(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    result = zeros_of(type_)
    run("trmm_sygst", arrays, [(result, 2)], *static_shape(_sizes_cholesky_gradient(type_)))
    return result


def _vjp_cholesky_gradient(node: Node, h: Node) -> tuple[Node | None, ...]:
    """With X = (h + h^T) L^-T and Q = Phi(L^-1 X) / 2: g Q^T - S X for l, where S is the result,
    and L Q for g, in their triangles."""
    lower, g = (triangle(x, True, 1.0) for x in node.inputs)
    solved = triangular(lower, build.call("add", h, transposed(h)), transposed_=False)
    by_lower = transposed(solved)
    inner = triangular(lower, by_lower, transposed_=False)
    inner = triangle(scaled(inner, 0.5), True, 0.5)
    for_lower = build.call("sub", matmul(g, transposed(inner)), matmul(node, by_lower))
    return triangle(for_lower, True, 1.0), matmul(lower, inner)


def _call_cholesky_gradient(node: Node) -> ExternCall:
    n = node.type.shape[-1]
    return call_of("trmm_sygst", node, _sizes_cholesky_gradient(node.type), 2 * n * n * n)


def _samples_cholesky_gradient() -> list[tuple[Types, Attrs]]:
    return [((type_, type_), attrs) for (type_,), attrs in square_samples()]


cholesky_gradient = TABLE.add(
    OpDef(
        "cholesky_gradient",
        Family.EXTERN,
        infer=_infer_cholesky_gradient,
        reference=_reference_cholesky_gradient,
        vjp=_vjp_cholesky_gradient,
        batch=by_matrix,
        extern=_call_cholesky_gradient,
        fails=lambda node: Failure(
            OutOfMemoryError, "the gradient of cholesky: there is no memory to work in"
        ),
        cost=NANOSECONDS,
        samples=_samples_cholesky_gradient,
    )
)


# ---------------------------------------------------------------------------------------------
# lu(a): the triangles of a[permutation] = L U in one matrix, without the ones of L; pivots: the row
# that each of the first was exchanged with; the permutation
# ---------------------------------------------------------------------------------------------


def _infer_lu(types: Types, attrs: Attrs) -> TupleType:
    check.arity("lu", types, 1)
    a = matrix_type("lu", types[0])
    *lead, m, n = a.shape
    lengths = (minimum(m, n), m)
    places = [a.with_shape((*lead, length)).with_dtype(dtypes.int64) for length in lengths]
    return TupleType((a, *places))


def _reference_lu(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Array, ...]:
    results = zeros(type_)
    m, n = arrays[0].shape[-2:]
    run("getrf", arrays, list(zip(results, (2, 1, 1))), m, n, min(m, n))
    return results


def _vjp_lu(node: Node, g: Node | None, *_: None) -> tuple[Node | None, ...]:
    both, _pivots, permutation = parts(node)
    return (None if g is None else pull_lu(both, permutation, g),)


def pull_lu(both: Node, permutation: Node, g: Node) -> Node:
    """The cotangent of a matrix, for that of its triangles. Where it is square this is P^T L^-T
    (tril(L^T gL, -1) + triu(gU U^T)) U^-T: as of a solution with L and U, which take their parts of
    the cotangent (Giles 2008, 2.3.1). Rows below, or columns at the right, are L or U times those
    of the other factor, and what comes of them leaves the square."""
    m, n = both.type.shape[-2:]
    k = minimum(m, n)
    tall = not assume_equal(k, m)
    axis = -2 if tall else -1
    head, g_head = (cut(cut(x, -2, 0, k), -1, 0, k) for x in (both, g))
    rest, g_rest = (cut(x, axis, k, m if tall else n) for x in (both, g))
    below, strict = triangle(head, True, 0.0), triangle(g_head, True, 0.0)
    lower = build.call("add", matmul(transposed(below), strict), strict)
    upper = matmul(triangle(g_head, False, 1.0), transposed(triangle(head, False, 1.0)))
    if tall:
        upper = build.call("sub", upper, matmul(transposed(rest), g_rest))
    elif not assume_equal(k, n):
        lower = build.call("sub", lower, matmul(g_rest, transposed(rest)))
    inner = build.call("add", triangle(lower, True, 0.0), triangle(upper, False, 1.0))
    square = _over_upper(head, _over_lower(head, inner))
    if assume_equal(m, n):
        return rows_back(square, permutation)
    other = _over_upper(head, g_rest) if tall else _over_lower(head, g_rest)
    return rows_back(joined(square, other, axis), permutation)


def _over_lower(head: Node, x: Node) -> Node:
    """L^-T x."""
    return triangular(head, x, transposed_=True, unit=True)


def _over_upper(head: Node, x: Node) -> Node:
    """x U^-T."""
    return transposed(triangular(head, transposed(x), transposed_=False, lower=False))


def _call_lu(node: Node) -> ExternCall:
    m, n = node.inputs[0].type.shape[-2:]
    k = minimum(m, n)
    return call_of("getrf", node, (m, n, k), m * n * k)


def _samples_lu() -> list[tuple[Types, Attrs]]:
    shapes = ((4, 2), (2, 4), (2, 3, 2), (0, 3))
    return [*square_samples(), *((types, {}) for shape in shapes for types in samples_of(shape))]


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
        samples=_samples_lu,
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
    """Of more columns than rows, those at the right are q times those of r."""
    (a,), (m, n) = node.inputs, node.inputs[0].type.shape[-2:]
    k = minimum(m, n)
    if node["full"] and not assume_equal(k, m):
        problem = "qr has no gradient with mode='complete' of more rows than columns"
        raise TraceError(f"{problem}: ask for mode='reduced'")
    q, r = parts(node)
    if assume_equal(k, n):
        return (_pull_qr(q, _head(r, n), by_q, None if by_r is None else _head(by_r, n)),)
    if by_r is None:
        rest, for_rest = None, build.like(0.0, cut(a, -1, m, n))
    else:
        rest, for_rest = (cut(x, -1, m, n) for x in (a, by_r))
        by_q = total(by_q, matmul(rest, transposed(for_rest)))
        for_rest = matmul(q, for_rest)
    square = None if by_r is None else cut(by_r, -1, 0, m)
    return (joined(_pull_qr(q, cut(r, -1, 0, m), by_q, square), for_rest, -1),)


def _pull_qr(q: Node, r: Node, by_q: Node | None, by_r: Node | None) -> Node:
    """(gq + q copyltu(r gr^T - gq^T q)) r^-T, for a square r, where copyltu mirrors the lower
    triangle (S. Walter and L. Lehmann, Algorithmic differentiation of linear algebra functions,
    2010, 3.2)."""
    inner = build.like(0.0, r) if by_r is None else matmul(r, transposed(by_r))
    if by_q is not None:
        inner = build.call("sub", inner, matmul(transposed(by_q), q))
    below = triangle(inner, True, 0.0)
    mirrored = build.call("add", triangle(inner, True, 1.0), transposed(below))
    whole = matmul(q, mirrored)
    if by_q is not None:
        whole = build.call("add", by_q, whole)
    return _over_upper(r, whole)


def _head(x: Node, rows: Size) -> Node:
    """The first rows of matrices."""
    return cut(x, -2, 0, rows)


def _call_qr(node: Node) -> ExternCall:
    m, n = node.inputs[0].type.shape[-2:]
    return call_of("geqrf", node, _room_qr(m, n, node["full"]), 3 * m * n * minimum(m, n))


def _samples_qr() -> list[tuple[Types, Attrs]]:
    shapes = ((3, 3), (4, 2), (2, 4), (1, 1), (0, 0), (3, 0), (2, 3, 2), (2, 3, 3), (2, 2, 3))
    return [
        (types, {"full": full})
        for shape in shapes
        for full in ((False, True) if shape[-1] >= shape[-2] else (False,))
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
