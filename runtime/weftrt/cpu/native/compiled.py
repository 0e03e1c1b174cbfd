"""The Compiled type: a callable that guards its arguments and runs programs, natively."""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject
from weftrt.cpu.native.boundary import shorten_traceback
from weftrt.cpu.native.calls import UNBOUND, fits_array
from weftrt.cpu.native.executor import ProgramTable, drop_outputs, execute
from weftrt.cpu.native.guard import (
    Frame,
    GuardTable,
    guards_hold,
    match,
    release_held,
)
from weftrt.cpu.native.intrinsics import cast, invoke, record, stack
from weftrt.cpu.native.python import (
    STATE,
    Py_DecRef,
    Py_IncRef,
    PyDict_New,
    PyDict_SetItem,
    PyLong_AsLongLong,
    PyMethod_New,
    PyObject_ClearWeakRefs,
    PyObject_GC_Del,
    PyObject_GC_UnTrack,
    PyObject_Vectorcall,
    PyTuple_New,
    PyType_GenericAlloc,
    PyUnicode_Compare,
    SizedObject,
    raise_text,
    type_of,
)
from weftrt.cpu.native.results import build
from weftrt.cpu.native.types import I32, I64, Bool, Pointer, Ptr, Records, Struct, export, native

MISS = 1
"""What an attempt returns, as an address, where the call does not match."""
COUNT_MASK = (1 << 63) - 1
"""nargsf without PY_VECTORCALL_ARGUMENTS_OFFSET."""


class EntryTable(Struct):
    """One compiled signature: patterns of the positional then of the keyword arguments."""

    program: ProgramTable
    positional_count: I64
    keyword_count: I64
    keywords: Pointer[Ptr]
    code: Pointer[I64]
    guard_count: I64
    guards: Records[GuardTable]
    hidden_count: I64
    hidden: Pointer[ArrayObject]
    results: Pointer[I64]


class EntryList(Struct):
    """The signatures of a compiled function, in order."""

    count: I64
    entries: Pointer[EntryTable]


class CompiledObject(Struct):
    """A compiled function. `kept` owns everything that `entries` refers to."""

    count: I64
    type: Ptr
    vectorcall: Ptr
    attributes: Ptr
    weak: Ptr
    entries: EntryList
    kept: Ptr
    slow: Ptr


@native
def find_keyword(names: SizedObject, name: Ptr) -> I64:
    """Where a keyword is among those of the call; -1 where it is not."""
    for index in range(names.size):
        if names.items[index] == name:
            return index
    for index in range(names.size):
        if PyUnicode_Compare(names.items[index], name) == 0:
            return index
    return -1


@native
def match_keywords(
    entry: EntryTable, frame: Frame, values: Pointer[Ptr], names: SizedObject
) -> Bool:
    """Match the keyword arguments: the same names, in any order."""
    given = names.size if names is not None else 0
    if given != entry.keyword_count:
        return False
    for index in range(given):
        place = find_keyword(names, entry.keywords[index])
        if place < 0 or not match(frame, values[place]):
            return False
    return True


@native
def match_hidden(entry: EntryTable, frame: Frame) -> Bool:
    """Add the hidden inputs; their symbolic sizes must agree with the call's."""
    program = frame.program
    for index in range(entry.hidden_count):
        leaf = frame.leaves
        array = entry.hidden[index]
        if not fits_array(program.inputs[leaf], array, frame.sizes):
            return False
        Py_IncRef(array)
        frame.held[leaf] = array
        frame.buffers[leaf] = array.data
        frame.leaves = leaf + 1
    return True


@native
def match_call(
    entry: EntryTable, frame: Frame, arguments: Pointer[Ptr], count: I64, names: SizedObject
) -> Bool:
    """Match a whole call: arguments, hidden inputs, guards."""
    if count != entry.positional_count:
        return False
    for index in range(entry.program.symbol_count):
        frame.sizes[index] = UNBOUND
    for index in range(count):
        if not match(frame, arguments[index]):
            return False
    if not match_keywords(entry, frame, arguments + count, names):
        return False
    return match_hidden(entry, frame) and guards_hold(entry.guards, entry.guard_count)


@native
def attempt(entry: EntryTable, arguments: Pointer[Ptr], count: I64, names: SizedObject) -> Ptr:
    """Run one entry if the call matches it: the result, NULL with an exception, or MISS."""
    program = entry.program
    frame = record(Frame)
    frame.code = entry.code
    frame.program = program
    frame.leaves = 0
    frame.buffers = stack(Ptr, program.buffer_count + 1)
    frame.sizes = stack(I64, program.size_count + 1)
    frame.scalars = stack(I64, program.input_count + 1)
    frame.held = stack(Ptr, program.input_count + 1)
    outputs = cast(Pointer[ArrayObject], stack(Ptr, program.output_count + 1))
    if not match_call(entry, frame, arguments, count, names):
        release_held(frame)
        return cast(Pointer[Ptr], MISS)
    done = execute(program, frame.buffers, frame.sizes, outputs)
    release_held(frame)
    if not done:
        return None
    frame.code = entry.results
    result = build(frame, outputs)
    drop_outputs(outputs, program.output_count)
    return result


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


@native
def call_slow(
    compiled: CompiledObject, arguments: Pointer[Ptr], count: I64, names: SizedObject
) -> Ptr:
    """slow(compiled, args, kwargs)."""
    if compiled.slow is None:
        return raise_text(STATE.type_error, "this compiled function was cleared")
    given = stack(Ptr, 3)
    given[0] = compiled
    given[1] = positional_tuple(arguments, count)
    given[2] = keyword_dict(arguments + count, names)
    result: Ptr = None
    if given[1] is not None and given[2] is not None:
        result = PyObject_Vectorcall(compiled.slow, given, 3, None)
    Py_DecRef(given[1])
    Py_DecRef(given[2])
    return result


@native
def call(compiled: CompiledObject, arguments: Pointer[Ptr], count: I64, names: SizedObject) -> Ptr:
    """What the first entry that matches returns, else the slow path."""
    entries = compiled.entries
    if entries is not None:
        kept = compiled.kept
        Py_IncRef(kept)
        for index in range(entries.count):
            result = attempt(entries.entries[index], arguments, count, names)
            if result != cast(Pointer[Ptr], MISS):
                Py_DecRef(kept)
                return result
        Py_DecRef(kept)
    return call_slow(compiled, arguments, count, names)


@export
def weft_compiled_call(
    compiled: CompiledObject, arguments: Pointer[Ptr], flags: I64, names: SizedObject
) -> Ptr:
    """The vectorcall of a compiled function."""
    result = call(compiled, arguments, flags & COUNT_MASK, names)
    return result if result is not None else shorten_traceback()


@export
def weft_compiled_get(compiled: CompiledObject, instance: Ptr, owner: Ptr) -> Ptr:
    """The descriptor protocol: a method when reached through an instance."""
    if instance is None or instance == STATE.none:
        Py_IncRef(compiled)
        return compiled
    return PyMethod_New(compiled, instance)


@native
def visit_one(item: Ptr, visit: Ptr, argument: Ptr) -> I32:
    """Show one reference to the garbage collector."""
    return invoke(I32, visit, item, argument) if item is not None else cast(I32, 0)


@export
def weft_compiled_traverse(compiled: CompiledObject, visit: Ptr, argument: Ptr) -> I32:
    """Show every reference to the garbage collector."""
    items = stack(Ptr, 4)
    items[0] = compiled.type
    items[1] = compiled.attributes
    items[2] = compiled.kept
    items[3] = compiled.slow
    for index in range(4):
        status = visit_one(items[index], visit, argument)
        if status != 0:
            return status
    return 0


@export
def weft_compiled_clear(compiled: CompiledObject) -> I32:
    """Drop every reference; the object is made consistent before any other code can run."""
    attributes = compiled.attributes
    kept = compiled.kept
    slow = compiled.slow
    compiled.attributes = None
    compiled.entries = None  # type: ignore[assignment]
    compiled.kept = None
    compiled.slow = None
    Py_DecRef(attributes)
    Py_DecRef(kept)
    Py_DecRef(slow)
    return 0


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


@export
def weft_compiled_new(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """compiled_new(slow): a compiled function without entries."""
    compiled: CompiledObject = PyType_GenericAlloc(STATE.compiled_type, 0)
    if compiled is not None:
        Py_IncRef(arguments[0])
        compiled.slow = arguments[0]
        compiled.vectorcall = weft_compiled_call
    return compiled


@native
def check_compiled(item: Ptr) -> Bool:
    """Whether this is a compiled function; else with TypeError."""
    if type_of(item) == STATE.compiled_type:
        return True
    raise_text(STATE.type_error, "not a compiled function")
    return False


@export
def weft_compiled_kept(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """compiled_kept(compiled): what compiled_install gave it, or None."""
    compiled: CompiledObject = arguments[0]
    if not check_compiled(compiled):
        return None
    kept = compiled.kept if compiled.kept is not None else STATE.none
    Py_IncRef(kept)
    return kept


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
    Py_IncRef(STATE.none)
    return STATE.none
