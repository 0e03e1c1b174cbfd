"""A compiled program as data: what the compiler hands to the runtime.

A program is a list of instructions over numbered buffers: calls of kernels, of C functions and of
Python, and the jumps, loops and tests between them. The runtime owns the one native routine that
walks it (weftrt.cpu.native): no code is generated per program, only per kernel, and equal kernels
are shared between programs.

Buffers are numbered: inputs, then outputs, then temporaries. Sizes are numbered: the symbols (read
from input shapes by the call guard), then the derived sizes, each an expression over the symbols.

Each call has its own table of the addresses of its buffers, and an instruction may change it: a
loop moves its state along by exchanging addresses, not by copying. A temporary that serves as such
a pointer needs no memory of its own; its offset means nothing.

Kernel ABI: `void kernel(void **buffers, int64_t *sizes, int64_t *status)`. `status` has one word
for each of the kernel's sites, -1 when a launch starts; report(site, element) makes status[site]
the unsigned minimum of itself and the element. The smallest site that reported is the one that
failed; the launch's `site` is added, so that equal kernels are shared by programs. The first
instruction that fails ends the program. Parallel loops of a kernel call the external symbol
`void weft_parallel(void (*body)(void *context, int64_t begin, int64_t end), void *context,
int64_t count, int64_t grain)`, which the runtime provides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from weftrt.dtypes import DType
from weftrt.errors import WeftError
from weftrt.size_expressions import SizeCheck, SizeExpression, SizeSlot

Report: TypeAlias = "tuple[int, int] | None"
"""The smallest (site, element) that a run of a kernel reported; None where nothing failed."""


@dataclass(frozen=True)
class ArraySpec:
    """An input or output: its dtype and, per axis, a fixed size or the number of a size slot."""

    dtype: DType
    shape: tuple[int | SizeSlot, ...]


@dataclass(frozen=True)
class Temporary:
    """A buffer in the arena, by the slot or the constant of its byte offset."""

    offset: int | SizeSlot


@dataclass(frozen=True)
class KernelCode:
    """One kernel to be linked: a symbol that names its content, its LLVM IR text, and how many
    sites it has: places where it may fail."""

    symbol: str
    llvm: str
    sites: int = 0


class Role(Enum):
    """What a kernel does with a buffer."""

    READ = "input"
    WRITTEN = "output"
    SCRATCH = "scratch"


@dataclass(frozen=True)
class BufferUse:
    """A buffer of a launch, to be watched: `elements` is the number, in `Launch.sizes`, of the
    count of its elements, and `alignment` what the kernel takes for granted of its address."""

    name: str
    role: Role
    itemsize: int
    alignment: int
    elements: int


@dataclass(frozen=True)
class LaunchUse:
    """The user's line that a launch computes, and its buffers."""

    location: str
    buffers: tuple[BufferUse, ...]


@dataclass(frozen=True)
class Launch:
    """One kernel call: which kernel, which program buffers, which program sizes, and the number in
    `Program.sites` of its first site. `elements` counts what it writes: where that is 0, the call
    is left out, however far its loops would run over nothing. `use` describes its buffers, if they
    are to be watched while it runs."""

    kernel: int
    buffers: tuple[int, ...]
    sizes: tuple[int, ...]
    site: int = 0
    elements: int | SizeSlot = 1
    use: LaunchUse | None = None


@dataclass(frozen=True)
class Extern:
    """One call of a C function, by the name that weftrt.cpu.externs knows it by. What it gives back
    is the element at fault at site number `site`, or -1."""

    function: str
    buffers: tuple[int, ...]
    sizes: tuple[int, ...]
    site: int = 0


@dataclass(frozen=True)
class Callback:
    """One call of host function number `function`: it is given an Array for each (buffer, spec) of
    `operands`, and gives back as many as there are `results`. What it raises ends the program.
    `location` is the user's line."""

    function: int
    operands: tuple[tuple[int, ArraySpec], ...]
    results: tuple[tuple[int, ArraySpec], ...]
    location: str


@dataclass(frozen=True)
class Jump:
    """Go on at instruction number `target`, which may be the end of the program."""

    target: int


@dataclass(frozen=True)
class Branch:
    """Go on at the target whose number is in `buffer`: one bool or integer, which counts as the
    nearest number that there is."""

    buffer: int
    dtype: DType
    targets: tuple[int, ...]


@dataclass(frozen=True)
class Count:
    """Go on at `target` unless the int64 in `counter` is below that in `upper`."""

    counter: int
    upper: int
    target: int


@dataclass(frozen=True)
class Next:
    """The end of a counting loop: add one to the int64 in `counter`, and go on at `target` if it is
    below that in `upper`."""

    counter: int
    upper: int
    target: int


@dataclass(frozen=True)
class Point:
    """From here on `buffer` is what `other` is now."""

    buffer: int
    other: int


@dataclass(frozen=True)
class Rotate:
    """The next turn of a loop: what it has `written` is what it will `read`, and it will write
    over the one before, which is the `spare`: read, written, spare = written, spare, written. So
    `read` may start as an initial value, which is never written, and only the other two need
    memory: a turn copies nothing."""

    read: int
    written: int
    spare: int


@dataclass(frozen=True)
class Row:
    """From here on `buffer` is a row of `stack`, which has `length` of them, each of so many
    elements of `itemsize` bytes: the one whose number the int64 in `counter` is, from the first on,
    or from the last on if in `reverse`."""

    buffer: int
    stack: int
    elements: int | SizeSlot
    itemsize: int
    counter: int
    length: int | SizeSlot
    reverse: bool


@dataclass(frozen=True)
class PutSize:
    """Let `buffer` hold a size as an int64."""

    buffer: int
    value: int | SizeSlot


@dataclass(frozen=True)
class Copy:
    """Copy so many elements of `itemsize` bytes; nothing where both are the same memory."""

    source: int
    target: int
    elements: int | SizeSlot
    itemsize: int


@dataclass(frozen=True)
class Check:
    """Fail at site number `site` unless the bool in `buffer` is true."""

    buffer: int
    site: int


Instruction: TypeAlias = (
    Launch
    | Extern
    | Callback
    | Check
    | Copy
    | Jump
    | Branch
    | Count
    | Next
    | Point
    | Rotate
    | Row
    | PutSize
)


def targets(step: Instruction) -> tuple[int, ...]:
    """The instructions, by number, where one may go on besides at the next."""
    match step:
        case Jump(target) | Count(_, _, target) | Next(_, _, target):
            return (target,)
        case Branch(_, _, numbers):
            return numbers
    return ()


def retargeted(step: Instruction, places: Sequence[int]) -> Instruction:
    """The same instruction in a program where number n is at places[n]."""
    match step:
        case Jump(target) | Count(_, _, target) | Next(_, _, target):
            return replace(step, target=places[target])
        case Branch(_, _, numbers):
            return replace(step, targets=tuple(places[number] for number in numbers))
    return step


@dataclass(frozen=True)
class Site:
    """A place in the user's code that can fail at run time: with which error, in which words. For
    an element of a kernel, {index} in `message` is where that element's index belongs, and
    `indices` the program input that holds the indices."""

    kind: type[WeftError]
    location: str
    message: str
    indices: int | None = None


@dataclass(frozen=True)
class Program:
    """Everything the runtime needs to run a compiled graph."""

    name: str
    key: str
    inputs: tuple[ArraySpec, ...]
    outputs: tuple[ArraySpec, ...]
    symbols: tuple[tuple[int, int], ...]
    """For each size symbol, the (input, axis) it is read from."""
    derived: tuple[SizeExpression, ...]
    temporaries: tuple[Temporary, ...]
    arena: int | SizeSlot
    kernels: tuple[KernelCode, ...]
    steps: tuple[Instruction, ...]
    """It ends after the last one."""
    sites: tuple[Site, ...]
    results: tuple[int, ...]
    """For each output of the traced function, in order, the number of the program output that holds
    it (two outputs that turned out to be the same value share one array)."""
    work: int | SizeSlot
    """Estimated nanoseconds of one run; the GIL is released above a threshold."""
    donated: tuple[int, ...] = ()
    """Inputs that the caller gives up: their Arrays are no more after a run."""
    aliases: tuple[tuple[int, int], ...] = ()
    """(output, donated input): the output may take over the memory of the input. No instruction
    reads the input after one has written to the output."""
    constraints: tuple[SizeCheck, ...] = ()
    """What the symbols must be like; another program is for what does not fit."""
    places: tuple[str, ...] = ()
    """For each output, then for the arena: the user's line that asks for most of it; "" where it is
    not known."""

    @property
    def is_watched(self) -> bool:
        """Whether its launches describe their buffers."""
        return any(isinstance(step, Launch) and step.use is not None for step in self.steps)
