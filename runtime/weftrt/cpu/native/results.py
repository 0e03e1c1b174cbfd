"""Putting a program's outputs together as the traced function returned them."""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject
from weftrt.cpu.native.guard import Frame, next_object, next_word
from weftrt.cpu.native.intrinsics import stack
from weftrt.cpu.native.python import (
    STATE,
    ListObject,
    Py_DecRef,
    Py_IncRef,
    PyDict_New,
    PyDict_SetItem,
    PyList_New,
    PyObject_CallObject,
    PyObject_GenericSetAttr,
    PyObject_Vectorcall,
    PyTuple_New,
    PyType_GenericAlloc,
    SizedObject,
)
from weftrt.cpu.native.types import I64, Pointer, Ptr, native, rare

ARRAY, CONSTANT, TUPLE, LIST, DICT, NAMED, OBJECT, CALL = range(8)


@native
def build_tuple(frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """A tuple of the next objects."""
    count = next_word(frame)
    return fill_tuple(frame, outputs, PyTuple_New(count), count)


@rare
@native
def build_named(frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """A named tuple of the next objects, as tuple.__new__ makes one of this class."""
    kind = next_object(frame)
    count = next_word(frame)
    return fill_tuple(frame, outputs, PyType_GenericAlloc(kind, count), count)


@native
def fill_tuple(frame: Frame, outputs: Pointer[ArrayObject], result: SizedObject, count: I64) -> Ptr:
    """The next objects as the items of a new tuple."""
    for index in range(count):
        if result is None:
            return None
        item = build(frame, outputs)
        if item is None:
            Py_DecRef(result)
            return None
        result.items[index] = item
    return result


@native
def build_list(frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """A list of the next objects."""
    count = next_word(frame)
    result: ListObject = PyList_New(count)
    for index in range(count):
        if result is None:
            return None
        item = build(frame, outputs)
        if item is None:
            Py_DecRef(result)
            return None
        result.items[index] = item
    return result


@native
def build_dict(frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """A dict of the next keys and objects."""
    count = next_word(frame)
    result: Ptr = PyDict_New()
    for _index in range(count):
        if result is None:
            return None
        key = next_object(frame)
        item = build(frame, outputs)
        failed = item is None or PyDict_SetItem(result, key, item) != 0
        Py_DecRef(item)
        if failed:
            Py_DecRef(result)
            return None
    return result


@rare
@native
def build_object(frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """An object of this class, without __init__, with the next names and objects as attributes."""
    kind = stack(Ptr, 1)
    kind[0] = next_object(frame)
    count = next_word(frame)
    result: Ptr = PyObject_Vectorcall(STATE.new_object, kind, 1, None)
    for _index in range(count):
        if result is None:
            return None
        name = next_object(frame)
        item = build(frame, outputs)
        failed = item is None or PyObject_GenericSetAttr(result, name, item) != 0
        Py_DecRef(item)
        if failed:
            Py_DecRef(result)
            return None
    return result


@rare
@native
def build_call(frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """What a function makes of the next objects."""
    function = next_object(frame)
    arguments = build_tuple(frame, outputs)
    if arguments is None:
        return None
    result: Ptr = PyObject_CallObject(function, arguments)
    Py_DecRef(arguments)
    return result


@native
def build(frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """The object at the cursor; NULL with an exception."""
    operation = next_word(frame)
    if operation == TUPLE:
        return build_tuple(frame, outputs)
    if operation == LIST:
        return build_list(frame, outputs)
    if operation == DICT:
        return build_dict(frame, outputs)
    if operation == NAMED:
        return build_named(frame, outputs)
    if operation == OBJECT:
        return build_object(frame, outputs)
    if operation == CALL:
        return build_call(frame, outputs)
    item: Ptr = outputs[next_word(frame)] if operation == ARRAY else next_object(frame)
    Py_IncRef(item)
    return item
