"""Runs a program: sizes, outputs, arena, kernels, status. One routine for all programs.

A size in a table is the size itself where it is not negative, else ~slot.
"""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject, array_new
from weftrt.cpu.native.intrinsics import (
    cast,
    default_float_mode,
    float_mode,
    invoke,
    is_default_float_mode,
    product_overflows,
    record,
    set_float_mode,
    stack,
    sum_overflows,
)
from weftrt.cpu.native.pool import LARGEST, pool_capacity, pool_give, pool_take
from weftrt.cpu.native.python import (
    STATE,
    Py_DecRef,
    PyErr_Occurred,
    PyTuple_New,
    SizedObject,
    raise_by,
)
from weftrt.cpu.native.signals import interrupted, is_watched, release_lock, take_lock
from weftrt.cpu.native.types import I64, Bool, Pointer, Ptr, Records, Struct, inline, native

RELEASE_NANOSECONDS = 10_000
SITE_SHIFT = 48
ELEMENT_MASK = (1 << 48) - 1


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
    elements: I64


class Failure(Struct):
    """What stopped a program: a number in Program.sites, and the element it complains of; -1 and
    nothing where a signal did."""

    site: I64
    element: I64


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
def derive_sizes(program: ProgramTable, sizes: Pointer[I64]) -> Bool:
    """Evaluate the derived sizes; False where one does not fit 64 bits."""
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
                size = sizes[code[place + factor]]
                if product_overflows(product, size):
                    return False
                product = product * size
            place += factors
            if sum_overflows(total, product):
                return False
            total += product
        sizes[program.symbol_count + index] = total
    return True


@native
def allocate_output(spec: ArrayTable, sizes: Pointer[I64]) -> ArrayObject:
    """An Array for one output; NULL where there is no memory."""
    extents = stack(I64, 8)
    for axis in range(spec.ndim):
        extents[axis] = resolve_size(spec.shape[axis], sizes)
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
def run_all(
    program: ProgramTable, buffers: Pointer[Ptr], sizes: Pointer[I64], failure: Failure
) -> Bool:
    """Call the kernels in order, up to the first that fails, or until a signal ends it."""
    failure.site = -1
    watched = is_watched()
    space = stack(I64, program.widest_step + 1)
    for index in range(program.step_count):
        step = program.steps[index]
        if resolve_size(step.elements, sizes) != 0:
            status = run_step(step, buffers, sizes, space)
            if watched and interrupted():
                return False
            if status != -1:
                failure.site = step.site + (status >> SITE_SHIFT)
                failure.element = status & ELEMENT_MASK
                return False
    return True


@native
def run_steps(
    program: ProgramTable, buffers: Pointer[Ptr], sizes: Pointer[I64], failure: Failure
) -> Bool:
    """run_all in the default float mode."""
    mode = float_mode()
    changed = not is_default_float_mode(mode)
    if changed:
        set_float_mode(default_float_mode())
    done = run_all(program, buffers, sizes, failure)
    if changed:
        set_float_mode(mode)
    return done


@native
def run_without_lock(
    program: ProgramTable, buffers: Pointer[Ptr], sizes: Pointer[I64], failure: Failure
) -> Bool:
    """run_steps; the GIL is released if that is worth it."""
    work = resolve_size(program.work, sizes)
    if work <= RELEASE_NANOSECONDS:
        return run_steps(program, buffers, sizes, failure)
    thread = release_lock(work)
    done = run_steps(program, buffers, sizes, failure)
    return take_lock(thread, work) and done


@native
def refuse(program: ProgramTable, sizes: Pointer[I64]) -> Bool:
    """Let Python say what there is no memory for."""
    raise_by(STATE.raise_no_memory, program.owner, program.symbol_count, cast(I64, sizes))
    return False


@native
def execute(
    program: ProgramTable,
    buffers: Pointer[Ptr],
    sizes: Pointer[I64],
    outputs: Pointer[ArrayObject],
) -> Bool:
    """Run with the inputs in `buffers` and the symbols in `sizes`; False with an exception."""
    if not derive_sizes(program, sizes):
        return refuse(program, sizes)
    if not allocate_outputs(program, buffers, sizes, outputs):
        return refuse(program, sizes)
    arena: Ptr = None
    capacity = 0
    bytes = resolve_size(program.arena, sizes)
    if bytes != 0:
        capacity = pool_capacity(bytes)
        arena = pool_take(capacity) if bytes < LARGEST else None
        if arena is None:
            drop_outputs(outputs, program.output_count)
            return refuse(program, sizes)
    first = program.input_count + program.output_count
    for index in range(program.temporary_count):
        buffers[first + index] = arena + resolve_size(program.temporaries[index], sizes)
    failure = record(Failure)
    done = run_without_lock(program, buffers, sizes, failure)
    if arena is not None:
        pool_give(arena, capacity)
    if not done:
        drop_outputs(outputs, program.output_count)
        if PyErr_Occurred() is None:
            raise_by(STATE.raise_failure, program.owner, cast(I64, failure), cast(I64, buffers))
    return done


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
