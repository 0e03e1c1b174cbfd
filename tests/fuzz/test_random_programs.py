"""2,000 random programs of fixed numbers against every oracle; `python -m tests.fuzz` runs more."""

from __future__ import annotations

import pytest
from tests.fuzz.oracles import Counts
from tests.fuzz.worker import find
from tests.threads import thread_limit

from weftrt import knobs

CHUNKS = 20
PROGRAMS = {"values": 84, "gradients": 8, "transforms": 8}
"""How many of each kind a chunk has."""


def _check(kind: str, chunk: int) -> Counts:
    counts, size = Counts(), PROGRAMS[kind]
    with knobs.scope(cache=None):
        for number in range(chunk * size, (chunk + 1) * size):
            found = find(kind, number, counts)
            assert found is None, found.script()
    return counts


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    with thread_limit(1):
        yield


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("kind", PROGRAMS)
def test_random_programs(kind: str, chunk: int) -> None:
    counts = _check(kind, chunk)
    assert counts.checked["interpreter"] == PROGRAMS[kind]
