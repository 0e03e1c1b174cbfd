"""Python functions, called from the middle of a program."""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.runtime import test_threads
from tests.runtime.programs import ADD, N, spec
from tests.runtime.test_signals import StopHere, every_20_milliseconds
from tests.threads import at_once, thread_limit

from weftrt import array, dtypes
from weftrt.cpu.executable import Executable, load
from weftrt.errors import DTypeError, ShapeError
from weftrt.program import (
    ArraySpec,
    Callback,
    Launch,
    Next,
    Program,
    Temporary,
)

I64 = ArraySpec(dtypes.int64, ())
LINE = "user.py:5: wf.callback(f, ...)"
SHORT, LONG = 0, 10**10
"""Estimates: with the GIL held, and released."""


def calling(function: Callable[..., Any], work: int = SHORT) -> Executable:
    """function(x + x, x)."""
    x, out, doubled = range(3)
    steps = (
        Launch(0, (x, x, doubled), (0,)),
        Callback(0, ((doubled, spec(N)), (x, spec(N))), ((out, spec(N)),), LINE),
    )
    return load(program(steps, work), (function,))


def program(steps: Any, work: int) -> Program:
    return Program(
        name="calling",
        key="calling",
        inputs=(spec(N),),
        outputs=(spec(N),),
        symbols=((0, 0),),
        derived=(),
        temporaries=(Temporary(0),),
        arena=4096,
        kernels=(ADD,),
        steps=tuple(steps),
        sites=(),
        results=(0,),
        work=work,
    )


X = np.float32([1, 2, 3])


def run(executable: Executable, x: np.ndarray = X) -> list[float]:
    [out] = executable.run([x])
    return array.to_numpy(out).tolist()


@pytest.fixture(params=[SHORT, LONG], ids=["with the GIL", "without"])
def work(request):
    return request.param


@pytest.fixture(params=[1, 2, 3])
def thread_count(request):
    with thread_limit(request.param):
        yield request.param


def test_what_a_function_is_given(work):
    kept = []

    def function(doubled: array.Array, x: array.Array) -> list[np.ndarray]:
        kept.append((doubled, x))
        return [array.to_numpy(doubled) * 10 + array.to_numpy(x)]

    executable = calling(function, work)
    for x in (X, X * 3, np.float32([]), np.arange(500, dtype="f4")):
        assert run(executable, x) == (x * 21).tolist()
        doubled, same = (array.to_numpy(given) for given in kept[-1])
        assert doubled.tolist() == (x * 2).tolist() and same.tolist() == x.tolist()
    assert array.to_numpy(kept[0][0]).tolist() == [2, 4, 6], "an operand is a copy for good"


def test_an_exception_comes_out_whole(work):
    error = StopHere("of the user's")

    def function(*_: array.Array) -> Any:
        raise error

    before = array.pool_stats()["used_blocks"]
    with pytest.raises(StopHere) as caught:
        run(calling(function, work))
    assert caught.value is error
    assert traceback.extract_tb(error.__traceback__)[-1].name == "function"
    del caught
    error.__traceback__ = None
    assert array.pool_stats()["used_blocks"] == before


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ([], ShapeError, "gives 0 results, not 1"),
        ([X, X], ShapeError, "gives 2 results, not 1"),
        ([X[:2]], ShapeError, r"gives the shape \(2,\), not \(3,\) as declared"),
        ([1.0], DTypeError, "gives float64, not float32 as declared"),
        ([np.arange(3)], DTypeError, "gives int64, not float32 as declared"),
    ],
)
def test_results_that_are_not_as_declared(work, given, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(LINE)}: the function {message}"):
        run(calling(lambda *_: given, work))


def test_functions_may_run_programs(work, thread_count):
    """The same program, and others, of which some run without the GIL and on several threads."""
    short, long = (replace(test_threads.program(), work=estimate) for estimate in (SHORT, LONG))

    def function(doubled: array.Array, x: array.Array) -> list[np.ndarray]:
        depth = x.shape[0]
        test_threads.check(load(short), 100, repeats=1)
        test_threads.check(load(long), 100, repeats=1)
        below = run(executable, np.float32([1] * (depth - 1))) if depth > 2 else []
        return [np.float32([sum(below) + 1] * depth)]

    executable = calling(function, work)
    assert run(executable, np.float32([1] * 4)) == [10.0] * 4


def test_functions_that_never_stop_calling(work):
    def function(doubled: array.Array, x: array.Array) -> list[Any]:
        return executable.run([doubled])

    executable = calling(function, work)
    with pytest.raises(RecursionError):
        run(executable)
    test_threads.check(load(test_threads.program()), 100, repeats=1)


def test_functions_on_several_threads(work):
    """Each is called on the thread that runs the program, which has other threads beside it."""
    seen = set()

    def function(doubled: array.Array, x: array.Array) -> list[array.Array]:
        seen.add(threading.current_thread().name)
        return [doubled]

    executable = calling(function, work)

    def caller(number: int) -> None:
        values = np.arange(number, number + 50, dtype="f4")
        for _ in range(100):
            assert run(executable, values) == (values * 2).tolist()

    at_once(caller, 8)
    assert len(seen) == 8


def looping(function: Callable[..., Any], work: int) -> Executable:
    """function(x), a thousand times."""
    x, out, counter, upper = range(4)
    steps = (
        Callback(0, (), ((counter, I64), (upper, I64)), LINE),
        Callback(1, ((x, spec(N)),), ((out, spec(N)),), LINE),
        Next(counter, upper, 1),
    )
    turns = replace(program(steps, work), temporaries=(Temporary(0), Temporary(64)))
    return load(turns, (lambda: [0, 1000], function))


def test_functions_in_loops(work):
    calls = []

    def function(x: array.Array) -> list[array.Array]:
        calls.append(x)
        return [x]

    assert run(looping(function, work)) == X.tolist()
    assert len(calls) == 1000


def test_a_signal_in_a_function(work, thread_count):
    """A handler runs in the middle of the function, and what it raises ends the program."""

    def function(x: array.Array) -> list[array.Array]:
        while True:
            pass

    seen: list[int] = []
    other = load(test_threads.program())
    test_threads.check(other, 100, repeats=1)

    def handler() -> None:
        seen.append(1)
        if len(seen) == 2:
            test_threads.check(other, 100, repeats=1)
        if len(seen) % 3 == 0:  # again, where somebody caught the first
            raise StopHere

    with pytest.raises(StopHere), every_20_milliseconds(handler):
        run(looping(function, work))
    assert len(seen) >= 3
    test_threads.check(other, 1000, repeats=5)


def test_a_program_holds_its_functions(work):
    class Function:
        def __call__(self, doubled: array.Array, x: array.Array) -> list[array.Array]:
            return [doubled]

    executable = calling(Function(), work)
    assert run(executable) == [2, 4, 6]
