"""Expressions of sizes as the words that weftrt.cpu.native.sizes reads."""

from __future__ import annotations

from collections.abc import Mapping

from weftrt.cpu.native import sizes
from weftrt.errors import CompileError
from weftrt.size_expressions import SizeCheck, SizeExpression, SizeOp, SizeSlot, depth

_OPERATIONS: Mapping[SizeOp, int] = {
    SizeOp.ADD: sizes.ADD,
    SizeOp.MUL: sizes.MUL,
    SizeOp.FLOOR_DIV: sizes.FLOOR_DIV,
    SizeOp.MIN: sizes.MIN,
}


def encode_expression(expression: SizeExpression) -> list[int]:
    """The count of parts, then an operation and an operand for each."""
    if depth(expression) > sizes.DEEPEST:
        raise CompileError(f"a size needs more than {sizes.DEEPEST} values at once")
    words = [len(expression)]
    for part in expression:
        if isinstance(part, SizeOp):
            words += _OPERATIONS[part], 0
        elif isinstance(part, SizeSlot):
            words += sizes.SLOT, part.index
        else:
            words += sizes.LITERAL, part
    return words


def encode_check(check: SizeCheck) -> list[int]:
    """Whether it is exact, then the expression."""
    return [int(check.exact), *encode_expression(check.expression)]
