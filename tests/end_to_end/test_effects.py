"""Effects in branches, loops, long programs, threads and other processes: in order, once, whole."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.threads import at_once

import weft as wf
from weft.errors import CheckError

ROOT = Path(__file__).resolve().parents[2]


def ways(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Eager, compiled, and compiled once more."""
    compiled = wf.jit(function)
    return [function, compiled, compiled]


def test_only_the_branch_that_is_taken_has_its_effects(capsys: Any) -> None:
    def program(x: Any) -> Any:
        def small(x: Any) -> Any:
            wf.debug.print("small {}", x)
            return x * 10

        def large(x: Any) -> Any:
            wf.debug.check(x < 100, "too large")
            wf.debug.print("large {}", x)
            return x

        wf.debug.print("before")
        y = wf.cond(x < 3, small, large, x)
        wf.debug.print("after {}", y)
        return y

    for run in ways(program):
        assert run(wf.asarray(2.0)) == 20
        assert run(wf.asarray(5.0)) == 5
        with pytest.raises(CheckError, match="too large"):
            run(wf.asarray(200.0))
        assert capsys.readouterr().out.split("\n") == [
            "before", "small 2.0", "after 20.0", "before", "large 5.0", "after 5.0", "before", "",
        ]  # fmt: skip


def test_turns_of_loops_have_their_effects_in_order(capsys: Any) -> None:
    def program(x: Any) -> Any:
        def turn(i: Any, x: Any) -> Any:
            wf.debug.print("{}: {}", i, x)
            return x * 2

        def halve(x: Any) -> Any:
            wf.debug.print("halved {}", x)
            return x / 2

        x = wf.fori_loop(0, 3, turn, x)
        wf.debug.print("between")
        return wf.while_loop(lambda x: x > 3, halve, x)

    for run in ways(program):
        assert run(wf.asarray(1.0)) == 2
        assert capsys.readouterr().out.splitlines() == [
            "0: 1.0", "1: 2.0", "2: 4.0", "between", "halved 8.0", "halved 4.0",
        ]  # fmt: skip


def test_a_check_in_a_loop_stops_it_there() -> None:
    turns: list[int] = []

    def program(x: Any) -> Any:
        def turn(i: Any, x: Any) -> Any:
            wf.callback(lambda i: turns.append(int(i)), None, i)
            y = x * 2
            wf.debug.check(wf.isfinite(y), "overflow")
            return y

        return wf.fori_loop(0, 1_000_000, turn, x)

    for run in ways(program):
        turns.clear()
        with pytest.raises(CheckError, match="overflow"):
            run(wf.asarray(1.0, dtype=wf.float64))
        assert turns == list(range(1024))


def test_an_exception_in_a_loop_ends_the_program_and_leaves_arrays_whole() -> None:
    def program(x: Any) -> Any:
        def host(i: Any) -> None:
            if i == 5:
                raise RuntimeError("enough")

        def turn(i: Any, x: Any) -> Any:
            wf.callback(host, None, i)
            return x + 1

        return wf.fori_loop(0, 10, turn, x)

    x = wf.asarray(np.zeros(1000, np.float32))
    for run in ways(program):
        with pytest.raises(RuntimeError, match="enough"):
            run(x)
        assert not np.any(x)


def test_state_that_comes_from_callbacks() -> None:
    def program(x: Any) -> Any:
        def turn(i: Any, x: Any) -> Any:
            return wf.callback(lambda x: np.sort(x)[::-1].copy(), x, x) + 1

        return wf.fori_loop(0, 3, turn, x)

    for run in ways(program):
        np.testing.assert_array_equal(run(np.array([1.0, 3.0, 2.0])), [6, 5, 4])


def test_a_long_program_calls_back_from_without_the_lock() -> None:
    seen: list[float] = []

    @wf.jit
    def program(x: Any) -> Any:
        y = wf.exp(wf.sin(x)) @ x
        wf.callback(lambda t: seen.append(float(t)), None, wf.sum(y))
        return wf.sort(y, axis=0)

    x = np.random.default_rng(0).standard_normal((400, 400)).astype(np.float32)
    for _ in range(2):
        y = np.asarray(program(x))
        np.testing.assert_array_equal(y, np.sort(y, 0))
    assert len(seen) == 2 and seen[0] == seen[1]


def test_threads_each_get_their_own_calls() -> None:
    seen: dict[int, list[float]] = {}

    @wf.jit
    def program(x: Any) -> Any:
        for _ in range(5):
            wf.callback(lambda x: seen[threading.get_ident()].append(float(x)), None, x)
            x = x + 1
        return x

    def work(number: int) -> None:
        start = 100.0 * number
        mine = seen[threading.get_ident()] = []
        for _ in range(50):
            mine.clear()
            assert program(wf.asarray(start)) == start + 5
            assert mine == [start + k for k in range(5)]

    at_once(work, 4)


PROGRAM = """
import sys
import numpy as np
import weft as wf

def host(x):
    return x * {factor}

@wf.jit
def program(x):
    y = wf.callback(host, x, x)
    wf.debug.print("y is {{}}", y)
    return wf.sort(y) + 1

print(program(np.array([3.0, 1.0], np.float32)), program.cache_report()[0].origin.value)
"""


def test_a_program_from_the_disk_calls_the_functions_of_its_process(tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(ROOT / p) for p in ("frontend", "compiler", "runtime")),
        "WEFT_CACHE": str(tmp_path / "cache"),
        "WEFT_VERIFY": "0",
    }
    path = tmp_path / "program.py"
    for factor, origin in ((2, "compiled"), (2, "loaded from disk"), (5, "loaded from disk")):
        path.write_text(PROGRAM.format(factor=factor))
        done = subprocess.run(
            [sys.executable, str(path)], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        y = np.array([3, 1], np.float32) * factor
        assert done.stdout == f"y is {y}\n{np.sort(y) + 1} {origin}\n"
