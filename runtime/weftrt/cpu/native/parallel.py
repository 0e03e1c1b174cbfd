"""The thread pool: weft_parallel splits a loop over workers that spin shortly, then sleep.

One region runs at a time; a region that finds the pool busy (nested, or from another Python
thread) runs serially in its caller, with the same result. A loop is cut into as many equal pieces
as there are threads, and whoever is awake claims the next: where workers get no core, the caller
does it all. `word` holds the number of pieces (16 bits), the next piece (16 bits) and the number of
the region (32 bits): to claim is to swap it, and who has claimed may read the rest of the state,
since the caller waits for all pieces. `lock` holds twice the process id, plus one while a region
runs: after a fork it names another process, and the pool starts anew. Pieces that a signal may
interrupt are run in cuts, between which everybody looks whether to stop.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import (
    address_of,
    atomic_add,
    atomic_load,
    atomic_store,
    cast,
    compare_swap,
    default_float_mode,
    invoke,
    relax,
    set_float_mode,
    stack,
)
from weftrt.cpu.native.python import PyLong_AsLongLong, integer_tuple, new_none
from weftrt.cpu.native.signals import (
    LOOK_NANOSECONDS,
    Hold,
    getpid,
    interrupted,
    nanoseconds,
    watched_program,
)
from weftrt.cpu.native.types import (
    I32,
    I64,
    Bool,
    Pointer,
    Ptr,
    Struct,
    export,
    extern,
    inline,
    native,
    rare,
    static,
)

SPINS = 300
"""Turns of a spin loop before a thread sleeps: 2 to 20 microseconds."""
CUT_NANOSECONDS = 2_000_000
"""What a cut of a loop that can be interrupted takes at least, in the long run."""
PIECES_SHIFT, NEXT_SHIFT = 48, 32
REGION_MASK, FIELD_MASK = 0xFFFFFFFF, 0xFFFF
WAIT, WAKE = 128, 129
"""FUTEX_WAIT and FUTEX_WAKE, private to the process."""
BLOCK_SIGNALS, SET_SIGNALS = 0, 2
"""SIG_BLOCK and SIG_SETMASK of Linux."""

syscall = extern("i64 syscall(i64, ...)")
pthread_create = extern("i32 pthread_create(ptr, ptr, ptr, ptr)")
pthread_detach = extern("i32 pthread_detach(ptr)")
pthread_sigmask = extern("i32 pthread_sigmask(i32, ptr, ptr)")
sigfillset = extern("i32 sigfillset(ptr)")


class ThreadState(Struct):
    """The pool. What workers and callers wait for lies on cache lines of its own."""

    word: Pointer[I64] = inline(16)
    remaining: Pointer[I32] = inline(32)
    sleepers: Pointer[I32] = inline(32)
    caller_sleeps: I32
    started: I32
    lock: I64
    threads: I64
    futex: I64
    body: Ptr
    context: Ptr
    count: I64
    grain: I64
    hold: Hold


THREADS = static(ThreadState)


@native
def sleep_while(place: Pointer[I32], value: I32, limit: Pointer[I64]) -> None:
    """Sleep until somebody wakes this place, or for seconds and nanoseconds where a limit is given;
    not at all if the place holds another value."""
    syscall(THREADS.futex, place, cast(I64, WAIT), cast(I64, value), limit)


@native
def wake(place: Pointer[I32], count: I64) -> None:
    """Wake so many of those who sleep at this place."""
    syscall(THREADS.futex, place, cast(I64, WAKE), count)


@native
def run_range(
    body: Ptr, context: Ptr, begin: I64, end: I64, grain: I64, hold: Hold, watched: Bool
) -> None:
    """Run a part of a loop: at once, or where the program can be interrupted (`hold` is not NULL)
    in cuts of so many iterations that grow until they take CUT_NANOSECONDS. Who is `watched` looks
    for signals."""
    if hold is None:
        invoke(None, body, context, begin, end)
        return
    cut = grain if grain > 1 else 1
    while begin < end and hold.interrupted == 0:
        stop = begin + cut if cut < end - begin else end
        start = nanoseconds()
        invoke(None, body, context, begin, stop)
        if nanoseconds() - start < CUT_NANOSECONDS and cut < end - begin:
            cut = cut * 2
        begin = stop
        if watched:
            interrupted(hold)


@native
def next_piece(word: I64) -> I64:
    """The piece that can be claimed, by a word; the number of pieces where none is left."""
    return (word >> NEXT_SHIFT) & FIELD_MASK


@native
def run_claimed(word: I64) -> None:
    """Run the next piece of a word that this thread has swapped."""
    count = THREADS.count
    pieces = word >> PIECES_SHIFT
    piece = next_piece(word)
    begin = count * piece // pieces
    end = count * (piece + 1) // pieces
    hold = THREADS.hold
    watched = hold is not None and watched_program() == hold
    run_range(THREADS.body, THREADS.context, begin, end, THREADS.grain, hold, watched)
    last = atomic_add(THREADS.remaining, -1) == 1
    if last and atomic_load(address_of(THREADS.caller_sleeps)) != 0:
        wake(THREADS.remaining, 1)


@native
def run_some() -> I64:
    """Claim and run pieces until none is left; the word then."""
    while True:
        word = atomic_load(THREADS.word)
        if next_piece(word) >= word >> PIECES_SHIFT:
            return word
        if compare_swap(THREADS.word, word, word + (1 << NEXT_SHIFT)):
            run_claimed(word)


@native
def sleep_for_region(region: I32) -> None:
    """Sleep until a region after this one begins."""
    atomic_add(THREADS.sleepers, 1)
    sleep_while(cast(Pointer[I32], THREADS.word), region, None)  # type: ignore[arg-type]
    atomic_add(THREADS.sleepers, -1)


@export
def weft_worker(argument: Ptr) -> Ptr:
    """A worker's life: run pieces, spin, sleep."""
    set_float_mode(default_float_mode())
    spins = 0
    region = 0
    while True:
        word = run_some()
        if word & REGION_MASK != region:
            region = word & REGION_MASK
            spins = 0
        elif spins < SPINS:
            spins += 1
            relax()
        else:
            sleep_for_region(cast(I32, region))
            spins = 0


@rare
@native
def start_workers(wanted: I64) -> None:
    """Start workers until there are so many, or the system refuses; signals go elsewhere."""
    every = stack(I64, 16)
    before = stack(I64, 16)
    thread = stack(Ptr, 1)
    sigfillset(every)
    pthread_sigmask(BLOCK_SIGNALS, every, before)
    while THREADS.started < wanted:
        if pthread_create(thread, None, weft_worker, None) != 0:
            break
        pthread_detach(thread[0])
        THREADS.started += 1
    pthread_sigmask(SET_SIGNALS, before, None)


@native
def acquire(process: I64) -> Bool:
    """Take the pool, if it is free; make it new, if it is of another process."""
    lock = cast(Pointer[I64], address_of(THREADS.lock))
    if compare_swap(lock, process * 2, process * 2 + 1):
        return True
    current = atomic_load(lock)
    if current >> 1 == process or not compare_swap(lock, current, process * 2 + 1):
        return False
    THREADS.word[0] = 0
    THREADS.remaining[0] = 0
    THREADS.sleepers[0] = 0
    THREADS.caller_sleeps = 0
    THREADS.started = 0
    return True


@native
def wait_for_workers() -> None:
    """Until all pieces are done: spin, then sleep; a region that can be interrupted looks up. In a
    child that a signal handler forked there is nobody to wait for."""
    for _spin in range(SPINS):
        if atomic_load(THREADS.remaining) == 0:
            return
        relax()
    asleep = cast(Pointer[I32], address_of(THREADS.caller_sleeps))
    atomic_store(asleep, 1)
    lock = cast(Pointer[I64], address_of(THREADS.lock))
    hold = THREADS.hold
    limit = stack(I64, 2)
    limit[0] = 0
    limit[1] = LOOK_NANOSECONDS
    while True:
        left = atomic_load(THREADS.remaining)
        if left == 0:
            break
        sleep_while(THREADS.remaining, left, limit)
        if hold is not None and interrupted(hold) and atomic_load(lock) >> 1 != cast(I64, getpid()):
            break
    atomic_store(asleep, 0)


@native
def run_region(body: Ptr, context: Ptr, count: I64, pieces: I64, grain: I64, hold: Hold) -> None:
    """Offer the pieces, run what nobody else takes, wait for the others. The pool is ours."""
    THREADS.body = body
    THREADS.context = context
    THREADS.count = count
    THREADS.grain = grain
    THREADS.hold = hold
    atomic_store(THREADS.remaining, pieces)
    region = (THREADS.word[0] + 1) & REGION_MASK
    atomic_store(THREADS.word, region | (pieces << PIECES_SHIFT))
    if atomic_load(THREADS.sleepers) > 0:
        wake(cast(Pointer[I32], THREADS.word), pieces - 1)
    run_some()
    wait_for_workers()


@export
def weft_parallel(body: Ptr, context: Ptr, count: I64, grain: I64) -> None:
    """Call body(context, begin, end) for pieces of [0, count), in parallel where there is work of
    at least `grain` for two threads."""
    hold = watched_program()
    if hold is not None and hold.interrupted != 0:
        return
    pieces = count // grain if grain > 1 else count
    pieces = pieces if pieces < THREADS.threads else THREADS.threads
    process = cast(I64, getpid()) if pieces > 1 else 0
    if pieces <= 1 or not acquire(process):
        run_range(body, context, 0, count, grain, hold, hold is not None)
        return
    if THREADS.started + 1 < pieces:
        start_workers(pieces - 1)
    available = cast(I64, THREADS.started + 1)
    run_region(body, context, count, pieces if pieces < available else available, grain, hold)
    atomic_store(cast(Pointer[I64], address_of(THREADS.lock)), process * 2)


@rare
@export
def weft_set_threads(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """set_threads(count, number of the futex system call; 0 where there is none)."""
    THREADS.futex = PyLong_AsLongLong(arguments[1])
    THREADS.threads = PyLong_AsLongLong(arguments[0]) if THREADS.futex != 0 else 1
    return new_none()


@rare
@export
def weft_get_threads(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """get_threads(): how many threads a loop may use, and how many workers were started."""
    numbers = stack(I64, 2)
    numbers[0] = THREADS.threads
    numbers[1] = THREADS.started
    return integer_tuple(numbers, 2)
