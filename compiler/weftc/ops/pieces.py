"""Movement ops that cut, join and extend arrays: slice, concat, pad."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.constraints import AtLeast, AtMost, assume
from weftc.ir.index_linear import Linear, Space
from weftc.ir.index_map import Coverage, Guard, IndexMap
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, Mapper, OpDef
from weftc.ir.size_functions import ceil_div, minimum
from weftc.ir.sizes import Shape, Size, static_shape
from weftc.ir.types import TensorType
from weftc.ops import build, check
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]
Shapes: TypeAlias = tuple[Shape, ...]
Maps: TypeAlias = tuple[IndexMap, ...]
Cotangents: TypeAlias = "tuple[Node | None, ...]"
Nodes: TypeAlias = tuple[Node, ...]
Flags: TypeAlias = tuple[bool, ...]


# ---------------------------------------------------------------------------------------------
# slice(start, stop, step): per axis, 0 <= start <= stop <= size, step > 0
# ---------------------------------------------------------------------------------------------


def _infer_slice(types: Types, attrs: Attrs) -> TensorType:
    check.arity("slice", types, 1)
    bounds = tuple(zip(attrs["start"], attrs["stop"], attrs["step"]))
    ok = len(attrs["start"]) == len(attrs["stop"]) == len(attrs["step"]) == types[0].rank
    for (start, stop, step), size in zip(bounds, types[0].shape):
        ordered = AtLeast(start, 0), AtMost(start, stop), AtMost(stop, size)
        ok = ok and step > 0 and all(assume(order) for order in ordered)
    if not ok:
        text = ", ".join(f"{start}:{stop}:{step}" for start, stop, step in bounds)
        raise ShapeError(f"slice: [{text}] does not fit {check.describe(types[0])}")
    return types[0].with_shape(tuple(ceil_div(stop - start, step) for start, stop, step in bounds))


def _reference_slice(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    return arrays[0][tuple(map(builtins.slice, attrs["start"], attrs["stop"], attrs["step"]))]


def _view_slice(shape: Shape, operands: Shapes, attrs: Attrs) -> Maps:
    (operand,), space = operands, Space(shape)
    axes = [
        space.axis(axis).scaled(step).shifted(start)
        for axis, (start, step) in enumerate(zip(attrs["start"], attrs["step"]))
    ]
    is_all = shape == operand and all(step == 1 for step in attrs["step"])
    coverage = Coverage.ALL if is_all else Coverage.SOME
    return (IndexMap.made(shape, operand, axes, coverage=coverage),)


def _spread(length: Size, step: int) -> Size:
    """The size of an axis whose every `step`th element is one of `length`, first and last too."""
    return length * step - minimum(length, 1) * (step - 1)


def _vjp_slice(node: Node, g: Node) -> Cotangents:
    high: list[Size] = []
    for length, size, start, step in zip(
        node.type.shape, node.inputs[0].type.shape, node["start"], node["step"]
    ):
        high.append(size - start - _spread(length, step))
    interior = tuple(step - 1 for step in node["step"])
    zero = build.constant(0.0, g.type.dtype)
    return (build.call("pad", g, zero, low=node["start"], high=tuple(high), interior=interior),)


def _batch_slice(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    stop = (mapper.size, *node["stop"])
    return slice(*inputs, start=(0, *node["start"]), stop=stop, step=(1, *node["step"]))


def _samples_slice() -> list[tuple[Types, Attrs]]:
    def sample(shape: Shape, *bounds: tuple[int, int, int]) -> tuple[Types, Attrs]:
        start, stop, step = tuple(zip(*bounds)) or ((), (), ())
        return (TensorType(dtypes.float64, shape),), {"start": start, "stop": stop, "step": step}

    return [
        sample((5, 4), (1, 4, 1), (0, 4, 1)),
        sample((7, 3), (1, 6, 2), (0, 3, 2)),
        sample((5,), (2, 2, 1)),
        sample((0,), (0, 0, 3)),
        sample(()),
    ]


slice = TABLE.add(
    OpDef(
        "slice",
        Family.MOVEMENT,
        infer=_infer_slice,
        reference=_reference_slice,
        view=_view_slice,
        vjp=_vjp_slice,
        jvp=build.along,
        batch=_batch_slice,
        cost=0,
        exact=True,
        samples=_samples_slice,
    )
)


# ---------------------------------------------------------------------------------------------
# concat(axis)
# ---------------------------------------------------------------------------------------------


def _infer_concat(types: Types, attrs: Attrs) -> TensorType:
    axis = attrs["axis"]
    if not types:
        raise ShapeError("concat takes at least one array")
    check.axis("concat", axis, types[0])
    check.same_dtype("concat", types)
    shape = types[0].shape
    total: Size = 0
    for type_ in types:
        others = type_.shape[:axis] + type_.shape[axis + 1 :]
        if not check.same_sizes(others, shape[:axis] + shape[axis + 1 :]):
            raise ShapeError(
                f"concat: {check.describe_all(types)} differ in other axes than {axis}"
            )
        total = total + type_.shape[axis]
    return types[0].with_shape((*shape[:axis], total, *shape[axis + 1 :]))


def _view_concat(shape: Shape, operands: Shapes, attrs: Attrs) -> Maps:
    axis: int = attrs["axis"]
    index = Space(shape).index
    maps: list[IndexMap] = []
    offset: Size = 0
    for operand in operands:
        here = index[axis].shifted(-1 * offset)
        axes = (*index[:axis], here, *index[axis + 1 :])
        maps.append(IndexMap.made(shape, operand, axes, [Guard(here, operand[axis])]))
        offset = offset + operand[axis]
    return tuple(maps)


def _vjp_concat(node: Node, g: Node) -> Cotangents:
    axis, shape = node["axis"], node.type.shape
    parts: list[Node | None] = []
    offset: Size = 0
    for operand in node.inputs:
        start: list[Size] = [0] * len(shape)
        stop = list(shape)
        start[axis], offset = offset, offset + operand.type.shape[axis]
        stop[axis] = offset
        step = (1,) * len(shape)
        parts.append(build.call("slice", g, start=tuple(start), stop=tuple(stop), step=step))
    return tuple(parts)


def _jvp_concat(node: Node, *tangents: Node | None) -> tuple[Node, Cotangents]:
    """The tangents side by side, which the transpose of cutting would add up."""
    parts = [build.like(0.0, x) if t is None else t for x, t in zip(node.inputs, tangents)]
    return node, (concat(*parts, axis=node["axis"]),)


def _batch_concat(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    whole = [x if is_batched else mapper.expanded(x) for x, is_batched in zip(inputs, batched)]
    return concat(*whole, axis=node["axis"] + 1)


def _samples_concat() -> list[tuple[Types, Attrs]]:
    def sample(axis: int, *shapes: Shape) -> tuple[Types, Attrs]:
        return tuple(TensorType(dtypes.float64, s) for s in shapes), {"axis": axis}

    return [
        sample(0, (2,), (3,), (1,)),
        sample(1, (2, 1), (2, 3)),
        sample(0, (0, 2), (3, 2)),
        sample(0, (4,)),
    ]


concat = TABLE.add(
    OpDef(
        "concat",
        Family.MOVEMENT,
        infer=_infer_concat,
        reference=lambda arrays, attrs, type_: np.concatenate(arrays, attrs["axis"]),
        view=_view_concat,
        vjp=_vjp_concat,
        jvp=_jvp_concat,
        batch=_batch_concat,
        exact=True,
        samples=_samples_concat,
    )
)


# ---------------------------------------------------------------------------------------------
# pad(low, high, interior): inputs x and a 0-d value; `interior` new elements between neighbours
# ---------------------------------------------------------------------------------------------


def _infer_pad(types: Types, attrs: Attrs) -> TensorType:
    check.arity("pad", types, 2)
    operand, value = types
    if value.rank or value.dtype is not operand.dtype:
        raise DTypeError(
            f"pad: the value for {check.describe(operand)} is a 0-d {operand.dtype}, "
            f"but was {check.describe(value)}"
        )
    per_axis = tuple(zip(attrs["low"], attrs["high"], attrs["interior"]))
    counts = {len(attrs[name]) for name in ("low", "high", "interior")}
    if counts != {operand.rank} or any(
        not (assume(AtLeast(low, 0)) and assume(AtLeast(high, 0)) and interior >= 0)
        for low, high, interior in per_axis
    ):
        raise ShapeError(
            f"pad: low {attrs['low']}, high {attrs['high']} and interior {attrs['interior']} "
            f"do not fit {check.describe(operand)}"
        )
    return operand.with_shape(
        tuple(
            low + _spread(size, interior + 1) + high
            for size, (low, high, interior) in zip(operand.shape, per_axis)
        )
    )


def _reference_pad(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    x, value = arrays
    result = np.full(static_shape(type_.shape), value)
    if x.size:
        places = [
            builtins.slice(low, low + (size - 1) * (interior + 1) + 1, interior + 1)
            for size, low, interior in zip(x.shape, attrs["low"], attrs["interior"])
        ]
        result[tuple(places)] = x
    return result


def _view_pad(shape: Shape, operands: Shapes, attrs: Attrs) -> Maps:
    operand, space = operands[0], Space(shape)
    axes: list[Linear] = []
    guards: list[Guard] = []
    for axis, (size, low, interior) in enumerate(zip(operand, attrs["low"], attrs["interior"])):
        here, step = space.axis(axis).shifted(-1 * low), interior + 1
        guards.append(Guard(here, _spread(size, step)))
        guards.append(Guard(space.part(here, 1, step), 1))
        axes.append(space.part(here, step))
    return IndexMap.made(shape, operand, axes, guards), IndexMap(shape, (), ())


def _covered(x: Node, amounts: Attrs) -> Node:
    """Whether an element of a padded `x` is one of `x`."""
    on = build.full(True, x.type.with_dtype(dtypes.bool_))
    return build.call("pad", on, build.constant(False, dtypes.bool_), **amounts)


def _vjp_pad(node: Node, g: Node) -> Cotangents:
    x, value = node.inputs
    low, high, interior = node["low"], node["high"], node["interior"]
    stop = tuple(n - h for n, h in zip(node.type.shape, high))
    step = tuple(i + 1 for i in interior)
    inner = build.call("slice", g, start=low, stop=stop, step=step)
    if value.op.name == "constant":
        return inner, None
    covered = _covered(x, {"low": low, "high": high, "interior": interior})
    outside = build.call("where", covered, build.like(0.0, g), g)
    return inner, build.reduce("sum", outside, range(g.type.rank))


def _batch_pad(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    """A value for each element is chosen where a pad of False has been."""
    (x, value), (x_batched, value_batched) = inputs, batched
    amounts: Attrs = {name: (0, *node[name]) for name in ("low", "high", "interior")}
    x = x if x_batched else mapper.expanded(x)
    if not value_batched:
        return pad(x, value, **amounts)
    zero = build.zero(x.type.dtype)
    padded, covered = pad(x, zero, **amounts), _covered(x, amounts)
    return build.call("where", covered, padded, build.expand(value, padded.type.shape, (0,)))


def _samples_pad() -> list[tuple[Types, Attrs]]:
    def sample(shape: Shape, *amounts: tuple[int, int, int]) -> tuple[Types, Attrs]:
        low, high, interior = tuple(zip(*amounts)) or ((), (), ())
        types = (TensorType(dtypes.float64, shape), TensorType(dtypes.float64, ()))
        return types, {"low": low, "high": high, "interior": interior}

    return [
        sample((2, 3), (1, 0, 0), (0, 2, 0)),
        sample((3, 2), (1, 2, 1), (0, 0, 2)),
        sample((0, 2), (1, 1, 0), (0, 0, 0)),
        sample((0,), (2, 0, 1)),
        sample(()),
    ]


pad = TABLE.add(
    OpDef(
        "pad",
        Family.MOVEMENT,
        infer=_infer_pad,
        reference=_reference_pad,
        view=_view_pad,
        vjp=_vjp_pad,
        batch=_batch_pad,
        exact=True,
        samples=_samples_pad,
    )
)
