"""contract: sums of products over paired axes, in the order of docs/architecture.md, section 4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.constraints import assume_is_one
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, OpDef
from weftc.ir.types import TensorType
from weftc.loop import scalar
from weftc.loop.ir import Scalar
from weftc.loop.reductions import reduce_canonically
from weftc.ops import build, check
from weftc.transforms.vjp import vjp
from weftrt import dtypes
from weftrt.errors import ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]
Axes: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[Axes, Axes]

SEGMENT = 1024


def free_axes(rank: int, batch: Axes, contracted: Axes) -> Axes:
    """The axes of an operand that are neither batch nor contracted, ascending."""
    return tuple(a for a in range(rank) if a not in batch and a not in contracted)


def _infer(types: Types, attrs: Attrs) -> TensorType:
    check.arity("contract", types, 2)
    check.same_dtype("contract", types)
    check.kind("contract", types[0], check.NUMBERS)
    a, b = types
    batch, contracted = attrs["batch"], attrs["contracted"]
    for type_, used in ((a, batch[0] + contracted[0]), (b, batch[1] + contracted[1])):
        for axis in used:
            check.axis("contract", axis, type_)
        if len(set(used)) != len(used):
            raise ShapeError(f"contract: {check.describe(type_)} has an axis twice in {used}")
    for left, right in (batch, contracted):
        sizes = tuple(a.shape[i] for i in left), tuple(b.shape[i] for i in right)
        if not check.same_sizes(*sizes):
            raise ShapeError(
                f"contract: {check.describe(a)} and {check.describe(b)} do not fit: axes "
                f"{check.shape_text(left)} have the sizes {check.shape_text(sizes[0])}, "
                f"axes {check.shape_text(right)} have {check.shape_text(sizes[1])}"
            )
    free_a = free_axes(a.rank, batch[0], contracted[0])
    free_b = free_axes(b.rank, batch[1], contracted[1])
    shape = [a.shape[i] for i in batch[0] + free_a] + [b.shape[i] for i in free_b]
    return a.with_shape(tuple(shape))


def sums_column(attrs: Attrs) -> bool:
    """Whether a product with one column is the sum of its rounded products, not a chain."""
    return bool(attrs.get("column_sum", False))


def product_sum(a: Node, b: Node, batch: Pair, contracted: Pair) -> Node:
    """The contraction with a `b` whose free axes all have size 1, as the sum of the rounded
    products."""
    free_a = free_axes(a.type.rank, batch[0], contracted[0])
    free_b = free_axes(b.type.rank, batch[1], contracted[1])
    left = build.transpose(a, batch[0] + free_a + contracted[0])
    right = build.transpose(b, batch[1] + free_b + contracted[1])
    lead, inner, sizes = len(batch[0]), len(contracted[0]), right.type.shape
    spread = sizes[:lead] + (1,) * len(free_a) + sizes[lead + len(free_b) :]
    right = build.expand(build.reshape(right, spread), left.type.shape, range(left.type.rank))
    result = build.call("mul", left, right)
    if inner:
        result = build.call("sum", result, axes=tuple(range(lead + len(free_a), left.type.rank)))
    return build.reshape(result, result.type.shape + (1,) * len(free_b))


def _length(sizes: Sequence[int]) -> int:
    return int(np.prod(sizes, dtype=np.int64))


def _matrices(x: Array, batch: Axes, rows: Axes, columns: Axes) -> Array:
    """`x` as (batch, rows, columns)."""
    parts = [[x.shape[a] for a in axes] for axes in (batch, rows, columns)]
    return x.transpose(batch + rows + columns).reshape([_length(p) for p in parts])


def _multiply_add(a: Array, b: Array, c: Array) -> Array:
    return scalar.fma(a, b, c) if a.dtype.kind == "f" else np.asarray(a * b + c)


def _reference(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    (a, b), batch, contracted = arrays, attrs["batch"], attrs["contracted"]
    left = _matrices(a, batch[0], free_axes(a.ndim, batch[0], contracted[0]), contracted[0])
    right = _matrices(b, batch[1], free_axes(b.ndim, batch[1], contracted[1]), contracted[1])
    shape = [size for size in type_.shape if isinstance(size, int)]
    if sums_column(attrs) and right.shape[1] == 1:
        with np.errstate(all="ignore"):
            products = np.moveaxis(left * right, 2, 0)
            return reduce_canonically(Scalar.ADD, products, type_.dtype).reshape(shape)
    total = np.zeros((left.shape[0], left.shape[1], right.shape[1]), dtype=a.dtype)
    with np.errstate(all="ignore"):
        for start in range(0, left.shape[2], SEGMENT):
            chain = np.zeros_like(total)
            for k in range(start, min(start + SEGMENT, left.shape[2])):
                chain = _multiply_add(left[:, :, None, k], right[:, None, :, k], chain)
            total = chain if start == 0 else total + chain
    return total.reshape(shape)


def _cotangent(g: Node, g_free: Axes, other: Node, pair: Pair, rest: Axes, own: Pair) -> Node:
    """The cotangent of one operand. `g_free`: the axes of g that are free in the other operand;
    `pair`, `rest`: the other's (batch, contracted) and free axes; `own`: this operand's.

    The product has the axes: batch, this operand's free, the other's contracted (ascending); or
    with the last two exchanged, where that is nearer to this operand's order.
    """
    batch = tuple(range(len(pair[0])))
    from_other = {axis: own[1][i] for i, axis in enumerate(pair[1])}
    rank = g.type.rank - len(g_free) + len(own[1])
    own_free = free_axes(rank, *own)
    own_contracted = tuple(from_other[axis] for axis in sorted(pair[1]))
    if own_free <= own_contracted:
        axes, order = (batch, pair[0]), own[0] + own_free + own_contracted
        product = build.call("contract", g, other, batch=axes, contracted=(g_free, rest))
    else:
        axes, order = (pair[0], batch), own[0] + own_contracted + own_free
        product = build.call("contract", other, g, batch=axes, contracted=(rest, g_free))
    return build.transpose(product, [order.index(axis) for axis in range(len(order))])


def _vjp(node: Node, g: Node) -> tuple[Node | None, ...]:
    a, b = node.inputs
    batch, contracted = node["batch"], node["contracted"]
    free_a = free_axes(a.type.rank, batch[0], contracted[0])
    free_b = free_axes(b.type.rank, batch[1], contracted[1])
    if sums_column(node.attrs) and all(assume_is_one(b.type.shape[axis]) for axis in free_b):
        b = build.call("identity", b) if b is a else b
        return tuple(vjp([product_sum(a, b, batch, contracted)], [g], [a, b]))
    first = len(batch[0])
    g_free_a = tuple(range(first, first + len(free_a)))
    g_free_b = tuple(range(first + len(free_a), g.type.rank))
    pair_a, pair_b = (batch[0], contracted[0]), (batch[1], contracted[1])
    return (
        _cotangent(g, g_free_b, b, pair_b, free_b, pair_a),
        _cotangent(g, g_free_a, a, pair_a, free_a, pair_b),
    )


def _samples() -> list[tuple[Types, Attrs]]:
    shapes: list[tuple[Axes, Axes, Pair, Pair]] = [
        ((2, 3), (3, 4), ((), ()), ((1,), (0,))),
        ((3, 2), (4, 3), ((), ()), ((0,), (1,))),
        ((2, 2, 3), (2, 3, 2), ((0,), (0,)), ((2,), (1,))),
        ((3, 2, 2), (2, 2, 3), ((2,), (1,)), ((0, 1), (2, 0))),
        ((3,), (3,), ((), ()), ((0,), (0,))),
        ((2, 3), (3,), ((), ()), ((1,), (0,))),
        ((2,), (3,), ((), ()), ((), ())),
        ((2, 0), (0, 3), ((), ()), ((1,), (0,))),
        ((0, 2), (2, 3), ((), ()), ((1,), (0,))),
        ((2, 1030), (1030, 2), ((), ()), ((1,), (0,))),
    ]
    kinds = (dtypes.float64, dtypes.float32, dtypes.int32, dtypes.uint64)
    found: list[tuple[Types, Attrs]] = [
        (
            (TensorType(dtype, a), TensorType(dtype, b)),
            {"batch": batch, "contracted": contracted},
        )
        for dtype in kinds
        for a, b, batch, contracted in shapes
    ]
    marked = {"batch": ((), ()), "contracted": ((1,), (0,)), "column_sum": True}
    rows, columns = TensorType(dtypes.float64, (2, 70)), (0, 1, 3)
    return found + [((rows, TensorType(dtypes.float64, (70, n))), marked) for n in columns]


contract = TABLE.add(
    OpDef(
        "contract",
        Family.CONTRACTION,
        infer=_infer,
        reference=_reference,
        vjp=_vjp,
        samples=_samples,
    )
)
