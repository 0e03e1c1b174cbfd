"""The entries of a compiled function: a call is bound, matched against them, and run.

Where there are many, a digest of the shapes says which is tried first.
"""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject
from weftrt.cpu.native.calls import ON_STACK, UNBOUND
from weftrt.cpu.native.executor import drop_outputs, execute
from weftrt.cpu.native.guard import (
    Frame,
    GuardTable,
    PlaceTable,
    gather_strided,
    guards_hold,
    match,
    match_hidden,
    release_held,
)
from weftrt.cpu.native.intrinsics import cast, record, stack
from weftrt.cpu.native.python import (
    STATE,
    ListObject,
    NumpyArray,
    PyErr_NoMemory,
    PyUnicode_Compare,
    SizedObject,
    free,
    malloc,
    type_of,
)
from weftrt.cpu.native.results import build
from weftrt.cpu.native.sizes import sizes_allowed
from weftrt.cpu.native.tables import ProgramTable
from weftrt.cpu.native.types import (
    I64,
    Bool,
    Pointer,
    Ptr,
    Records,
    Struct,
    native,
)

MISS = 1
"""What an attempt returns, as an address, where the call does not match."""
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
    hidden: Records[PlaceTable]
    results: Pointer[I64]
    used: I64


class EntryList(Struct):
    """The signatures of a compiled function. `recent` has one entry for each value of a call's
    digest under `mask`: that which answered such a call, or NULL."""

    count: I64
    entries: Pointer[EntryTable]
    mask: I64
    recent: Pointer[EntryTable]


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
def match_call(entry: EntryTable, frame: Frame, given: Given) -> Bool:
    """Match a whole call: arguments, hidden inputs, guards."""
    if given.count != entry.positional_count:
        return False
    for index in range(entry.program.symbol_count):
        frame.sizes[index] = UNBOUND
    for index in range(given.count):
        if not match(frame, given.positional[index]):
            return False
    if not match_keywords(entry, frame, given):
        return False
    if not match_hidden(frame, entry.hidden, entry.hidden_count):
        return False
    program = entry.program
    if not sizes_allowed(program.constraints, program.constraint_count, frame.sizes):
        return False
    return guards_hold(frame, entry.guards, entry.guard_count)


@native
def run_matched(entry: EntryTable, frame: Frame, outputs: Pointer[ArrayObject]) -> Ptr:
    """Run the entry that a frame matches; gives up the frame's references."""
    program = entry.program
    done = frame.strided == 0 or gather_strided(frame)
    done = done and execute(program, frame.held, frame.buffers, frame.sizes, outputs)
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
    """attempt, with room for the addresses and sizes. Matching may run code of Python's: where that
    gave an Array up, its address may be in the frame already."""
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
    donations = STATE.donations
    if match_call(entry, frame, given) and donations == STATE.donations:
        return run_matched(entry, frame, outputs)
    release_held(frame)
    return cast(Pointer[Ptr], MISS)


@native
def attempt(entry: EntryTable, given: Given) -> Ptr:
    """Run one entry if the call matches it: the result, NULL with an exception, or MISS."""
    program = entry.program
    words = program.buffer_count + program.size_count + program.output_count
    words += 2 * program.input_count + program.call_words
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
