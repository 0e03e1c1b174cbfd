"""Systems of linear equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, ExternCall, Family, OpDef
from weftc.ir.types import TensorType, TupleType
from weftc.ops import build, check
from weftc.ops.factorizations import pull_lu
from weftc.ops.matrices import (
    NANOSECONDS,
    SINGULAR,
    Array,
    Arrays,
    Types,
    by_matrix,
    call_of,
    failing,
    matmul,
    matrix_type,
    parts,
    rows_back,
    run_square,
    samples_of,
    square_type,
    total,
    transposed,
    triangle,
    triangular,
    zeros,
    zeros_of,
)
from weftrt import dtypes
from weftrt.errors import ShapeError


def _system(name: str, types: Types) -> TensorType:
    """The type of the solution of a system: a matrix with columns on the right, one for each."""
    check.arity(name, types, 2)
    a, b = square_type(name, types[0]), matrix_type(name, types[1])
    check.same_dtype(name, types)
    if not check.same_sizes(a.shape[:-1], b.shape[:-1]):
        raise ShapeError(f"{name}: {check.describe_all(types)} do not have as many rows")
    return b


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
    result = zeros_of(type_)
    routine = _triangular_routine(attrs)
    run_square("solve_triangular", SINGULAR, routine, arrays, [(result, 2)])
    return result


def _vjp_triangular(node: Node, g: Node) -> tuple[Node | None, ...]:
    """b: t^-T g; t: -(t^-T g) x^T, in its triangle (M. Giles, An extended collection of matrix
    derivative results for forward and reverse mode AD, 2008, 2.3.1)."""
    a, lower = node.inputs[0], node["lower"]
    for_b = triangular(a, g, not node["transposed"], lower, node["unit"])
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
        fails=failing(SINGULAR, "solve_triangular"),
        cost=NANOSECONDS,
        samples=_samples_triangular,
    )
)


# ---------------------------------------------------------------------------------------------
# solve(factors; a, b): x with a x = b; with `factors` what `lu` makes of a, too
# ---------------------------------------------------------------------------------------------


def _infer_solve(types: Types, attrs: Attrs) -> TensorType | TupleType:
    x = _system("solve", types)
    if not attrs["factors"]:
        return x
    places = types[0].with_shape(types[0].shape[:-1]).with_dtype(dtypes.int64)
    return TupleType((x, types[0], places, places))


def _reference_solve(arrays: Arrays, attrs: Attrs, type_: Any) -> Any:
    if attrs["factors"]:
        results = zeros(type_)
        run_square("solve", SINGULAR, "gesv_LU", arrays, list(zip(results, (2, 2, 1, 1))))
        return results
    result = zeros_of(type_)
    run_square("solve", SINGULAR, "gesv", arrays, [(result, 2)])
    return result


def _vjp_solve(node: Node, g: Node | None, *others: Node | None) -> tuple[Node | None, ...]:
    """b: a^-T g, by the factors of a; a: -(a^-T g) x^T (Giles 2008, 2.3.1), and what `lu` gives."""
    if not node["factors"]:
        node = build.call("solve", *node.inputs, factors=True)
    x, both, _, permutation = parts(node)
    by_both = others[0] if others else None
    for_a = None if by_both is None else pull_lu(both, permutation, by_both)
    if g is None:
        return for_a, None
    for_b = by_factors(both, permutation, g)
    return total(build.call("neg", matmul(for_b, transposed(x))), for_a), for_b


def by_factors(both: Node, permutation: Node, b: Node) -> Node:
    """a^-T b, by what `lu` gives of a."""
    upper = triangular(both, b, transposed_=True, lower=False)
    return rows_back(triangular(both, upper, transposed_=True, unit=True), permutation)


def _call_solve(node: Node) -> ExternCall:
    n, k = node.inputs[1].type.shape[-2:]
    routine = "gesv_LU" if node["factors"] else "gesv"
    return call_of(routine, node, (n, k), n * n * (n + k))


def without_factors(node: Node, reads: Sequence[int]) -> dict[int, Node] | None:
    """What stands for the results of a solution that are read, where its factors are not."""
    if not node["factors"] or set(reads) != {0}:
        return None
    return {0: solve(*node.inputs, factors=False, at=node.location)}


def _samples_solve() -> list[tuple[Types, Attrs]]:
    return [
        (types, {"factors": factors})
        for factors in (False, True)
        for shapes in _SYSTEMS
        for types in samples_of(*shapes)
    ]


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
