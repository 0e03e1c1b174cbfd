"""Runs a program: sizes, outputs, arena, instructions. One routine for all programs."""

from __future__ import annotations

from weftrt import dtypes
from weftrt.cpu.native.arrays import ArrayObject, array_header, array_new, with_block
from weftrt.cpu.native.donation import Donation, end_donation, start_donation, take_over
from weftrt.cpu.native.intrinsics import (
    cast,
    copy_bytes,
    default_float_mode,
    float_mode,
    invoke,
    is_default_float_mode,
    record,
    set_float_mode,
    stack,
)
from weftrt.cpu.native.pool import LARGEST, pool_capacity, pool_give, pool_take
from weftrt.cpu.native.python import (
    STATE,
    Py_DecRef,
    PyErr_Occurred,
    PyTuple_New,
    SizedObject,
    call_by,
    raise_by,
)
from weftrt.cpu.native.signals import (
    Hold,
    begin,
    end,
    enter_python,
    interrupted,
    leave_python,
    tired,
)
from weftrt.cpu.native.sizes import derive_sizes
from weftrt.cpu.native.tables import ProgramTable
from weftrt.cpu.native.types import (
    I32,
    I64,
    U8,
    Bool,
    Pointer,
    Ptr,
    Struct,
    native,
    rare,
)
from weftrt.sizes import MAXIMUM_RANK

LAUNCH, EXTERN, CALLBACK, CHECK, COPY = range(5)
"""Operations that may fail or take long; the others only choose what comes next."""
JUMP, BRANCH, COUNT, NEXT, POINT, ROTATE, ROW, PUT_SIZE, TOUCH = range(5, 14)
UINT32, UINT64 = dtypes.uint32.code, dtypes.uint64.code
INT32, INT64 = dtypes.int32.code, dtypes.int64.code
MOST_INT64 = (1 << 63) - 1


class Failure(Struct):
    """What stopped a program, unless an exception did: a number in Program.sites, and the element
    that it complains of, -1 where it is about none."""

    site: I64
    element: I64


class Run(Struct):
    """A program under way: what the call gave it, and room for what a launch passes on."""

    program: ProgramTable
    buffers: Pointer[Ptr]
    sizes: Pointer[I64]
    space: Ptr
    failure: Failure
    hold: Hold
    donation: Donation


@native
def resolve_size(size: I64, sizes: Pointer[I64]) -> I64:
    """The value of a size of a table."""
    return size if size >= 0 else sizes[~size]


@native
def allocate_output(run: Run, number: I64) -> ArrayObject:
    """An Array for an output; NULL where there is no memory."""
    spec = run.program.outputs[number]
    takes = run.program.takes
    extents = stack(I64, MAXIMUM_RANK)
    for axis in range(spec.ndim):
        extents[axis] = resolve_size(spec.shape[axis], run.sizes)
    if takes is None or takes[number] < 0:
        return array_new(spec.dtype, spec.ndim, extents)
    result = array_header(spec.dtype, spec.ndim, extents)
    if result is None or take_over(run.donation, number, result):
        return result
    return with_block(result)


@native
def allocate_outputs(run: Run, outputs: Pointer[ArrayObject]) -> Bool:
    """Allocate all outputs; False where there is no memory: those that are missing are NULL."""
    program = run.program
    for index in range(program.output_count):
        outputs[index] = allocate_output(run, index)
        if outputs[index] is None:
            for rest in range(index, program.output_count):
                outputs[rest] = None  # type: ignore[assignment]
            return False
        run.buffers[program.input_count + index] = outputs[index].data
    return True


@native
def drop_outputs(outputs: Pointer[ArrayObject], count: I64) -> None:
    """Give up the first `count` outputs."""
    for index in range(count):
        Py_DecRef(outputs[index])


@native
def pass_on(run: Run, counts: Pointer[I64], target: Pointer[Ptr]) -> Pointer[I64]:
    """Write the buffers, then the sizes of an instruction to `target`, where the sizes begin is the
    result; `counts` are how many of each, and their numbers."""
    buffer_count = counts[0]
    numbers = counts + 2
    for index in range(buffer_count):
        target[index] = run.buffers[numbers[index]]
    extents = cast(Pointer[I64], target + buffer_count)
    numbers = numbers + buffer_count
    for index in range(counts[1]):
        extents[index] = run.sizes[numbers[index]]
    return extents


@native
def launch(run: Run, at: Pointer[I64]) -> Bool:
    """Launch: kernel, elements, its first site and how many, counts of buffers and sizes, their
    numbers. False where it fails."""
    if resolve_size(at[3], run.sizes) == 0:
        return True
    status = cast(Pointer[I64], run.space)
    sites = at[5]
    for site in range(sites):
        status[site] = -1
    given = cast(Pointer[Ptr], status + sites)
    extents = pass_on(run, at + 6, given)
    invoke(None, cast(Ptr, at[2]), given, extents, status)
    for site in range(sites):
        if status[site] != -1:
            run.failure.site = at[4] + site
            run.failure.element = status[site]
            return False
    return True


@rare
@native
def call_extern(run: Run, at: Pointer[I64]) -> Bool:
    """Extern: function, context, site, counts of buffers and sizes, their numbers. False where it
    fails."""
    given: Pointer[Ptr] = run.space
    extents = pass_on(run, at + 5, given)
    element: I64 = invoke(I64, cast(Ptr, at[2]), given, extents, cast(Ptr, at[3]))
    run.failure.site = at[4]
    run.failure.element = element
    return element == -1


@rare
@native
def call_back(run: Run, at: Pointer[I64]) -> Bool:
    """Callback: its number among the instructions. False with an exception."""
    enter_python(run.hold)
    owner = run.program.owner
    done = call_by(STATE.call_back, owner, at[2], cast(I64, run.buffers), cast(I64, run.sizes))
    leave_python(run.hold)
    set_float_mode(default_float_mode())
    return done


@native
def is_true(run: Run, at: Pointer[I64]) -> Bool:
    """Check: buffer, site. False where it fails."""
    run.failure.site = at[3]
    run.failure.element = -1
    return cast(Pointer[U8], run.buffers[at[2]])[0] != 0


@native
def copy(run: Run, at: Pointer[I64]) -> None:
    """Copy: source, target, elements, bytes of one."""
    source = run.buffers[at[2]]
    target = run.buffers[at[3]]
    if source != target:
        copy_bytes(target, source, resolve_size(at[4], run.sizes) * at[5])


@native
def perform(run: Run, at: Pointer[I64]) -> Bool:
    """Carry out an instruction; False where it ends the program."""
    operation = at[0]
    done = True
    if operation == LAUNCH:
        done = launch(run, at)
    elif operation == EXTERN:
        done = call_extern(run, at)
    elif operation == CALLBACK:
        done = call_back(run, at)
    elif operation == CHECK:
        done = is_true(run, at)
    else:
        copy(run, at)
    if run.hold.watched != 0 and done:
        done = not interrupted(run.hold)
    return done


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
def is_below(at: Pointer[I64], buffers: Pointer[Ptr], step: I64) -> Bool:
    """Count, Next: counter, upper bound. Whether the counter, advanced by `step`, is below it."""
    counter = cast(Pointer[I64], buffers[at[2]])
    count = counter[0] + step
    if step != 0:
        counter[0] = count
    return count < cast(Pointer[I64], buffers[at[3]])[0]


@native
def rotate(at: Pointer[I64], buffers: Pointer[Ptr]) -> None:
    """Rotate: read, written, spare."""
    written = buffers[at[3]]
    buffers[at[2]] = written
    buffers[at[3]] = buffers[at[4]]
    buffers[at[4]] = written


@native
def point_to_row(run: Run, at: Pointer[I64]) -> None:
    """Row: buffer, stack, elements, bytes of one, counter, how many rows, whether in reverse."""
    counter = cast(Pointer[I64], run.buffers[at[6]])
    place = counter[0]
    if at[8] != 0:
        place = resolve_size(at[7], run.sizes) - 1 - place
    bytes = resolve_size(at[4], run.sizes) * at[5]
    run.buffers[at[2]] = run.buffers[at[3]] + place * bytes


@native
def follow(run: Run, at: Pointer[I64]) -> I64:
    """Carry out an instruction that only chooses what comes next: the place of that."""
    operation = at[0]
    buffers = run.buffers
    if operation == JUMP:
        return at[2]
    if operation == BRANCH:
        return branch_target(at, buffers)
    if operation == COUNT:
        return at[1] if is_below(at, buffers, 0) else at[4]
    if operation == NEXT:
        return at[4] if is_below(at, buffers, 1) else at[1]
    if operation == POINT:
        buffers[at[2]] = buffers[at[3]]
    elif operation == ROTATE:
        rotate(at, buffers)
    elif operation == ROW:
        point_to_row(run, at)
    elif operation == PUT_SIZE:
        cast(Pointer[I64], buffers[at[2]])[0] = resolve_size(at[3], run.sizes)
    else:
        run.donation.touched = 1
    return at[1]


@native
def may_turn(hold: Hold) -> Bool:
    """Whether a loop may go on to its next turn."""
    hold.patience -= 1
    return hold.patience >= 0 or not tired(hold)


@native
def run_all(run: Run) -> Bool:
    """Carry out the instructions, up to one that fails, or until a signal ends it."""
    program = run.program
    place = 0
    while place < program.code_length:
        at = program.code + place
        if at[0] <= COPY:
            if not perform(run, at):
                return False
            place = at[1]
        else:
            before = place
            place = follow(run, at)
            if place <= before and not may_turn(run.hold):
                return False
    return True


@native
def run_in_default_mode(run: Run) -> Bool:
    """run_all in the default float mode."""
    mode = float_mode()
    changed = not is_default_float_mode(mode)
    if changed:
        set_float_mode(default_float_mode())
    done = run_all(run)
    if changed:
        set_float_mode(mode)
    return done


@native
def run_program(run: Run) -> Bool:
    """Carry out the instructions, without the GIL if that is worth it."""
    begin(run.hold, resolve_size(run.program.work, run.sizes))
    done = run_in_default_mode(run)
    return end(run.hold) and done


@rare
@native
def refuse(program: ProgramTable, sizes: Pointer[I64]) -> Bool:
    """Let Python say what there is no memory for."""
    raise_by(STATE.raise_no_memory, program.owner, program.symbol_count, cast(I64, sizes))
    return False


@native
def run_in_arena(run: Run) -> Bool:
    """Run with the temporaries in a block of the pool; False with an exception."""
    program = run.program
    sizes = run.sizes
    arena: Ptr = None
    capacity = 0
    bytes = resolve_size(program.arena, sizes)
    if bytes != 0:
        capacity = pool_capacity(bytes)
        arena = pool_take(capacity) if bytes < LARGEST else None
        if arena is None:
            return refuse(program, sizes)
    first = program.input_count + program.output_count
    for index in range(program.temporary_count):
        run.buffers[first + index] = arena + resolve_size(program.temporaries[index], sizes)
    done = run_program(run)
    if arena is not None:
        pool_give(arena, capacity)
    if not done and PyErr_Occurred() is None:
        failure = cast(I64, run.failure)
        raise_by(STATE.raise_failure, program.owner, failure, cast(I64, run.buffers))
    return done


@native
def execute(
    program: ProgramTable,
    items: Pointer[Ptr],
    buffers: Pointer[Ptr],
    sizes: Pointer[I64],
    outputs: Pointer[ArrayObject],
) -> Bool:
    """Run with the inputs `items`, which are in `buffers`, and the symbols in `sizes`; False with
    an exception. Behind the outputs there is room for what a launch passes on."""
    if not derive_sizes(program.derived, program.derived_count, program.symbol_count, sizes):
        return refuse(program, sizes)
    donation = record(Donation)
    donation.program = program
    donation.items = items
    if not start_donation(donation):
        return False
    run = record(Run)
    run.program = program
    run.buffers = buffers
    run.sizes = sizes
    run.space = cast(Ptr, outputs + program.output_count)
    run.failure = record(Failure)
    run.hold = record(Hold)
    run.donation = donation
    done = run_in_arena(run) if allocate_outputs(run, outputs) else refuse(program, sizes)
    end_donation(donation, done, outputs)
    if not done:
        drop_outputs(outputs, program.output_count)
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
