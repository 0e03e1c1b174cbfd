"""However many programs a process compiles, its mappings and its code stay few."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import weft as wf
from weft import engine
from weftrt.cpu.code import MEMORY, SLAB_BYTES

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="mappings are not listed here"
)

X = wf.ones((8,))
SHARED = 20
"""Programs that are kept for functions to come."""


def mappings() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


def code_bytes() -> int:
    gc.collect()
    return MEMORY.reserved_bytes - MEMORY.free_bytes()


def compile_and_run(number: int) -> object:
    function = wf.jit(lambda x: wf.sum(x * number))
    assert float(function(X)) == 8 * number
    return function


def test_programs_that_nobody_uses_are_unloaded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "_MOST_PROGRAMS", SHARED)
    for number in range(SHARED + 1):
        compile_and_run(number)
    engine._slots.clear()
    before, reserved, used = mappings(), MEMORY.reserved_bytes, code_bytes()
    for number in range(100):
        compile_and_run(number)
    assert mappings() - before < 20
    assert MEMORY.reserved_bytes - reserved <= SLAB_BYTES
    engine._slots.clear()
    assert code_bytes() <= used


def test_programs_in_use_share_mappings():
    before = mappings()
    functions = [compile_and_run(number) for number in range(1000, 1080)]
    assert mappings() - before < 20
    assert len(set(functions)) == 80
