"""CPython and libc as the native runtime sees them: functions, object layouts, the shared state.

Reference counts go through Py_IncRef and Py_DecRef, which are right on every CPython. Types,
exceptions and NumPy's descriptors are read from STATE, which weftrt.cpu.native.library fills.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import cast, invoke, stack
from weftrt.cpu.native.types import (
    I32,
    I64,
    Bool,
    Pointer,
    Ptr,
    Struct,
    extern,
    inline,
    native,
    rare,
    static,
)

Py_IncRef = extern("void Py_IncRef(ptr)")
Py_DecRef = extern("void Py_DecRef(ptr)")
PyObject_New = extern("ptr _PyObject_New(ptr)")
PyType_GenericAlloc = extern("ptr PyType_GenericAlloc(ptr, i64)")
PyObject_Free = extern("void PyObject_Free(ptr)")
PyObject_GC_UnTrack = extern("void PyObject_GC_UnTrack(ptr)")
PyObject_GC_Del = extern("void PyObject_GC_Del(ptr)")
PyObject_ClearWeakRefs = extern("void PyObject_ClearWeakRefs(ptr)")
PyObject_RichCompareBool = extern("i32 PyObject_RichCompareBool(ptr, ptr, i32)")
PyObject_Vectorcall = extern("ptr PyObject_Vectorcall(ptr, ptr, i64, ptr)")
PyObject_CallObject = extern("ptr PyObject_CallObject(ptr, ptr)")
PyObject_GetAttr = extern("ptr PyObject_GetAttr(ptr, ptr)")
PyObject_GenericSetAttr = extern("i32 PyObject_GenericSetAttr(ptr, ptr, ptr)")
PyObject_IsTrue = extern("i32 PyObject_IsTrue(ptr)")
PyErr_ExceptionMatches = extern("i32 PyErr_ExceptionMatches(ptr)")
PyErr_NoMemory = extern("ptr PyErr_NoMemory()")
PyErr_SetString = extern("void PyErr_SetString(ptr, ptr)")
PyErr_Clear = extern("void PyErr_Clear()")
PyErr_CheckSignals = extern("i32 PyErr_CheckSignals()")
PyErr_Occurred = extern("ptr PyErr_Occurred()")
PyErr_Fetch = extern("void PyErr_Fetch(ptr, ptr, ptr)")
PyErr_Restore = extern("void PyErr_Restore(ptr, ptr, ptr)")
PyErr_NormalizeException = extern("void PyErr_NormalizeException(ptr, ptr, ptr)")
PyTuple_New = extern("ptr PyTuple_New(i64)")
PyList_New = extern("ptr PyList_New(i64)")
PyDict_New = extern("ptr PyDict_New()")
PyDict_SetItem = extern("i32 PyDict_SetItem(ptr, ptr, ptr)")
PyDict_DelItem = extern("i32 PyDict_DelItem(ptr, ptr)")
PyDict_Size = extern("i64 PyDict_Size(ptr)")
PyFunction_GetCode = extern("ptr PyFunction_GetCode(ptr)")
PyFunction_GetDefaults = extern("ptr PyFunction_GetDefaults(ptr)")
PyFunction_GetKwDefaults = extern("ptr PyFunction_GetKwDefaults(ptr)")
PyDict_GetItemWithError = extern("ptr PyDict_GetItemWithError(ptr, ptr)")
PyLong_FromLongLong = extern("ptr PyLong_FromLongLong(i64)")
PyLong_AsLongLong = extern("i64 PyLong_AsLongLong(ptr)")
PyLong_AsLongLongAndOverflow = extern("i64 PyLong_AsLongLongAndOverflow(ptr, ptr)")
PyNumber_Index = extern("ptr PyNumber_Index(ptr)")
PyFloat_AsDouble = extern("double PyFloat_AsDouble(ptr)")
PyThreadState_GetDict = extern("ptr PyThreadState_GetDict()")
PyUnicode_Compare = extern("i32 PyUnicode_Compare(ptr, ptr)")
PyMethod_New = extern("ptr PyMethod_New(ptr, ptr)")
PyEval_SaveThread = extern("ptr PyEval_SaveThread()")
PyEval_RestoreThread = extern("void PyEval_RestoreThread(ptr)")

posix_memalign = extern("i32 posix_memalign(ptr, i64, i64)")
malloc = extern("ptr malloc(i64)")
free = extern("void free(ptr)")
memcmp = extern("i32 memcmp(ptr, ptr, i64)")
madvise = extern("i32 madvise(ptr, i64, i32)")


class Object(Struct):
    """PyObject."""

    count: I64
    type: Ptr


class SizedObject(Struct):
    """PyTupleObject. Since Python 3.14 it caches its hash."""

    count: I64
    type: Ptr
    size: I64
    if tuple.__basicsize__ > 24:
        hash: I64
    items: Pointer[Ptr] = inline(1)


class ListObject(Struct):
    """PyListObject."""

    count: I64
    type: Ptr
    size: I64
    items: Pointer[Ptr]


class CellObject(Struct):
    """PyCellObject."""

    count: I64
    type: Ptr
    value: Ptr


class FloatObject(Struct):
    """PyFloatObject; the value by its bits."""

    count: I64
    type: Ptr
    bits: I64


class NumpyArray(Struct):
    """PyArrayObject, the same in NumPy 1 and 2."""

    count: I64
    type: Ptr
    data: Ptr
    ndim: I32
    dimensions: Pointer[I64]
    strides: Pointer[I64]
    base: Ptr
    descriptor: Ptr
    flags: I32


class Descriptor(Struct):
    """The start of PyArray_Descr, the same in NumPy 1 and 2: after its scalar type come the
    characters of its kind, type and byte order, then the number of its type."""

    count: I64
    type: Ptr
    scalar: Ptr
    characters: I32
    number: I32


class PythonState(Struct):
    """Objects that native code compares with or raises; the library keeps them alive.

    `numbers` are the types of Python's and NumPy's scalars: floats first, then integers, then
    bools. A dtype has a NumPy descriptor, and may have a second type of the same bits. `clock`
    counts calls, `donations` the Arrays that were given up, `traces` the traces that are open on
    all threads.
    """

    array_type: Ptr
    compiled_type: Ptr
    boundary_type: Ptr
    ndarray_type: Ptr
    tuple_type: Ptr
    list_type: Ptr
    dict_type: Ptr
    int_type: Ptr
    none: Ptr
    true: Ptr
    type_error: Ptr
    value_error: Ptr
    buffer_error: Ptr
    runtime_error: Ptr
    raise_failure: Ptr
    call_back: Ptr
    equal: Ptr
    raise_no_memory: Ptr
    raise_no_array: Ptr
    raise_donated: Ptr
    donation_words: Ptr
    traceback_filter: Ptr
    explained: Ptr
    new_object: Ptr
    trace_mark: Ptr
    traces: I64
    clock: I64
    donations: I64
    float_count: I64
    int_count: I64
    number_count: I64
    numbers: Pointer[Ptr] = inline(16)
    dtypes: Pointer[Ptr] = inline(16)
    descriptors: Pointer[Descriptor] = inline(16)
    synonyms: Pointer[I64] = inline(16)
    item_sizes: Pointer[I64] = inline(16)
    formats: Pointer[Ptr] = inline(16)


STATE = static(PythonState)


@native
def type_of(item: Ptr) -> Ptr:
    """An object's type."""
    view: Object = item
    return view.type


@native
def has_dtype(descriptor: Descriptor, code: I64) -> Bool:
    """Whether a NumPy descriptor means a dtype, in native byte order. There are many objects for
    one: arrays that were pickled have their own, and C's long and long long may be alike."""
    known = STATE.descriptors[code]
    if descriptor == known:
        return True
    if (descriptor.characters ^ known.characters) >> 16 & 0xFF != 0:
        return False
    number = cast(I64, descriptor.number)
    return number == cast(I64, known.number) or number == STATE.synonyms[code]


@native
def call_by(function: Ptr, first: Ptr, second: I64, third: I64, fourth: I64) -> Bool:
    """Call function(first, second, third, fourth); False with its exception."""
    arguments = stack(Ptr, 4)
    arguments[0] = first
    arguments[1] = PyLong_FromLongLong(second)
    arguments[2] = PyLong_FromLongLong(third)
    arguments[3] = PyLong_FromLongLong(fourth)
    result: Ptr = None
    if arguments[1] is not None and arguments[2] is not None and arguments[3] is not None:
        result = PyObject_Vectorcall(function, arguments, 4, None)
    for index in range(3):
        Py_DecRef(arguments[1 + index])
    Py_DecRef(result)
    return result is not None


@rare
@native
def raise_by(function: Ptr, first: Ptr, second: I64, third: I64) -> None:
    """Let Python raise: function(first, second, third)."""
    arguments = stack(Ptr, 3)
    arguments[0] = first
    arguments[1] = PyLong_FromLongLong(second)
    arguments[2] = PyLong_FromLongLong(third)
    if arguments[1] is not None and arguments[2] is not None:
        Py_DecRef(PyObject_Vectorcall(function, arguments, 3, None))
    Py_DecRef(arguments[1])
    Py_DecRef(arguments[2])


@rare
@native
def raise_text(error: Ptr, text: Ptr) -> Ptr:
    """Set an exception; the result is what a failed function returns."""
    PyErr_SetString(error, text)
    return None


@native
def new_none() -> Ptr:
    """A new reference to None."""
    Py_IncRef(STATE.none)
    return STATE.none


@rare
@native
def integer_tuple(numbers: Pointer[I64], count: I64) -> Ptr:
    """A tuple of ints; NULL with an exception."""
    result: SizedObject = PyTuple_New(count)
    if result is None:
        return None
    for index in range(count):
        number = PyLong_FromLongLong(numbers[index])
        if number is None:
            Py_DecRef(result)
            return None
        result.items[index] = number
    return result


@rare
@native
def as_method(function: Ptr, instance: Ptr) -> Ptr:
    """What the descriptor protocol makes of a function: a method when reached through an instance,
    itself when through the class."""
    if instance is None or instance == STATE.none:
        Py_IncRef(function)
        return function
    return PyMethod_New(function, instance)


@native
def visit_all(items: Pointer[Ptr], count: I64, visit: Ptr, argument: Ptr) -> I32:
    """Show references, some of them NULL, to the garbage collector."""
    for index in range(count):
        if items[index] is not None:
            status: I32 = invoke(I32, visit, items[index], argument)
            if status != 0:
                return status
    return 0
