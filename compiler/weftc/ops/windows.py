"""window: the places of a window that slides along some axes, and what it holds at each of them.

Its index map is stride * place + dilation * tap, so that no windows exist in memory where what
reads them (a contraction, a reduction) reads through it.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from functools import reduce
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.constraints import AtLeast, assume
from weftc.ir.index_linear import Space
from weftc.ir.index_map import Coverage, IndexMap
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, Mapper, OpDef
from weftc.ir.size_functions import floor_div
from weftc.ir.sizes import Shape, Size
from weftc.ir.types import TensorType
from weftc.ops import build, check
from weftc.ops.window_products import product_of_windows
from weftrt import dtypes
from weftrt.errors import ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]
Shapes: TypeAlias = tuple[Shape, ...]
Maps: TypeAlias = tuple[IndexMap, ...]
Nodes: TypeAlias = tuple[Node, ...]
Flags: TypeAlias = tuple[bool, ...]


# ---------------------------------------------------------------------------------------------
# window(axes, sizes, strides, dilation): each of the ascending `axes` becomes that of the window's
# places, and a new last axis, one for each of them in order, that of its taps
# ---------------------------------------------------------------------------------------------


def span(size: int, dilation: int) -> int:
    """How many elements lie from the first tap to the last."""
    return (size - 1) * dilation + 1


def _infer_window(types: Types, attrs: Attrs) -> TensorType:
    check.arity("window", types, 1)
    (operand,), axes, sizes = types, attrs["axes"], attrs["sizes"]
    check.axes("window", axes, operand)
    per_axis = [*zip(axes, sizes, attrs["strides"], attrs["dilation"])]
    lengths = {len(attrs[name]) for name in ("axes", "sizes", "strides", "dilation")}
    fits = len(lengths) == 1 and all(min(rest) >= 1 for _, *rest in per_axis)
    if not fits or sorted(axes) != list(axes):
        raise ShapeError(
            f"window: sizes {sizes}, strides {attrs['strides']} and dilation {attrs['dilation']} "
            f"are none along the axes {check.shape_text(axes)} of {check.describe(operand)}"
        )
    places = list(operand.shape)
    for axis, size, stride, dilation in per_axis:
        room = operand.shape[axis] - span(size, dilation)
        if not assume(AtLeast(room, 0)):
            raise ShapeError(
                f"window: {size} taps, {dilation} apart, do not fit axis {axis} of "
                f"{check.describe(operand)}"
            )
        places[axis] = floor_div(room, stride) + 1
    return operand.with_shape((*places, *sizes))


def _reference_window(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    (x,) = arrays
    axes, sizes = attrs["axes"], attrs["sizes"]
    spans = tuple(map(span, sizes, attrs["dilation"]))
    places, taps = [builtins.slice(None)] * x.ndim, []
    for axis, stride, dilation in zip(axes, attrs["strides"], attrs["dilation"]):
        places[axis] = builtins.slice(None, None, stride)
        taps.append(builtins.slice(None, None, dilation))
    found = np.lib.stride_tricks.sliding_window_view(x, spans, axes) if axes else x
    return np.asarray(found[(*places, *taps)])


def _view_window(shape: Shape, operands: Shapes, attrs: Attrs) -> Maps:
    (operand,), space = operands, Space(shape)
    forms = list(space.index[: len(operand)])
    taps = zip(attrs["axes"], attrs["strides"], attrs["dilation"])
    for tap, (axis, stride, dilation) in enumerate(taps, len(operand)):
        forms[axis] = space.plus(forms[axis].scaled(stride), space.axis(tap).scaled(dilation))
    is_all = {*attrs["strides"], *attrs["dilation"]} <= {1}
    coverage = Coverage.ALL if is_all else Coverage.SOME
    return (IndexMap.made(shape, operand, forms, coverage=coverage),)


def _vjp_window(node: Node, g: Node) -> tuple[Node]:
    """The sum over the taps of what each has at the places where it met an element: of products, as
    a product; else each tap's padded to where it lay."""
    found = product_of_windows(node, g)
    if found is not None:
        return (found,)
    parts = [_of_tap(node, g, taps) for taps in product(*map(range, node["sizes"]))]
    return (reduce(lambda a, b: build.call("add", a, b), parts),)


def _of_tap(node: Node, g: Node, taps: Sequence[int]) -> Node:
    """What one tap of the windows sends back, where they lie in the operand."""
    (x,), rank = node.inputs, node.inputs[0].type.rank
    places = g.type.shape[:rank]
    low, high, interior = [0] * rank, [0] * rank, [0] * rank
    highs: list[Size] = list(high)
    for axis, tap, stride, dilation in zip(node["axes"], taps, node["strides"], node["dilation"]):
        low[axis], interior[axis] = tap * dilation, stride - 1
        last = (places[axis] - 1) * stride + 1
        highs[axis] = x.type.shape[axis] - low[axis] - last
    return build.call(
        "pad",
        build.at(g, dict(enumerate(taps, rank))),
        build.zero(g.type.dtype),
        low=tuple(low),
        high=tuple(highs),
        interior=tuple(interior),
    )


def _batch_window(node: Node, inputs: Nodes, batched: Flags, mapper: Mapper) -> Node:
    return window(*inputs, **{**node.attrs, "axes": tuple(axis + 1 for axis in node["axes"])})


def _samples_window() -> list[tuple[Types, Attrs]]:
    def sample(shape: Shape, *each: tuple[int, int, int, int]) -> tuple[Types, Attrs]:
        names = ("axes", "sizes", "strides", "dilation")
        columns = tuple(zip(*each)) or ((),) * len(names)
        return (TensorType(dtypes.float64, shape),), dict(zip(names, columns, strict=True))

    return [
        sample((5,), (0, 3, 1, 1)),
        sample((3, 6), (1, 2, 2, 1)),
        sample((2, 5, 4), (1, 3, 2, 1), (2, 2, 1, 2)),
        sample((7, 2), (0, 2, 3, 2)),
        sample((2, 4, 1), (1, 1, 2, 3)),
        sample((4, 0), (0, 4, 1, 1)),
        sample((3, 3, 3), (0, 2, 1, 1), (1, 2, 1, 2), (2, 3, 5, 1)),
        sample((2, 3)),
        sample(()),
    ]


window = TABLE.add(
    OpDef(
        "window",
        Family.MOVEMENT,
        infer=_infer_window,
        reference=_reference_window,
        view=_view_window,
        vjp=_vjp_window,
        jvp=build.along,
        batch=_batch_window,
        cost=0,
        exact=True,
        samples=_samples_window,
    )
)
