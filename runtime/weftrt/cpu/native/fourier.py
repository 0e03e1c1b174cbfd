"""Calls a transform of pocketfft for rows along any axis: weftrt.pocketfft.

Rows are shared out to the threads. A thread hands pocketfft as many as lie at equal distances,
which are then transformed several at once. pocketfft says that there is no memory by an exception
of Python's, so what it will ask for is asked for before, if it is much.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import address_of, atomic_store, cast, invoke, record, stack
from weftrt.cpu.native.types import I64, Bool, Pointer, Ptr, Struct, extern, native

PIECE_NANOSECONDS, ROW_NANOSECONDS, ELEMENT_NANOSECONDS = 20_000, 300, 8
"""What a piece of parallel work takes at least, and a row and each of its elements about."""
LANES = 8
"""Rows that are transformed at once, at most, whatever the machine."""
FIXED_ROOM, ROOM = 4, 5
"""Memory that pocketfft asks for, in rows: at most so much, and so much for each row at once. It
is most for lengths with large factors, which become convolutions of twice the length."""
MUCH = 1 << 25
"""Bytes from which on it is asked whether there is the memory. The C library takes so many from the
system and gives them back, untouched; what is less it would take from what pocketfft gets next."""
NO_MEMORY = -2
"""weftrt.cpu.externs.NO_MEMORY."""

malloc = extern("ptr malloc(i64)")
free = extern("void free(ptr)")
weft_parallel = extern("void weft_parallel(ptr, ptr, i64, i64)")


class Transform(Struct):
    """A transform: its loops for even and odd lengths, what they are given, the bytes of elements;
    1.0, and whether rows are transformed at once."""

    even: Ptr
    odd: Ptr
    data: Ptr
    bytes_read: I64
    bytes_written: I64
    one: I64
    at_once: I64


class Rows(Struct):
    """Rows of a transform: `inner` ones begin one element after the other, and there are as many
    such groups as it takes; `length` is the transform's own. `room` is where a thread last found
    memory, so that LLVM does not take that for granted."""

    transform: Transform
    loop: Ptr
    source: Ptr
    target: Ptr
    scale: Ptr
    inner: I64
    read: I64
    written: I64
    length: I64
    room: I64
    failed: I64


class Steps(Struct):
    """Where rows are: how far apart, and how far apart their elements are, in bytes."""

    source: Ptr
    target: Ptr
    row_read: I64
    row_written: I64
    read: I64
    written: I64


@native
def least(a: I64, b: I64) -> I64:
    """The smaller one."""
    return a if a < b else b


@native
def call_loop(rows: Rows, steps: Steps, count: I64) -> None:
    """Transform rows by one call."""
    arrays = stack(Ptr, 3)
    sizes = stack(I64, 3)
    distances = stack(I64, 5)
    arrays[0] = steps.source
    arrays[1] = rows.scale
    arrays[2] = steps.target
    sizes[0] = count
    sizes[1] = rows.read
    sizes[2] = rows.written
    distances[0] = steps.row_read
    distances[1] = 0
    distances[2] = steps.row_written
    distances[3] = steps.read
    distances[4] = steps.written
    invoke(None, rows.loop, arrays, sizes, distances, rows.transform.data)


@native
def transform_rows(rows: Rows, steps: Steps, count: I64) -> None:
    """Transform rows at equal distances, at once if they then have the same bits."""
    if rows.transform.at_once != 0:
        call_loop(rows, steps, count)
    else:
        for _row in range(count):
            call_loop(rows, steps, 1)
            steps.source = steps.source + steps.row_read
            steps.target = steps.target + steps.row_written


@native
def along_last(rows: Rows, begin: I64, end: I64) -> None:
    """Transform rows that lie one after the other."""
    steps = record(Steps)
    steps.read = rows.transform.bytes_read
    steps.written = rows.transform.bytes_written
    steps.row_read = rows.read * steps.read
    steps.row_written = rows.written * steps.written
    steps.source = rows.source + begin * steps.row_read
    steps.target = rows.target + begin * steps.row_written
    transform_rows(rows, steps, end - begin)


@native
def along_other(rows: Rows, begin: I64, end: I64) -> None:
    """Transform rows whose elements lie `inner` elements apart."""
    steps = record(Steps)
    steps.row_read = rows.transform.bytes_read
    steps.row_written = rows.transform.bytes_written
    steps.read = rows.inner * steps.row_read
    steps.written = rows.inner * steps.row_written
    while begin < end:
        group = begin // rows.inner
        first = begin - group * rows.inner
        count = least(rows.inner - first, end - begin)
        steps.source = rows.source + group * rows.read * steps.read + first * steps.row_read
        steps.target = (
            rows.target + group * rows.written * steps.written + first * steps.row_written
        )
        transform_rows(rows, steps, count)
        begin += count


@native
def has_room(rows: Rows, bytes: I64) -> Bool:
    """Whether there is so much memory."""
    room: Ptr = malloc(bytes)
    if room is None:
        return False
    atomic_store(cast(Pointer[I64], address_of(rows.room)), cast(I64, room))
    free(room)
    return True


@native
def run_rows(rows: Rows, begin: I64, end: I64) -> None:
    """Transform some rows, if there is the memory for it."""
    lanes = LANES if end - begin > 1 else 1
    wider = rows.transform.bytes_read | rows.transform.bytes_written
    needed = rows.length * wider * (FIXED_ROOM + ROOM * lanes)
    if needed > MUCH and not has_room(rows, needed):
        rows.failed = 1
    elif rows.inner == 1:
        along_last(rows, begin, end)
    else:
        along_other(rows, begin, end)


@native
def call_fourier(buffers: Pointer[Ptr], sizes: Pointer[I64], context: Ptr) -> I64:
    """Run the Transform at `context`. The sizes are how many groups of rows there are, how many
    rows a group has, how many elements of a row are read and written, the length, and whether there
    is a number to multiply by, between the two buffers. NO_MEMORY, or -1."""
    rows = record(Rows)
    rows.transform = cast(Transform, context)
    rows.source = buffers[0]
    rows.target = buffers[1 + sizes[5]]
    rows.scale = buffers[1] if sizes[5] != 0 else address_of(rows.transform.one)
    rows.inner = sizes[1]
    rows.read = sizes[2]
    rows.written = sizes[3]
    rows.length = sizes[4]
    rows.loop = rows.transform.odd if rows.length & 1 != 0 else rows.transform.even
    rows.failed = 0
    grain = PIECE_NANOSECONDS // (rows.length * ELEMENT_NANOSECONDS + ROW_NANOSECONDS)
    if sizes[0] * sizes[1] > 0:
        weft_parallel(run_rows, rows, sizes[0] * sizes[1], grain if grain > 1 else 1)
    return -1 if rows.failed == 0 else NO_MEMORY
