"""Putting a program's outputs together as the traced function returned them."""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject
from weftrt.cpu.native.guard import Frame, next_object, next_word
from weftrt.cpu.native.python import (
    ListObject,
    Py_DecRef,
    Py_IncRef,
    PyDict_New,
    PyDict_SetItem,
    PyList_New,
    PyTuple_New,
    SizedObject,
)
from weftrt.cpu.native.types import Pointer, Ptr, native

ARRAY, CONSTANT, TUPLE, LIST, DICT = range(5)


@native
def build_tuple(frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """A tuple of the next objects."""
    count = next_word(frame)
    result: SizedObject = PyTuple_New(count)
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
    item: Ptr = outputs[next_word(frame)] if operation == ARRAY else next_object(frame)
    Py_IncRef(item)
    return item
