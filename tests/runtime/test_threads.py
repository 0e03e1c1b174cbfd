"""The thread pool: every piece runs once, whatever the threads, forks and callers."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from tests.runtime.programs import N, spec
from tests.threads import at_once, thread_limit

from weftrt import array
from weftrt.cpu import threads
from weftrt.cpu.executable import load
from weftrt.errors import UsageError
from weftrt.program import KernelCode, Launch, Program

# out[i] = x[i] * x[i] in pieces of at least `grain`; a piece can split itself again.
PARALLEL = """
declare void @weft_parallel(ptr, ptr, i64, i64)
define internal void @piece(ptr %buffers, i64 %begin, i64 %end) {{
entry:
  %p0 = load ptr, ptr %buffers
  %q1 = getelementptr ptr, ptr %buffers, i64 1
  %p1 = load ptr, ptr %q1
  br label %test
test:
  %i = phi i64 [ %begin, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %done
body:
  %a = getelementptr float, ptr %p0, i64 %i
  %x = load float, ptr %a
  %y = fmul float %x, %x
  %b = getelementptr float, ptr %p1, i64 %i
  %z = load float, ptr %b
  %s = fadd float %y, %z
  store float %s, ptr %b
  %next = add i64 %i, 1
  br label %test
done:
  ret void
}}
define internal void @nest(ptr %context, i64 %begin, i64 %end) {{
  %buffers = load ptr, ptr %context
  %q = getelementptr ptr, ptr %context, i64 1
  %n = load i64, ptr %q
  %first = icmp eq i64 %begin, 0
  br i1 %first, label %run, label %done
run:
  call void @weft_parallel(ptr @piece, ptr %buffers, i64 %n, i64 1)
  ret void
done:
  ret void
}}
define void @{symbol}(ptr %buffers, ptr %sizes, ptr %status) {{
  %q1 = getelementptr ptr, ptr %buffers, i64 1
  %p1 = load ptr, ptr %q1
  %n = load i64, ptr %sizes
  %bytes = mul i64 %n, 4
  call void @llvm.memset.p0.i64(ptr %p1, i8 0, i64 %bytes, i1 false)
  %context = alloca [2 x i64]
  store ptr %buffers, ptr %context
  %q2 = getelementptr ptr, ptr %context, i64 1
  store i64 %n, ptr %q2
  call void @weft_parallel(ptr @{body}, ptr {given}, i64 %n, i64 {grain})
  ret void
}}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""


def program(grain=1, nested=False, work=0):
    symbol = f"test_parallel_{grain}_{nested}"
    body, given = ("nest", "%context") if nested else ("piece", "%buffers")
    text = PARALLEL.format(symbol=symbol, body=body, given=given, grain=grain)
    return Program(
        name="parallel",
        key="parallel",
        inputs=(spec(N),),
        outputs=(spec(N),),
        symbols=((0, 0),),
        derived=(),
        temporaries=(),
        arena=0,
        kernels=(KernelCode(symbol, text),),
        steps=(Launch(0, (0, 1), (0,)),),
        sites=(),
        results=(0,),
        work=work,
    )


@pytest.fixture(params=[1, 2, 5])
def thread_count(request):
    with thread_limit(request.param):
        yield request.param


def check(executable, count, repeats=1):
    x = np.arange(count, dtype="f4")
    shared = array.from_numpy(x)
    for _ in range(repeats):
        [out] = executable.run([shared])
        np.testing.assert_array_equal(array.to_numpy(out), x * x)


@pytest.mark.parametrize("grain", [1, 7, 64, 10_000])
@pytest.mark.parametrize("count", [0, 2, 3, 63, 1000, 100_003])
def test_every_element_is_done_once(thread_count, count, grain):
    check(load(program(grain)), count, repeats=3)


def test_many_regions(thread_count):
    check(load(program()), 50, repeats=3000)


def test_after_sleeping(thread_count):
    executable = load(program())
    for _ in range(5):
        time.sleep(0.01)
        check(executable, 100, repeats=2)


def test_a_region_in_a_region(thread_count):
    check(load(program(nested=True)), 1000, repeats=20)


@pytest.mark.parametrize("work", [0, 1_000_000])
def test_from_several_python_threads(thread_count, work):
    executable = load(program(work=work))
    at_once(lambda _: check(executable, 3000, repeats=200), 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork(thread_count):
    executable = load(program())
    check(executable, 1000)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            check(executable, 1000, repeats=50)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    check(executable, 1000, repeats=50)


def in_new_process(body):
    code = f"from tests.runtime.test_threads import *\n{body}"
    roots = [path for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_one_thread_starts_none():
    body = "threads.set_threads(1); check(load(program()), 1000); print(threads.started_workers())"
    assert in_new_process(body) == ["0"]


def test_workers_start_when_needed():
    body = (
        "threads.set_threads(3); print(threads.started_workers()); "
        "check(load(program()), 1000); print(threads.started_workers())"
    )
    assert in_new_process(body) == ["0", "2"]


def test_workers_leave_signals_to_python():
    body = """
import signal
threads.set_threads(4); check(load(program()), 1000)
seen = []
signal.signal(signal.SIGUSR1, lambda *arguments: seen.append(1))
for _ in range(20): os.kill(os.getpid(), signal.SIGUSR1)
print(len(seen) > 0)
"""
    assert in_new_process(body) == ["True"]


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_silly_counts_are_refused(count):
    with pytest.raises(UsageError):
        threads.set_threads(count)
