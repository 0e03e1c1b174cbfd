"""contract: sums of products over paired axes, in the order of docs/architecture.md, section 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.constraints import assume_is_one
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, Mapper, OpDef
from weftc.ir.sizes import Size, product
from weftc.ir.types import TensorType
from weftc.loop import scalar
from weftc.loop.ir import Scalar
from weftc.loop.reductions import reduce_canonically
from weftc.ops import build, check, complex_rules
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
    return tuple([a for a in range(rank) if a not in batch and a not in contracted])


def _infer(types: Types, attrs: Attrs) -> TensorType:
    check.arity("contract", types, 2)
    check.same_dtype("contract", types)
    check.kind("contract", types[0], check.NUMBERS | check.COMPLEX)
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
    products: along the axes of `a` as they are, if those that are summed are side by side."""
    first, count = min(contracted[0], default=0), len(contracted[0])
    if contracted[0] != tuple(range(first, first + count)):
        a, batch, contracted = _in_order(a, batch, contracted)
    places = dict(zip(batch[1] + contracted[1], batch[0] + contracted[0], strict=True))
    result = build.call("mul", a, _spread(b, places, a))
    if count:
        result = build.call("sum", result, axes=contracted[0])
    kept = free_axes(a.type.rank, (), contracted[0])
    order = batch[0] + free_axes(a.type.rank, batch[0], contracted[0])
    result = build.transpose(result, [kept.index(axis) for axis in order])
    ones = (1,) * (b.type.rank - len(places))
    return build.reshape(result, result.type.shape + ones)


def _in_order(a: Node, batch: Pair, contracted: Pair) -> tuple[Node, Pair, Pair]:
    """`a` with the axes that are summed last, and the others in the order of the result."""
    moved = batch[0] + free_axes(a.type.rank, batch[0], contracted[0]) + contracted[0]
    axes = tuple(range(a.type.rank))
    lead, inner = axes[: len(batch[0])], axes[a.type.rank - len(contracted[0]) :]
    return build.transpose(a, moved), (lead, batch[1]), (inner, contracted[1])


def _spread(x: Node, places: Mapping[int, int], like: Node) -> Node:
    """`x` in the shape of `like`, its axis i as axis places[i]; its other axes have size 1."""
    order = sorted(places, key=places.__getitem__)
    moved = build.transpose(x, (*order, *(i for i in range(x.type.rank) if i not in places)))
    moved = build.reshape(moved, moved.type.shape[: len(order)])
    return build.expand(moved, like.type.shape, [places[axis] for axis in order])


def column_product(a: Node, b: Node, batch: Pair, contracted: Pair) -> Node:
    """The sum of rounded products that a product of floats with one column is, to be differentiated
    and mapped as a product; what sums nothing is the products."""
    if not contracted[0] or not a.type.dtype.is_float:
        return product_sum(a, b, batch, contracted)
    return build.call("contract", a, b, batch=batch, contracted=contracted, column_sum=True)


def columns(node: Node) -> Size:
    """How many columns the second operand of a contraction has."""
    b = node.inputs[1].type
    return product([b.shape[i] for i in free_axes(b.rank, node["batch"][1], node["contracted"][1])])


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
        return _column_vjp(node, g, free_a)
    first = len(batch[0])
    g_free_a = tuple(range(first, first + len(free_a)))
    g_free_b = tuple(range(first + len(free_a), g.type.rank))
    pair_a, pair_b = (batch[0], contracted[0]), (batch[1], contracted[1])
    return (
        _cotangent(g, g_free_b, b, pair_b, free_b, pair_a),
        _cotangent(g, g_free_a, a, pair_a, free_a, pair_b),
    )


def _column_vjp(node: Node, g: Node, free_a: Axes) -> tuple[Node, Node]:
    """Of a product with one column: products of g with it, and sums of products of g with `a`."""
    a, b = node.inputs
    batch, contracted = node["batch"], node["contracted"]
    lead, rows = tuple(range(len(batch[0]))), tuple(range(len(batch[0]), len(batch[0] + free_a)))
    of_g = dict(zip(lead + rows, batch[0] + free_a, strict=True))
    of_b = dict(zip(batch[1] + contracted[1], batch[0] + contracted[0], strict=True))
    by_a = build.call("mul", _spread(g, of_g, a), _spread(b, of_b, a))
    column = build.reshape(g, g.type.shape[: len(of_g)])
    by_b = column_product(a, column, (batch[0], lead), (free_a, rows))
    summed = batch[0] + tuple(sorted(contracted[0]))
    order = sorted(of_b)
    by_b = build.transpose(by_b, [summed.index(of_b[axis]) for axis in order])
    return by_a, build.reshape(by_b, b.type.shape)


def _jvp(node: Node, by_a: Node | None, by_b: Node | None) -> tuple[Node, tuple[Node | None, ...]]:
    """The product rule, in products of the same layout."""
    a, b = node.inputs
    left = None if by_a is None else contract(by_a, b, **node.attrs)
    right = None if by_b is None else contract(a, by_b, **node.attrs)
    if left is None or right is None:
        return node, (left or right,)
    return node, (build.call("add", left, right),)


def _batch(node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: Mapper) -> Node:
    """A pair of batch axes where both operands are mapped, else a free axis of one of them.

    A product with one column may be a sum of rounded products (`column_sum`). If only the column is
    mapped there is a matrix of them, and a product of matrices.
    """
    a, b = inputs
    if sums_column(node.attrs) and not batched[0]:
        if columns(node) == 1:
            return _batch_columns(node, a, b)
        a, batched = mapper.expanded(a), (True, True)
    attrs = dict(node.attrs)
    for name in ("batch", "contracted"):
        left, right = attrs[name]
        attrs[name] = (
            _behind(left) if batched[0] else left,
            _behind(right) if batched[1] else right,
        )
    if all(batched):
        left, right = attrs["batch"]
        return contract(a, b, **{**attrs, "batch": ((0, *left), (0, *right))})
    pairs = len(attrs["batch"][0])
    free = a.type.rank - pairs - len(attrs["contracted"][0])
    return build.to_front(contract(a, b, **attrs), pairs if batched[0] else pairs + free)


def _batch_columns(node: Node, a: Node, b: Node) -> Node:
    """The product of `a` with a mapped column: that of all columns, as rows, with `a`."""
    batch, contracted = node["batch"], node["contracted"]
    rows = product([a.type.shape[i] for i in free_axes(a.type.rank, batch[0], contracted[0])])
    more: Attrs = {} if isinstance(rows, int) and rows != 1 else {"column_sum": True}
    pairs_of = {
        "batch": (_behind(batch[1]), batch[0]),
        "contracted": (_behind(contracted[1]), contracted[0]),
    }
    found = build.call("contract", b, a, **pairs_of, **more)
    axes, pairs = tuple(range(found.type.rank)), len(batch[0])
    first_row = pairs + b.type.rank - len(batch[1]) - len(contracted[1])
    ones, free = axes[pairs + 1 : first_row], axes[first_row:]
    return build.transpose(found, (pairs, *axes[:pairs], *free, *ones))


def _behind(axes: Axes) -> Axes:
    return tuple(axis + 1 for axis in axes)


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
    columns: list[tuple[Axes, Axes, Pair, Pair]] = [
        *(((2, 70), (70, n), ((), ()), ((1,), (0,))) for n in (0, 1, 3)),
        ((3, 5), (5,), ((), ()), ((1,), (0,))),
        ((1, 5), (5,), ((), ()), ((1,), (0,))),
        ((5,), (5,), ((), ()), ((0,), (0,))),
        ((3, 2, 4), (1, 2, 4, 1), ((1,), (1,)), ((2,), (2,))),
        ((2, 4, 3), (3, 2), ((), ()), ((0, 2), (1, 0))),
    ]
    return found + [
        (
            (TensorType(dtypes.float64, a), TensorType(dtypes.float64, b)),
            {"batch": batch, "contracted": contracted, "column_sum": True},
        )
        for a, b, batch, contracted in columns
    ]


contract = TABLE.add(
    OpDef(
        "contract",
        Family.CONTRACTION,
        infer=_infer,
        reference=_reference,
        vjp=_vjp,
        jvp=_jvp,
        batch=_batch,
        pairs=complex_rules.contract,
        samples=_samples,
    )
)
