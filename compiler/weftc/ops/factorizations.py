"""Factorizations and solutions of linear systems: LAPACK, once for each matrix of a stack.

Matrices are the last two axes; what comes before them are as many matrices. The routines are those
of weftrt.lapack, whose NumPy reader is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.constraints import assume_equal
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, ExternCall, Failure, Family, Mapper, OpDef
from weftc.ir.size_functions import minimum
from weftc.ir.sizes import Size, product, static_shape
from weftc.ir.types import TensorType, TupleType
from weftc.ops import build, check
from weftrt import dtypes
from weftrt.errors import LinAlgError, OutOfMemoryError, ShapeError, TraceError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]

NANOSECONDS = 300
"""What a matrix takes at least, about; each multiplication takes up to one more."""
SINGULAR = "the matrix is singular"


def matrix_type(name: str, type_: TensorType) -> TensorType:
    """The type, if it is of matrices of floats; ShapeError or DTypeError."""
    check.kind(name, type_, check.FLOATS)
    if type_.rank < 2:
        raise ShapeError(f"{name} takes matrices, but {check.describe(type_)} has no two axes")
    return type_


def square_type(name: str, type_: TensorType) -> TensorType:
    """The same, for square ones."""
    rows, columns = matrix_type(name, type_).shape[-2:]
    if not assume_equal(rows, columns):
        raise ShapeError(f"{name} takes square matrices, but was given {check.describe(type_)}")
    return type_


def _system(name: str, types: Types) -> TensorType:
    """The type of the solution of a system: a matrix with columns on the right, one for each."""
    check.arity(name, types, 2)
    a, b = square_type(name, types[0]), matrix_type(name, types[1])
    check.same_dtype(name, types)
    if not check.same_sizes(a.shape[:-1], b.shape[:-1]):
        raise ShapeError(f"{name}: {check.describe_all(types)} do not have as many rows")
    return b


def call_of(name: str, node: Node, sizes: Sequence[Size], work: Size) -> ExternCall:
    """Call a function of lapack.FUNCTIONS for each matrix; `work` is what one takes."""
    x = node.inputs[0].type
    count = product(x.shape[:-2])
    routine = f"weft_lapack_{name}_f{x.dtype.bits}"
    return ExternCall(routine, (count, *sizes), count * (work + NANOSECONDS))


def _zeros(type_: TensorType) -> Array:
    return np.zeros(static_shape(type_.shape), type_.dtype.dtype)


def zeros(type_: TupleType) -> tuple[Array, ...]:
    """An array of zeros for each tensor of a type."""
    return tuple(_zeros(item) for item in type_.items if isinstance(item, TensorType))


def _stacked(array: Array, matrix_axes: int) -> Array:
    """An array with one axis in front of the last `matrix_axes`."""
    shape = array.shape[array.ndim - matrix_axes :]
    count = int(np.prod(array.shape[: array.ndim - matrix_axes]))
    return array.reshape(count, *shape)


def run(
    name: str, arrays: Arrays, results: Sequence[tuple[Array, int]], *sizes: int, failed: str = ""
) -> None:
    """Call LAPACK on stacks; `results` come with the number of their axes for one matrix. An error
    of what has `failed` names the first matrix that does."""
    from weftrt import lapack  # most programs call none

    stacks = [_stacked(np.ascontiguousarray(array), 2) for array in arrays]
    written = [_stacked(result, axes) for result, axes in results]
    try:
        lapack.run(name, [*stacks, *written], (len(stacks[0]), *sizes))
    except lapack.Failed as error:
        raise LinAlgError(f"{failed} (element {error.matrix})") from None


def by_matrix(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: Mapper
) -> Node:
    """Each matrix is worked on by itself, whatever axes there are before the last two."""
    given = [i if b else mapper.expanded(i) for i, b in zip(inputs, batched)]
    return node.op(*given, **node.attrs)


def samples_of(*shapes: tuple[int, ...]) -> list[Types]:
    """Types of operands of these shapes, in each dtype."""
    return [
        tuple(TensorType(dtype, shape) for shape in shapes)
        for dtype in (dtypes.float32, dtypes.float64)
    ]


# ---------------------------------------------------------------------------------------------
# Matrices as nodes, for gradients
# ---------------------------------------------------------------------------------------------


def transposed(x: Node) -> Node:
    """The last two axes exchanged."""
    rank = x.type.rank
    return build.transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def matmul(a: Node, b: Node) -> Node:
    """The product of matrices with equal leading axes."""
    lead = tuple(range(a.type.rank - 2))
    inner = ((a.type.rank - 1,), (b.type.rank - 2,))
    return build.call("contract", a, b, batch=(lead, lead), contracted=inner)


def _scaled(x: Node, factor: float) -> Node:
    return build.call("mul", x, build.like(factor, x))


def triangle(x: Node, lower: bool, diagonal: float) -> Node:
    """A triangle of matrices, the diagonal times a factor, and zeros elsewhere."""
    shape = x.type.shape[-2:]
    row, column = (build.call("iota", shape=shape, axis=a, dtype=dtypes.int64) for a in (0, 1))
    inside = build.call("gt" if lower else "lt", row, column)
    on = build.call("eq", row, column)
    axes = (x.type.rank - 2, x.type.rank - 1)
    inside, on = (build.expand(mask, x.type.shape, axes) for mask in (inside, on))
    scaled = _scaled(x, diagonal) if diagonal != 1 else x
    rest = build.call("where", inside, x, build.like(0.0, x))
    return build.call("where", on, scaled, rest) if diagonal else rest


# ---------------------------------------------------------------------------------------------
# cholesky(a): the lower triangle L with a = L L^T, of the lower triangle of a
# ---------------------------------------------------------------------------------------------


def _infer_cholesky(types: Types, attrs: Attrs) -> TensorType:
    check.arity("cholesky", types, 1)
    return square_type("cholesky", types[0])


def _reference_cholesky(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    result = _zeros(type_)
    _checked("cholesky", "the matrix is not positive definite", "potrf", arrays, result)
    return result


def _checked(op: str, problem: str, name: str, arrays: Arrays, result: Array) -> None:
    """run with square matrices; LinAlgError for the first that fails."""
    sizes = (arrays[0].shape[-1], *result.shape[-1:])
    run(name, arrays, [(result, 2)], *sizes, failed=f"{op}: {problem}")


def _vjp_cholesky(node: Node, g: Node) -> tuple[Node | None, ...]:
    """L^-T Phi(L^T g) L^-1, symmetrized, where Phi takes the lower triangle and half the diagonal
    (I. Murray, Differentiation of the Cholesky decomposition, 2016, eq. 10)."""
    inner = triangle(matmul(transposed(node), g), True, 0.5)
    left = _triangular(node, inner, transposed_=True)
    right = transposed(_triangular(node, transposed(left), transposed_=True))
    return (_scaled(build.call("add", right, transposed(right)), 0.5),)


def _triangular(
    a: Node, b: Node, transposed_: bool, lower: bool = True, unit: bool = False
) -> Node:
    return build.call("triangular_solve", a, b, lower=lower, transposed=transposed_, unit=unit)


def failing(problem: str) -> Callable[[Node], Failure]:
    """The rule of an op that fails with LinAlgError."""
    return lambda node: Failure(LinAlgError, f"{node.op.name}: {problem}")


def _call_cholesky(node: Node) -> ExternCall:
    n = node.type.shape[-1]
    return call_of("potrf", node, (n,), n * n * n)


def _samples_cholesky() -> list[tuple[Types, Attrs]]:
    shapes = ((3, 3), (1, 1), (0, 0), (2, 4, 4), (2, 0, 0), (0, 3, 3), (2, 1, 2, 2))
    return [(types, {}) for shape in shapes for types in samples_of(shape)]


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
        samples=_samples_cholesky,
    )
)


# ---------------------------------------------------------------------------------------------
# triangular_solve(lower, transposed, unit; a, b): x with t x = b, where t is a triangle of a, with
# ones on the diagonal if `unit`, and transposed if `transposed`
# ---------------------------------------------------------------------------------------------


def _infer_triangular(types: Types, attrs: Attrs) -> TensorType:
    return _system("triangular_solve", types)


def _triangular_routine(attrs: Attrs) -> str:
    from weftrt import lapack

    return lapack.triangular_name(attrs["lower"], attrs["transposed"], attrs["unit"])


def _reference_triangular(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    result = _zeros(type_)
    _checked("triangular_solve", SINGULAR, _triangular_routine(attrs), arrays, result)
    return result


def _vjp_triangular(node: Node, g: Node) -> tuple[Node | None, ...]:
    """b: t^-T g; t: -(t^-T g) x^T, in its triangle (M. Giles, An extended collection of matrix
    derivative results for forward and reverse mode AD, 2008, 2.3.1)."""
    a, lower = node.inputs[0], node["lower"]
    for_b = _triangular(a, g, not node["transposed"], lower, node["unit"])
    pair = (node, for_b) if node["transposed"] else (for_b, node)
    product_ = matmul(pair[0], transposed(pair[1]))
    diagonal = 0.0 if node["unit"] else 1.0
    return build.call("neg", triangle(product_, lower, diagonal)), for_b


def _call_triangular(node: Node) -> ExternCall:
    n, k = node.type.shape[-2:]
    return call_of(_triangular_routine(node.attrs), node, (n, k), n * n * k)


_SYSTEMS = (
    ((3, 3), (3, 2)),
    ((1, 1), (1, 1)),
    ((2, 4, 4), (2, 4, 1)),
    ((0, 0), (0, 2)),
    ((3, 3), (3, 0)),
    ((2, 2, 2, 2), (2, 2, 2, 3)),
    ((0, 3, 3), (0, 3, 1)),
)


def _samples_triangular() -> list[tuple[Types, Attrs]]:
    flags = [(low, flip, unit) for low in (0, 1) for flip in (0, 1) for unit in (0, 1)]
    return [
        (types, {"lower": bool(low), "transposed": bool(flip), "unit": bool(unit)})
        for place, shapes in enumerate(_SYSTEMS)
        for low, flip, unit in (flags if place < 1 else flags[place : place + 2])
        for types in samples_of(*shapes)
    ]


triangular_solve = TABLE.add(
    OpDef(
        "triangular_solve",
        Family.EXTERN,
        infer=_infer_triangular,
        reference=_reference_triangular,
        vjp=_vjp_triangular,
        batch=by_matrix,
        extern=_call_triangular,
        fails=failing(SINGULAR),
        cost=NANOSECONDS,
        samples=_samples_triangular,
    )
)


# ---------------------------------------------------------------------------------------------
# solve(a, b): x with a x = b
# ---------------------------------------------------------------------------------------------


def _infer_solve(types: Types, attrs: Attrs) -> TensorType:
    return _system("solve", types)


def _reference_solve(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    result = _zeros(type_)
    _checked("solve", SINGULAR, "gesv", arrays, result)
    return result


def _vjp_solve(node: Node, g: Node) -> tuple[Node | None, ...]:
    """b: a^-T g; a: -(a^-T g) x^T (Giles 2008, 2.3.1)."""
    for_b = build.call("solve", transposed(node.inputs[0]), g)
    return build.call("neg", matmul(for_b, transposed(node))), for_b


def _call_solve(node: Node) -> ExternCall:
    n, k = node.type.shape[-2:]
    return call_of("gesv", node, (n, k), n * n * (n + k))


def _samples_solve() -> list[tuple[Types, Attrs]]:
    return [(types, {}) for shapes in _SYSTEMS for types in samples_of(*shapes)]


solve = TABLE.add(
    OpDef(
        "solve",
        Family.EXTERN,
        infer=_infer_solve,
        reference=_reference_solve,
        vjp=_vjp_solve,
        batch=by_matrix,
        extern=_call_solve,
        fails=failing(SINGULAR),
        cost=NANOSECONDS,
        samples=_samples_solve,
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
    left = _triangular(both, inner, transposed_=True, unit=True)
    right = _triangular(both, transposed(left), transposed_=False, lower=False)
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
        samples=_samples_cholesky,
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
    solved = _triangular(square, transposed(whole), transposed_=False, lower=False)
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
