"""WEFT_VERIFY=2 from the outside: compiled, loaded and shared programs are compared by value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft as wf
from weft import engine
from weftc import cluster, pipeline
from weftc.loop.ir import LoopFunction
from weftc.validate import Miscompiled
from weftrt import knobs
from weftrt.cache import programs
from weftrt.target import Target


@pytest.fixture(autouse=True)
def _level_two(tmp_path: Path) -> Iterator[None]:
    """Values are checked; the cache folder is empty, and so is what this process has compiled."""
    with knobs.scope(verify=2, cache=tmp_path):
        engine._slots.clear()
        yield
        engine._slots.clear()


def _first(x: Any) -> Any:
    return wf.exp(x) * 2


def _second(x: Any) -> Any:
    return wf.exp(x) * 3


X = np.linspace(-1, 1, 7, dtype=np.float32)


def test_programs_that_are_right_pass() -> None:
    for _ in range(2):
        assert wf.jit(_first)(X).shape == (7,)  # compiled, then shared
    engine._slots.clear()
    assert wf.jit(_first)(X).shape == (7,)  # loaded


def test_an_entry_of_another_program_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = wf.jit(_second).lower(X).program
    monkeypatch.setattr(programs, "fetch", lambda key, make: (wrong, True))
    with pytest.raises(Miscompiled, match="on disk belongs to something else") as caught:
        wf.jit(_first)(X)
    assert caught.value.stage == "cache"


def test_a_key_that_two_programs_share_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "program_key", lambda graph, options: "one")
    wf.jit(_first)(X)
    with pytest.raises(Miscompiled, match="output 0 of the program: element") as caught:
        wf.jit(_second)(X)
    assert caught.value.stage == "cache"
    engine._slots.clear()
    with pytest.raises(Miscompiled) as caught:
        wf.jit(_second)(X)
    assert caught.value.stage == "cache"


def test_a_wrong_stage_is_named_with_the_users_line(monkeypatch: pytest.MonkeyPatch) -> None:
    right = cluster.widen

    def nothing(function: LoopFunction, target: Target) -> LoopFunction:
        wide = right(function, target)
        return LoopFunction(wide.name, wide.buffers, wide.sizes, ())

    monkeypatch.setattr(cluster, "widen", nothing)
    with pytest.raises(Miscompiled, match=r"after widening: .*test_verification.py") as caught:
        wf.jit(_first)(X)
    assert caught.value.stage == "widening"


def test_what_is_too_large_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    wf.jit(_first)(np.ones(1 << 22, np.float32))
    assert "WEFT_VERIFY=2: _first is too large" in capfd.readouterr().err
