"""Ops that only move elements: every one is index arithmetic, given by its `pull`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, OpDef, Puller
from weftc.ir.types import Dim, Shape, Size, TensorType, product, same, static_shape
from weftc.loop.ir import Expr, Scalar, add, apply, const, mul
from weftc.ops import build, check
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]
Index: TypeAlias = "tuple[Expr, ...]"
Cotangents: TypeAlias = "tuple[Node | None, ...]"


def _subtract(a: Expr, b: Expr) -> Expr:
    return apply(Scalar.SUB, a, b)


def _at_most(a: Size, b: Size) -> bool:
    """a <= b where that can be told; sizes that cannot be compared pass."""
    difference = b - a
    return isinstance(difference, Dim) or difference >= 0


# ---------------------------------------------------------------------------------------------
# broadcast(shape, axes): operand axis i is result axis axes[i], of its size or stretched from 1
# ---------------------------------------------------------------------------------------------


def _infer_broadcast(types: Types, attrs: Attrs) -> TensorType:
    check.arity("broadcast", types, 1)
    operand, result = types[0], types[0].with_shape(attrs["shape"])
    axes = attrs["axes"]
    check.axes("broadcast", axes, result)
    fits = len(axes) == operand.rank and all(
        size == 1 or same(size, result.shape[axis]) for axis, size in zip(axes, operand.shape)
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


def _stretched(node: Node) -> list[bool]:
    """For each operand axis, whether it grows from 1."""
    pairs = zip(node["axes"], node.inputs[0].type.shape)
    return [size == 1 and node.type.shape[axis] != 1 for axis, size in pairs]


def _pull_broadcast(node: Node, index: Index, puller: Puller) -> Expr:
    inner = [const(0) if s else index[a] for a, s in zip(node["axes"], _stretched(node))]
    return puller.read(0, tuple(inner))


def _vjp_broadcast(node: Node, g: Node) -> Cotangents:
    kept = [a for a, s in zip(node["axes"], _stretched(node)) if not s]
    summed = build.reduce("sum", g, [a for a in range(node.type.rank) if a not in kept])
    return (build.reshape(summed, node.inputs[0].type.shape),)


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
        pull=_pull_broadcast,
        vjp=_vjp_broadcast,
        cost=0,
        exact=True,
        array_api="broadcast_to",
        onnx="Expand",
        samples=_samples_broadcast,
    )
)


# ---------------------------------------------------------------------------------------------
# reshape(shape)
# ---------------------------------------------------------------------------------------------


def _infer_reshape(types: Types, attrs: Attrs) -> TensorType:
    check.arity("reshape", types, 1)
    result = types[0].with_shape(attrs["shape"])
    if not same(types[0].size, result.size):
        raise ShapeError(
            f"reshape: {check.describe(types[0])} has {types[0].size} elements, "
            f"the shape {check.shape_text(result.shape)} has {result.size}"
        )
    return result


def _axis_groups(before: Shape, after: Shape) -> list[tuple[range, range]]:
    """The axes of both shapes (without ones), left to right, in the shortest runs of equal size."""
    if 0 in before or 0 in after:
        return [(range(len(before)), range(len(after)))]
    ends = {product(after[:j]): j for j in range(len(after))}
    cuts = [(i, ends[p]) for i in range(len(before)) if (p := product(before[:i])) in ends]
    cuts.append((len(before), len(after)))  # equal by form, or by a recorded guard
    return [(range(i, k), range(j, l)) for (i, j), (k, l) in pairwise(cuts)]


def _pull_reshape(node: Node, index: Index, puller: Puller) -> Expr:
    """Runs of axes that correspond are taken apart; within one, the place in the run is made from
    the result's index and split by the operand's sizes. Axes of size 1 cost nothing."""
    before, after = node.inputs[0].type.shape, node.type.shape
    inner: list[Expr] = [const(0)] * len(before)
    kept_before = [a for a, size in enumerate(before) if size != 1]
    kept_after = [a for a, size in enumerate(after) if size != 1]
    groups = _axis_groups(
        tuple(before[a] for a in kept_before), tuple(after[a] for a in kept_after)
    )
    for run_before, run_after in groups:
        place: Expr = const(0)
        for number in run_after:
            axis = kept_after[number]
            place = add(mul(place, puller.size(after[axis])), index[axis])
        axes = [kept_before[number] for number in run_before]
        for axis in reversed(axes[1:]):
            size = puller.size(before[axis])
            inner[axis] = apply(Scalar.TREM, place, size)
            place = apply(Scalar.TDIV, place, size)
        if axes:
            inner[axes[0]] = place
    return puller.read(0, tuple(inner))


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
        pull=_pull_reshape,
        vjp=lambda node, g: (build.reshape(g, node.inputs[0].type.shape),),
        cost=0,
        exact=True,
        array_api="reshape",
        onnx="Reshape",
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


def _pull_transpose(node: Node, index: Index, puller: Puller) -> Expr:
    return puller.read(0, tuple(index[a] for a in _inverse(node["permutation"])))


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
        pull=_pull_transpose,
        vjp=lambda node, g: (build.transpose(g, _inverse(node["permutation"])),),
        cost=0,
        exact=True,
        array_api="permute_dims",
        onnx="Transpose",
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


def _pull_flip(node: Node, index: Index, puller: Puller) -> Expr:
    inner = list(index)
    for axis in node["axes"]:
        inner[axis] = _subtract(puller.size(node.type.shape[axis] - 1), index[axis])
    return puller.read(0, tuple(inner))


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
        pull=_pull_flip,
        vjp=lambda node, g: (build.call("flip", g, axes=node["axes"]),),
        cost=0,
        exact=True,
        array_api="flip",
        samples=_samples_flip,
    )
)


# ---------------------------------------------------------------------------------------------
# slice(start, stop, step): per axis, 0 <= start <= stop <= size, step > 0
# ---------------------------------------------------------------------------------------------


def _steps(length: Size, step: int) -> Size:
    """ceil(length / step); ShapeError where that is not a polynomial."""
    if isinstance(length, int):
        return -(-length // step)
    total: Size = 0
    for monomial, coefficient in length.terms:
        if monomial and coefficient % step:
            raise ShapeError(f"slice: every {step}th of a symbolic length {length}")
        part = coefficient // step if monomial else -(-coefficient // step)
        total = total + (Dim(((monomial, part),)) if monomial else part)
    return total


def _infer_slice(types: Types, attrs: Attrs) -> TensorType:
    check.arity("slice", types, 1)
    bounds = tuple(zip(attrs["start"], attrs["stop"], attrs["step"]))
    ok = len(attrs["start"]) == len(attrs["stop"]) == len(attrs["step"]) == types[0].rank
    for (start, stop, step), size in zip(bounds, types[0].shape):
        ok = ok and step > 0 and _at_most(0, start) and _at_most(start, stop)
        ok = ok and _at_most(stop, size)
    if not ok:
        text = ", ".join(f"{start}:{stop}:{step}" for start, stop, step in bounds)
        raise ShapeError(f"slice: [{text}] does not fit {check.describe(types[0])}")
    return types[0].with_shape(tuple(_steps(stop - start, step) for start, stop, step in bounds))


def _reference_slice(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    return arrays[0][tuple(map(slice_, attrs["start"], attrs["stop"], attrs["step"]))]


def _pull_slice(node: Node, index: Index, puller: Puller) -> Expr:
    inner = [
        add(mul(i, const(step)), puller.size(start))
        for i, start, step in zip(index, node["start"], node["step"])
    ]
    return puller.read(0, tuple(inner))


def _vjp_slice(node: Node, g: Node) -> Cotangents:
    high: list[Size] = []
    for length, size, start, step in zip(
        node.type.shape, node.inputs[0].type.shape, node["start"], node["step"]
    ):
        used = 0 if length == 0 else (length - 1) * step + 1
        high.append(size - start - used)
    interior = tuple(step - 1 for step in node["step"])
    zero = build.constant(0.0, g.type.dtype)
    return (build.call("pad", g, zero, low=node["start"], high=tuple(high), interior=interior),)


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


slice_ = slice  # the builtin; the op below takes its name
slice = TABLE.add(
    OpDef(
        "slice",
        Family.MOVEMENT,
        infer=_infer_slice,
        reference=_reference_slice,
        pull=_pull_slice,
        vjp=_vjp_slice,
        cost=0,
        exact=True,
        onnx="Slice",
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


def _pull_concat(node: Node, index: Index, puller: Puller) -> Expr:
    axis = node["axis"]
    place = index[axis]
    value: Expr = const(node.type.dtype.dtype.type(0).item(), node.type.dtype)
    offset: Size = 0
    for number, operand in enumerate(node.inputs):
        start, offset = offset, offset + operand.type.shape[axis]
        inside: Expr = apply(Scalar.LT, place, puller.size(offset))
        if number:
            inside = apply(Scalar.AND, apply(Scalar.GE, place, puller.size(start)), inside)
        here = _subtract(place, puller.size(start)) if number else place
        inner = (*index[:axis], here, *index[axis + 1 :])

        def read(number: int = number, inner: Index = inner) -> Expr:
            return puller.read(number, inner)

        value = puller.guarded(inside, read, value)
    return value


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
        pull=_pull_concat,
        vjp=_vjp_concat,
        exact=True,
        array_api="concat",
        onnx="Concat",
        samples=_samples_concat,
    )
)


# ---------------------------------------------------------------------------------------------
# pad(low, high, interior): inputs x and a 0-d value; `interior` new elements between neighbours
# ---------------------------------------------------------------------------------------------


def _padded(size: Size, low: Size, high: Size, interior: int) -> Size:
    """A symbolic size counts as at least 1: an empty axis has no neighbours to part."""
    if isinstance(size, int) and size == 0:
        return low + high
    return low + size + (size - 1) * interior + high


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
        not (_at_most(0, low) and _at_most(0, high) and interior >= 0)
        for low, high, interior in per_axis
    ):
        raise ShapeError(
            f"pad: low {attrs['low']}, high {attrs['high']} and interior {attrs['interior']} "
            f"do not fit {check.describe(operand)}"
        )
    return operand.with_shape(
        tuple(_padded(size, *amounts) for size, amounts in zip(operand.shape, per_axis))
    )


def _reference_pad(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    x, value = arrays
    result = np.full(static_shape(type_.shape), value)
    if x.size:
        places = [
            slice_(low, low + (size - 1) * (interior + 1) + 1, interior + 1)
            for size, low, interior in zip(x.shape, attrs["low"], attrs["interior"])
        ]
        result[tuple(places)] = x
    return result


def _pull_pad(node: Node, index: Index, puller: Puller) -> Expr:
    inside: Expr | None = None

    def require(condition: Expr) -> None:
        nonlocal inside
        inside = condition if inside is None else apply(Scalar.AND, inside, condition)

    inner = []
    shape = node.inputs[0].type.shape
    for i, size, low, high, interior in zip(
        index, shape, node["low"], node["high"], node["interior"]
    ):
        if low != 0:
            i = _subtract(i, puller.size(low))
            require(apply(Scalar.GE, i, const(0)))
        if high != 0:
            # Not below the first padding place: with interior padding only a multiple passes.
            require(apply(Scalar.LT, i, puller.size((size - 1) * (interior + 1) + 1)))
        if interior:
            require(apply(Scalar.EQ, apply(Scalar.TREM, i, const(interior + 1)), const(0)))
            i = apply(Scalar.TDIV, i, const(interior + 1))
        inner.append(i)
    if inside is None:
        return puller.read(0, tuple(inner))
    return puller.guarded(inside, lambda: puller.read(0, tuple(inner)), puller.read(1, ()))


def _vjp_pad(node: Node, g: Node) -> Cotangents:
    x, value = node.inputs
    low, high, interior = node["low"], node["high"], node["interior"]
    stop = tuple(n - h for n, h in zip(node.type.shape, high))
    step = tuple(i + 1 for i in interior)
    inner = build.call("slice", g, start=low, stop=stop, step=step)
    if value.op.name == "constant":
        return inner, None
    on = build.full(True, x.type.with_dtype(dtypes.bool_))
    off = build.constant(False, dtypes.bool_)
    covered = build.call("pad", on, off, low=low, high=high, interior=interior)
    outside = build.call("where", covered, build.like(0.0, g), g)
    return inner, build.reduce("sum", outside, range(g.type.rank))


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
        pull=_pull_pad,
        vjp=_vjp_pad,
        exact=True,
        onnx="Pad",
        samples=_samples_pad,
    )
)
