"""Convolution: a contraction of weights with the windows of an array.

The windows are read where they lie in the (padded) array: no matrix of them is made. The sums have
the bits of any contraction (docs/architecture.md, numerics 4), k running over the axes of the
weights that are summed, in their order: channels, then taps, of NCHW; taps, then channels, of NHWC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft import diagnostics
from weft.nn.phases import interleaved
from weft.nn.windows import Layout, Pair, Slide, each, padded, padding_of, slid
from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import binary
from weft.ops.movement import transposed
from weft.promotion import promoted
from weft.symbolic import value_of
from weft.tracing import Tracer, apply, lift
from weftc.ir.constraints import AtLeast, assume, assume_equal
from weftc.ir.sizes import Size
from weftrt.errors import ShapeError

Axes = tuple[int, ...]


@operation("stride", "padding", "dilation", "groups", "data_format")
def conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    /,
    *,
    stride: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
    data_format: str = "NCHW",
) -> Tracer:
    """The cross-correlation of `x` with `weight` along 1, 2 or 3 axes, as its rank says.

    NCHW: x (batch, channels, *sizes), weight (outputs, channels // groups, *kernel).
    NHWC: x (batch, *sizes, channels), weight (*kernel, channels // groups, outputs).
    The result is like x, with `outputs` channels; `bias`, one for each of them, is added.

    `stride` and `dilation` are an integer, or one for each axis; `padding`, zeros, is "valid" or
    "same" (a result at every stride-th element), a count, or a count or (before, after) for each
    axis. Each group of outputs sees its group of channels: with as many groups as channels, the
    convolution is depthwise. ShapeError where sizes do not fit.
    """
    value, kernel = _operands("conv", x, weight)
    layout = Layout.of("conv", value, data_format)
    count = _groups("conv", groups)
    outputs, channels, sizes = _parts("conv", value, kernel, layout)
    slide = Slide.of("conv", len(sizes), _kernel("conv", value, kernel, sizes), stride, dilation)
    _check_channels(value, kernel, layout, channels, outputs, count)
    pairs = padding_of("conv", value, layout.spatial, padding, slide)
    slide.check("conv", value, layout.spatial, pairs)
    result = _correlate(value, kernel, layout, slide, pairs, count)
    return _biased("conv", result, bias, layout)


@operation("stride", "padding", "output_padding", "dilation", "groups", "data_format")
def conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    /,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    data_format: str = "NCHW",
) -> Tracer:
    """The transpose of `conv` with the same `weight` and options, which is its gradient by x.

    NCHW: x (batch, channels, *sizes), weight (channels, outputs // groups, *kernel).
    NHWC: x (batch, *sizes, channels), weight (*kernel, outputs // groups, channels).
    Along each axis the result has (size - 1) * stride + (kernel - 1) * dilation + 1 elements, less
    `padding` at both ends, and `output_padding` more behind the last. "valid" is no padding, with
    "same" there are size * stride. ShapeError where sizes do not fit.
    """
    value, kernel = _operands("conv_transpose", x, weight)
    layout = Layout.of("conv_transpose", value, data_format)
    count = _groups("conv_transpose", groups)
    channels, _, sizes = _parts("conv_transpose", value, kernel, layout)
    taps = _kernel("conv_transpose", value, kernel, sizes)
    slide = Slide.of("conv_transpose", len(sizes), taps, stride, dilation)
    if not assume_equal(value.type.shape[layout.channels], channels):
        problem = f"{{0}} has {value.type.shape[layout.channels]} channels, {{1}} is for {channels}"
        diagnostics.fail(ShapeError, "conv_transpose", [value, kernel], problem)
    if count > 1 and value_of(channels) % count:
        problem = f"{channels} channels do not make {count} groups"
        diagnostics.fail(ShapeError, "conv_transpose", [value, kernel], problem)
    pairs = _margins(value, layout, slide, padding, output_padding)
    result = _transposed(value, kernel, layout, slide, pairs, count)
    return _biased("conv_transpose", result, bias, layout)


# -- arguments ------------------------------------------------------------------------------------


def _operands(name: str, x: Any, weight: Any) -> list[Tracer]:
    value, kernel = promoted(name, lift(x), lift(weight))
    if value.ndim != kernel.ndim:
        problem = "both have a batch or outputs, channels, and the axes to slide along"
        diagnostics.fail(ShapeError, name, [value, kernel], problem)
    return [value, kernel]


def _groups(name: str, groups: Any) -> int:
    (count,) = each(name, "groups", groups, 1)
    return count


def _parts(name: str, x: Tracer, kernel: Tracer, layout: Layout) -> tuple[Size, Size, list[Size]]:
    """The outputs, channels and sizes of a kernel."""
    shape = kernel.type.shape
    if layout.is_last:
        return shape[-1], shape[-2], list(shape[:-2])
    return shape[0], shape[1], list(shape[2:])


def _kernel(name: str, x: Tracer, kernel: Tracer, sizes: Sequence[Size]) -> tuple[int, ...]:
    known = core.fixed(tuple(sizes))
    if 0 in known:
        problem = f"{{1}} is a kernel of no elements, {known}"
        diagnostics.fail(ShapeError, name, [x, kernel], problem)
    return known


def _check_channels(
    x: Tracer, kernel: Tracer, layout: Layout, channels: Size, outputs: Size, groups: int
) -> None:
    own = x.type.shape[layout.channels]
    if groups > 1:
        for what, size in (("channels", own), ("outputs", outputs)):
            if value_of(size) % groups:
                problem = f"{size} {what} do not make {groups} groups"
                diagnostics.fail(ShapeError, "conv", [x, kernel], problem)
    if not assume_equal(own, channels * groups):
        times = f" in each of {groups} groups" if groups > 1 else ""
        problem = f"{{0}} has {own} channels, {{1}} is for {channels}{times}"
        diagnostics.fail(ShapeError, "conv", [x, kernel], problem)


def _margins(
    x: Tracer, layout: Layout, slide: Slide, padding: Any, output_padding: Any
) -> list[Pair]:
    """What is left of the whole result of a transposed convolution: how much of its margins goes,
    at either end; less than 0 where more comes."""
    count = len(slide.sizes)
    more = each("conv_transpose", "output_padding", output_padding, count, least=0)
    if any(m >= max(s, d) for m, s, d in zip(more, slide.strides, slide.dilation)):
        problem = "conv_transpose: output_padding is less than the stride, or than the dilation"
        raise diagnostics.located(ShapeError, f"{problem}, not {output_padding!r:.40}")
    if padding == "same":
        gone = [length - stride for length, stride in zip(slide.spans, slide.strides)]
        pairs = [(max(g, 0) // 2, g - max(g, 0) // 2) for g in gone]
    else:
        pairs = list(padding_of("conv_transpose", x, layout.spatial, padding, slide))
    return [(low, high - extra) for (low, high), extra in zip(pairs, more, strict=True)]


def _biased(name: str, result: Tracer, bias: Any, layout: Layout) -> Tracer:
    if bias is None:
        return result
    offset, outputs = lift(bias), result.type.shape[layout.channels]
    if offset.ndim != 1 or not assume_equal(offset.type.shape[0], outputs):
        problem = f"the bias has one element for each of {outputs} outputs"
        diagnostics.fail(ShapeError, name, [offset], problem)
    axes = (layout.channels,)
    spread = apply("broadcast", offset, shape=result.type.shape, axes=axes)
    return binary("add", name, result, spread)


# -- products -------------------------------------------------------------------------------------


def _correlate(
    x: Tracer, kernel: Tracer, layout: Layout, slide: Slide, pairs: Sequence[Pair], groups: int
) -> Tracer:
    """The product of a kernel with the windows of the padded `x`."""
    if layout.is_last:
        return _last(x, kernel, layout, slide, pairs, groups)
    return _first(x, kernel, layout, slide, pairs, groups)


def _first(
    x: Tracer, kernel: Tracer, layout: Layout, slide: Slide, pairs: Sequence[Pair], groups: int
) -> Tracer:
    """Channels first: (outputs, k) times (batch, k, places), with the axes of the windows last."""
    count = len(slide.sizes)
    if groups == 1:
        windows = _windows(x, (2, count + 2), slide, pairs)
        taps = tuple(range(count + 2, 2 * count + 2))
        contracted = (tuple(range(1, count + 2)), (1, *taps))
        result = _contract(kernel, windows, ((), ()), contracted)
        return transposed(result, (1, 0, *range(2, count + 2)))
    split = _split(x, 1, groups)
    windows = _windows(split, (3, count + 3), slide, pairs)
    taps = tuple(range(count + 3, 2 * count + 3))
    contracted = (tuple(range(2, count + 3)), (2, *taps))
    result = _contract(_split(kernel, 0, groups), windows, ((0,), (1,)), contracted)
    result = transposed(result, (2, 0, 1, *range(3, count + 3)))
    return _joined(result, 1)


def _last(
    x: Tracer, kernel: Tracer, layout: Layout, slide: Slide, pairs: Sequence[Pair], groups: int
) -> Tracer:
    """Channels last: (batch, places, k) times (k, outputs)."""
    count = len(slide.sizes)
    taps = tuple(range(count))
    if groups == 1:
        windows = _windows(x, (1, count + 1), slide, pairs)
        of_windows = tuple(range(count + 2, 2 * count + 2))
        contracted = ((*of_windows, count + 1), (*taps, count))
        return _contract(windows, kernel, ((), ()), contracted)
    split = _split(x, count + 1, groups)
    windows = _windows(split, (1, count + 1), slide, pairs)
    of_windows = tuple(range(count + 3, 2 * count + 3))
    contracted = ((*of_windows, count + 2), (*taps, count))
    batch = ((count + 1,), (count + 1,))
    result = _contract(windows, _split(kernel, count + 1, groups), batch, contracted)
    result = transposed(result, (*range(1, count + 2), 0, count + 2))
    return _joined(result, count + 1)


def _windows(x: Tracer, where: tuple[int, int], slide: Slide, pairs: Sequence[Pair]) -> Tracer:
    axes = range(*where)
    return slid(padded("conv", x, axes, pairs), axes, slide)


def _contract(
    a: Tracer, b: Tracer, batch: tuple[Axes, Axes], contracted: tuple[Axes, Axes]
) -> Tracer:
    return apply("contract", a, b, batch=batch, contracted=contracted, name="conv")


def _split(x: Tracer, axis: int, groups: int) -> Tracer:
    """`x` with an axis of so many groups in front of what is left of `axis`."""
    shape = x.type.shape
    left = value_of(shape[axis]) // groups
    return apply("reshape", x, shape=(*shape[:axis], groups, left, *shape[axis + 1 :]))


def _joined(x: Tracer, axis: int) -> Tracer:
    """`x` with an axis and the next one as one."""
    shape = x.type.shape
    joined = shape[axis] * shape[axis + 1]
    return apply("reshape", x, shape=(*shape[:axis], joined, *shape[axis + 2 :]))


def _transposed(
    x: Tracer, kernel: Tracer, layout: Layout, slide: Slide, gone: Sequence[Pair], groups: int
) -> Tracer:
    """The correlation of `x`, its elements a stride apart, with the kernel in reverse."""
    backwards, count = _reversed(kernel, layout, groups), len(gone)
    _check_left(x, layout, slide, gone)
    if any(stride > 1 for stride in slide.strides) and set(slide.dilation) == {1}:
        taps = range(count) if layout.is_last else range(2, count + 2)
        none = ((0, 0),) * count

        def correlate(x: Tracer, kernel: Tracer, slide: Slide) -> Tracer:
            return _correlate(x, kernel, layout, slide, none, groups)

        return interleaved(x, backwards, layout.spatial, taps, slide, gone, correlate)
    margins = [length - 1 for length in slide.spans]
    pairs = [(max(m - low, 0), max(m - high, 0)) for m, (low, high) in zip(margins, gone)]
    cut = [(max(low - m, 0), max(high - m, 0)) for m, (low, high) in zip(margins, gone)]
    interior = [stride - 1 for stride in slide.strides]
    spread = padded("conv_transpose", x, layout.spatial, ((0, 0),) * count, 0, interior)
    steps = Slide(slide.sizes, (1,) * count, slide.dilation)
    steps.check("conv_transpose", spread, layout.spatial, pairs)
    return _cut(_correlate(spread, backwards, layout, steps, pairs, groups), layout, cut)


def _check_left(x: Tracer, layout: Layout, slide: Slide, gone: Sequence[Pair]) -> None:
    """ShapeError where padding takes more than there is."""
    each_axis = zip(layout.spatial, slide.strides, slide.spans, gone, strict=True)
    for axis, stride, length, (low, high) in each_axis:
        if not assume(AtLeast(x.type.shape[axis], 1)):
            diagnostics.fail(ShapeError, "conv_transpose", [x], f"axis {axis} has no elements")
        size = (x.type.shape[axis] - 1) * stride + length
        if not assume(AtLeast(size, low + high + 1)):
            problem = f"padding of {low} and {high} leaves nothing of axis {axis} of the result"
            diagnostics.fail(ShapeError, "conv_transpose", [x], problem)


def _reversed(kernel: Tracer, layout: Layout, groups: int) -> Tracer:
    """The kernel from outputs to channels, its taps in reverse."""
    rank = kernel.ndim
    if layout.is_last:
        taps, swapped = tuple(range(rank - 2)), (*range(rank - 2), rank - 1, rank - 2)
    else:
        taps, swapped = tuple(range(2, rank)), (1, 0, *range(2, rank))
    flipped = apply("flip", kernel, axes=taps)
    if groups == 1:
        return transposed(flipped, swapped)
    if layout.is_last:  # (taps, outputs, groups, channels) to (taps, channels, groups, outputs)
        split = _split(flipped, rank - 1, groups)
        return _joined(transposed(split, (*taps, rank, rank - 1, rank - 2)), rank - 1)
    split = _split(flipped, 0, groups)  # (groups, channels, outputs) to (groups, outputs, channels)
    return _joined(transposed(split, (0, 2, 1, *range(3, rank + 1))), 0)


def _cut(x: Tracer, layout: Layout, gone: Sequence[Pair]) -> Tracer:
    if not any(map(any, gone)):
        return x
    start, stop = [0] * x.ndim, list(x.type.shape)
    for axis, (low, high) in zip(layout.spatial, gone, strict=True):
        start[axis], stop[axis] = low, stop[axis] - high
    return apply("slice", x, start=tuple(start), stop=tuple(stop), step=(1,) * x.ndim)
