"""Matching call arguments against signature patterns.

A pattern is a list of words: an operation, then its operands and the patterns inside it. Matching
reads it with a cursor and fills the program's input buffers in order.
"""

from __future__ import annotations

from weftrt.cpu.native.arrays import CONTIGUOUS_ALIGNED, ArrayObject
from weftrt.cpu.native.calls import fits
from weftrt.cpu.native.executor import ArrayTable, ProgramTable
from weftrt.cpu.native.intrinsics import address_of, cast, stack
from weftrt.cpu.native.python import (
    STATE,
    CellObject,
    FloatObject,
    ListObject,
    NumpyArray,
    Py_DecRef,
    Py_IncRef,
    PyDict_GetItemWithError,
    PyDict_Size,
    PyErr_Clear,
    PyErr_Occurred,
    PyLong_AsLongLongAndOverflow,
    PyObject_RichCompareBool,
    PyObject_Vectorcall,
    SizedObject,
    type_of,
)
from weftrt.cpu.native.types import I32, I64, Bool, Pointer, Ptr, Records, Struct, native

ARRAY, FLOAT, INT, BOOL, STATIC, STATIC_FLOAT, STATIC_PARTS, TUPLE, LIST, DICT = range(10)
CELL, GLOBAL = range(2)
EQUAL = 2
"""Py_EQ."""


class GuardTable(Struct):
    """A cell or a name in a module's dict, and the object it held before the call was traced; NULL
    where a module had no such name."""

    kind: I64
    holder: Ptr
    name: Ptr
    expected: Ptr


class Frame(Struct):
    """One attempt to match: the cursor, and what was found so far."""

    code: Pointer[I64]
    program: ProgramTable
    buffers: Pointer[Ptr]
    sizes: Pointer[I64]
    scalars: Pointer[I64]
    held: Pointer[Ptr]
    leaves: I64


@native
def next_word(frame: Frame) -> I64:
    """Read the word at the cursor."""
    code = frame.code
    frame.code = code + 1
    return code[0]


@native
def next_object(frame: Frame) -> Ptr:
    """Read the object whose address is at the cursor."""
    return cast(Pointer[Ptr], next_word(frame))


@native
def match_numpy(spec: ArrayTable, array: NumpyArray, sizes: Pointer[I64]) -> Bool:
    """Whether an ndarray is direct and what the program expects."""
    if array.descriptor != STATE.descriptors[spec.dtype]:
        return False
    if array.flags & CONTIGUOUS_ALIGNED != CONTIGUOUS_ALIGNED:
        return False
    return fits(spec, spec.dtype, array.ndim, array.dimensions, sizes)


@native
def match_array(frame: Frame, item: Ptr) -> Bool:
    """An Array or ndarray; the frame holds a reference to it from here on."""
    leaf = frame.leaves
    spec = frame.program.inputs[leaf]
    if type_of(item) == STATE.array_type:
        array: ArrayObject = item
        if not fits(spec, array.dtype, array.ndim, array.shape, frame.sizes):
            return False
        frame.buffers[leaf] = array.data
    elif type_of(item) == STATE.ndarray_type:
        foreign: NumpyArray = item
        if not match_numpy(spec, foreign, frame.sizes):
            return False
        frame.buffers[leaf] = foreign.data
    else:
        return False
    Py_IncRef(item)
    frame.held[leaf] = item
    frame.leaves = leaf + 1
    return True


@native
def match_scalar(frame: Frame, kind: I64, item: Ptr) -> Bool:
    """A Python scalar of exactly this type; its value goes to the frame. An int has two more words:
    the smallest and the largest that match."""
    leaf = frame.leaves
    place = cast(Pointer[I64], address_of(frame.scalars[leaf]))
    if kind == FLOAT:
        if type_of(item) != STATE.float_type:
            return False
        number: FloatObject = item
        place[0] = number.bits
    elif kind == INT:
        if type_of(item) != STATE.int_type:
            return False
        low = next_word(frame)
        high = next_word(frame)
        overflow = stack(I32, 1)
        place[0] = PyLong_AsLongLongAndOverflow(item, overflow)
        if overflow[0] != 0 or place[0] < low or place[0] > high:
            return False
    else:
        if type_of(item) != STATE.bool_type:
            return False
        place[0] = 1 if item == STATE.true else 0
    frame.buffers[leaf] = place
    frame.held[leaf] = None
    frame.leaves = leaf + 1
    return True


@native
def match_static(expected: Ptr, item: Ptr) -> Bool:
    """The very object, or an equal one of the same type; an error in == is a mismatch."""
    if item == expected:
        return True
    if type_of(item) != type_of(expected):
        return False
    equal: I32 = PyObject_RichCompareBool(item, expected, EQUAL)
    if equal < 0:
        PyErr_Clear()
    return equal == 1


@native
def match_static_parts(expected: Ptr, item: Ptr) -> Bool:
    """The very object, or one whose parts are equal and of the same types, as Python finds out."""
    if item == expected:
        return True
    if type_of(item) != type_of(expected):
        return False
    pair = stack(Ptr, 2)
    pair[0] = expected
    pair[1] = item
    answer: Ptr = PyObject_Vectorcall(STATE.equal, pair, 2, None)
    if answer is None:
        PyErr_Clear()
        return False
    Py_DecRef(answer)
    same: Bool = answer == STATE.true
    return same


@native
def match_static_float(bits: I64, item: Ptr) -> Bool:
    """By its bits: -0.0 is not 0.0, and a NaN is itself."""
    number: FloatObject = item
    return type_of(item) == STATE.float_type and number.bits == bits


@native
def match_tuple(frame: Frame, item: Ptr) -> Bool:
    """An exact tuple whose items match."""
    count = next_word(frame)
    values: SizedObject = item
    if type_of(item) != STATE.tuple_type or values.size != count:
        return False
    for index in range(count):  # noqa: SIM110
        if not match(frame, values.items[index]):
            return False
    return True


@native
def match_list(frame: Frame, item: Ptr) -> Bool:
    """The size is checked again for each item: matching a static value can run Python code."""
    count = next_word(frame)
    values: ListObject = item
    if type_of(item) != STATE.list_type or values.size != count:
        return False
    for index in range(count):
        if values.size != count:
            return False
        if not match_held(frame, values.items[index]):
            return False
    return True


@native
def match_dict(frame: Frame, item: Ptr) -> Bool:
    """An exact dict with just the expected keys, whose values match."""
    count = next_word(frame)
    if type_of(item) != STATE.dict_type or PyDict_Size(item) != count:
        return False
    for _index in range(count):
        value: Ptr = PyDict_GetItemWithError(item, next_object(frame))
        if value is None:
            PyErr_Clear()
            return False
        if not match_held(frame, value):
            return False
    return True


@native
def match_held(frame: Frame, item: Ptr) -> Bool:
    """match, for an item of a container that can change meanwhile."""
    Py_IncRef(item)
    matched = match(frame, item)
    Py_DecRef(item)
    return matched


@native
def match(frame: Frame, item: Ptr) -> Bool:
    """Match one pattern; on a mismatch the cursor may be anywhere."""
    operation = next_word(frame)
    if operation == ARRAY:
        return match_array(frame, item)
    if operation <= BOOL:
        return match_scalar(frame, operation, item)
    if operation == STATIC:
        return match_static(next_object(frame), item)
    if operation == STATIC_PARTS:
        return match_static_parts(next_object(frame), item)
    if operation == STATIC_FLOAT:
        return match_static_float(next_word(frame), item)
    if operation == TUPLE:
        return match_tuple(frame, item)
    if operation == LIST:
        return match_list(frame, item)
    return match_dict(frame, item)


@native
def guards_hold(guards: Records[GuardTable], count: I64) -> Bool:
    """Whether every cell and global still holds what it held."""
    for index in range(count):
        guard = guards[index]
        if guard.kind == CELL:
            cell: CellObject = guard.holder
            if cell.value != guard.expected:
                return False
        elif PyDict_GetItemWithError(guard.holder, guard.name) != guard.expected:
            if PyErr_Occurred() is not None:
                PyErr_Clear()
            return False
    return True


@native
def release_held(frame: Frame) -> None:
    """Give up the references to the leaves."""
    for index in range(frame.leaves):
        Py_DecRef(frame.held[index])
