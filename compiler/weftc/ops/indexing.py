"""take and scatter_add: data-dependent indices, bounds checked.

With `batch` = n the first n axes of the array and of the indices are the same ones: each element of
these has indices of its own.

Negative indices count from the end. An index outside its axis fails the program with
OutOfBoundsError naming the smallest place in `indices`; take reads 0 there, scatter_add writes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Failure, Family, Mapper, OpDef, Puller
from weftc.ir.sizes import Size, static_shape
from weftc.ir.types import TensorType
from weftc.loop.ir import Expr, Scalar, add, apply, cast, const, mul
from weftc.ops import build, check
from weftrt import dtypes
from weftrt.errors import OutOfBoundsError, ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]
Nodes: TypeAlias = tuple[Node, ...]
Flags: TypeAlias = tuple[bool, ...]


def shared_axes(attrs: Attrs) -> int:
    """How many leading axes the array and the indices have in common."""
    return int(attrs.get("batch", 0))


def _sharing(count: int) -> Attrs:
    return {"batch": count} if count else {}


def resolve(index: Expr, size: Expr) -> tuple[Expr, Expr]:
    """(the int64 place along an axis of `size`, whether it is outside); negatives from the end."""
    place = cast(index, dtypes.int64)  # an uint64 beyond int64 becomes negative: outside, below
    if index.type.dtype.is_signed:
        wrapped = apply(Scalar.ADD, place, size)
        place = apply(Scalar.SELECT, apply(Scalar.LT, place, const(0)), wrapped, place)
    below = apply(Scalar.LT, place, const(0))
    return place, apply(Scalar.OR, below, apply(Scalar.GE, place, size))


def _resolve_array(indices: Array, size: int) -> Array:
    """Flat int64 places; OutOfBoundsError names the first index that is outside."""
    flat = indices.reshape(-1)
    outside = flat >= size  # compared in the dtype given: an uint64 may be beyond int64
    if flat.dtype.kind == "i":
        outside = outside | (flat < -size)
    if outside.any():
        first = int(np.argmax(outside))
        raise OutOfBoundsError(
            f"the index {flat[first]} (number {first}) is outside an axis of size {size}"
        )
    places = flat.astype(np.int64)
    return np.where(places < 0, places + size, places)


def _check_index(name: str, x: TensorType, indices: TensorType, attrs: Attrs) -> None:
    axis, shared = attrs["axis"], shared_axes(attrs)
    check.axis(name, axis, x)
    check.kind(f"{name} (indices)", indices, check.INTEGERS)
    if not 0 <= shared <= axis or not check.same_sizes(x.shape[:shared], indices.shape[:shared]):
        both = check.describe_all((x, indices))
        raise ShapeError(f"{name}: {both} have no {shared} axes in common before axis {axis}")


def _failure(node: Node) -> Failure:
    axis = node["axis"]
    size = node.inputs[0].type.shape[axis]
    place = axis - shared_axes(node.attrs)
    problem = f"{{index}} is out of bounds for axis {place} of size {size}"
    return Failure(OutOfBoundsError, problem, node.inputs[1])  # the line says whose index it is


def _taken(x: TensorType, indices: TensorType, attrs: Attrs) -> TensorType:
    axis, own = attrs["axis"], indices.shape[shared_axes(attrs) :]
    return x.with_shape(x.shape[:axis] + own + x.shape[axis + 1 :])


def _one_by_one(arrays: Arrays, shared: int) -> list[tuple[Array, ...]]:
    """The elements of the first `shared` axes of all arrays, as views."""
    places = np.ndindex(arrays[0].shape[:shared])
    return [tuple(array[place] for array in arrays) for place in places]


# ---------------------------------------------------------------------------------------------
# take(axis; x, indices): result axes are those of x, with those of indices in place of `axis`
# ---------------------------------------------------------------------------------------------


def _infer_take(types: Types, attrs: Attrs) -> TensorType:
    check.arity("take", types, 2)
    x, indices = types
    _check_index("take", x, indices, attrs)
    return _taken(x, indices, attrs)


def _reference_take(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    (x, indices), axis, shared = arrays, attrs["axis"], shared_axes(attrs)
    places = _resolve_array(indices, x.shape[axis]).reshape(indices.shape)
    if not shared:
        return np.take(x, places, axis)
    rows = [np.take(a, i, axis - shared) for a, i in _one_by_one((x, places), shared)]
    return np.array(rows, x.dtype).reshape(static_shape(type_.shape))


def _linear(index: Sequence[Expr], shape: Sequence[Size], puller: Puller) -> Expr:
    place: Expr = const(0)
    for i, size in zip(index, shape):
        place = add(mul(place, puller.size(size)), i)
    return place


def _pull_take(node: Node, index: tuple[Expr, ...], puller: Puller) -> Expr:
    axis, indices, shared = node["axis"], node.inputs[1].type, shared_axes(node.attrs)
    end = axis + indices.rank - shared
    inner = (*index[:shared], *index[axis:end])
    size = puller.size(node.inputs[0].type.shape[axis])
    place, outside = resolve(puller.read(1, inner), size)
    puller.report(node, outside, _linear(inner, indices.shape, puller))
    source = (*index[:axis], place, *index[end:])
    zero = const(node.type.dtype.dtype.type(0).item(), node.type.dtype)
    return puller.guarded(apply(Scalar.NOT, outside), lambda: puller.read(0, source), zero)


def _vjp_take(node: Node, g: Node) -> tuple[Node | None, ...]:
    x, indices = node.inputs
    base = build.full(0.0, x.type)
    return build.call("scatter_add", base, indices, g, **node.attrs), None


def _batch_take(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    """Where array and indices are mapped, the new axis is one more that they share; else it is one
    of the axes of either."""
    (x, indices), (x_batched, indices_batched) = inputs, batched
    axis, shared = node["axis"], shared_axes(node.attrs)
    if x_batched and indices_batched:
        return take(x, indices, axis=axis + 1, **_sharing(shared + 1))
    if x_batched:
        x = build.from_front(x, shared)
        return build.to_front(take(x, indices, **{**node.attrs, "axis": axis + 1}), shared)
    return build.to_front(take(x, build.from_front(indices, shared), **node.attrs), axis)


_SHAPES: list[tuple[tuple[int, ...], tuple[int, ...], Attrs]] = [
    ((4, 3), (5,), {"axis": 0}),
    ((2, 4), (2, 3), {"axis": 1}),
    ((2, 3, 2), (), {"axis": 1}),
    ((3,), (0,), {"axis": 0}),
    ((3, 0), (2,), {"axis": 0}),
    ((2, 4, 3), (2, 5), {"axis": 1, "batch": 1}),
    ((2, 3, 4), (2,), {"axis": 2, "batch": 1}),
    ((2, 3, 2, 4), (2, 3, 2), {"axis": 3, "batch": 2}),
    ((0, 3), (0, 2), {"axis": 1, "batch": 1}),
]


def _samples_take() -> list[tuple[Types, Attrs]]:
    cases = [(dtypes.float64, dtypes.int64), (dtypes.bool_, dtypes.uint8)]
    cases += [(dtypes.int32, dtypes.int32), (dtypes.float32, dtypes.uint64)]
    return [
        ((TensorType(dtype, x), TensorType(index, indices)), attrs)
        for dtype, index in cases
        for x, indices, attrs in _SHAPES
    ]


take = TABLE.add(
    OpDef(
        "take",
        Family.INDEXING,
        infer=_infer_take,
        reference=_reference_take,
        pull=_pull_take,
        vjp=_vjp_take,
        jvp=build.along,
        batch=_batch_take,
        fails=_failure,
        cost=4,
        samples=_samples_take,
    )
)


# ---------------------------------------------------------------------------------------------
# scatter_add(axis; base, indices, updates): updates are shaped as take(base, indices)
# ---------------------------------------------------------------------------------------------


def _infer_scatter_add(types: Types, attrs: Attrs) -> TensorType:
    check.arity("scatter_add", types, 3)
    base, indices, updates = types
    check.kind("scatter_add", base, check.NUMBERS | check.COMPLEX)
    _check_index("scatter_add", base, indices, attrs)
    check.same_dtype("scatter_add", (base, updates))
    wanted = _taken(base, indices, attrs)
    if not check.same_sizes(wanted.shape, updates.shape):
        raise ShapeError(
            f"scatter_add: updates for {check.describe(base)} at {check.describe(indices)} along "
            f"axis {attrs['axis']} are {check.describe(wanted)}, but were {check.describe(updates)}"
        )
    return base


def _reference_scatter_add(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    (base, indices, updates), axis, shared = arrays, attrs["axis"], shared_axes(attrs)
    places = _resolve_array(indices, base.shape[axis]).reshape(indices.shape)
    result = np.array(base)
    for rows, where, news in _one_by_one((result, places, updates), shared):
        _add_rows(rows, where, news, axis - shared)
    return result


def _add_rows(result: Array, places: Array, updates: Array, axis: int) -> None:
    shape = (*result.shape[:axis], places.size, *result.shape[axis + 1 :])
    rows, news = np.moveaxis(result, axis, 0), np.moveaxis(updates.reshape(shape), axis, 0)
    with np.errstate(all="ignore"):
        for number, place in enumerate(places.reshape(-1)):
            rows[place] = rows[place] + news[number]


def _vjp_scatter_add(node: Node, g: Node) -> tuple[Node | None, ...]:
    return g, None, build.call("take", g, node.inputs[1], **node.attrs)


def _batch_scatter_add(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    """Indices that are the same for all elements stay so, if they are it for all."""
    base, indices, updates = (
        x if is_batched else mapper.expanded(x) for x, is_batched in zip(inputs, batched)
    )
    axis, shared = node["axis"] + 1, shared_axes(node.attrs)
    if not batched[1] and not shared:
        return scatter_add(base, inputs[1], updates, axis=axis)
    return scatter_add(base, indices, updates, axis=axis, **_sharing(shared + 1))


def _jvp_scatter_add(
    node: Node, by_base: Node | None, _: Node | None, by_updates: Node | None
) -> tuple[Node, tuple[Node | None, ...]]:
    """The tangents of the updates, added to that of the base in the same order."""
    if by_updates is None:
        return node, (by_base,)
    base = build.like(0.0, node) if by_base is None else by_base
    return node, (scatter_add(base, node.inputs[1], by_updates, **node.attrs),)


def _samples_scatter_add() -> list[tuple[Types, Attrs]]:
    cases = [(dtypes.float64, dtypes.int64), (dtypes.float32, dtypes.int32)]
    cases += [(dtypes.int32, dtypes.uint8), (dtypes.uint64, dtypes.uint64)]
    samples: list[tuple[Types, Attrs]] = []
    for dtype, index in cases:
        for base, indices, attrs in _SHAPES:
            types = TensorType(dtype, base), TensorType(index, indices)
            samples.append(((*types, _taken(*types, attrs)), attrs))
    return samples


scatter_add = TABLE.add(
    OpDef(
        "scatter_add",
        Family.INDEXING,
        infer=_infer_scatter_add,
        reference=_reference_scatter_add,
        vjp=_vjp_scatter_add,
        jvp=_jvp_scatter_add,
        batch=_batch_scatter_add,
        fails=_failure,
        cost=4,
        samples=_samples_scatter_add,
    )
)
