"""Donated inputs: results take over their memory, and their Arrays say that they are no more."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.runtime.programs import ADD, CHECK, NEGATE, N, spec
from tests.runtime.test_signals import sleeping

from weftrt import array, dtypes
from weftrt.array import Array
from weftrt.cpu import executable
from weftrt.cpu.executable import Executable, load
from weftrt.errors import CheckError, DonatedError, OutOfBoundsError
from weftrt.program import (
    ArraySpec,
    Callback,
    Check,
    Copy,
    Instruction,
    Launch,
    Program,
    Site,
    SizeSlot,
    Temporary,
)

BOOL = ArraySpec(dtypes.bool_, ())
X, Y, GOOD, FIRST, SECOND, ROOM = range(6)
"""Buffers of `program`."""
ADDED = Launch(0, (X, Y, ROOM), (0,))
KEPT = Copy(ROOM, FIRST, N, 4)
CHECKED = Check(GOOD, 0)
COPIED = Launch(2, (Y, SECOND), (0,), site=1)


def program(*steps: Instruction) -> Program:
    """x, y of n and a bool; two results of n, which may lie in x and y."""
    return Program(
        name="step",
        key="step",
        inputs=(spec(N), spec(N), BOOL),
        outputs=(spec(N), spec(N)),
        symbols=((0, 0),),
        derived=(),
        temporaries=(Temporary(0),),
        arena=1 << 20,
        kernels=(ADD, NEGATE, CHECK),
        steps=steps,
        sites=(
            Site(CheckError, "user.py:3", "not good"),
            Site(OutOfBoundsError, "user.py:4", "negative"),
        ),
        results=(0, 1),
        work=0,
        donated=(X, Y),
        aliases=((0, X), (1, Y)),
    )


def adding() -> Executable:
    """x + y, which lies in x, and y."""
    return load(program(ADDED, CHECKED, KEPT, COPIED))


@pytest.fixture(autouse=True)
def line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executable, "find_line", lambda: "user.py:9: step(x, y)")


@pytest.fixture(autouse=True)
def blocks() -> Iterator[None]:
    """No block is lost, and none is given back twice."""
    gc.collect()
    before = array.pool_stats()
    yield
    gc.collect()
    after = array.pool_stats()
    assert after["used_blocks"] == before["used_blocks"]
    assert after["used_bytes"] == before["used_bytes"]


def made(*values: float) -> Array:
    return array.from_numpy(np.array(values, "f4"))


def address(given: Array) -> int:
    return int(array.to_numpy(given).ctypes.data)


def elements(given: Array) -> list[float]:
    return array.to_numpy(given).tolist()  # type: ignore[no-any-return]


def is_gone(given: Array) -> bool:
    """Whether every use of its elements fails with the line that donated it."""
    words = r"^user\.py:9: step\(x, y\)\n  this array was donated to step, and has no elements"
    uses: list[Callable[[], Any]] = [
        lambda: array.to_numpy(given),
        lambda: memoryview(given),  # type: ignore[arg-type]
        lambda: array.view(given, (given.size,)),
        lambda: adding().run([made(1, 2), given, True]),
    ]
    for use in uses:
        with pytest.raises(DonatedError, match=words):
            use()
    return given.shape == (given.size,) and given.dtype is dtypes.float32


def test_results_take_over_the_memory():
    x, y = made(1, 2, 3), made(10, 20, 30)
    places = address(x), address(y)
    first, second = adding().run([x, y, True])
    assert (address(first), address(second)) == places
    assert elements(first) == [11, 22, 33] and elements(second) == [10, 20, 30]
    assert is_gone(x) and is_gone(y)
    again, _ = adding().run([first, second, True])
    assert address(again) == places[0] and elements(again) == [21, 42, 63]


def test_nothing_more_is_allocated():
    step = adding()
    x, y = made(*[1] * 50_000), made(*[2] * 50_000)
    fresh = array.pool_stats()["used_bytes"]
    for _ in range(10):
        x, y = step.run([x, y, True])
        assert array.pool_stats()["used_bytes"] == fresh


def test_memory_that_others_see_stays():
    x, y = made(1, 2, 3), made(10, 20, 30)
    seen, viewed = array.to_numpy(x), array.view(y, (3, 1))
    first, second = adding().run([x, y, True])
    assert seen.tolist() == [1, 2, 3] and array.to_numpy(viewed).tolist() == [[10], [20], [30]]
    assert elements(first) == [11, 22, 33] and elements(second) == [10, 20, 30]
    assert is_gone(x) and is_gone(y)
    del x, y
    gc.collect()
    assert seen.tolist() == [1, 2, 3] and array.to_numpy(viewed).tolist() == [[10], [20], [30]]


def test_memory_that_others_saw_is_free_again():
    x, y = made(1, 2, 3), made(10, 20, 30)
    place = address(x)
    viewed = array.view(x, (3, 1))
    del viewed
    first, _ = adding().run([x, y, True])
    assert address(first) == place


def test_a_view_is_given_but_not_what_it_views():
    whole, y = made(1, 2, 3), made(10, 20, 30)
    x = array.view(whole, (3,))
    first, _ = adding().run([x, y, True])
    assert elements(whole) == [1, 2, 3] and elements(first) == [11, 22, 33]
    assert is_gone(x)


def test_one_array_for_two_inputs():
    x = made(1, 2, 3)
    first, second = adding().run([x, x, True])
    assert elements(first) == [2, 4, 6] and elements(second) == [1, 2, 3]
    assert is_gone(x)


def test_arrays_of_numpy_are_nobodys_to_give():
    x, y = np.float32([1, 2, 3]), made(10, 20, 30)
    first, _ = adding().run([x, y, True])
    assert x.tolist() == [1, 2, 3] and elements(first) == [11, 22, 33]
    assert is_gone(y)


def test_a_failure_before_anything_is_written_leaves_all_as_it_was():
    x, y = made(1, 2, 3), made(10, 20, 30)
    places = address(x), address(y)
    with pytest.raises(CheckError):
        adding().run([x, y, False])
    assert (elements(x), elements(y)) == ([1, 2, 3], [10, 20, 30])
    assert (address(x), address(y)) == places
    first, _ = adding().run([x, y, True])
    assert address(first) == places[0]


def test_a_failure_after_that_leaves_arrays_that_say_so():
    x, y = made(1, 2, 3), made(10, -20, 30)
    kept = array.to_numpy(x)
    with pytest.raises(OutOfBoundsError):
        adding().run([x, y, True])
    assert elements(x) == kept.tolist() == [1, 2, 3], "its memory was not taken"
    assert is_gone(y)


def test_no_memory_leaves_all_as_it_was():
    x, y = made(1, 2, 3), made(10, 20, 30)
    huge = replace(program(), outputs=(spec(N), spec(N), spec(SizeSlot(0), 1 << 60)))
    for hopeless in (huge, replace(program(), arena=1 << 60)):
        with pytest.raises(MemoryError):
            load(hopeless).run([x, y, True])
        assert (elements(x), elements(y)) == ([1, 2, 3], [10, 20, 30])


def test_words_that_cannot_be_found(monkeypatch):
    x, y = made(1, 2, 3), made(10, 20, 30)

    def fail() -> str:
        raise ValueError("no line")

    monkeypatch.setattr(executable, "find_line", fail)
    with pytest.raises(ValueError, match="no line"):
        adding().run([x, y, True])
    assert (elements(x), elements(y)) == ([1, 2, 3], [10, 20, 30])


def test_memory_is_not_taken_while_another_program_runs():
    """It may read it: the slow one is given x, and waits for long before it ends."""
    x, y = made(1, 2, 3), made(10, 20, 30)
    place = address(x)
    slow = threading.Thread(target=lambda: sleeping(100_000).run([x]))
    slow.start()
    while slow.is_alive() and not _is_under_way():
        pass
    first, _ = adding().run([x, y, True])
    taken = address(first) == place
    was_alive = slow.is_alive()
    slow.join()
    assert not (was_alive and taken) and elements(first) == [11, 22, 33]
    assert is_gone(x)


def _is_under_way() -> bool:
    """Whether memory is not taken now."""
    x, y = made(1), made(1)
    place = address(x)
    first, _ = load(_of_one()).run([x, y, True])
    return address(first) != place


def _of_one() -> Program:
    one = spec(1)
    return replace(
        program(Copy(X, FIRST, 1, 4), Copy(Y, SECOND, 1, 4)),
        inputs=(one, one, BOOL),
        outputs=(one, one),
        symbols=(),
    )


@pytest.mark.parametrize("work", [0, 10**10])
def test_a_function_that_a_program_calls_gives_its_inputs_away(work):
    x, y = made(1, 2, 3), made(10, 20, 30)

    def function() -> list[Any]:
        first, _ = adding().run([x, y, True])
        assert elements(first) == [11, 22, 33]
        return []

    around = replace(
        program(Callback(0, (), (), "user.py:1"), ADDED, KEPT, COPIED), donated=(), aliases=()
    )
    first, second = load(replace(around, work=work), (function,)).run([x, y, True])
    assert elements(first) == [11, 22, 33] and elements(second) == [10, 20, 30]
    assert is_gone(x) and is_gone(y)
