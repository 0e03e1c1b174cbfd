"""Making a failing program as small as it goes: fewer instructions, smaller sizes, plain data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.fuzz.draw import live
from tests.fuzz.program import Block, Input, Instruction, Literal, Local, Program
from tests.fuzz.reference.values import Bounded, Invalid

Fails = Callable[[Program], bool]


def shrink(program: Program, fails: Fails, seconds: float = 20.0) -> Program:
    """A program that still `fails` and of which no simpler one found here does."""
    until = time.monotonic() + seconds
    smaller: Program | None = program
    while smaller is not None and time.monotonic() < until:
        program = smaller
        smaller = _first_failing(program, fails, until)
    return program


def _first_failing(program: Program, fails: Fails, until: float) -> Program | None:
    seen = {_weight(program)}
    for candidate in _candidates(program):
        if time.monotonic() > until:
            return None
        if _weight(candidate) < min(seen) and _valid(candidate) and fails(candidate):
            return candidate
    return None


def _valid(program: Program) -> bool:
    try:
        program.values()
    except Invalid:
        return False
    return True


def _weight(program: Program) -> tuple[float, ...]:
    """What shrinking makes smaller: instructions, then outputs, data, then literals."""
    elements = sum(math.prod(i.shape) + sum(i.shape) for i in program.inputs)
    return (
        sum(1 for i in program.instructions for _ in i.parts())
        + len(program.inputs)
        + program.second,
        len(program.outputs) + len(program.argnums),
        elements,
        sum(map(_plainness, program.inputs)),
        sum(len(repr(i.options)) + len(repr(i.operands)) for i in program.instructions)
        + sum(i.strided for i in program.inputs),
    )


def _plainness(given: Input) -> float:
    return sum(len(repr(v)) for v in given.sample)


def _candidates(program: Program) -> Iterator[Program]:
    """Simpler programs, the most daring first; not all of them are valid."""
    yield from _fewer_outputs(program)
    if program.second:
        yield replace(program, second=False)
    yield from _bypassed(program)
    yield from _smaller_blocks(program)
    yield from _fewer_inputs(program)
    yield from _smaller_sizes(program)
    yield from _plainer_data(program)
    yield from _plainer_literals(program)


def _fewer_outputs(program: Program) -> Iterator[Program]:
    for number in range(len(program.argnums)):
        rest = program.argnums[:number] + program.argnums[number + 1 :]
        if rest:
            yield live(replace(program, argnums=rest))
    for output in program.outputs:
        if len(program.outputs) > 1:
            yield live(replace(program, outputs=(output,)))
    first = len(program.inputs)
    for number in range(first, first + len(program.instructions)):
        yield live(replace(program, outputs=(number,)))


def _bypassed(program: Program) -> Iterator[Program]:
    """Each instruction left out: an earlier value of its type stands for it."""
    try:
        values = program.values()
    except Invalid:
        return
    first = len(program.inputs)
    for number in reversed(range(first, len(values))):
        for other in range(number):
            if _same_type(values[other], values[number]):
                yield live(_substituted(program, number, other))
    for place, instruction in enumerate(program.instructions):
        for position, operand in enumerate(instruction.operands):
            if isinstance(operand, int):
                for other in range(min(operand, first)):
                    if _same_type(values[other], values[operand]):
                        yield live(_with_operand(program, place, position, other))


def _smaller_blocks(program: Program) -> Iterator[Program]:
    """Blocks with fewer branches, whose operands are other values, or with their last instructions
    gone."""
    for place, instruction in enumerate(program.instructions):
        for smaller in _with_smaller_blocks(instruction):
            yield live(_with_instruction(program, place, smaller))


def _with_smaller_blocks(instruction: Instruction) -> Iterator[Instruction]:
    if instruction.name == "switch" and len(instruction.blocks) > 1:
        yield replace(instruction, blocks=instruction.blocks[:1])
    for place, block in enumerate(instruction.blocks):
        before, after = instruction.blocks[:place], instruction.blocks[place + 1 :]
        for smaller in _smaller(block):
            yield replace(instruction, blocks=(*before, smaller, *after))


def _smaller(block: Block) -> Iterator[Block]:
    """What an instruction of a block reads, or an earlier value, in place of its own; what no
    output needs then is left out."""
    for place, instruction in reversed(list(enumerate(block.instructions))):
        gone = Local(block.depth, block.parameters + place)
        read = [o for o in instruction.operands if isinstance(o, (int, Local))]
        for other in (*read, *(Local(block.depth, n) for n in range(gone.number))):
            yield block.mapped(_replacing(gone, other)).live()
    for place, instruction in enumerate(block.instructions):
        before, after = block.instructions[:place], block.instructions[place + 1 :]
        for inner in _with_smaller_blocks(instruction):
            yield replace(block, instructions=(*before, inner, *after)).live()


def _replacing(gone: Local, other: Any) -> Callable[[Any], Any]:
    return lambda o: other if o == gone else o


def _same_type(a: Bounded, b: Bounded) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and not a.weak and not b.weak


def _substituted(program: Program, old: int, new: int) -> Program:
    def number(n: int) -> int:
        return new if n == old else n

    instructions = tuple(i.renumbered(number) for i in program.instructions)
    outputs = tuple(dict.fromkeys(map(number, program.outputs)))
    return replace(program, instructions=instructions, outputs=outputs)


def _with_operand(program: Program, place: int, position: int, operand: Any) -> Program:
    changed = program.instructions[place]
    operands = (*changed.operands[:position], operand, *changed.operands[position + 1 :])
    return _with_instruction(program, place, replace(changed, operands=operands))


def _with_instruction(program: Program, place: int, instruction: Instruction) -> Program:
    before, after = program.instructions[:place], program.instructions[place + 1 :]
    return replace(program, instructions=(*before, instruction, *after))


def _fewer_inputs(program: Program) -> Iterator[Program]:
    """Inputs that nothing reads go."""
    read = {s for i in program.instructions for s in i.sources()} | set(program.outputs)
    for gone in range(len(program.inputs)):
        if gone not in read and program.argnums != (gone,):
            yield _without_input(program, gone)


def _without_input(program: Program, gone: int) -> Program:
    def number(n: int) -> int:
        return n - (n > gone)

    return Program(
        program.inputs[:gone] + program.inputs[gone + 1 :],
        tuple(i.renumbered(number) for i in program.instructions),
        tuple(map(number, program.outputs)),
        tuple(number(a) for a in program.argnums if a != gone),
        program.second,
    )


def _smaller_sizes(program: Program) -> Iterator[Program]:
    """Every axis of one size made smaller, in the inputs and in the options alike."""
    for size in sorted({s for i in program.inputs for s in i.shape if s > 1}, reverse=True):
        for smaller in dict.fromkeys((1, 2, 3, size // 2, size - 1)):
            if smaller < size:
                yield _resized(program, size, smaller)
    for place, given in enumerate(program.inputs):
        for axis, size in enumerate(given.shape):
            for smaller in dict.fromkeys((1, 2, size // 2, size - 1)):
                if 0 < smaller < size:
                    shape = (*given.shape[:axis], smaller, *given.shape[axis + 1 :])
                    yield _with_input(program, place, replace(given, shape=shape))


def _resized(program: Program, size: int, smaller: int) -> Program:
    def resized(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(resized, value))
        return smaller if type(value) is int and value == size else value

    inputs = tuple(replace(i, shape=resized(i.shape)) for i in program.inputs)
    instructions = tuple(
        replace(i, options=_resized_options(i.options, resized)) for i in program.instructions
    )
    return replace(program, inputs=inputs, instructions=instructions)


def _resized_options(options: Mapping[str, Any], resized: Callable[[Any], Any]) -> dict[str, Any]:
    sizes = ("shape", "stop", "rows", "columns", "num_classes")
    return {k: resized(v) if k in sizes else v for k, v in options.items()}


def _with_input(program: Program, place: int, given: Input) -> Program:
    return replace(program, inputs=(*program.inputs[:place], given, *program.inputs[place + 1 :]))


def _plainer_data(program: Program) -> Iterator[Program]:
    for place, given in enumerate(program.inputs):
        if given.scalar:
            continue
        if given.strided:
            yield _with_input(program, place, replace(given, strided=False))
        length = max(math.prod(given.shape), 1)
        kind = {"bool": bool, "float32": float, "float64": float}.get(given.dtype, int)
        samples = [(kind(1),), tuple(kind(n + 1) for n in range(min(length, 97)))]
        samples += [given.sample[:n] for n in (1, length) if n < len(given.sample)]
        samples.append(tuple(kind(round(v)) if v == v and abs(v) < 99 else v for v in given.sample))
        for sample in samples:
            yield _with_input(program, place, replace(given, sample=sample))


def _plainer_literals(program: Program) -> Iterator[Program]:
    for place, instruction in enumerate(program.instructions):
        for position, operand in enumerate(instruction.operands):
            if isinstance(operand, Literal):
                for value in (1, 2, 1.0, 2.0):
                    if type(value) is type(operand.value):
                        yield _with_operand(program, place, position, Literal(value))
        for key in _plainer_keys(instruction.options.get("key", ())):
            yield _with_instruction(program, place, replace(instruction, options={"key": key}))
        for name in instruction.options:
            if name in ("keepdims", "correction", "approximate", "axis"):
                options = {k: v for k, v in instruction.options.items() if k != name}
                yield _with_instruction(program, place, replace(instruction, options=options))


def _plainer_keys(key: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Fewer items, smaller integers, shorter lists, whole slices."""
    for place, item in enumerate(key):
        before, after = key[:place], key[place + 1 :]
        yield (*before, *after)
        if type(item) is int:
            yield from ((*before, smaller, *after) for smaller in (0, -1, 1) if smaller != item)
        if isinstance(item, list):
            yield (*before, item[:1], *after)
            yield (*before, [0] * len(item), *after)
        if isinstance(item, slice):
            yield (*before, slice(None), *after)
