"""The Boundary type: a callable that calls a Python function and shortens its tracebacks.

A Python wrapper would stand in the traceback itself; native code does not.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import stack
from weftrt.cpu.native.python import (
    STATE,
    Py_DecRef,
    Py_IncRef,
    PyErr_Clear,
    PyErr_Fetch,
    PyErr_NormalizeException,
    PyErr_Restore,
    PyObject_ClearWeakRefs,
    PyObject_GC_Del,
    PyObject_GC_UnTrack,
    PyObject_Vectorcall,
    PyType_GenericAlloc,
    as_method,
    new_none,
    visit_all,
)
from weftrt.cpu.native.types import I32, I64, Pointer, Ptr, Struct, export, native, rare


class BoundaryObject(Struct):
    """A public function."""

    count: I64
    type: Ptr
    vectorcall: Ptr
    attributes: Ptr
    weak: Ptr
    function: Ptr


@rare
@native
def shorten_traceback() -> Ptr:
    """Replace the traceback of the current exception, if it has one, by what the filter makes of
    it; the result is what a failed function returns."""
    if STATE.traceback_filter is None:
        return None
    error = stack(Ptr, 3)  # its type, value, traceback
    PyErr_Fetch(error, error + 1, error + 2)
    PyErr_NormalizeException(error, error + 1, error + 2)
    given = stack(Ptr, 2)
    given[0] = error[1]
    given[1] = error[2] if error[2] is not None else STATE.none
    shorter: Ptr = PyObject_Vectorcall(STATE.traceback_filter, given, 2, None)
    if shorter is None:
        PyErr_Clear()
    else:
        if error[2] is not None:
            Py_DecRef(error[2])
        error[2] = shorter
    if error[2] == STATE.none:
        Py_DecRef(error[2])
        error[2] = None
    PyErr_Restore(error[0], error[1], error[2])
    return None


@export
def weft_boundary_call(
    boundary: BoundaryObject, arguments: Pointer[Ptr], flags: I64, names: Ptr
) -> Ptr:
    """The vectorcall of a public function."""
    result: Ptr = PyObject_Vectorcall(boundary.function, arguments, flags, names)
    return result if result is not None else shorten_traceback()


@rare
@export
def weft_boundary_get(boundary: BoundaryObject, instance: Ptr, owner: Ptr) -> Ptr:
    """The descriptor protocol."""
    return as_method(boundary, instance)


@rare
@export
def weft_boundary_traverse(boundary: BoundaryObject, visit: Ptr, argument: Ptr) -> I32:
    """Show every reference to the garbage collector."""
    items = stack(Ptr, 3)
    items[0] = boundary.type
    items[1] = boundary.attributes
    items[2] = boundary.function
    return visit_all(items, 3, visit, argument)


@rare
@export
def weft_boundary_clear(boundary: BoundaryObject) -> I32:
    """Drop the attributes. The function stays until the object goes: a cycle through it is broken
    at its own attributes, and a call never finds it missing."""
    attributes = boundary.attributes
    boundary.attributes = None
    Py_DecRef(attributes)
    return 0


@rare
@export
def weft_boundary_dealloc(boundary: BoundaryObject) -> None:
    """Drop every reference and free the object."""
    PyObject_GC_UnTrack(boundary)
    if boundary.weak is not None:
        PyObject_ClearWeakRefs(boundary)
    weft_boundary_clear(boundary)
    Py_DecRef(boundary.function)
    kind = boundary.type
    PyObject_GC_Del(boundary)
    Py_DecRef(kind)


@rare
@export
def weft_boundary_new(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """boundary_new(function): a public function that calls it."""
    boundary: BoundaryObject = PyType_GenericAlloc(STATE.boundary_type, 0)
    if boundary is not None:
        Py_IncRef(arguments[0])
        boundary.function = arguments[0]
        boundary.vectorcall = weft_boundary_call
    return boundary


@rare
@export
def weft_filter_tracebacks(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """filter_tracebacks(function): function(exception, traceback) gives the traceback to show, or
    None, from now on."""
    before = STATE.traceback_filter
    Py_IncRef(arguments[0])
    STATE.traceback_filter = arguments[0]
    Py_DecRef(before)
    return new_none()
