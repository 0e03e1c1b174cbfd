"""The Compiled type: a callable that guards its arguments and runs programs, natively."""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject
from weftrt.cpu.native.boundary import shorten_traceback
from weftrt.cpu.native.calls import ON_STACK, UNBOUND
from weftrt.cpu.native.executor import ProgramTable, drop_outputs, execute
from weftrt.cpu.native.guard import (
    Frame,
    GuardTable,
    gather_strided,
    guards_hold,
    match,
    match_array,
    release_held,
)
from weftrt.cpu.native.intrinsics import cast, invoke, record, stack
from weftrt.cpu.native.python import (
    STATE,
    ListObject,
    NumpyArray,
    Py_DecRef,
    Py_IncRef,
    PyDict_New,
    PyDict_SetItem,
    PyErr_Clear,
    PyErr_ExceptionMatches,
    PyErr_NoMemory,
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
    free,
    malloc,
    raise_text,
    type_of,
)
from weftrt.cpu.native.results import build
from weftrt.cpu.native.tracing import is_tracing
from weftrt.cpu.native.types import I32, I64, Bool, Pointer, Ptr, Records, Struct, export, native

MISS = 1
"""What an attempt returns, as an address, where the call does not match."""
COUNT_MASK = (1 << 63) - 1
"""nargsf without PY_VECTORCALL_ARGUMENTS_OFFSET."""
SCANNED = 4
"""Entries that are tried one after the other; where there are more, the shapes say which first."""
MIXER = -7046029254386353131
"""An odd number whose multiples spread over all bits (2^64 / golden ratio)."""


class EntryTable(Struct):
    """One compiled signature: patterns of the positional then of the keyword arguments. `used` is
    when it last ran, by STATE.clock."""

    program: ProgramTable
    positional_count: I64
    keyword_count: I64
    keywords: Pointer[Ptr]
    code: Pointer[I64]
    guard_count: I64
    guards: Records[GuardTable]
    hidden_count: I64
    hidden: Pointer[Ptr]
    results: Pointer[I64]
    nonempty: I64
    used: I64


class EntryList(Struct):
    """The signatures of a compiled function. `recent` has one entry for each value of a call's
    digest under `mask`: that which answered such a call, or NULL."""

    count: I64
    entries: Pointer[EntryTable]
    mask: I64
    recent: Pointer[EntryTable]


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


class Given(Struct):
    """The arguments of a call. `keyword_count` of the named `values` are not bound to positions."""

    positional: Pointer[Ptr]
    count: I64
    values: Pointer[Ptr]
    names: SizedObject
    keyword_count: I64


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
def bind(parameters: SizedObject, given: Given, room: Pointer[Ptr]) -> None:
    """Turn keywords into positional arguments, up to the first parameter that is not given."""
    for index in range(given.count):
        room[index] = given.positional[index]
    given.positional = room
    for index in range(given.count, parameters.size):
        name = parameters.items[index]
        if name == STATE.none:
            return
        place = find_keyword(given.names, name)
        if place < 0:
            return
        room[index] = given.values[place]
        given.count += 1
        given.keyword_count -= 1


@native
def match_keywords(entry: EntryTable, frame: Frame, given: Given) -> Bool:
    """Match the keyword arguments: the same names, in any order."""
    if given.keyword_count != entry.keyword_count:
        return False
    for index in range(entry.keyword_count):
        place = find_keyword(given.names, entry.keywords[index])
        if place < 0 or not match(frame, given.values[place]):
            return False
    return True


@native
def match_hidden(entry: EntryTable, frame: Frame) -> Bool:
    """Add the hidden inputs; their symbolic sizes must agree with the call's."""
    for index in range(entry.hidden_count):  # noqa: SIM110
        if not match_array(frame, entry.hidden[index]):
            return False
    return True


@native
def sizes_allowed(entry: EntryTable, frame: Frame) -> Bool:
    """Whether no symbol is 0 where that is another entry's."""
    if entry.nonempty != 0:
        for index in range(entry.program.symbol_count):
            if frame.sizes[index] == 0:
                return False
    return True


@native
def match_call(entry: EntryTable, frame: Frame, given: Given) -> Bool:
    """Match a whole call: arguments, hidden inputs, guards."""
    if given.count != entry.positional_count:
        return False
    for index in range(entry.program.symbol_count):
        frame.sizes[index] = UNBOUND
    for index in range(given.count):
        if not match(frame, given.positional[index]):
            return False
    if not match_keywords(entry, frame, given) or not match_hidden(entry, frame):
        return False
    return sizes_allowed(entry, frame) and guards_hold(entry.guards, entry.guard_count)


@native
def run_matched(entry: EntryTable, frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """Run the entry that a frame matches; gives up the frame's references."""
    program = entry.program
    done = frame.strided == 0 or gather_strided(frame)
    done = done and execute(program, frame.buffers, frame.sizes, outputs)
    release_held(frame)
    if not done:
        return None
    STATE.clock += 1
    entry.used = STATE.clock
    frame.code = entry.results
    result = build(frame, outputs)
    drop_outputs(outputs, program.output_count)
    return result


@native
def attempt_in(entry: EntryTable, given: Given, space: Pointer[I64]) -> Ptr:
    """attempt, with room for the addresses and sizes."""
    program = entry.program
    frame = record(Frame)
    frame.code = entry.code
    frame.program = program
    frame.leaves = 0
    frame.strided = 0
    frame.buffers = cast(Pointer[Ptr], space)
    frame.sizes = space + program.buffer_count
    frame.scalars = frame.sizes + program.size_count
    frame.held = cast(Pointer[Ptr], frame.scalars + program.input_count)
    outputs = cast(Pointer[ArrayObject], frame.held + program.input_count)
    if match_call(entry, frame, given):
        return run_matched(entry, frame, outputs)
    release_held(frame)
    return cast(Pointer[Ptr], MISS)


@native
def attempt(entry: EntryTable, given: Given) -> Ptr:
    """Run one entry if the call matches it: the result, NULL with an exception, or MISS."""
    program = entry.program
    words = program.buffer_count + program.size_count + program.output_count
    words += 2 * program.input_count
    space = stack(I64, ON_STACK)
    if words <= ON_STACK:
        return attempt_in(entry, given, space)
    space = malloc(words * 8)
    if space is None:
        return PyErr_NoMemory()
    result = attempt_in(entry, given, space)
    free(space)
    return result


@native
def mix_shape(digest: I64, rank: I64, shape: Pointer[I64]) -> I64:
    """Add a shape to a digest."""
    digest = (digest ^ rank) * MIXER
    for axis in range(rank):
        digest = (digest ^ shape[axis]) * MIXER
    return digest


@native
def mix_item(digest: I64, item: Ptr) -> I64:
    """Add an argument to a digest: arrays by shape, so that equal calls have equal digests."""
    if type_of(item) == STATE.array_type:
        array: ArrayObject = item
        return mix_shape(digest, cast(I64, array.ndim), array.shape)
    if type_of(item) == STATE.ndarray_type:
        foreign: NumpyArray = item
        return mix_shape(digest, cast(I64, foreign.ndim), foreign.dimensions)
    return digest


@native
def mix_argument(digest: I64, item: Ptr) -> I64:
    """mix_item, and of the items of a tuple or list."""
    if type_of(item) == STATE.tuple_type:
        values: SizedObject = item
        for index in range(values.size):
            digest = mix_item(digest, values.items[index])
    if type_of(item) == STATE.list_type:
        listed: ListObject = item
        for index in range(listed.size):
            digest = mix_item(digest, listed.items[index])
    return mix_item(digest, item)


@native
def digest_of(given: Given) -> I64:
    """A number that calls with other shapes rarely share."""
    digest = given.count
    for index in range(given.count):
        digest = mix_argument(digest, given.positional[index])
    if given.names is not None:
        for index in range(given.names.size):
            digest = mix_argument(digest, given.values[index])
    return digest >> 16


@native
def attempt_recent(entries: EntryList, digest: I64, given: Given) -> Ptr:
    """Attempt the entry that a digest leads to; MISS where there is none."""
    recent = entries.recent[digest & entries.mask]
    return attempt(recent, given) if recent is not None else cast(Pointer[Ptr], MISS)


@native
def remember(entries: EntryList, digest: I64, entry: EntryTable) -> None:
    """Let a digest lead to an entry: from its first place if that is free, else from its second."""
    place = digest & entries.mask
    if entries.recent[place] is not None:
        place = (digest >> 16) & entries.mask
    entries.recent[place] = entry


@native
def search(entries: EntryList, given: Given) -> Ptr:
    """Try the entries in order; what the digest leads to comes first where there are many."""
    digest = 0
    if entries.count > SCANNED:
        digest = digest_of(given)
        result = attempt_recent(entries, digest, given)
        if result == cast(Pointer[Ptr], MISS):
            result = attempt_recent(entries, digest >> 16, given)
        if result != cast(Pointer[Ptr], MISS):
            return result
    for index in range(entries.count):
        entry = entries.entries[index]
        result = attempt(entry, given)
        if result != cast(Pointer[Ptr], MISS):
            remember(entries, digest, entry)
            return result
    return cast(Pointer[Ptr], MISS)


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
    items = stack(Ptr, 7)
    items[0] = compiled.type
    items[1] = compiled.attributes
    items[2] = compiled.kept
    items[3] = compiled.slow
    items[4] = compiled.function
    items[5] = compiled.failed
    items[6] = compiled.parameters
    for index in range(7):
        status = visit_one(items[index], visit, argument)
        if status != 0:
            return status
    return 0


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
