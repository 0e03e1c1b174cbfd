"""Sizes that a program derives from others, as expressions in postfix order.

`(SizeSlot(0), 4, SizeOp.MUL, 64, SizeOp.ADD)` is 4 * n + 64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import add, mul
from typing import TypeAlias

from weftrt.sizes import floor_quotient


@dataclass(frozen=True)
class SizeSlot:
    """Size number `index` of the program."""

    index: int


class SizeOp(Enum):
    """What is done with the last two values; the result takes their place."""

    ADD = "add"
    MUL = "mul"
    FLOOR_DIV = "floor_div"  # 0 where the divisor is not positive
    MIN = "min"


SizeExpression: TypeAlias = "tuple[int | SizeSlot | SizeOp, ...]"


@dataclass(frozen=True)
class SizeCheck:
    """A condition for sizes: the expression is 0 or, where it is an inequality, 0 or more. `text`
    says it in words."""

    expression: SizeExpression
    exact: bool
    text: str


_FUNCTIONS: Mapping[SizeOp, Callable[[int, int], int]] = {
    SizeOp.ADD: add,
    SizeOp.MUL: mul,
    SizeOp.FLOOR_DIV: floor_quotient,
    SizeOp.MIN: min,
}


def evaluate(
    expression: SizeExpression,
    sizes: Sequence[int] | Mapping[int, int],
    check: Callable[[int], int] = int,
) -> int:
    """The value of an expression, exact however large; `check` sees what operations give."""
    values: list[int] = []
    for part in expression:
        if isinstance(part, SizeOp):
            right = values.pop()
            values.append(check(_FUNCTIONS[part](values.pop(), right)))
        else:
            values.append(sizes[part.index] if isinstance(part, SizeSlot) else part)
    (value,) = values
    return value


def holds(check: SizeCheck, sizes: Sequence[int] | Mapping[int, int]) -> bool:
    """Whether a condition holds."""
    value = evaluate(check.expression, sizes)
    return value == 0 if check.exact else value >= 0


def depth(expression: SizeExpression) -> int:
    """How many values an evaluation holds at most."""
    count = deepest = 0
    for part in expression:
        count += -1 if isinstance(part, SizeOp) else 1
        deepest = max(deepest, count)
    return deepest
