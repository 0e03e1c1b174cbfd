"""Index arithmetic that the parts of the contraction schedule share."""

from __future__ import annotations

from collections.abc import Sequence

from weftc.ir.sizes import Shape
from weftc.loop import ir
from weftc.loop.ir import Const, Expr, Scalar, const
from weftc.schedule.cpu.contraction_problem import Operand, Strided, merged_stride
from weftc.schedule.pull import Puller


def divide(a: Expr, b: int | Expr) -> Expr:
    """a / b for indices, which are never negative."""
    return _folded(Scalar.TDIV, a, b)


def modulo(a: Expr, b: int | Expr) -> Expr:
    """a mod b for indices."""
    return _folded(Scalar.TREM, a, b)


def _folded(op: Scalar, a: Expr, b: int | Expr) -> Expr:
    divisor = const(b) if isinstance(b, int) else b
    if isinstance(divisor, Const) and divisor.value == 1:
        return a if op is Scalar.TDIV else const(0)
    if isinstance(a, Const) and isinstance(divisor, Const):
        quotient, rest = divmod(int(a.value), int(divisor.value))
        return const(quotient if op is Scalar.TDIV else rest)
    return ir.apply(op, a, divisor)


def ceil_divide(a: Expr, b: int) -> Expr:
    """a / b rounded up."""
    return divide(ir.add(a, const(b - 1)), b)


def minimum(a: Expr, b: Expr) -> Expr:
    """The smaller index."""
    if isinstance(a, Const) and isinstance(b, Const):
        return const(min(int(a.value), int(b.value)))
    return ir.apply(Scalar.MINIMUM, a, b)


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
    index: list[Expr] = [const(0)] * operand.node.type.rank
    for group, position in enumerate(positions):
        at = puller.indices.split(position, operand.sizes(group))
        for axis, expression in zip(operand.axes[group], at, strict=True):
            index[axis] = expression
    return tuple(index)
