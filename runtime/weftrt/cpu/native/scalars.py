"""Arguments that are no arrays: Python's and NumPy's numbers read, static values compared."""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import cast, stack
from weftrt.cpu.native.python import (
    STATE,
    FloatObject,
    Py_DecRef,
    PyErr_Clear,
    PyFloat_AsDouble,
    PyLong_AsLongLongAndOverflow,
    PyNumber_Index,
    PyObject_IsTrue,
    PyObject_RichCompareBool,
    PyObject_Vectorcall,
    type_of,
)
from weftrt.cpu.native.types import (
    F64,
    I32,
    I64,
    Bool,
    Pointer,
    Ptr,
    native,
    rare,
)

EQUAL = 2
"""Py_EQ."""


@native
def is_number(kind: Ptr, first: I64, end: I64) -> Bool:
    """Whether a type is among the scalars of STATE.numbers from `first` on."""
    for index in range(first, end):  # noqa: SIM110
        if STATE.numbers[index] == kind:
            return True
    return False


@native
def read_float(item: Ptr, place: Pointer[I64]) -> Bool:
    """A Python or NumPy float, as a float64."""
    if type_of(item) == STATE.numbers[0]:
        number: FloatObject = item
        place[0] = number.bits
        return True
    if not is_number(type_of(item), 1, STATE.float_count):
        return False
    real = cast(Pointer[F64], place)
    real[0] = PyFloat_AsDouble(item)
    return True


@native
def read_int(item: Ptr, place: Pointer[I64]) -> Bool:
    """A Python or NumPy integer that fits int64."""
    first = STATE.float_count
    overflow = stack(I32, 1)
    if type_of(item) == STATE.numbers[first]:
        place[0] = PyLong_AsLongLongAndOverflow(item, overflow)
        return overflow[0] == 0
    if not is_number(type_of(item), first + 1, first + STATE.int_count):
        return False
    number: Ptr = PyNumber_Index(item)
    if number is None:
        PyErr_Clear()
        return False
    place[0] = PyLong_AsLongLongAndOverflow(number, overflow)
    Py_DecRef(number)
    return overflow[0] == 0


@native
def read_bool(item: Ptr, place: Pointer[I64]) -> Bool:
    """A Python or NumPy bool."""
    if not is_number(type_of(item), STATE.float_count + STATE.int_count, STATE.number_count):
        return False
    truth: I32 = PyObject_IsTrue(item)
    place[0] = truth
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


@rare
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


@rare
@native
def match_static_float(bits: I64, item: Ptr) -> Bool:
    """By its bits: -0.0 is not 0.0, and a NaN is itself."""
    number: FloatObject = item
    return type_of(item) == STATE.numbers[0] and number.bits == bits
