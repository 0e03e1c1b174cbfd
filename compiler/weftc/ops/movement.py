"""Ops that only move elements: every one is an index map, given by its `view`.

Those that cut or extend arrays are defined in weftc.ops.pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.constraints import assume_equal, assume_is_one
from weftc.ir.index_linear import Linear, Space
from weftc.ir.index_map import IndexMap
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, Mapper, OpDef
from weftc.ir.sizes import Shape
from weftc.ir.types import TensorType
from weftc.ops import build, check
from weftc.ops.pieces import concat, pad, slice
from weftrt import dtypes
from weftrt.errors import ShapeError

__all__ = ["broadcast", "concat", "flip", "pad", "reshape", "slice", "transpose"]

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]
Shapes: TypeAlias = tuple[Shape, ...]
Maps: TypeAlias = tuple[IndexMap, ...]
Cotangents: TypeAlias = "tuple[Node | None, ...]"
Nodes: TypeAlias = tuple[Node, ...]
Flags: TypeAlias = tuple[bool, ...]


def _behind(axes: Sequence[int]) -> tuple[int, ...]:
    """Axes behind a new first one."""
    return tuple(axis + 1 for axis in axes)


# ---------------------------------------------------------------------------------------------
# broadcast(shape, axes): operand axis i is result axis axes[i], of its size or stretched from 1
# ---------------------------------------------------------------------------------------------


def _infer_broadcast(types: Types, attrs: Attrs) -> TensorType:
    check.arity("broadcast", types, 1)
    operand, result = types[0], types[0].with_shape(attrs["shape"])
    axes = attrs["axes"]
    check.axes("broadcast", axes, result)
    fits = len(axes) == operand.rank and all(
        size == 1 or assume_equal(size, result.shape[axis])
        for axis, size in zip(axes, operand.shape)
    )
    if not fits:
        raise ShapeError(
            f"broadcast: {check.describe(operand)} does not fit the axes {check.shape_text(axes)} "
            f"of the shape {check.shape_text(result.shape)}"
        )
    return result


def _reference_broadcast(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    shape = [1] * type_.rank
    for axis, size in zip(attrs["axes"], arrays[0].shape):
        shape[axis] = size
    return np.broadcast_to(arrays[0].reshape(shape), attrs["shape"])


def _view_broadcast(shape: Shape, operands: Shapes, attrs: Attrs) -> Maps:
    (operand,), space = operands, Space(shape)
    axes = [
        Linear(0) if size == 1 and shape[axis] != 1 else space.axis(axis)
        for axis, size in zip(attrs["axes"], operand)
    ]
    return (IndexMap.made(shape, operand, axes),)


def _vjp_broadcast(node: Node, g: Node) -> Cotangents:
    pairs, result = zip(node["axes"], node.inputs[0].type.shape), node.type.shape
    kept = [a for a, size in pairs if size != 1 or assume_is_one(result[a])]
    summed = build.reduce("sum", g, [a for a in range(node.type.rank) if a not in kept])
    return (build.reshape(summed, node.inputs[0].type.shape),)


def _batch_broadcast(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    return build.expand(inputs[0], (mapper.size, *node["shape"]), (0, *_behind(node["axes"])))


def _samples_broadcast() -> list[tuple[Types, Attrs]]:
    f = dtypes.float64
    return [
        ((TensorType(f, ()),), {"shape": (2, 3), "axes": ()}),
        ((TensorType(f, (3,)),), {"shape": (2, 3, 4), "axes": (1,)}),
        ((TensorType(f, (2, 1)),), {"shape": (2, 3, 4), "axes": (0, 2)}),
        ((TensorType(f, (2, 0)),), {"shape": (2, 3, 0), "axes": (0, 2)}),
        ((TensorType(f, (1,)),), {"shape": (0,), "axes": (0,)}),
    ]


broadcast = TABLE.add(
    OpDef(
        "broadcast",
        Family.MOVEMENT,
        infer=_infer_broadcast,
        reference=_reference_broadcast,
        view=_view_broadcast,
        vjp=_vjp_broadcast,
        jvp=build.along,
        batch=_batch_broadcast,
        cost=0,
        exact=True,
        samples=_samples_broadcast,
    )
)


# ---------------------------------------------------------------------------------------------
# reshape(shape)
# ---------------------------------------------------------------------------------------------


def _infer_reshape(types: Types, attrs: Attrs) -> TensorType:
    check.arity("reshape", types, 1)
    result = types[0].with_shape(attrs["shape"])
    if not assume_equal(types[0].size, result.size):
        raise ShapeError(
            f"reshape: {check.describe(types[0])} has {types[0].size} elements, "
            f"the shape {check.shape_text(result.shape)} has {result.size}"
        )
    return result


def _view_reshape(shape: Shape, operands: Shapes, attrs: Attrs) -> Maps:
    return (IndexMap.reshape(shape, operands[0]),)


def _batch_reshape(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    return build.reshape(inputs[0], (mapper.size, *node["shape"]))


def _samples_reshape() -> list[tuple[Types, Attrs]]:
    def sample(before: Shape, after: Shape) -> tuple[Types, Attrs]:
        return (TensorType(dtypes.float64, before),), {"shape": after}

    return [
        sample((2, 3), (3, 2)),
        sample((2, 3, 4), (6, 4)),
        sample((2, 12), (2, 3, 4)),
        sample((1, 3, 1), (3,)),
        sample((), (1, 1)),
        sample((4, 6), (2, 3, 4)),
        sample((0, 3), (5, 0)),
    ]


reshape = TABLE.add(
    OpDef(
        "reshape",
        Family.MOVEMENT,
        infer=_infer_reshape,
        reference=lambda arrays, attrs, type_: arrays[0].reshape(attrs["shape"]),
        view=_view_reshape,
        vjp=lambda node, g: (build.reshape(g, node.inputs[0].type.shape),),
        jvp=build.along,
        batch=_batch_reshape,
        cost=0,
        exact=True,
        samples=_samples_reshape,
    )
)


# ---------------------------------------------------------------------------------------------
# transpose(permutation): result axis i is operand axis permutation[i]
# ---------------------------------------------------------------------------------------------


def _infer_transpose(types: Types, attrs: Attrs) -> TensorType:
    check.arity("transpose", types, 1)
    permutation = attrs["permutation"]
    if sorted(permutation) != list(range(types[0].rank)):
        raise ShapeError(
            f"transpose: {check.shape_text(permutation)} is not a permutation of the axes of "
            f"{check.describe(types[0])}"
        )
    return types[0].with_shape(tuple(types[0].shape[a] for a in permutation))


def _inverse(permutation: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))


def _view_transpose(shape: Shape, operands: Shapes, attrs: Attrs) -> Maps:
    axes = map(Space(shape).axis, _inverse(attrs["permutation"]))
    return (IndexMap.made(shape, operands[0], axes),)


def _batch_transpose(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    return build.transpose(inputs[0], (0, *_behind(node["permutation"])))


def _samples_transpose() -> list[tuple[Types, Attrs]]:
    type_ = TensorType(dtypes.float64, (2, 3, 4))
    return [
        ((type_,), {"permutation": (2, 0, 1)}),
        ((type_,), {"permutation": (0, 2, 1)}),
        ((type_.with_shape((0, 3)),), {"permutation": (1, 0)}),
        ((type_.with_shape(()),), {"permutation": ()}),
    ]


transpose = TABLE.add(
    OpDef(
        "transpose",
        Family.MOVEMENT,
        infer=_infer_transpose,
        reference=lambda arrays, attrs, type_: arrays[0].transpose(attrs["permutation"]),
        view=_view_transpose,
        vjp=lambda node, g: (build.transpose(g, _inverse(node["permutation"])),),
        jvp=build.along,
        batch=_batch_transpose,
        cost=0,
        exact=True,
        samples=_samples_transpose,
    )
)


# ---------------------------------------------------------------------------------------------
# flip(axes)
# ---------------------------------------------------------------------------------------------


def _infer_flip(types: Types, attrs: Attrs) -> TensorType:
    check.arity("flip", types, 1)
    check.axes("flip", attrs["axes"], types[0])
    return types[0]


def _view_flip(shape: Shape, operands: Shapes, attrs: Attrs) -> Maps:
    axes = list(Space(shape).index)
    for axis in attrs["axes"]:
        axes[axis] = axes[axis].scaled(-1).shifted(shape[axis] - 1)
    return (IndexMap.made(shape, shape, axes),)


def _batch_flip(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    return flip(*inputs, axes=_behind(node["axes"]))


def _samples_flip() -> list[tuple[Types, Attrs]]:
    type_ = TensorType(dtypes.float64, (2, 3))
    return [
        ((type_,), {"axes": (1,)}),
        ((type_,), {"axes": (0, 1)}),
        ((type_.with_shape((0, 2)),), {"axes": (0,)}),
        ((type_.with_shape(()),), {"axes": ()}),
    ]


flip = TABLE.add(
    OpDef(
        "flip",
        Family.MOVEMENT,
        infer=_infer_flip,
        reference=lambda arrays, attrs, type_: np.flip(arrays[0], attrs["axes"]),
        view=_view_flip,
        vjp=lambda node, g: (build.call("flip", g, axes=node["axes"]),),
        jvp=build.along,
        batch=_batch_flip,
        cost=0,
        exact=True,
        samples=_samples_flip,
    )
)
