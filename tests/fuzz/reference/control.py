"""Branches and loops: which of their blocks run, on what. Nothing is known of results where a bound
leaves open what runs; types must fit in any case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.fuzz.reference.values import INTEGERS, Bounded, Invalid, exactly

if TYPE_CHECKING:
    from tests.fuzz.program import Block, Instruction

MOST_TURNS = 12
"""Of one loop, so that programs stay fast."""


def run(block: Block, values: Sequence[Bounded], arguments: Sequence[Bounded]) -> list[Bounded]:
    """The results of a block, which reads `values` around it."""
    found = [*values, *arguments]
    instructions, outputs = block.flat(len(values))
    for instruction in instructions:
        found.append(instruction.reference(found))
    return [found[output] for output in outputs]


def cond(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    (holds,) = operands
    if holds.ndim or holds.dtype != "bool":
        raise Invalid("no bool")
    return _chosen(instruction, values, holds, 0 if holds.value else 1)


def switch(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    (index,) = operands
    if index.ndim or index.dtype not in INTEGERS:
        raise Invalid("no number of a branch")
    last = len(instruction.blocks) - 1
    return _chosen(instruction, values, index, min(max(int(index.value), 0), last))


def _chosen(
    instruction: Instruction, values: list[Bounded], index: Bounded, number: int
) -> Bounded:
    results = [run(block, values, []) for block in instruction.blocks]
    for result in results:
        _check(result, results[0])
    (chosen,) = results[number]
    return chosen if index.exact.all() else unknown(chosen)


def fori_loop(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    lower, upper, *state = operands
    for bound in (lower, upper):
        if bound.ndim or bound.dtype not in INTEGERS or not bound.exact.all():
            raise Invalid("no bound of a loop")
    turns = range(int(lower.value), int(upper.value))
    if len(turns) > MOST_TURNS:
        raise Invalid("too many turns")
    (body,), weak = instruction.blocks, lower.weak and upper.weak
    _check(run(body, values, [exactly(lower.value, "int64", weak), *state]), state)
    for i in turns:
        state = run(body, values, [exactly(i, "int64", weak), *state])
    return state[instruction.options["part"]]


def while_loop(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    state = [exactly(0, "int64"), *operands]
    condition, body = instruction.blocks
    _check(run(body, values, state), state)
    part = 1 + instruction.options["part"]
    for _ in range(MOST_TURNS):
        (holds,) = run(condition, values, state)
        if holds.ndim or holds.dtype != "bool":
            raise Invalid("no bool")
        if not holds.exact.all():
            return unknown(state[part])
        if not holds.value:
            return state[part]
        state = run(body, values, state)
    raise Invalid("too many turns")


def scan(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    carried = instruction.options["carried"]
    state, stacks, (body,) = operands[:carried], operands[carried:], instruction.blocks
    length = stacks[0].shape[0] if stacks[0].ndim else MOST_TURNS + 1
    if length > MOST_TURNS or any(s.weak or s.shape[:1] != (length,) for s in stacks):
        raise Invalid("no rows, or too many")
    *found, y = run(body, values, [*state, *(row(stack) for stack in stacks)])
    _check([*found, y], [*state, y])
    turns, ys = range(length), []
    for turn in reversed(turns) if instruction.options["reverse"] else turns:
        *state, y = run(body, values, [*state, *(row(stack, turn) for stack in stacks)])
        ys.append(y)
    if instruction.options["part"] < carried:
        return state[instruction.options["part"]]
    rows = ys[::-1] if instruction.options["reverse"] else ys
    value, error = (
        np.array([getattr(y, name) for y in rows]).reshape(length, *y.shape)
        for name in ("value", "error")
    )
    return Bounded(value.astype(y.value.dtype), error, y.dtype)


def row(stack: Bounded, place: int = 0) -> Bounded:
    """A row of a stack; nothing is known of one where there is none."""
    if place < stack.shape[0]:
        return Bounded(stack.value[place], stack.error[place], stack.dtype)
    return unknown(Bounded(np.zeros(stack.shape[1:], stack.value.dtype), stack.error, stack.dtype))


def _check(found: Sequence[Bounded], wanted: Sequence[Bounded]) -> None:
    for one, other in zip(found, wanted, strict=True):
        if (one.dtype, one.shape) != (other.dtype, other.shape) or one.weak or other.weak:
            raise Invalid("the types differ")


def unknown(x: Bounded) -> Bounded:
    """A value of the type of `x` of which nothing is known."""
    return Bounded(x.value, np.full(x.shape, np.inf), x.dtype)


CONTROL: dict[str, Callable[[Instruction, Sequence[Any], list[Bounded]], Bounded]] = {
    "cond": cond,
    "switch": switch,
    "fori_loop": fori_loop,
    "while_loop": while_loop,
    "scan": scan,
}
