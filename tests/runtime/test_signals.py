"""Signals while a long program runs: handlers run in the middle of it, and may end it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from tests.runtime import test_threads
from tests.runtime.programs import N, spec
from tests.threads import thread_limit

from weftrt import array, dtypes
from weftrt.cpu.executable import Executable, load
from weftrt.program import (
    ArraySpec,
    Copy,
    Instruction,
    KernelCode,
    Launch,
    Next,
    Program,
    Temporary,
)

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer here")

# out[i] = i after a sleep of sizes[1] microseconds, in a parallel loop over sizes[0].
SLEEPING = """
declare void @weft_parallel(ptr, ptr, i64, i64)
declare i32 @usleep(i32)
define internal void @piece(ptr %context, i64 %begin, i64 %end) {
entry:
  %out = load ptr, ptr %context
  %q = getelementptr ptr, ptr %context, i64 1
  %long = load i64, ptr %q
  %time = trunc i64 %long to i32
  br label %test
test:
  %i = phi i64 [ %begin, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %done
body:
  %slept = call i32 @usleep(i32 %time)
  %p = getelementptr float, ptr %out, i64 %i
  %x = sitofp i64 %i to float
  store float %x, ptr %p
  %next = add i64 %i, 1
  br label %test
done:
  ret void
}
define void @test_sleeping(ptr %buffers, ptr %sizes, ptr %status) {
  %q1 = getelementptr ptr, ptr %buffers, i64 1
  %out = load ptr, ptr %q1
  %n = load i64, ptr %sizes
  %q2 = getelementptr i64, ptr %sizes, i64 1
  %time = load i64, ptr %q2
  %context = alloca [2 x i64]
  store ptr %out, ptr %context
  %q3 = getelementptr ptr, ptr %context, i64 1
  store i64 %time, ptr %q3
  call void @weft_parallel(ptr @piece, ptr %context, i64 %n, i64 1)
  ret void
}
"""


def sleeping(microseconds: int, steps: int = 1) -> Executable:
    """arange(n), slowly."""
    return load(
        Program(
            name="sleeping",
            key="sleeping",
            inputs=(spec(N),),
            outputs=(spec(N),),
            symbols=((0, 0),),
            derived=((microseconds,),),
            temporaries=(),
            arena=0,
            kernels=(KernelCode("test_sleeping", SLEEPING),),
            steps=(Launch(0, (0, 1), (0, 1)),) * steps,
            sites=(),
            results=(0,),
            work=10**10,
        )
    )


@contextmanager
def every_20_milliseconds(handler: Callable[[], None]) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class StopHere(Exception):
    pass


@pytest.fixture(params=[1, 2, 5])
def thread_count(request):
    with thread_limit(request.param):
        yield request.param


@pytest.mark.parametrize(
    "executable, count", [(sleeping(1000), 30_000), (sleeping(500, steps=30_000), 2)]
)
def test_a_handler_that_raises_ends_the_program(thread_count, executable, count):
    seen = []

    def handler() -> None:
        seen.append(1)
        if len(seen) == 3:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise StopHere

    x = np.zeros(count, "f4")
    before = array.pool_stats()["used_blocks"]
    with pytest.raises(StopHere), every_20_milliseconds(handler):
        executable.run([x])
    assert len(seen) == 3, "handlers waited for the end of the program"
    assert array.pool_stats()["used_blocks"] == before
    test_threads.check(load(test_threads.program()), 1000, repeats=5)


def test_a_handler_may_run_programs(thread_count):
    slow, short = sleeping(5000), load(replace(test_threads.program(), work=10**10))
    seen: list[int] = []

    def handler() -> None:
        seen.append(1)
        if len(seen) < 4:  # more would pile up where the machine is slow
            test_threads.check(short, 100)

    with every_20_milliseconds(handler):
        [out] = slow.run([np.zeros(200, "f4")])
    np.testing.assert_array_equal(array.to_numpy(out), np.arange(200, dtype="f4"))
    assert len(seen) > 1, "handlers waited for the end of the program"


def test_what_a_handler_catches_does_not_end_the_program_around_it(thread_count):
    slow = sleeping(5000)
    caught = []

    def inner() -> None:
        raise StopHere

    def handler() -> None:
        if not caught:
            caught.append(1)
            with pytest.raises(StopHere), every_20_milliseconds(inner):
                sleeping(1000).run([np.zeros(30_000, "f4")])

    with every_20_milliseconds(handler):
        [out] = slow.run([np.zeros(100, "f4")])
    np.testing.assert_array_equal(array.to_numpy(out), np.arange(100, dtype="f4"))
    assert caught


def endless(*body: Instruction, work: int) -> Executable:
    """Counts from 0 to 2^62, which takes forever, around what is given."""
    zero, upper, _out, counter = range(4)
    number = ArraySpec(dtypes.int64, ())
    return load(
        Program(
            name="endless",
            key="endless",
            inputs=(number, number),
            outputs=(spec(2),),
            symbols=(),
            derived=((2,), (1,)),
            temporaries=(Temporary(0),),
            arena=64,
            kernels=(KernelCode("test_sleeping", SLEEPING),),
            steps=(Copy(zero, counter, 1, 8), *body, Next(counter, upper, 1)),
            sites=(),
            results=(0,),
            work=work,
        )
    )


@pytest.mark.parametrize("body", [(), (Launch(0, (0, 2), (0, 1)),)], ids=["nothing", "a kernel"])
@pytest.mark.parametrize("work", [0, 10**6, 10**10])
def test_an_endless_loop(thread_count, work, body):
    """Handlers run, and one ends it, whatever was estimated; other threads run meanwhile."""
    seen: list[int] = []
    turns: list[int] = []

    def handler() -> None:
        seen.append(len(turns))
        if seen[0] < seen[-1] or len(seen) == 500:
            raise StopHere

    def other() -> None:
        while not seen or seen[0] == seen[-1]:
            turns.append(1)

    thread = threading.Thread(target=other)
    with pytest.raises(StopHere), every_20_milliseconds(handler):
        thread.start()
        endless(*body, work=work).run([0, 1 << 62])
    assert seen[0] < seen[-1], "a loop keeps the GIL"
    thread.join()


def test_a_handler_may_run_short_programs(thread_count):
    """Which hold the GIL, while the program around them is watched."""
    slow, short = sleeping(5000), load(replace(test_threads.program(), work=0))
    seen: list[int] = []
    test_threads.check(short, 100, repeats=1)  # what it imports is not imported by handlers

    def handler() -> None:
        seen.append(1)
        if len(seen) < 4:  # more would pile up where the machine is slow
            test_threads.check(short, 100, repeats=3)

    with every_20_milliseconds(handler):
        slow.run([np.zeros(200, "f4")])
    assert seen


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("leaves", [False, True])
def test_a_child_that_a_handler_forks_gives_the_program_up(thread_count, leaves):
    """It has no threads but its own, so that nobody would finish what others were at."""
    slow = sleeping(5000)
    children = []

    def handler() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        children.append(os.fork())
        if children[-1] == 0 and leaves:
            raise StopHere

    try:
        with every_20_milliseconds(handler):
            [out] = slow.run([np.zeros(100, "f4")])
        assert children[0] != 0, "the child has a result"
        np.testing.assert_array_equal(array.to_numpy(out), np.arange(100, dtype="f4"))
    except (RuntimeError, StopHere):
        if children[0] != 0:
            raise
        signal.alarm(20)
        test_threads.check(load(test_threads.program()), 1000, repeats=5)
        test_threads.check(load(replace(test_threads.program(), work=10**10)), 1000)
        os._exit(0)
    finally:
        if children[0] == 0:
            os._exit(1)
    assert os.waitpid(children[0], 0)[1] == 0
