"""Whether the instructions of a program name only what there is."""

from __future__ import annotations

from weftc.validate.plans import Complaint
from weftrt.program import (
    Branch,
    Callback,
    Check,
    Copy,
    Count,
    Extern,
    Instruction,
    Launch,
    Next,
    Point,
    Program,
    PutSize,
    Rotate,
    Row,
    targets,
)
from weftrt.size_expressions import SizeSlot


def check_program(program: Program) -> Complaint:
    """What is wrong with a program: each instruction names kernels, buffers, sizes, sites and other
    instructions that there are, and none writes to an input by its own number; every output of the
    function is one of the program, and what an output lies over is donated."""
    for number, step in enumerate(program.steps):
        found = _check_step(program, step)
        if found is not None:
            return f"instruction {number}, {type(step).__name__}, {found}"
    if not _within(program.results, len(program.outputs)):
        return "the function has an output that the program has not"
    outputs, inputs = zip(*program.aliases) if program.aliases else ((), ())
    if not _within(outputs, len(program.outputs)) or not set(inputs) <= set(program.donated):
        return "an output lies over what is not donated"
    if len(set(outputs)) < len(outputs) or len(set(inputs)) < len(inputs):
        return "two outputs lie over one input"
    return None


def _check_step(program: Program, step: Instruction) -> Complaint:
    buffers = len(program.inputs) + len(program.outputs) + len(program.temporaries)
    if not _within((*_read(step), *_written(step)), buffers):
        return "names a buffer that there is not"
    if any(number < len(program.inputs) for number in _written(step)):
        return "writes to an input"
    if not _within(_sizes(step), len(program.symbols) + len(program.derived)):
        return "names a size that there is not"
    if not _within(targets(step), len(program.steps) + 1):
        return "goes on at an instruction that there is not"
    if isinstance(step, Launch) and not _within((step.kernel,), len(program.kernels)):
        return "names a kernel that there is not"
    if not _within(_sites(program, step), len(program.sites)):
        return "may fail at a site that there is not"
    return None


def _within(numbers: tuple[int, ...], count: int) -> bool:
    return all(0 <= number < count for number in numbers)


def _read(step: Instruction) -> tuple[int, ...]:
    """The buffers that an instruction reads or, if it calls something, uses."""
    match step:
        case Launch(_, buffers) | Extern(_, buffers):
            return buffers
        case Callback(_, operands):
            return tuple(number for number, _ in operands)
        case Check(buffer) | Branch(buffer) | Copy(buffer):
            return (buffer,)
        case Count(counter, upper):
            return (counter, upper)
        case Next(_, upper):
            return (upper,)
        case Point(buffer, other):
            return (buffer, other)
        case Row(_, stack, _, _, counter):
            return (stack, counter)
    return ()


def _written(step: Instruction) -> tuple[int, ...]:
    """The buffers that are known to be written, or exchanged for others."""
    match step:
        case Callback(_, _, results):
            return tuple(number for number, _ in results)
        case Copy(_, target):
            return (target,)
        case Next(buffer) | Point(buffer) | Row(buffer) | PutSize(buffer):
            return (buffer,)
        case Rotate(read, written, spare):
            return (read, written, spare)
    return ()


def _sizes(step: Instruction) -> tuple[int, ...]:
    match step:
        case Launch(_, _, sizes, _, elements):
            return (*sizes, *_slots(elements))
        case Extern(_, _, sizes):
            return sizes
        case Copy(_, _, size) | PutSize(_, size):
            return _slots(size)
        case Row(_, _, elements, _, _, length):
            return (*_slots(elements), *_slots(length))
        case Callback(_, operands, results):
            specs = [spec for _, spec in (*operands, *results)]
            return tuple(slot for spec in specs for size in spec.shape for slot in _slots(size))
    return ()


def _slots(size: int | SizeSlot) -> tuple[int, ...]:
    return (size.index,) if isinstance(size, SizeSlot) else ()


def _sites(program: Program, step: Instruction) -> tuple[int, ...]:
    """The first and the last site where an instruction may fail."""
    match step:
        case Launch(kernel, _, _, site) if (count := program.kernels[kernel].sites) > 0:
            return (site, site + count - 1)
        case Extern(_, _, _, site) | Check(_, site):
            return (site,)
    return ()
