"""Running a program on a tuple of Arrays: the path that Python drives."""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject
from weftrt.cpu.native.executor import execute, outputs_tuple
from weftrt.cpu.native.intrinsics import cast, stack
from weftrt.cpu.native.python import (
    STATE,
    Py_DecRef,
    Py_IncRef,
    PyErr_NoMemory,
    PyLong_AsLongLong,
    SizedObject,
    free,
    malloc,
    new_none,
    type_of,
)
from weftrt.cpu.native.sizes import sizes_allowed
from weftrt.cpu.native.tables import ArrayTable, ProgramTable
from weftrt.cpu.native.types import I64, Bool, Pointer, Ptr, export, native, rare

UNBOUND = -1
ON_STACK = 256
"""Words of a call that are kept on the stack; more are allocated: a thread's stack may be small."""


@native
def fits(spec: ArrayTable, dtype: I64, ndim: I64, shape: Pointer[I64], sizes: Pointer[I64]) -> Bool:
    """Whether an array is what a program expects; binds the symbols that it mentions first."""
    if spec.dtype != dtype or spec.ndim != ndim:
        return False
    for axis in range(ndim):
        wanted = spec.shape[axis]
        extent = shape[axis]
        if wanted >= 0:
            if wanted != extent:
                return False
        elif sizes[~wanted] == UNBOUND:
            sizes[~wanted] = extent
        elif sizes[~wanted] != extent:
            return False
    return True


@native
def fits_array(spec: ArrayTable, item: Ptr, sizes: Pointer[I64]) -> Bool:
    """fits, for an object that should be an Array."""
    if type_of(item) != STATE.array_type:
        return False
    array: ArrayObject = item
    return fits(spec, array.dtype, array.ndim, array.shape, sizes)


@native
def bind_inputs(
    program: ProgramTable, inputs: SizedObject, buffers: Pointer[Ptr], sizes: Pointer[I64]
) -> Bool:
    """Fill the buffers and symbols from a tuple of Arrays; False where they do not fit."""
    if inputs.size != program.input_count:
        return False
    for index in range(program.size_count):
        sizes[index] = UNBOUND
    for index in range(program.input_count):
        if not fits_array(program.inputs[index], inputs.items[index], sizes):
            return False
        array: ArrayObject = inputs.items[index]
        if array.data is None:
            return False
        buffers[index] = array.data
    return sizes_allowed(program.constraints, program.constraint_count, sizes)


@rare
@export
def weft_run(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """run(program address, tuple of Arrays): a tuple of Arrays; None where they do not fit."""
    program = cast(ProgramTable, PyLong_AsLongLong(arguments[0]))
    words = program.buffer_count + program.size_count + program.output_count
    words += program.call_words
    space = stack(I64, ON_STACK)
    if words <= ON_STACK:
        return run_in(program, arguments[1], space)
    space = malloc(words * 8)
    if space is None:
        return PyErr_NoMemory()
    result = run_in(program, arguments[1], space)
    free(space)
    return result


@native
def run_in(program: ProgramTable, inputs: SizedObject, space: Pointer[I64]) -> Ptr:
    """run, with room for the addresses and sizes."""
    buffers = cast(Pointer[Ptr], space)
    sizes = space + program.buffer_count
    held = cast(Pointer[ArrayObject], sizes + program.size_count)
    if not bind_inputs(program, inputs, buffers, sizes):
        return new_none()
    Py_IncRef(inputs)
    done = execute(program, inputs.items, buffers, sizes, held)
    Py_DecRef(inputs)
    return outputs_tuple(held, program.output_count) if done else None
