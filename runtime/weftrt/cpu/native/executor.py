"""Runs a program: sizes, outputs, arena, kernels, status. One routine for all programs.

A size in a table is the size itself where it is not negative, else ~slot.
"""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject, array_new
from weftrt.cpu.native.intrinsics import (
    below,
    cast,
    default_float_mode,
    float_mode,
    invoke,
    is_default_float_mode,
    set_float_mode,
    stack,
)
from weftrt.cpu.native.pool import LARGEST, pool_capacity, pool_give, pool_take
from weftrt.cpu.native.python import (
    STATE,
    Py_DecRef,
    PyErr_NoMemory,
    PyEval_RestoreThread,
    PyEval_SaveThread,
    PyLong_FromLongLong,
    PyObject_Vectorcall,
    PyTuple_New,
    SizedObject,
)
from weftrt.cpu.native.types import I64, Bool, Pointer, Ptr, Records, Struct, inline, native

RELEASE_NANOSECONDS = 10_000
SITE_SHIFT = 48


class ArrayTable(Struct):
    """ArraySpec."""

    dtype: I64
    ndim: I64
    shape: Pointer[I64] = inline(8)


class StepTable(Struct):
    """Step, with the address of its kernel."""

    kernel: Ptr
    buffer_count: I64
    buffers: Pointer[I64]
    size_count: I64
    sizes: Pointer[I64]
    site: I64


class ProgramTable(Struct):
    """Program. `derived` is a list of polynomials: terms, then per term coefficient, factors,
    slots."""

    owner: Ptr
    input_count: I64
    inputs: Records[ArrayTable]
    output_count: I64
    outputs: Records[ArrayTable]
    temporary_count: I64
    temporaries: Pointer[I64]
    buffer_count: I64
    symbol_count: I64
    derived_count: I64
    derived: Pointer[I64]
    size_count: I64
    arena: I64
    work: I64
    step_count: I64
    steps: Records[StepTable]
    widest_step: I64


@native
def resolve_size(size: I64, sizes: Pointer[I64]) -> I64:
    """The value of a size of a table."""
    return size if size >= 0 else sizes[~size]


@native
def derive_sizes(program: ProgramTable, sizes: Pointer[I64]) -> None:
    """Evaluate the derived sizes; they wrap, and a wrapped size fails as too large."""
    code = program.derived
    place = 0
    for index in range(program.derived_count):
        total = 0
        terms = code[place]
        place += 1
        for _term in range(terms):
            product = code[place]
            factors = code[place + 1]
            place += 2
            for factor in range(factors):
                product = product * sizes[code[place + factor]]
            place += factors
            total += product
        sizes[program.symbol_count + index] = total


@native
def allocate_output(spec: ArrayTable, sizes: Pointer[I64]) -> ArrayObject:
    """An Array for one output; NULL with MemoryError."""
    extents = stack(I64, 8)
    for axis in range(spec.ndim):
        extents[axis] = resolve_size(spec.shape[axis], sizes)
        if extents[axis] < 0:
            extents[axis] = LARGEST
    return array_new(spec.dtype, spec.ndim, extents)


@native
def allocate_outputs(
    program: ProgramTable,
    buffers: Pointer[Ptr],
    sizes: Pointer[I64],
    outputs: Pointer[ArrayObject],
) -> Bool:
    """Allocate all outputs, or none."""
    for index in range(program.output_count):
        output = allocate_output(program.outputs[index], sizes)
        if output is None:
            drop_outputs(outputs, index)
            return False
        outputs[index] = output
        buffers[program.input_count + index] = output.data
    return True


@native
def drop_outputs(outputs: Pointer[ArrayObject], count: I64) -> None:
    """Give up the first `count` outputs."""
    for index in range(count):
        Py_DecRef(outputs[index])


@native
def run_step(step: StepTable, buffers: Pointer[Ptr], sizes: Pointer[I64], space: Ptr) -> I64:
    """Call one kernel; `space` has room for its buffers, sizes and status."""
    status = cast(Pointer[I64], space)
    status[0] = -1
    given: Pointer[Ptr] = space + 8
    for index in range(step.buffer_count):
        given[index] = buffers[step.buffers[index]]
    extents: Pointer[I64] = space + (8 + step.buffer_count * 8)
    for index in range(step.size_count):
        extents[index] = sizes[step.sizes[index]]
    invoke(None, step.kernel, given, extents, status)
    return status[0]


@native
def run_steps(program: ProgramTable, buffers: Pointer[Ptr], sizes: Pointer[I64]) -> I64:
    """Call all kernels in order; the smallest (site, element) that failed, or -1."""
    mode = float_mode()
    changed = not is_default_float_mode(mode)
    if changed:
        set_float_mode(default_float_mode())
    space = stack(I64, program.widest_step + 1)
    worst = -1
    for index in range(program.step_count):
        step = program.steps[index]
        status = run_step(step, buffers, sizes, space)
        if status != -1:
            status += step.site << SITE_SHIFT
            worst = status if below(status, worst) else worst
    if changed:
        set_float_mode(mode)
    return worst


@native
def run_without_lock(program: ProgramTable, buffers: Pointer[Ptr], sizes: Pointer[I64]) -> I64:
    """run_steps; the GIL is released if that is worth it."""
    if resolve_size(program.work, sizes) <= RELEASE_NANOSECONDS:
        return run_steps(program, buffers, sizes)
    thread = PyEval_SaveThread()
    status = run_steps(program, buffers, sizes)
    PyEval_RestoreThread(thread)
    return status


@native
def raise_failure(program: ProgramTable, status: I64) -> None:
    """Let Python raise the exception for a failed (site, element)."""
    number = PyLong_FromLongLong(status)
    if number is None:
        return
    arguments = stack(Ptr, 2)
    arguments[0] = program.owner
    arguments[1] = number
    result = PyObject_Vectorcall(STATE.raise_failure, arguments, 2, None)
    Py_DecRef(number)
    if result is not None:
        Py_DecRef(result)


@native
def execute(
    program: ProgramTable,
    buffers: Pointer[Ptr],
    sizes: Pointer[I64],
    outputs: Pointer[ArrayObject],
) -> Bool:
    """Run with the inputs in `buffers` and the symbols in `sizes`; False with an exception."""
    derive_sizes(program, sizes)
    if not allocate_outputs(program, buffers, sizes, outputs):
        return False
    arena: Ptr = None
    capacity = 0
    bytes = resolve_size(program.arena, sizes)
    if bytes != 0:
        capacity = pool_capacity(bytes)
        arena = pool_take(capacity) if not below(LARGEST, bytes) else None
        if arena is None:
            drop_outputs(outputs, program.output_count)
            PyErr_NoMemory()
            return False
    first = program.input_count + program.output_count
    for index in range(program.temporary_count):
        buffers[first + index] = arena + resolve_size(program.temporaries[index], sizes)
    status = run_without_lock(program, buffers, sizes)
    if arena is not None:
        pool_give(arena, capacity)
    if status != -1:
        drop_outputs(outputs, program.output_count)
        raise_failure(program, status)
        return False
    return True


@native
def outputs_tuple(outputs: Pointer[ArrayObject], count: I64) -> Ptr:
    """A tuple that takes over the outputs."""
    result: SizedObject = PyTuple_New(count)
    if result is None:
        drop_outputs(outputs, count)
        return None
    for index in range(count):
        result.items[index] = cast(Ptr, outputs[index])
    return result
