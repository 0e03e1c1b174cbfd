"""Systems that need not have a solution, or may have many: least squares by singular values."""

from __future__ import annotations

import numpy as np

from weftc.ir.constraints import assume_at_most
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, ExternCall, Family, OpDef
from weftc.ir.size_functions import maximum, minimum
from weftc.ir.sizes import Size, static_shape
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
    cut,
    failing,
    identities,
    matmul,
    matrix_type,
    parts,
    run,
    samples_of,
    total,
    transposed,
    zeros,
)
from weftrt.errors import ShapeError

# ---------------------------------------------------------------------------------------------
# lstsq(cutoff; a, b): the shortest x of those with the least |a x - b|, and the singular values of
# a, descending, of which those up to `cutoff` times the largest count as 0. b and x have as many
# rows as the larger size of a: those that are too many are zeros.
# ---------------------------------------------------------------------------------------------


def _infer_lstsq(types: Types, attrs: Attrs) -> TupleType:
    check.arity("lstsq", types, 2)
    a, b = (matrix_type("lstsq", type_) for type_ in types)
    check.same_dtype("lstsq", types)
    *lead, m, n = a.shape
    if not check.same_sizes((*lead, maximum(m, n)), b.shape[:-1]):
        raise ShapeError(f"lstsq: {check.describe_all(types)} do not have as many rows")
    return TupleType((b, a.with_shape((*lead, minimum(m, n)))))


def _room_lstsq(a: TensorType, columns: Size, cutoff: float) -> tuple[Size, ...]:
    """The sizes that the routine is told; the room is at least what LAPACK likes best."""
    m, n = a.shape[-2:]
    k = minimum(m, n)
    floats = k * k + k * columns + 512 * k + 64 * (m + n + columns) + 1024
    bits = int(np.asarray(cutoff, a.dtype.dtype).view(f"u{a.dtype.itemsize}"))
    return (m, n, columns, maximum(m, n), k, 1, bits, floats, 107 * k + 1)


def _reference_lstsq(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Array, ...]:
    results, (b, *_) = zeros(type_), type_.items
    assert isinstance(b, TensorType)
    sizes = _room_lstsq(b.with_shape(arrays[0].shape), arrays[1].shape[-1], attrs["cutoff"])
    written = list(zip(results, (2, 1)))
    run("gelsd", arrays, written, *static_shape(sizes), failed=f"lstsq: {NO_CONVERGENCE}")
    return results


def _vjp_lstsq(node: Node, by_x: Node | None, by_s: Node | None) -> tuple[Node | None, ...]:
    """With P the pseudoinverse and w = P^T g, b: w; a: (b - a x) (P w)^T - w x^T + P^T x (g - P a
    g)^T (G. Golub and V. Pereyra, The differentiation of pseudo-inverses and nonlinear least
    squares problems whose variables separate, 1973, 4.12): as long as the rank stays the same."""
    a, b = node.inputs
    for_a = None if by_s is None else _pull_values(a, by_s)
    if by_x is None:
        return for_a, None
    (m, n), rows = a.type.shape[-2:], b.type.shape[-2]
    x, g = cut(parts(node)[0], -2, 0, n), cut(by_x, -2, 0, n)
    inverse = pseudoinverse(a, node["cutoff"])
    back = transposed(inverse)
    w = matmul(back, g)
    left = build.call("sub", cut(b, -2, 0, m), matmul(a, x))
    out = build.call("sub", g, matmul(inverse, matmul(a, g)))
    terms = (
        matmul(left, transposed(matmul(inverse, w))),
        matmul(matmul(back, x), transposed(out)),
        build.call("neg", matmul(w, transposed(x))),
        for_a,
    )
    return total(*terms), _padded(w, rows, w.type.shape[-1])


def _padded(x: Node, rows: Size, columns: Size) -> Node:
    """Matrices with zeros below and at the right, so that they have so many rows and columns."""
    none = (0,) * x.type.rank
    high = (*none[:-2], rows - x.type.shape[-2], columns - x.type.shape[-1])
    zero = build.constant(0.0, x.type.dtype)
    return build.call("pad", x, zero, low=none, high=high, interior=none)


def least_squares(a: Node, b: Node, cutoff: float) -> tuple[Node, Node]:
    """The solution for right sides with the rows of a, and the singular values. LAPACK wants a
    column at least."""
    (m, n), columns = a.type.shape[-2:], b.type.shape[-1]
    padded = _padded(b, maximum(m, n), maximum(columns, 1))
    x, values = parts(build.call("lstsq", a, padded, cutoff=cutoff))
    return cut(cut(x, -2, 0, n), -1, 0, columns), values


def pseudoinverse(a: Node, cutoff: float) -> Node:
    """The least squares solution for the columns of the identity; by way of the transpose where
    this has fewer."""
    m, n = a.type.shape[-2:]
    if assume_at_most(m, n):
        return parts(build.call("lstsq", a, identities(transposed(a)), cutoff=cutoff))[0]
    other = build.call("lstsq", transposed(a), identities(a), cutoff=cutoff)
    return transposed(parts(other)[0])


def _pull_values(a: Node, g: Node) -> Node:
    """Of singular values: u diag(g) vt."""
    left, _, right = parts(build.call("svd", a, full=False))
    rank = left.type.rank
    scales = build.expand(g, left.type.shape, (*range(rank - 2), rank - 1))
    return matmul(build.call("mul", left, scales), right)


def _call_lstsq(node: Node) -> ExternCall:
    a, b = (operand.type for operand in node.inputs)
    sizes = _room_lstsq(a, b.shape[-1], node["cutoff"])
    m, n, columns, _, k, *_ = sizes
    return call_of("gelsd", node, sizes, 8 * m * n * k + m * n * columns)


def _samples_lstsq() -> list[tuple[Types, Attrs]]:
    shapes = (
        ((3, 3), (3, 2)),
        ((4, 2), (4, 1)),
        ((2, 4), (4, 3)),
        ((2, 3, 2), (2, 3, 1)),
        ((3, 0), (3, 1)),
        ((0, 2, 2), (0, 2, 1)),
    )
    return [(types, {"cutoff": 1e-6}) for pair in shapes for types in samples_of(*pair)]


lstsq = TABLE.add(
    OpDef(
        "lstsq",
        Family.EXTERN,
        infer=_infer_lstsq,
        reference=_reference_lstsq,
        vjp=_vjp_lstsq,
        batch=by_matrix,
        extern=_call_lstsq,
        fails=failing(NO_CONVERGENCE),
        cost=NANOSECONDS,
        samples=_samples_lstsq,
    )
)
