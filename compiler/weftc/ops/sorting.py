"""sort, argsort and top_k, along the last axis: routines of the runtime.

Floats stand in the order -inf .. -0.0 < +0.0 .. inf; sort and argsort put NaN last, descending too;
to top_k it is the largest, as it is to max. Equal elements keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.constraints import AtLeast, assume
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, ExternCall, Failure, Family, Mapper, OpDef
from weftc.ir.sizes import Size, product
from weftc.ir.types import TensorType, TupleType
from weftc.ops import build, check
from weftrt import dtypes
from weftrt.dtypes import DType, Kind
from weftrt.errors import OutOfMemoryError, ShapeError
from weftrt.orders import ASCENDING, DESCENDING, LARGEST, PLACES, VALUES

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]

NANOSECONDS = 20
"""What an element takes, about."""


def _operand(name: str, types: Types) -> TensorType:
    check.arity(name, types, 1)
    (x,) = types
    if x.rank == 0:
        raise ShapeError(f"{name} takes an array of at least one axis, but was given a scalar")
    check.kind(name, x, check.ANY)
    return x


def _ordered(x: Array) -> Array:
    """Integers in the order of the elements."""
    if x.dtype.kind != "f":
        return x.view(np.uint8) if x.dtype == bool else x
    bits = x.view(f"i{x.itemsize}")
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)


def _places(x: Array, order: int) -> Array:
    """The stable order of each row, by keys."""
    keys = _ordered(np.ascontiguousarray(x))
    keys = keys if order == ASCENDING else ~keys
    if x.dtype.kind == "f":
        limits = np.iinfo(keys.dtype)
        keys = np.where(np.isnan(x), limits.min if order == LARGEST else limits.max, keys)
    return np.argsort(keys, axis=-1, kind="stable").astype(np.int64)


def _order(attrs: Attrs) -> int:
    return DESCENDING if attrs["descending"] else ASCENDING


def _routine(dtype: DType, results: int) -> str:
    kind = "f" if dtype.is_float else "u" if dtype.bits == 8 else "i"
    whole = "_values" if dtype.bits == 64 and results == VALUES else ""
    return f"weft_sort_{kind}{dtype.bits}{whole}"


def _call(node: Node, kept: Size, results: int, order: int) -> ExternCall:
    x = node.inputs[0].type
    rows, length = product(x.shape[:-1]), x.shape[-1]
    signed = int(x.dtype.kind is Kind.SIGNED)
    return ExternCall(
        _routine(x.dtype, results),
        (rows, length, kept, results, signed, order),
        x.size * NANOSECONDS,
    )


def _fails(node: Node) -> Failure:
    length = node.inputs[0].type.shape[-1]
    return Failure(OutOfMemoryError, f"{node.op.name}: no memory to sort {length} elements")


def _flat_places(indices: Node, length: Size) -> Node:
    """Places in rows of `length` as places in all rows one after the other, in one axis."""
    shape = indices.type.shape
    rows = (product(shape[:-1]), shape[-1])
    iota = build.call("iota", shape=rows, axis=0, dtype=dtypes.int64)
    start = build.call("mul", iota, build.expand(build.call("size", size=length), rows, ()))
    flat = build.call("add", start, build.reshape(indices, rows))
    return build.reshape(flat, (product(shape),))


def _scattered(x: Node, indices: Node, g: Node) -> Node:
    """The cotangent of `x` for that of its elements at `indices` of each row."""
    base = build.full(0.0, TensorType(x.type.dtype, (x.type.size,)))
    places = _flat_places(indices, x.type.shape[-1])
    updates = build.reshape(g, (g.type.size,))
    return build.reshape(build.call("scatter_add", base, places, updates, axis=0), x.type.shape)


def _batch(node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: Mapper) -> Node:
    """Rows are sorted each by itself, whatever axes there are before the last."""
    return node.op(*inputs, **node.attrs)


_SHAPES: tuple[tuple[int, ...], ...] = ((7,), (1,), (0,), (3, 5), (2, 0), (0, 3), (2, 1, 4))


def _samples() -> list[tuple[Types, Attrs]]:
    return [
        ((TensorType(dtype, shape),), {"descending": descending})
        for dtype in dtypes.REAL
        for shape, descending in zip(_SHAPES, (False, True) * len(_SHAPES))
    ]


# ---------------------------------------------------------------------------------------------
# sort(descending; x): the elements of each row in order
# ---------------------------------------------------------------------------------------------


def _infer_sort(types: Types, attrs: Attrs) -> TensorType:
    return _operand("sort", types)


def _reference_sort(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    return np.take_along_axis(arrays[0], _places(arrays[0], _order(attrs)), -1)


def _vjp_sort(node: Node, g: Node) -> tuple[Node | None, ...]:
    (x,) = node.inputs
    return (_scattered(x, argsort(x, **node.attrs), g),)


sort = TABLE.add(
    OpDef(
        "sort",
        Family.EXTERN,
        infer=_infer_sort,
        reference=_reference_sort,
        vjp=_vjp_sort,
        batch=_batch,
        extern=lambda node: _call(node, node.type.shape[-1], VALUES, _order(node.attrs)),
        fails=_fails,
        cost=NANOSECONDS,
        samples=_samples,
    )
)


# ---------------------------------------------------------------------------------------------
# argsort(descending; x): the places, int64, of the elements of each row in order
# ---------------------------------------------------------------------------------------------


def _infer_argsort(types: Types, attrs: Attrs) -> TensorType:
    return _operand("argsort", types).with_dtype(dtypes.int64)


def _reference_argsort(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    return _places(arrays[0], _order(attrs))


argsort = TABLE.add(
    OpDef(
        "argsort",
        Family.EXTERN,
        infer=_infer_argsort,
        reference=_reference_argsort,
        batch=_batch,
        extern=lambda node: _call(node, node.type.shape[-1], PLACES, _order(node.attrs)),
        fails=_fails,
        cost=NANOSECONDS,
        samples=_samples,
    )
)


# ---------------------------------------------------------------------------------------------
# top_k(k; x): the k largest elements of each row, the largest first, and their places
# ---------------------------------------------------------------------------------------------


def _infer_top_k(types: Types, attrs: Attrs) -> TupleType:
    x, k = _operand("top_k", types), attrs["k"]
    if not assume(AtLeast(x.shape[-1], k)):
        raise ShapeError(f"top_k: {check.describe(x)} has no {k} elements along its last axis")
    values = x.with_shape((*x.shape[:-1], k))
    return TupleType((values, values.with_dtype(dtypes.int64)))


def _reference_top_k(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Array, Array]:
    places = np.ascontiguousarray(_places(arrays[0], LARGEST)[..., : attrs["k"]])
    return np.take_along_axis(arrays[0], places, -1), places


def _vjp_top_k(node: Node, g: Node | None, _: Node | None) -> tuple[Node | None, ...]:
    if g is None:
        return (None,)
    return (_scattered(node.inputs[0], build.call("project", node, index=1), g),)


def _samples_top_k() -> list[tuple[Types, Attrs]]:
    return [
        ((TensorType(dtype, shape),), {"k": k})
        for dtype in dtypes.REAL
        for shape, k in (((7,), 3), ((1,), 1), ((0,), 0), ((3, 5), 5), ((2, 4), 0), ((0, 3), 2))
    ]


top_k = TABLE.add(
    OpDef(
        "top_k",
        Family.EXTERN,
        infer=_infer_top_k,
        reference=_reference_top_k,
        vjp=_vjp_top_k,
        batch=_batch,
        extern=lambda node: _call(node, node["k"], VALUES | PLACES, LARGEST),
        fails=_fails,
        cost=NANOSECONDS,
        samples=_samples_top_k,
    )
)
