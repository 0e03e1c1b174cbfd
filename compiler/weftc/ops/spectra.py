"""Eigenvalues and singular values with their vectors: LAPACK, once for each matrix of a stack."""

from __future__ import annotations

from weftc.ir.constraints import assume_at_most, assume_equal
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, ExternCall, Family, OpDef
from weftc.ir.size_functions import minimum
from weftc.ir.sizes import Size, value_of
from weftc.ir.types import TensorType, TupleType
from weftc.ops import build, check
from weftc.ops.matrices import (
    NANOSECONDS,
    NO_CONVERGENCE,
    Array,
    Arrays,
    Types,
    by_matrix,
    call_of,
    failing,
    matmul,
    matrix_type,
    parts,
    run,
    samples_of,
    square_type,
    total,
    transposed,
    zeros,
)
from weftrt import dtypes
from weftrt.errors import TraceError


def _diagonal(values: Node, columns: Size) -> Node:
    """Values in each row alike, to scale columns with; transposed it scales rows."""
    shape = (*values.type.shape[:-1], columns, values.type.shape[-1])
    rank = len(shape)
    return build.expand(values, shape, (*range(rank - 2), rank - 1))


def _on_diagonal(values: Node) -> Node:
    """Matrices with these diagonals."""
    n = values.type.shape[-1]
    return build.call("where", _is_diagonal(values, n), _diagonal(values, n), _no(values, n))


def _no(values: Node, n: Size) -> Node:
    return build.full(0.0, values.type.with_shape((*values.type.shape, n)))


def _is_diagonal(values: Node, n: Size) -> Node:
    shape = (*values.type.shape, n)
    row, column = (
        build.call("iota", shape=shape, axis=axis, dtype=dtypes.int64)
        for axis in (len(shape) - 2, len(shape) - 1)
    )
    return build.call("eq", row, column)


def _over_gaps(x: Node, values: Node) -> Node:
    """x[i, j] / (values[j] - values[i]), and zeros on the diagonal."""
    n = values.type.shape[-1]
    columns = _diagonal(values, n)
    gaps = build.call("sub", columns, transposed(columns))
    on = _is_diagonal(values, n)
    safe = build.call("where", on, build.like(1.0, gaps), gaps)
    return build.call("where", on, build.like(0.0, x), build.call("div", x, safe))


# ---------------------------------------------------------------------------------------------
# eigh(a): eigenvalues in ascending order, and eigenvectors as columns, of symmetric matrices, of
# which the lower triangle is read
# ---------------------------------------------------------------------------------------------


def _infer_eigh(types: Types, attrs: Attrs) -> TupleType:
    check.arity("eigh", types, 1)
    a = square_type("eigh", types[0])
    return TupleType((a.with_shape(a.shape[:-1]), a))


def _room_eigh(n: Size) -> tuple[Size, ...]:
    """The sizes that the routine is told: LAPACK's least room for floats and integers."""
    return (n, 1, 2 * n * n + 6 * n + 1, 5 * n + 3)


def _reference_eigh(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Array, ...]:
    results = zeros(type_)
    sizes = _integers(_room_eigh(arrays[0].shape[-1]))
    run("syevd", arrays, list(zip(results, (1, 2))), *sizes, failed=f"eigh: {NO_CONVERGENCE}")
    return results


def _integers(sizes: tuple[Size, ...]) -> list[int]:
    return [value_of(size, {}) for size in sizes]


def _vjp_eigh(node: Node, by_values: Node | None, by_vectors: Node | None) -> tuple[Node | None]:
    """V (diag(gw) + (V^T gV) / gaps) V^T, symmetrized (Giles 2008, 3.1): infinite or NaN by vectors
    of equal eigenvalues, which are no function of the matrix; by the values it is always finite."""
    values, vectors = parts(node)
    inner = total(
        None if by_values is None else _on_diagonal(by_values),
        None if by_vectors is None else _over_gaps(matmul(transposed(vectors), by_vectors), values),
    )
    if inner is None:
        return (None,)
    whole = matmul(matmul(vectors, inner), transposed(vectors))
    both = build.call("add", whole, transposed(whole))
    return (build.call("mul", both, build.like(0.5, both)),)


def _call_eigh(node: Node) -> ExternCall:
    n = node.inputs[0].type.shape[-1]
    return call_of("syevd", node, _room_eigh(n), 4 * n * n * n)


def _samples_eigh() -> list[tuple[Types, Attrs]]:
    shapes = ((3, 3), (1, 1), (0, 0), (2, 4, 4))
    return [(types, {}) for shape in shapes for types in samples_of(shape)]


eigh = TABLE.add(
    OpDef(
        "eigh",
        Family.EXTERN,
        infer=_infer_eigh,
        reference=_reference_eigh,
        vjp=_vjp_eigh,
        batch=by_matrix,
        extern=_call_eigh,
        fails=failing(NO_CONVERGENCE),
        cost=NANOSECONDS,
        samples=_samples_eigh,
    )
)


# ---------------------------------------------------------------------------------------------
# svd(full; a): u, s, vt with a = u diag(s) vt; s descends; `full`: u and vt are square
# ---------------------------------------------------------------------------------------------


def _infer_svd(types: Types, attrs: Attrs) -> TupleType:
    check.arity("svd", types, 1)
    a = matrix_type("svd", types[0])
    *lead, m, n = a.shape
    k = minimum(m, n)
    left, right = (m, n) if attrs["full"] else (k, k)
    shapes = ((*lead, m, left), (*lead, k), (*lead, right, n))
    return TupleType(tuple(a.with_shape(shape) for shape in shapes))


def _routine_svd(attrs: Attrs) -> str:
    return "gesdd_A" if attrs["full"] else "gesdd_S"


def _room_svd(type_: TensorType, full: bool) -> tuple[Size, ...]:
    """The sizes that the routine is told; the room is at least what LAPACK likes best."""
    m, n = type_.shape[-2:]
    k = minimum(m, n)
    left, right = (m, n) if full else (k, k)
    return (m, n, k, 1, left, right, 4 * k * k + 8 * k + 128 * (m + n) + 1, 8 * k + 1)


def _reference_svd(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Array, ...]:
    results = zeros(type_)
    dtype = results[0].dtype
    shape = TensorType(dtypes.float32 if dtype.itemsize == 4 else dtypes.float64, arrays[0].shape)
    sizes = _integers(_room_svd(shape, attrs["full"]))
    run(
        _routine_svd(attrs),
        arrays,
        list(zip(results, (2, 1, 2))),
        *sizes,
        failed=f"svd: {NO_CONVERGENCE}",
    )
    return results


def _vjp_svd(
    node: Node, by_left: Node | None, by_values: Node | None, by_right: Node | None
) -> tuple[Node | None]:
    """u (J S + S K + diag(gs)) vt, with J and K the antisymmetric parts of u^T gu and v^T gv over
    the gaps of squares, and what of gu and gv lies outside of the columns (J. Townsend,
    Differentiating the singular value decomposition, 2016): infinite or NaN by vectors of equal
    singular values; by the values it is always finite."""
    (a,), full = node.inputs, node["full"]
    m, n = a.type.shape[-2:]
    if full and not assume_equal(m, n):
        if by_left is not None or by_right is not None:
            problem = "svd has no gradient by the vectors with full_matrices of a matrix that is"
            raise TraceError(f"{problem} not square: ask for full_matrices=False")
        node = build.call("svd", a, full=False)
    left, values, right = parts(node)
    squares = build.call("mul", values, values)
    k = values.type.shape[-1]
    columns = _diagonal(values, k)
    rows = transposed(columns)
    outer = total(
        None if by_left is None else build.call("mul", _turned(left, by_left, squares), columns),
        None
        if by_right is None
        else build.call("mul", rows, _turned(transposed(right), transposed(by_right), squares)),
        None if by_values is None else _on_diagonal(by_values),
    )
    if outer is None:
        return (None,)
    inside = matmul(matmul(left, outer), right)
    more = other = None
    if by_left is not None and not assume_at_most(m, n):
        more = _outside(left, by_left, values, right)
    if by_right is not None and not assume_at_most(n, m):
        other = transposed(
            _outside(transposed(right), transposed(by_right), values, transposed(left))
        )
    return (total(inside, more, other),)


def _turned(vectors: Node, g: Node, squares: Node) -> Node:
    """The antisymmetric part of vectors^T g over the gaps."""
    inner = matmul(transposed(vectors), g)
    return _over_gaps(build.call("sub", inner, transposed(inner)), squares)


def _outside(vectors: Node, g: Node, values: Node, others: Node) -> Node:
    """What of g / values is orthogonal to the vectors, times the others."""
    scaled = build.call("div", g, _diagonal(values, g.type.shape[-2]))
    along = matmul(vectors, matmul(transposed(vectors), scaled))
    return matmul(build.call("sub", scaled, along), others)


def _call_svd(node: Node) -> ExternCall:
    a = node.inputs[0].type
    sizes = _room_svd(a, node["full"])
    return call_of(_routine_svd(node.attrs), node, sizes, 8 * sizes[0] * sizes[1] * sizes[2])


def _samples_svd() -> list[tuple[Types, Attrs]]:
    shapes = ((3, 3), (4, 2), (2, 4), (1, 1), (0, 0), (0, 3), (3, 0), (2, 3, 2))
    return [
        (types, {"full": full})
        for shape in shapes
        for full in ((False, True) if shape[-1] == shape[-2] else (False,))
        for types in samples_of(shape)
    ]


svd = TABLE.add(
    OpDef(
        "svd",
        Family.EXTERN,
        infer=_infer_svd,
        reference=_reference_svd,
        vjp=_vjp_svd,
        batch=by_matrix,
        extern=_call_svd,
        fails=failing(NO_CONVERGENCE),
        cost=NANOSECONDS,
        samples=_samples_svd,
    )
)
