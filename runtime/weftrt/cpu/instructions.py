"""Instructions as the words that the native executor reads: operation, place of the next, operands.

Operands have a fixed order for each kind; targets come last, as places of words.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from weftrt.cpu import externs
from weftrt.cpu.native import executor
from weftrt.program import (
    Branch,
    Callback,
    Check,
    Copy,
    Count,
    Extern,
    Instruction,
    Jump,
    Launch,
    Next,
    Point,
    PutSize,
    Rotate,
    Row,
    targets,
)
from weftrt.size_expressions import SizeSlot
from weftrt.sizes import fits_word

OPERATIONS: dict[type[Instruction], int] = {
    Launch: executor.LAUNCH,
    Extern: executor.EXTERN,
    Callback: executor.CALLBACK,
    Check: executor.CHECK,
    Copy: executor.COPY,
    Jump: executor.JUMP,
    Branch: executor.BRANCH,
    Count: executor.COUNT,
    Next: executor.NEXT,
    Point: executor.POINT,
    Rotate: executor.ROTATE,
    Row: executor.ROW,
    PutSize: executor.PUT_SIZE,
}


class Callee(NamedTuple):
    """What launches call: the address of a kernel, and how many sites it has."""

    address: int
    sites: int


def encode(
    steps: Sequence[Instruction], kernels: Sequence[Callee], taken: Set[int] = frozenset()
) -> list[int]:
    """The words of a program with these kernels. `taken` are the buffers that may lie in the memory
    of donated inputs: before one is written to, the executor is told."""
    operands = [_operands(number, step, kernels) for number, step in enumerate(steps)]
    told = [not taken.isdisjoint(_used(step)) for step in steps]
    places = [0]
    for step, values, tell in zip(steps, operands, told):
        places.append(places[-1] + 2 * tell + 2 + len(values) + len(targets(step)))
    words: list[int] = []
    for step, values, tell, following in zip(steps, operands, told, places[1:]):
        if tell:
            words += [executor.TOUCH, len(words) + 2]
        words += [OPERATIONS[type(step)], following, *values]
        words += [places[target] for target in targets(step)]
    return words


def _used(step: Instruction) -> tuple[int, ...]:
    """The buffers that an instruction writes to, and others that it uses."""
    match step:
        case Launch(_, buffers) | Extern(_, buffers):
            return buffers
        case Callback(_, _, results):
            return tuple(number for number, _ in results)
        case Copy(_, target):
            return (target,)
        case Point(_, other) | Row(_, other):
            return (other,)
        case Next(counter) | PutSize(counter):
            return (counter,)
        case Rotate(read, written, spare):
            return (read, written, spare)
    return ()


def most_words(steps: Sequence[Instruction], kernels: Sequence[Callee]) -> int:
    """How many words a call of a kernel or C function passes on at most: buffers, sizes, status."""
    return max((_words(step, kernels) for step in steps), default=0)


def _words(step: Instruction, kernels: Sequence[Callee]) -> int:
    match step:
        case Launch(kernel, buffers, sizes):
            return kernels[kernel].sites + len(buffers) + len(sizes)
        case Extern(_, buffers, sizes):
            return len(buffers) + len(sizes)
    return 0


def _operands(number: int, step: Instruction, kernels: Sequence[Callee]) -> tuple[int, ...]:
    """All operands but the targets."""
    match step:
        case Launch(kernel, buffers, sizes, site, elements):
            address, count = kernels[kernel]
            told = (address, encode_size(elements), site, count)
            return (*told, len(buffers), len(sizes), *buffers, *sizes)
        case Extern(function, buffers, sizes, site):
            routine, counts = externs.routine(function), (len(buffers), len(sizes))
            return (routine.address, routine.context, site, *counts, *buffers, *sizes)
        case Callback():
            return (number,)
        case Jump():
            return ()
        case Branch(buffer, dtype, numbers):
            return (buffer, dtype.code, len(numbers))
        case Count(counter, upper) | Next(counter, upper):
            return (counter, upper)
        case Point(buffer, other):
            return (buffer, other)
        case Rotate(read, written, spare):
            return (read, written, spare)
        case Row(buffer, stack, elements, itemsize, counter, length, reverse):
            place = (counter, encode_size(length), int(reverse))
            return (buffer, stack, encode_size(elements), itemsize, *place)
        case PutSize(buffer, value):
            return (buffer, encode_size(value))
        case Copy(source, target, elements, itemsize):
            return (source, target, encode_size(elements), itemsize)
        case Check(buffer, site):
            return (buffer, site)


def encode_size(size: int | SizeSlot) -> int:
    """A size as the native tables have it: itself, or ~slot."""
    return ~size.index if isinstance(size, SizeSlot) else fits_word(size)
