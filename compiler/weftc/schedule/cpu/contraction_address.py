"""Index arithmetic that the parts of the contraction schedule share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from weftc.ir.sizes import Shape, product
from weftc.loop import ir
from weftc.loop.build import Builder, Loop
from weftc.loop.ir import Const, Expr, LoopKind, Scalar, const
from weftc.schedule.cpu.arithmetic import ceil_divide, divide, minimum
from weftc.schedule.cpu.contraction_problem import Operand, Strided, merged_stride
from weftc.schedule.pull import Puller


def count_if(enabled: Expr | None, count: Expr) -> Expr:
    """`count` iterations where `enabled` holds (None: always), else none."""
    return count if enabled is None else ir.apply(Scalar.SELECT, enabled, count, const(0))


def batch_offset(puller: Puller, shape: Shape, strided: Strided, position: Expr) -> Expr:
    """Where batch element number `position` of an operand starts."""
    size = puller.indices.size
    offset = size(strided.offset)
    whole = merged_stride(shape, strided.batch)
    if whole is not None:
        return puller.name("base", ir.add(offset, ir.mul(position, size(whole))))
    for at, stride in zip(puller.indices.split(position, shape), strided.batch, strict=True):
        offset = ir.add(offset, ir.mul(at, size(stride)))
    return puller.name("base", offset)


def operand_index(puller: Puller, operand: Operand, positions: Sequence[Expr]) -> tuple[Expr, ...]:
    """The index in the operand of (batch, free, k) positions in its merged axes."""
    sizes = map(operand.sizes, range(len(positions)))
    return joined(operand, [puller.indices.split(*each) for each in zip(positions, sizes)])


def joined(operand: Operand, groups: Sequence[Sequence[Expr]]) -> tuple[Expr, ...]:
    """The index in the operand of the indices of its (batch, free, contracted) axes."""
    index: list[Expr] = [const(0)] * operand.node.type.rank
    for axes, expressions in zip(operand.axes, groups, strict=True):
        for axis, expression in zip(axes, expressions, strict=True):
            index[axis] = expression
    return tuple(index)


@dataclass(frozen=True, eq=False)
class Along:
    """A run along the last of some axes, start <= i < stop, at one index of those before it; the
    position of i in all of them as one is base + i."""

    outer: tuple[Expr, ...]
    base: Expr
    start: Expr
    stop: Expr

    def at(self, index: Expr) -> tuple[Expr, ...]:
        """The indices of all axes."""
        return (*self.outer, index)


@contextmanager
def runs(puller: Puller, sizes: Shape, begin: Expr, end: Expr) -> Iterator[Along]:
    """A loop over the runs that positions `begin` up to `end` in axes of `sizes` consist of."""
    outer, size = sizes[:-1], puller.indices.size(sizes[-1])
    if product(outer) == 1:
        yield Along((const(0),) * len(outer), const(0), begin, end)
        return
    length = size if isinstance(size, Const) else ir.apply(Scalar.MAXIMUM, size, const(1))
    first, last = puller.name("first_run", divide(begin, length)), ceil_divide(end, length)
    opened = puller.builder.for_("run", first, puller.name("last_run", last))
    with puller.loop(opened) as run:
        base = puller.name("base", ir.mul(run, size))
        start = ir.apply(Scalar.MAXIMUM, ir.subtract(begin, base), const(0))
        stop = minimum(ir.subtract(end, base), size)
        index = puller.indices.split(run, outer)
        yield Along(index, base, puller.name("start", start), puller.name("stop", stop))


def vectors(b: Builder, hint: str, run: Along) -> AbstractContextManager[Loop]:
    """A vector loop over a run."""
    return b.for_(hint, run.start, run.stop, LoopKind.VECTOR, lanes=16)
