"""Runs a program: sizes, outputs, arena, instructions. One routine for all programs.

A size in a table is the size itself where it is not negative, else ~slot.
"""

from __future__ import annotations

from weftrt import dtypes
from weftrt.cpu.native.arrays import ArrayObject, array_new
from weftrt.cpu.native.intrinsics import (
    cast,
    copy_bytes,
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
from weftrt.cpu.native.types import (
    I32,
    I64,
    U8,
    Bool,
    Pointer,
    Ptr,
    Records,
    Struct,
    inline,
    native,
)

RELEASE_NANOSECONDS = 10_000
SITE_SHIFT = 48
ELEMENT_MASK = (1 << 48) - 1
LAUNCH, JUMP, BRANCH, COUNT, INCREMENT, POINT, ROTATE, COPY, CHECK = range(9)
UINT32, UINT64 = dtypes.uint32.code, dtypes.uint64.code
INT32, INT64 = dtypes.int32.code, dtypes.int64.code
MOST_INT64 = (1 << 63) - 1


class ArrayTable(Struct):
    """ArraySpec."""

    dtype: I64
    ndim: I64
    shape: Pointer[I64] = inline(8)


class Failure(Struct):
    """What stopped a program: a number in Program.sites (-1 where an exception is set), and the
    element that it complains of (-1 where it is about none)."""

    site: I64
    element: I64


class ProgramTable(Struct):
    """Program. `derived` is a list of polynomials: terms, then per term coefficient, factors,
    slots. `code` are its instructions: each has its operation, the place of the next one, and its
    operands (weftrt.cpu.instructions writes them)."""

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
    code_length: I64
    code: Pointer[I64]
    widest_launch: I64


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
def call_kernel(at: Pointer[I64], buffers: Pointer[Ptr], sizes: Pointer[I64], space: Ptr) -> I64:
    """Call the kernel of a launch; `space` has room for its buffers, sizes and status, which is
    the result."""
    status = cast(Pointer[I64], space)
    status[0] = -1
    given: Pointer[Ptr] = space + 8
    buffer_count = at[5]
    for index in range(buffer_count):
        given[index] = buffers[at[7 + index]]
    extents: Pointer[I64] = space + (8 + buffer_count * 8)
    slots = at + (7 + buffer_count)
    for index in range(at[6]):
        extents[index] = sizes[slots[index]]
    invoke(None, cast(Ptr, at[2]), given, extents, status)
    return status[0]


@native
def launch(
    at: Pointer[I64], buffers: Pointer[Ptr], sizes: Pointer[I64], space: Ptr, failure: Failure
) -> Bool:
    """Launch: kernel, elements, site, counts of buffers and sizes, their numbers. False where it
    fails."""
    if resolve_size(at[3], sizes) == 0:
        return True
    status = call_kernel(at, buffers, sizes, space)
    if status == -1:
        return True
    failure.site = at[4] + (status >> SITE_SHIFT)
    failure.element = status & ELEMENT_MASK
    return False


@native
def integer_at(place: Ptr, dtype: I64) -> I64:
    """The bool or integer at a place, as far as 64 bits with a sign hold it."""
    if dtype == UINT64:
        value = cast(Pointer[I64], place)[0]
        return value if value >= 0 else MOST_INT64
    if dtype == INT64:
        return cast(Pointer[I64], place)[0]
    if dtype == INT32:
        return cast(I64, cast(Pointer[I32], place)[0])
    if dtype == UINT32:
        return cast(I64, cast(Pointer[I32], place)[0]) & 0xFFFFFFFF
    return cast(I64, cast(Pointer[U8], place)[0])


@native
def branch_target(at: Pointer[I64], buffers: Pointer[Ptr]) -> I64:
    """Branch: buffer, dtype, count of targets, the targets."""
    value = integer_at(buffers[at[2]], at[3])
    last = at[4] - 1
    value = value if value < last else last
    return at[5 + (value if value > 0 else 0)]


@native
def counter_at(buffer: Ptr) -> Pointer[I64]:
    """An int64 in memory."""
    return cast(Pointer[I64], buffer)


@native
def rotate(at: Pointer[I64], buffers: Pointer[Ptr]) -> None:
    """Rotate: read, written, spare."""
    written = buffers[at[3]]
    buffers[at[2]] = written
    buffers[at[3]] = buffers[at[4]]
    buffers[at[4]] = written


@native
def copy(at: Pointer[I64], buffers: Pointer[Ptr], sizes: Pointer[I64]) -> None:
    """Copy: source, target, elements, bytes of one."""
    source = buffers[at[2]]
    target = buffers[at[3]]
    if source != target:
        copy_bytes(target, source, resolve_size(at[4], sizes) * at[5])


@native
def holds(at: Pointer[I64], buffers: Pointer[Ptr], failure: Failure) -> Bool:
    """Check: buffer, site. False where it fails."""
    if cast(Pointer[U8], buffers[at[2]])[0] != 0:
        return True
    failure.site = at[3]
    failure.element = -1
    return False


@native
def follow(at: Pointer[I64], buffers: Pointer[Ptr], sizes: Pointer[I64], failure: Failure) -> I64:
    """Carry out an instruction that calls nothing: the place of the next one; -1 where it fails."""
    operation = at[0]
    if operation == JUMP:
        return at[2]
    if operation == BRANCH:
        return branch_target(at, buffers)
    if operation == COUNT:
        more: Bool = counter_at(buffers[at[2]])[0] < counter_at(buffers[at[3]])[0]
        return at[1] if more else at[4]
    if operation == INCREMENT:
        counter_at(buffers[at[2]])[0] += 1
    elif operation == POINT:
        buffers[at[2]] = buffers[at[3]]
    elif operation == ROTATE:
        rotate(at, buffers)
    elif operation == COPY:
        copy(at, buffers, sizes)
    elif not holds(at, buffers, failure):
        return -1
    return at[1]


@native
def run_all(
    program: ProgramTable, buffers: Pointer[Ptr], sizes: Pointer[I64], failure: Failure
) -> Bool:
    """Carry out the instructions, up to one that fails, or until a signal ends it."""
    failure.site = -1
    watched = is_watched()
    space = stack(I64, program.widest_launch + 1)
    place = 0
    while place < program.code_length:
        at = program.code + place
        if at[0] == LAUNCH:
            done = launch(at, buffers, sizes, space, failure)
            if watched and interrupted():
                failure.site = -1
                return False
            if not done:
                return False
            place = at[1]
        else:
            place = follow(at, buffers, sizes, failure)
            if place < 0:
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
