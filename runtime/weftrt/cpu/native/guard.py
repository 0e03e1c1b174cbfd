"""Matching call arguments against signature patterns.

A pattern is a list of words: an operation, then its operands and the patterns inside it. Matching
reads it with a cursor and fills the program's input buffers in order.
"""

from __future__ import annotations

from weftrt.cpu.native.arrays import CONTIGUOUS_ALIGNED, ArrayObject
from weftrt.cpu.native.calls import fits, fits_array
from weftrt.cpu.native.intrinsics import address_of, cast, stack
from weftrt.cpu.native.python import (
    STATE,
    CellObject,
    ListObject,
    NumpyArray,
    Py_DecRef,
    Py_IncRef,
    PyDict_GetItemWithError,
    PyDict_Size,
    PyErr_Clear,
    PyErr_Occurred,
    PyFunction_GetCode,
    PyFunction_GetDefaults,
    PyFunction_GetKwDefaults,
    PyObject_GetAttr,
    PyObject_Vectorcall,
    SizedObject,
    has_dtype,
    type_of,
)
from weftrt.cpu.native.scalars import (
    match_static,
    match_static_float,
    match_static_parts,
    read_bool,
    read_float,
    read_int,
)
from weftrt.cpu.native.strided import gathered, has_elements
from weftrt.cpu.native.tables import ArrayTable, ProgramTable
from weftrt.cpu.native.types import (
    I64,
    Bool,
    Pointer,
    Ptr,
    Records,
    Struct,
    native,
    rare,
)

ARRAY, FLOAT, INT, BOOL = range(4)
STATIC, STATIC_FLOAT, STATIC_PARTS = range(4, 7)
TUPLE, LIST, SEQUENCE, DICT, NAMED, OBJECT, REGISTERED = range(7, 14)
OWN_ARRAY = 14
CELL, GLOBAL, FIXED, CONTENT, CODE, KEYWORDS = range(6)
TYPE, SAME = 8, 16


class PlaceTable(Struct):
    """Where an array is bound: a cell, or a name in a module's dict; or the array itself. `foreign`
    is 0 where it has to be an Array."""

    kind: I64
    holder: Ptr
    name: Ptr
    foreign: I64


class GuardTable(Struct):
    """A place and the object it held before the call was traced, NULL where there was none. With
    TYPE added to its kind the spec that an Array there must fit, with SAME the number of the leaf
    that must be there. Or an ndarray, the bytes of its elements, and a contiguous copy; or a
    function, its defaults and its code, or its keywords' defaults."""

    kind: I64
    holder: Ptr
    name: Ptr
    expected: Ptr


class Frame(Struct):
    """One attempt to match: the cursor, and what was found so far. `strided` counts the leaves
    whose elements have yet to be gathered; they have no buffer."""

    code: Pointer[I64]
    program: ProgramTable
    buffers: Pointer[Ptr]
    sizes: Pointer[I64]
    scalars: Pointer[I64]
    held: Pointer[Ptr]
    leaves: I64
    strided: I64


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
def match_numpy(frame: Frame, spec: ArrayTable, array: NumpyArray) -> Bool:
    """Whether an ndarray is what the program expects."""
    if not has_dtype(array.descriptor, spec.dtype):
        return False
    if not fits(spec, spec.dtype, array.ndim, array.dimensions, frame.sizes):
        return False
    if array.flags & CONTIGUOUS_ALIGNED == CONTIGUOUS_ALIGNED:
        frame.buffers[frame.leaves] = array.data
    else:
        frame.buffers[frame.leaves] = None
        frame.strided += 1
    return True


@native
def match_array(frame: Frame, item: Ptr) -> Bool:
    """An Array or ndarray; the frame holds a reference to it from here on."""
    leaf = frame.leaves
    spec = frame.program.inputs[leaf]
    if type_of(item) == STATE.array_type:
        array: ArrayObject = item
        if not fits(spec, array.dtype, array.ndim, array.shape, frame.sizes):
            return False
        if array.data is None:
            return False
        frame.buffers[leaf] = array.data
    elif type_of(item) == STATE.ndarray_type:
        if not match_numpy(frame, spec, item):
            return False
    else:
        return False
    Py_IncRef(item)
    frame.held[leaf] = item
    frame.leaves = leaf + 1
    return True


@native
def gather_strided(frame: Frame) -> Bool:
    """Give the strided leaves contiguous copies; False with MemoryError."""
    for leaf in range(frame.leaves):
        if frame.buffers[leaf] is None and frame.held[leaf] is not None:
            source = frame.held[leaf]
            if type_of(source) == STATE.ndarray_type:
                copy = gathered(frame.program.inputs[leaf].dtype, source)
                if copy is None:
                    return False
                Py_DecRef(source)
                frame.held[leaf] = cast(Ptr, copy)
                frame.buffers[leaf] = copy.data
    return True


@native
def match_scalar(frame: Frame, kind: I64, item: Ptr) -> Bool:
    """A scalar of this kind; its value goes to the frame. An int has two more words: the smallest
    and the largest that match."""
    leaf = frame.leaves
    place = cast(Pointer[I64], address_of(frame.scalars[leaf]))
    if kind == FLOAT:
        if not read_float(item, place):
            return False
    elif kind == INT:
        if not read_int(item, place):
            return False
        low = next_word(frame)
        high = next_word(frame)
        if place[0] < low or place[0] > high:
            return False
    elif not read_bool(item, place):
        return False
    frame.buffers[leaf] = place
    frame.held[leaf] = None
    frame.leaves = leaf + 1
    return True


@native
def match_items(frame: Frame, values: SizedObject) -> Bool:
    """The items of a tuple or of a subclass."""
    count = next_word(frame)
    if values.size != count:
        return False
    for index in range(count):  # noqa: SIM110
        if not match(frame, values.items[index]):
            return False
    return True


@native
def match_list(frame: Frame, values: ListObject) -> Bool:
    """The size is checked again for each item: matching a static value can run Python code."""
    count = next_word(frame)
    if values.size != count:
        return False
    for index in range(count):
        if values.size != count:
            return False
        if not match_held(frame, values.items[index]):
            return False
    return True


@native
def match_sequence(frame: Frame, operation: I64, item: Ptr) -> Bool:
    """An exact tuple or an exact list, or either of them."""
    kind = type_of(item)
    if kind == STATE.tuple_type and operation != LIST:
        return match_items(frame, item)
    if kind == STATE.list_type and operation != TUPLE:
        return match_list(frame, item)
    return False


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
def match_object(frame: Frame, item: Ptr) -> Bool:
    """The attributes of an object, by name."""
    for _index in range(next_word(frame)):
        value: Ptr = PyObject_GetAttr(item, next_object(frame))
        if value is None:
            PyErr_Clear()
            return False
        matched = match(frame, value)
        Py_DecRef(value)
        if not matched:
            return False
    return True


@native
def match_registered(frame: Frame, item: Ptr) -> Bool:
    """What a registered class' flatten gives: (children, extra) matches as a pair."""
    given = stack(Ptr, 1)
    given[0] = item
    pair: Ptr = PyObject_Vectorcall(next_object(frame), given, 1, None)
    if pair is None:
        PyErr_Clear()
        return False
    matched = match(frame, pair)
    Py_DecRef(pair)
    return matched


@native
def match_class(frame: Frame, operation: I64, item: Ptr) -> Bool:
    """An object of exactly this class."""
    if type_of(item) != next_object(frame):
        return False
    if operation == NAMED:
        return match_items(frame, item)
    if operation == OBJECT:
        return match_object(frame, item)
    return match_registered(frame, item)


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
    if operation == STATIC_FLOAT:
        return match_static_float(next_word(frame), item)
    if operation == STATIC_PARTS:
        return match_static_parts(next_object(frame), item)
    if operation <= SEQUENCE:
        return match_sequence(frame, operation, item)
    if operation == DICT:
        return match_dict(frame, item)
    if operation == OWN_ARRAY:
        return type_of(item) == STATE.array_type and match_array(frame, item)
    return match_class(frame, operation, item)


@native
def bound_in(kind: I64, holder: Ptr, name: Ptr) -> Ptr:
    """What is in a place: a borrowed reference, NULL where nothing is."""
    if kind == CELL:
        cell: CellObject = holder
        return cell.value
    if kind == FIXED:
        return holder
    found: Ptr = PyDict_GetItemWithError(holder, name)
    if found is None and PyErr_Occurred() is not None:
        PyErr_Clear()
    return found


@native
def match_hidden(frame: Frame, places: Records[PlaceTable], count: I64) -> Bool:
    """Add the hidden inputs, as they are bound now."""
    for index in range(count):
        place = places[index]
        item = bound_in(place.kind, place.holder, place.name)
        if item is None or (place.foreign == 0 and type_of(item) != STATE.array_type):
            return False
        if not match_array(frame, item):
            return False
    return True


@native
def is_bound_as(frame: Frame, guard: GuardTable) -> Bool:
    """Whether a place holds an Array of a type, or the object that is some leaf."""
    if guard.kind >= SAME:
        found = bound_in(guard.kind - SAME, guard.holder, guard.name)
        is_leaf: Bool = found == frame.held[cast(I64, guard.expected)]
        return is_leaf
    item = bound_in(guard.kind - TYPE, guard.holder, guard.name)
    return item is not None and fits_array(guard.expected, item, frame.sizes)


@rare
@native
def holds(frame: Frame, guard: GuardTable) -> Bool:
    """Whether a guard holds; no code of Python's runs."""
    if guard.kind == CONTENT:
        return has_elements(guard.holder, guard.expected, cast(I64, guard.name))
    if guard.kind >= TYPE:
        return is_bound_as(frame, guard)
    found: Ptr = None
    if guard.kind == CODE:
        if PyFunction_GetDefaults(guard.holder) != guard.name:
            return False
        found = PyFunction_GetCode(guard.holder)
    elif guard.kind == KEYWORDS:
        found = PyFunction_GetKwDefaults(guard.holder)
    else:
        found = bound_in(guard.kind, guard.holder, guard.name)
    is_held: Bool = found == guard.expected
    return is_held


@native
def guards_hold(frame: Frame, guards: Records[GuardTable], count: I64) -> Bool:
    """Whether every place still holds what it held, and the like."""
    for index in range(count):  # noqa: SIM110
        if not holds(frame, guards[index]):
            return False
    return True


@native
def release_held(frame: Frame) -> None:
    """Give up the references to the leaves."""
    for index in range(frame.leaves):
        Py_DecRef(frame.held[index])
