"""Windows that slide along axes: what convolution and pooling are made of, and how they are told of
sizes, strides and padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from weft import diagnostics
from weft.ops import core
from weft.ops.core import operation
from weft.promotion import as_strong, convert
from weft.symbolic import known, plain, value_of
from weft.tracing import Tracer, active, apply, lift
from weftc.ir.constraints import AtLeast, assume
from weftc.ops import TABLE
from weftc.ops.windows import span
from weftrt.errors import ShapeError, UsageError
from weftrt.sizes import MOST_BYTES

Pair = tuple[int, int]

_LETTERS = {1: "W", 2: "HW", 3: "DHW"}
"""What the spatial axes are called, by their number."""


@operation("size", "axes", "stride", "dilation")
def windows(
    x: Any, /, size: Any, *, axes: Any = None, stride: Any = 1, dilation: Any = 1
) -> Tracer:
    """What windows hold that slide along `axes` (the last ones when None, as many as `size` has):
    x's axes, of which these are those of the windows' places, then an axis of `size` for each.

    A window is at every `stride`-th place where it fits; its elements are `dilation` apart. Nothing
    is copied: what reads the result reads `x`. ShapeError where a window is larger than `x`.
    """
    value = as_strong(lift(x))
    count = len(size) if isinstance(size, (tuple, list)) else 1
    if axes is None:
        axes = tuple(range(-count, 0))
    given = axes if isinstance(axes, (tuple, list)) else (axes,)
    places = [core.axis_of("windows", value, axis) for axis in given]
    slide = Slide.of("windows", len(places), size, stride, dilation)
    if sorted(set(places)) != places:
        problem = f"the axes {axes} of {{0}} do not ascend"
        diagnostics.fail(ShapeError, "windows", [value], problem)
    slide.check("windows", value, places)
    return slid(value, places, slide)


@dataclass(frozen=True)
class Slide:
    """Windows, axis by axis."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]

    @staticmethod
    def of(name: str, count: int, size: Any, stride: Any, dilation: Any) -> Slide:
        """From what a user gives for `count` axes: an integer for all, or one for each."""
        return Slide(
            each(name, "size", size, count),
            each(name, "stride", stride, count),
            each(name, "dilation", dilation, count),
        )

    @property
    def spans(self) -> tuple[int, ...]:
        """From the first element of a window to the last."""
        return tuple(map(span, self.sizes, self.dilation))

    def check(
        self, name: str, x: Tracer, axes: Sequence[int], padding: Sequence[Pair] = ()
    ) -> None:
        """ShapeError where a window is larger than the padded `x` along its axis."""
        for number, (axis, length) in enumerate(zip(axes, self.spans, strict=True)):
            low, high = padding[number] if padding else (0, 0)
            size = x.type.shape[axis]
            if not assume(AtLeast(size + low + high, length)):
                padded = f", padded by {low} and {high}" if low or high else ""
                problem = f"the window spans {length} elements, axis {axis} of {{0}} has {size}"
                diagnostics.fail(ShapeError, name, [x], problem + padded)


def each(name: str, what: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """An argument as one integer for each of `count` axes."""
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    numbers = [core.integer(name, f"{what}", known(item), UsageError) for item in items]
    if len(numbers) != count:
        axes = "1 axis" if count == 1 else f"{count} axes"
        given = "1 number" if len(numbers) == 1 else f"{len(numbers)} numbers"
        problem = f"{name}: {what} has {given}, {value!r:.40}, for {axes}"
        raise diagnostics.located(ShapeError, problem)
    if any(number < least for number in numbers):
        problem = f"{name}: {what} is {least} or more along each axis, not {value!r:.40}"
        raise diagnostics.located(ShapeError, problem)
    return tuple(numbers)


def slid(x: Tracer, axes: Sequence[int], slide: Slide) -> Tracer:
    """The windows of `x`. They may have more axes than an array: they are read, not made."""
    node = TABLE["window"](
        x.node,
        axes=tuple(axes),
        sizes=slide.sizes,
        strides=slide.strides,
        dilation=slide.dilation,
    )
    return Tracer(node, active())


# -- layouts --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """Where an array of `rank` has its channels; its batch is the first axis."""

    rank: int
    is_last: bool

    @staticmethod
    def of(name: str, x: Tracer, data_format: Any) -> Layout:
        """That of `x`, which a user names: NCHW or NHWC, or what its axes are called."""
        rank = x.ndim
        if rank - 2 not in _LETTERS:
            problem = "{0} needs a batch, channels and 1, 2 or 3 axes to slide along"
            diagnostics.fail(ShapeError, name, [x], problem)
        letters = _LETTERS[rank - 2]
        first, last = ("NCHW", f"NC{letters}"), ("NHWC", f"N{letters}C")
        if not isinstance(data_format, str) or data_format not in first + last:
            *names, other = dict.fromkeys((first[0], last[0], first[1], last[1]))
            named = f"{', '.join(names)} or {other}"
            problem = f"{name}: data_format is {named} for {rank} axes, not {data_format!r:.40}"
            raise diagnostics.located(UsageError, problem)
        return Layout(rank, data_format in last)

    @property
    def channels(self) -> int:
        """The axis of the channels."""
        return self.rank - 1 if self.is_last else 1

    @property
    def spatial(self) -> tuple[int, ...]:
        """The axes that windows slide along."""
        return tuple(range(1, self.rank - 1)) if self.is_last else tuple(range(2, self.rank))


# -- padding --------------------------------------------------------------------------------------


def padding_of(
    name: str, x: Tracer, axes: Sequence[int], padding: Any, slide: Slide
) -> tuple[Pair, ...]:
    """(before, after) for each axis. "same" makes a place for every stride-th element: of an odd
    number of new elements, one more comes after."""
    if padding == "valid":
        return ((0, 0),) * len(axes)
    if padding == "same":
        return tuple(_same(x, *each_) for each_ in zip(axes, slide.spans, slide.strides))
    if isinstance(padding, str):
        problem = (
            f'{name}: padding is "same", "valid", a count, or one or a (before, after) for each '
            f"axis, not {padding!r:.40}"
        )
        raise diagnostics.located(UsageError, problem)
    items = plain(tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * len(axes))
    if len(items) != len(axes):
        problem = f"{name}: padding has {len(items)} parts, {padding!r:.40}, for {len(axes)} axes"
        raise diagnostics.located(ShapeError, problem)
    return tuple(_pair(name, item) for item in items)


def _pair(name: str, item: Any) -> Pair:
    parts = item if isinstance(item, (tuple, list)) else (item, item)
    low, high = each(name, "padding", tuple(parts), 2, least=0)
    if max(low, high) > MOST_BYTES:
        raise diagnostics.located(ShapeError, f"{name}: padding of {max(low, high)} is too much")
    return low, high


def _same(x: Tracer, axis: int, length: int, stride: int) -> Pair:
    total = length - 1
    if stride != 1:
        size = value_of(x.type.shape[axis])
        total = max((-(-size // stride) - 1) * stride + length - size, 0)
    return total // 2, total - total // 2


def padded(
    name: str,
    x: Tracer,
    axes: Sequence[int],
    padding: Sequence[Pair],
    fill: float | int = 0,
    interior: Sequence[int] = (),
) -> Tracer:
    """`x` with `fill` around it along `axes`, and `interior` times between its elements."""
    between = interior or (0,) * len(axes)
    amounts = {axis: (*pair, inner) for axis, pair, inner in zip(axes, padding, between)}
    if not any(map(any, amounts.values())):
        return x
    low, high, inside = zip(*(amounts.get(axis, (0, 0, 0)) for axis in range(x.ndim)))
    value = convert(lift(fill), x.dtype)
    return apply("pad", x, value, low=low, high=high, interior=inside, name=name)
