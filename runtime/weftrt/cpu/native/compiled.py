"""The Compiled type: a callable that guards its arguments and runs programs, natively."""

from __future__ import annotations

from weftrt.cpu.native.boundary import shorten_traceback
from weftrt.cpu.native.calls import ON_STACK
from weftrt.cpu.native.entries import (
    MISS,
    EntryList,
    Given,
    bind,
    search,
)
from weftrt.cpu.native.intrinsics import (
    cast,
    record,
    stack,
)
from weftrt.cpu.native.python import (
    STATE,
    Py_DecRef,
    Py_IncRef,
    PyDict_New,
    PyDict_SetItem,
    PyErr_Clear,
    PyErr_ExceptionMatches,
    PyLong_AsLongLong,
    PyObject_ClearWeakRefs,
    PyObject_GC_Del,
    PyObject_GC_UnTrack,
    PyObject_Vectorcall,
    PyTuple_New,
    PyType_GenericAlloc,
    SizedObject,
    as_method,
    new_none,
    raise_text,
    type_of,
    visit_all,
)
from weftrt.cpu.native.tracing import is_tracing
from weftrt.cpu.native.types import (
    I32,
    I64,
    Bool,
    Pointer,
    Ptr,
    Struct,
    export,
    native,
    rare,
)

COUNT_MASK = (1 << 63) - 1
"""nargsf without PY_VECTORCALL_ARGUMENTS_OFFSET."""


class CompiledObject(Struct):
    """A compiled function. `kept` owns everything that `entries` refers to; `function` is called
    while tracing, `slow` for calls that match nothing, and `failed` (or NULL) to say in other words
    what an IndexError or MemoryError means; `parameters` are names, or None where no keyword binds.
    """

    count: I64
    type: Ptr
    vectorcall: Ptr
    attributes: Ptr
    weak: Ptr
    entries: EntryList
    kept: Ptr
    slow: Ptr
    function: Ptr
    failed: Ptr
    parameters: SizedObject


@native
def positional_tuple(arguments: Pointer[Ptr], count: I64) -> Ptr:
    """The positional arguments as a tuple."""
    result: SizedObject = PyTuple_New(count)
    if result is None:
        return None
    for index in range(count):
        Py_IncRef(arguments[index])
        result.items[index] = arguments[index]
    return result


@native
def keyword_dict(values: Pointer[Ptr], names: SizedObject) -> Ptr:
    """The keyword arguments as a dict."""
    result: Ptr = PyDict_New()
    if result is None or names is None:
        return result
    for index in range(names.size):
        if PyDict_SetItem(result, names.items[index], values[index]) != 0:
            Py_DecRef(result)
            return None
    return result


@rare
@native
def call_python(
    function: Ptr, compiled: CompiledObject, arguments: Pointer[Ptr], count: I64, names: SizedObject
) -> Ptr:
    """function(compiled, args, kwargs)."""
    if function is None:
        return raise_text(STATE.type_error, "this compiled function was cleared")
    given = stack(Ptr, 3)
    given[0] = compiled
    given[1] = positional_tuple(arguments, count)
    given[2] = keyword_dict(arguments + count, names)
    result: Ptr = None
    if given[1] is not None and given[2] is not None:
        result = PyObject_Vectorcall(function, given, 3, None)
    Py_DecRef(given[1])
    Py_DecRef(given[2])
    return result


@native
def call_known(
    compiled: CompiledObject, arguments: Pointer[Ptr], count: I64, names: SizedObject
) -> Ptr:
    """What the entries say; MISS where none matches, or for very many keywords."""
    given = record(Given)
    given.positional = arguments
    given.count = count
    given.values = arguments + count
    given.names = names
    given.keyword_count = 0
    room = stack(Ptr, ON_STACK)
    if names is not None:
        given.keyword_count = names.size
        if count + names.size > ON_STACK:
            return cast(Pointer[Ptr], MISS)
        bind(compiled.parameters, given, room)
    kept = compiled.kept
    Py_IncRef(kept)
    result = search(compiled.entries, given)
    Py_DecRef(kept)
    return result


@rare
@native
def is_explained(compiled: CompiledObject) -> Bool:
    """Whether `failed` says what the exception that is set means."""
    return compiled.failed is not None and PyErr_ExceptionMatches(STATE.explained) != 0


@native
def call(compiled: CompiledObject, arguments: Pointer[Ptr], count: I64, names: SizedObject) -> Ptr:
    """Part of an open trace, else what an entry that matches returns, or the slow path."""
    if is_tracing() and compiled.function is not None:
        return PyObject_Vectorcall(compiled.function, arguments, count, names)
    if compiled.entries is not None:
        result = call_known(compiled, arguments, count, names)
        if result is None and is_explained(compiled):
            PyErr_Clear()
            return call_python(compiled.failed, compiled, arguments, count, names)
        if result != cast(Pointer[Ptr], MISS):
            return result
    return call_python(compiled.slow, compiled, arguments, count, names)


@export
def weft_compiled_call(
    compiled: CompiledObject, arguments: Pointer[Ptr], flags: I64, names: SizedObject
) -> Ptr:
    """The vectorcall of a compiled function."""
    result = call(compiled, arguments, flags & COUNT_MASK, names)
    return result if result is not None else shorten_traceback()


@rare
@export
def weft_compiled_get(compiled: CompiledObject, instance: Ptr, owner: Ptr) -> Ptr:
    """The descriptor protocol."""
    return as_method(compiled, instance)


@rare
@export
def weft_compiled_traverse(compiled: CompiledObject, visit: Ptr, argument: Ptr) -> I32:
    """Show every reference to the garbage collector."""
    items = stack(Ptr, 7)
    items[0] = compiled.type
    items[1] = compiled.attributes
    items[2] = compiled.kept
    items[3] = compiled.slow
    items[4] = compiled.function
    items[5] = compiled.failed
    items[6] = compiled.parameters
    return visit_all(items, 7, visit, argument)


@native
def drop_callables(compiled: CompiledObject) -> None:
    """Drop what compiled_new was given."""
    items = stack(Ptr, 4)
    items[0] = compiled.slow
    items[1] = compiled.function
    items[2] = compiled.failed
    items[3] = compiled.parameters
    compiled.slow = None
    compiled.function = None
    compiled.failed = None
    compiled.parameters = None  # type: ignore[assignment]
    for index in range(4):
        Py_DecRef(items[index])


@rare
@export
def weft_compiled_clear(compiled: CompiledObject) -> I32:
    """Drop every reference; the object is made consistent before any other code can run."""
    attributes = compiled.attributes
    kept = compiled.kept
    compiled.attributes = None
    compiled.entries = None  # type: ignore[assignment]
    compiled.kept = None
    Py_DecRef(attributes)
    Py_DecRef(kept)
    drop_callables(compiled)
    return 0


@rare
@export
def weft_compiled_dealloc(compiled: CompiledObject) -> None:
    """Drop every reference and free the object."""
    PyObject_GC_UnTrack(compiled)
    if compiled.weak is not None:
        PyObject_ClearWeakRefs(compiled)
    weft_compiled_clear(compiled)
    kind = compiled.type
    PyObject_GC_Del(compiled)
    Py_DecRef(kind)


@native
def owned(item: Ptr) -> Ptr:
    """A new reference; NULL for None."""
    if item == STATE.none:
        return None
    Py_IncRef(item)
    return item


@rare
@export
def weft_compiled_new(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """compiled_new(slow, function, failed, parameters): a compiled function without entries."""
    compiled: CompiledObject = PyType_GenericAlloc(STATE.compiled_type, 0)
    if compiled is not None:
        compiled.slow = owned(arguments[0])
        compiled.function = owned(arguments[1])
        compiled.failed = owned(arguments[2])
        compiled.parameters = owned(arguments[3])
        compiled.vectorcall = weft_compiled_call
    return compiled


@native
def check_compiled(item: Ptr) -> Bool:
    """Whether this is a compiled function; else with TypeError."""
    if type_of(item) == STATE.compiled_type:
        return True
    raise_text(STATE.type_error, "not a compiled function")
    return False


@rare
@export
def weft_compiled_kept(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """compiled_kept(compiled): what compiled_install gave it, or None."""
    compiled: CompiledObject = arguments[0]
    if not check_compiled(compiled):
        return None
    kept = compiled.kept if compiled.kept is not None else STATE.none
    Py_IncRef(kept)
    return kept


@rare
@export
def weft_compiled_install(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """compiled_install(compiled, address of an EntryList, its owner): replace the entries."""
    compiled: CompiledObject = arguments[0]
    if not check_compiled(compiled):
        return None
    before = compiled.kept
    Py_IncRef(arguments[2])
    compiled.kept = arguments[2]
    compiled.entries = cast(EntryList, PyLong_AsLongLong(arguments[1]))
    Py_DecRef(before)
    return new_none()
