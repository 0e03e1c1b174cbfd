"""Loop shapes that CPU schedules share: axes in row-major order, chunks, and threads over both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from weftc.ir.sizes import Shape, Size, product
from weftc.loop.build import Builder
from weftc.loop.ir import Const, Expr, LoopKind, Scalar, Var, add, apply, const, mul
from weftc.schedule.cpu import cost
from weftc.schedule.cpu.arithmetic import ceil_divide
from weftc.schedule.indices import ZERO
from weftc.schedule.pull import Puller


def size_blocks(puller: Puller, size: Size, block: int) -> Expr:
    """The number of blocks of a size, a literal where it is known."""
    return puller.name("blocks", ceil_divide(puller.indices.size(size), block))


@contextmanager
def serial(puller: Puller, extents: Sequence[Size]) -> Iterator[list[Expr]]:
    """Nested loops over `extents`; gives their variables."""
    with ExitStack() as stack:
        yield [stack.enter_context(axis_loop(puller, extent)) for extent in extents]


@contextmanager
def axis_loop(puller: Puller, extent: Size, lanes: int = 0) -> Iterator[Expr]:
    """A loop over one axis: serial, or as vectors of `lanes`. An axis of size 1 needs none."""
    if extent == 1:
        yield ZERO
        return
    kind = LoopKind.VECTOR if lanes > 1 else LoopKind.SERIAL
    stop = puller.indices.size(extent)
    with puller.loop(puller.builder.for_("i", 0, stop, kind, lanes=max(lanes, 1))) as var:
        yield var


@contextmanager
def block_loop(
    puller: Puller, block: Expr, length: int, extent: Size, lanes: int = 0
) -> Iterator[Var]:
    """A loop over block number `block` of an axis, `length` long but for the last."""
    start = puller.name("start", mul(block, const(length)))
    stop = add(start, const(length))
    if not isinstance(extent, int) or extent % length:
        stop = apply(Scalar.MINIMUM, stop, puller.indices.size(extent))
    kind = LoopKind.VECTOR if lanes > 1 else LoopKind.SERIAL
    stop = puller.name("stop", stop)
    with puller.loop(puller.builder.for_("i", start, stop, kind, lanes=max(lanes, 1))) as var:
        yield var


@contextmanager
def parallel(puller: Puller, count: Expr, nanoseconds: float, total: Size) -> Iterator[Var]:
    """A loop over `count` pieces of work of so many nanoseconds each, over threads if it pays."""
    builder: Builder = puller.builder
    if cost.is_serial(total):
        opened = builder.for_("p", 0, count)
    else:
        opened = builder.for_("p", 0, count, LoopKind.PARALLEL, grain=cost.grain(nanoseconds))
    with puller.loop(opened) as var:
        yield var


def merged(shape: Shape, axes: Sequence[Sequence[int]]) -> list[Size]:
    """The extents of groups of axes."""
    return [product([shape[a] for a in group]) for group in axes]


def spread(
    puller: Puller, shape: Shape, axes: Sequence[Sequence[int]], flats: Sequence[Expr]
) -> tuple[Expr, ...]:
    """The index of a value of `shape`, from one flat index for each group of axes."""
    index: list[Expr] = [ZERO] * len(shape)
    for group, flat in zip(axes, flats, strict=True):
        parts = puller.indices.split(flat, tuple(shape[a] for a in group))
        for axis, part in zip(group, parts, strict=True):
            index[axis] = part
    return tuple(index)


def times(puller: Puller, count: Expr, size: Size) -> Expr:
    """`count` pieces for each of `size`."""
    return puller.name("pieces", mul(count, puller.indices.size(size)))


def divided(puller: Puller, flat: Expr, count: Expr, outer: Size) -> tuple[Expr, Expr]:
    """`flat` as (which of the `outer` pieces, which of its `count` parts)."""
    if outer == 1:
        return ZERO, flat
    if isinstance(count, Const) and count.value == 1:
        return flat, ZERO
    quotient = puller.name("outer", apply(Scalar.TDIV, flat, count))
    return quotient, puller.name("part", apply(Scalar.TREM, flat, count))
