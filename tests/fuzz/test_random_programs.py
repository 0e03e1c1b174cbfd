"""eager == jit == graph interpreter, by bits, on random programs, on one and two threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bits import assert_same_bits
from tests.fuzz.programs import RandomProgram, programs

import weft as wf
from weftc.ir.interpret import interpret
from weftrt.cpu import threads

COMMON = settings(
    deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=True
)


def _jitted(program: RandomProgram, arrays: list[Any]) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(o) for o in wf.jit(program.__call__)(*arrays)]


@settings(COMMON, max_examples=120)
@given(programs(), st.integers(0, 2**16))
def test_jit_equals_the_interpreter(program: RandomProgram, seed: int) -> None:
    arrays = program.arrays(seed)
    stages = wf.jit(program.__call__).lower(*arrays)
    expected = interpret(stages.graph, arrays)
    for found, wanted in zip(_jitted(program, arrays), expected, strict=True):
        assert_same_bits(found, wanted)


@settings(COMMON, max_examples=40)
@given(programs(), st.integers(0, 2**16))
def test_eager_equals_jit(program: RandomProgram, seed: int) -> None:
    arrays = program.arrays(seed)
    eager = program(*(wf.asarray(a) for a in arrays))
    for found, wanted in zip(eager, _jitted(program, arrays), strict=True):
        assert_same_bits(np.asarray(found), wanted)


@settings(COMMON, max_examples=20)
@given(programs(), st.integers(0, 2**16))
def test_threads_do_not_change_bits(program: RandomProgram, seed: int) -> None:
    arrays = program.arrays(seed)
    before = threads.get_threads()
    results = []
    try:
        for count in (1, 2):
            threads.set_threads(count)
            results.append(_jitted(program, arrays))
    finally:
        threads.set_threads(before)
    for one, two in zip(*results, strict=True):
        assert_same_bits(one, two)
