"""A transposed convolution with strides, phase by phase.

Of s results that follow one another, each is made of other taps of the kernel, every s-th of them.
So the results of a phase are a convolution with the part of the kernel that they see, and nothing
is multiplied with the zeros that a stride puts between elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from weft.nn.windows import Pair, Slide, padded
from weft.ops import core
from weft.promotion import convert
from weft.symbolic import value_of
from weft.tracing import Tracer, apply, lift
from weftc.ir.size_functions import ceil_div
from weftc.ir.sizes import Size

Correlate = Callable[[Tracer, Tracer, Slide], Tracer]
"""The correlation of an array with a kernel, of windows side by side."""


@dataclass(frozen=True)
class _Phase:
    """Along one axis: the taps first, first + step, ... of the kernel in reverse, `count` of them,
    and how much is to be put (or less than 0, to be cut) before and behind the array."""

    first: int
    step: int
    count: int
    margins: Pair

    @property
    def last(self) -> int:
        """Behind the last tap."""
        return self.first + self.step * (self.count - 1) + 1


def interleaved(
    x: Tracer,
    kernel: Tracer,
    axes: Sequence[int],
    taps: Sequence[int],
    slide: Slide,
    gone: Sequence[Pair],
    correlate: Correlate,
) -> Tracer:
    """The transposed convolution of `x` along `axes` with a kernel in reverse, whose taps are along
    the axes `taps`; `gone` is what is cut of the whole result."""
    phases: list[list[_Phase]] = []
    lengths: list[Size] = []
    each = zip(axes, slide.sizes, slide.strides, gone, strict=True)
    for axis, count, stride, (low, high) in each:
        size = x.type.shape[axis]
        lengths.append((size - 1) * stride + count - low - high)
        phases.append(list(_phases(size, lengths[-1], count, stride, low)))
    pieces = [_piece(x, kernel, axes, taps, chosen, correlate) for chosen in product(*phases)]
    shape = next(piece.type.shape for piece in pieces if piece is not None)
    zeros = core.broadcast(convert(lift(0), x.dtype), shape)
    whole = _woven([zeros if piece is None else piece for piece in pieces], axes, slide.strides)
    return _cut(whole, {axis: (0, length, 1) for axis, length in zip(axes, lengths)})


def _phases(size: Size, length: Size, taps: int, stride: int, low: int) -> Iterator[_Phase]:
    for number in range(stride):
        rest = (number + low) % stride
        shift = (number + low) // stride
        count = max(-(-(taps - rest) // stride), 0)
        first = taps - 1 - rest - stride * (count - 1)
        behind = value_of(ceil_div(length, stride) + shift - size)
        yield _Phase(first, stride, count, (count - 1 - shift, behind))


def _piece(
    x: Tracer,
    kernel: Tracer,
    axes: Sequence[int],
    taps: Sequence[int],
    phases: Sequence[_Phase],
    correlate: Correlate,
) -> Tracer | None:
    """The results of one phase along each axis; None where no tap reaches them."""
    counts, ones = tuple(phase.count for phase in phases), (1,) * len(phases)
    if 0 in counts:
        return None
    part = _cut(kernel, {a: (p.first, p.last, p.step) for a, p in zip(taps, phases)})
    around = _with_margins(x, axes, [phase.margins for phase in phases])
    return correlate(around, part, Slide(counts, ones, ones))


def _with_margins(x: Tracer, axes: Sequence[int], margins: Sequence[Pair]) -> Tracer:
    bounds: dict[int, tuple[Size, Size, int]] = {}
    for axis, (low, high) in zip(axes, margins, strict=True):
        size = x.type.shape[axis]
        bounds[axis] = (max(-low, 0), size - max(-high, 0), 1)
    pairs = [(max(low, 0), max(high, 0)) for low, high in margins]
    return padded("conv_transpose", _cut(x, bounds), axes, pairs)


def _cut(x: Tracer, bounds: Mapping[int, tuple[Size, Size, int]]) -> Tracer:
    whole = [bounds.get(axis, (0, size, 1)) for axis, size in enumerate(x.type.shape)]
    if all(part == (0, size, 1) for part, size in zip(whole, x.type.shape, strict=True)):
        return x
    start, stop, step = zip(*whole)
    return apply("slice", x, start=start, stop=stop, step=step, name="conv_transpose")


def _woven(pieces: list[Tracer], axes: Sequence[int], strides: Sequence[int]) -> Tracer:
    """Pieces, those of the last axis's phases first, as one: neighbours are of different phases."""
    for axis, stride in reversed([*zip(axes, strides)]):
        pieces = [
            _weave(pieces[start : start + stride], axis) for start in range(0, len(pieces), stride)
        ]
    return pieces[0]


def _weave(pieces: Sequence[Tracer], axis: int) -> Tracer:
    shape = pieces[0].type.shape
    apart = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    joined = apply("concat", *(apply("reshape", p, shape=apart) for p in pieces), axis=axis + 1)
    size = shape[axis] * len(pieces)
    return apply("reshape", joined, shape=(*shape[:axis], size, *shape[axis + 1 :]))
