"""Normalization of channels: batch, instance and group norm.

`weight` and `bias`, one of each for a channel, multiply and shift what is normalized;
`channel_axis` is where channels are: 1 for NCHW, -1 for NHWC. A variance is the mean squared
distance from the mean, in two passes, to which `epsilon` is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weft import diagnostics
from weft.nn.operands import number, real
from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import binary
from weft.ops.reductions import average
from weft.symbolic import value_of
from weft.tracing import Tracer, apply
from weftc.ir.sizes import product
from weftc.ops.check import same_sizes
from weftrt.errors import ShapeError, UsageError


@operation("channel_axis", "epsilon")
def batch_norm(
    x: Any,
    /,
    mean: Any,
    variance: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    channel_axis: int = 1,
    epsilon: float = 1e-5,
) -> Tracer:
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, with statistics of each channel that
    are known: in use, the running ones that training has left (see batch_norm_training).

    ShapeError unless `mean`, `variance`, `weight` and `bias` have the shape (channels,).
    """
    name = "batch_norm"
    value, small = real(name, x), number(name, "epsilon", epsilon)
    place = core.axis_of(name, value, channel_axis)
    middle = _of_channels(name, "mean", mean, value, place)
    spread = _of_channels(name, "variance", variance, value, place)
    scale = _scale(name, spread, small)
    return _Channels.of(name, value, place, weight, bias).applied(middle, scale, (place,))


@operation("channel_axis", "epsilon")
def batch_norm_training(
    x: Any,
    /,
    weight: Any = None,
    bias: Any = None,
    *,
    channel_axis: int = 1,
    epsilon: float = 1e-5,
) -> tuple[Tracer, Tracer, Tracer]:
    """(normalized, mean, variance): batch_norm with the mean and variance, which are returned, of
    each channel of `x` itself, over all other axes (Ioffe and Szegedy, Batch Normalization, 2015).

    What remembers them is the caller: running = 0.9 * running + 0.1 * mean. PyTorch remembers
    variance * n / (n - 1), of n elements a channel.
    """
    name = "batch_norm_training"
    value, small = real(name, x), number(name, "epsilon", epsilon)
    place = core.axis_of(name, value, channel_axis)
    channels = _Channels.of(name, value, place, weight, bias)
    middle, spread = _moments(name, value, (place,))
    result = channels.applied(middle, _scale(name, spread, small), (place,))
    return result, middle, spread


@operation("channel_axis", "epsilon")
def instance_norm(
    x: Any,
    /,
    weight: Any = None,
    bias: Any = None,
    *,
    channel_axis: int = 1,
    epsilon: float = 1e-5,
) -> Tracer:
    """(x - mean) / sqrt(var + epsilon) * weight + bias, with the statistics of each channel of each
    example; examples are along axis 0 (Ulyanov et al., Instance Normalization, 2016).

    ShapeError where `x` has no axis beside these two, or `weight` or `bias` another shape than
    (channels,).
    """
    name = "instance_norm"
    value, small = real(name, x), number(name, "epsilon", epsilon)
    place = _channels_of_examples(name, value, channel_axis)
    if value.ndim < 3:
        problem = "{0} needs an axis beside those of examples and channels, to take a mean over"
        diagnostics.fail(ShapeError, name, [value], problem)
    channels = _Channels.of(name, value, place, weight, bias)
    middle, spread = _moments(name, value, (0, place))
    return channels.applied(middle, _scale(name, spread, small), (0, place))


@operation("groups", "channel_axis", "epsilon")
def group_norm(
    x: Any,
    /,
    groups: int,
    weight: Any = None,
    bias: Any = None,
    *,
    channel_axis: int = 1,
    epsilon: float = 1e-5,
) -> Tracer:
    """(x - mean) / sqrt(var + epsilon) * weight + bias, with the statistics of each group of
    channels of each example: so many neighbours in equal parts; examples are along axis 0 (Wu and
    He, Group Normalization, 2018). One group is a layer_norm over all axes but the first.

    ShapeError where the number of groups does not divide that of channels, or `weight` or `bias`
    has another shape than (channels,).
    """
    name = "group_norm"
    value, small = real(name, x), number(name, "epsilon", epsilon)
    place = _channels_of_examples(name, value, channel_axis)
    channels = _Channels.of(name, value, place, weight, bias)
    parts = _divided(name, value, place, groups)
    middle, spread = _moments(name, *_grouped(value, place, parts))
    scale = _scale(name, spread, small)
    return channels.applied(_repeated(middle, parts), _repeated(scale, parts), (0, place))


def _divided(name: str, x: Tracer, axis: int, groups: Any) -> tuple[int, int]:
    """(groups, channels in each)."""
    number_of = core.integer(name, "the number of groups", groups, UsageError)
    channels = value_of(x.type.shape[axis])
    if number_of < 1 or channels % number_of:
        problem = f"{{0}} has {channels} channels, which are not {number_of} equal groups"
        diagnostics.fail(ShapeError, name, [x], problem)
    return number_of, channels // number_of


def _grouped(x: Tracer, axis: int, parts: tuple[int, int]) -> tuple[Tracer, tuple[int, int]]:
    """`x` with an axis of groups, and which its axes of examples and groups are. What stands
    between them, and behind the groups, is one axis each."""
    examples, *between = x.type.shape[:axis]
    inner = product([parts[1], *x.type.shape[axis + 1 :]])
    middle = (product(between),) if between else ()
    shape = (examples, *middle, parts[0], inner)
    return apply("reshape", x, shape=shape), (0, len(middle) + 1)


def _repeated(x: Tracer, parts: tuple[int, int]) -> Tracer:
    """What is known of (examples, groups), for each channel of theirs."""
    examples = x.type.shape[0]
    each = apply("broadcast", x, shape=(examples, *parts), axes=(0, 1))
    return apply("reshape", each, shape=(examples, parts[0] * parts[1]))


def _channels_of_examples(name: str, x: Tracer, channel_axis: Any) -> int:
    place = core.axis_of(name, x, channel_axis)
    if place == 0:
        diagnostics.fail(ShapeError, name, [x], "axis 0 is of examples, and not of channels")
    return place


def _moments(name: str, x: Tracer, kept: tuple[int, ...]) -> tuple[Tracer, Tracer]:
    """The mean and variance of what stands along all axes but those that are kept."""
    axes = tuple(axis for axis in range(x.ndim) if axis not in kept)
    middle = average(name, x, axes, False)
    centered = apply("sub", x, apply("broadcast", middle, shape=x.type.shape, axes=kept))
    return middle, average(name, apply("mul", centered, centered), axes, False)


def _scale(name: str, spread: Tracer, epsilon: float) -> Tracer:
    return apply("rsqrt", binary("add", name, spread, epsilon))


@dataclass(frozen=True)
class _Channels:
    """An array with what its channels are multiplied by and shifted."""

    name: str
    x: Tracer
    axis: int
    weight: Tracer | None
    bias: Tracer | None

    @staticmethod
    def of(name: str, x: Tracer, axis: int, weight: Any, bias: Any) -> _Channels:
        """From what a user gives; ShapeError where it is not one of each for a channel."""
        given = {"weight": weight, "bias": bias}
        parts = [
            None if value is None else _of_channels(name, called, value, x, axis)
            for called, value in given.items()
        ]
        return _Channels(name, x, axis, *parts)

    def applied(self, mean: Tracer, scale: Tracer, kept: tuple[int, ...]) -> Tracer:
        """(x - mean) * (scale * weight) + bias, for a mean and scale along the kept axes."""
        if self.weight is not None:
            place = (kept.index(self.axis),)
            weight = apply("broadcast", self.weight, shape=scale.type.shape, axes=place)
            scale = binary("mul", self.name, scale, weight)
        centered = binary("sub", self.name, self.x, self._whole(mean, kept))
        result = binary("mul", self.name, centered, self._whole(scale, kept))
        if self.bias is None:
            return result
        return binary("add", self.name, result, self._whole(self.bias, (self.axis,)))

    def _whole(self, part: Tracer, axes: tuple[int, ...]) -> Tracer:
        return apply("broadcast", part, shape=self.x.type.shape, axes=axes)


def _of_channels(name: str, called: str, value: Any, x: Tracer, axis: int) -> Tracer:
    """`value` as floats; ShapeError unless it has one for each channel of `x`."""
    part, channels = real(name, value), x.type.shape[axis : axis + 1]
    if not same_sizes(part.type.shape, channels):
        problem = (
            f"{called} has shape {part.type.shape}, not ({channels[0]},): one for each channel"
        )
        diagnostics.fail(ShapeError, name, [x], f"{problem} of {{0}}")
    return part
