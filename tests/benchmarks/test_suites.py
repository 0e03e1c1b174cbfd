"""Every suite's cases, made small, run and give what they should; every target is of some case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from benchmarks import measure, suites
from benchmarks.peers import PEERS
from benchmarks.records import Case
from benchmarks.targets import TARGETS

from weftrt.cpu.threads import get_threads, set_threads

IN_PROCESS = [name for name in suites.NAMES if name not in ("compile", "startup")]
"""The others are figures of processes of their own, all of them."""
INSTALLED = [p.name for p in PEERS if p.installed and p.name != "torch.compile"]


def tiny(n: int) -> int:
    return min(n, 12)


def of_this_process(suite: str) -> Iterator[Case]:
    """The cases that start no processes."""
    return (c for c in suites.cases(suite, tiny) if not (c.figure and "torch eager" in c.makers))


@pytest.mark.parametrize("suite", IN_PROCESS)
def test_weft_and_numpy_do_every_case(suite: str) -> None:
    done = 0
    for case in of_this_process(suite):
        for name, contestant in measure.here(case).items():
            if name.startswith(("weft", "numpy")):
                contestant.prepare()
                assert contestant.run(2) >= 0
                done += 1
    assert done


@pytest.mark.parametrize("peer", INSTALLED)
@pytest.mark.parametrize("suite", ("pointwise", "gemm"))
def test_peers_that_are_installed_do_their_jobs(suite: str, peer: str) -> None:
    """The first case, or where they cannot do it at all they say so, and are never wrong."""
    contestant = measure.here(next(of_this_process(suite))).get(peer)
    if contestant is not None:
        try:
            contestant.prepare()
        except measure.Unable as error:
            assert (suite, peer) == ("gemm", "numexpr"), error


class Zeros:
    """Draws zeros, of which even many cost nothing."""

    def standard_normal(self, shape: Any, dtype: Any = float) -> Any:
        return np.zeros(shape, dtype)

    random = standard_normal

    def integers(self, low: int, high: int, shape: Any) -> Any:
        return np.zeros(shape, np.int64)

    def uniform(self, low: float, high: float, shape: Any) -> Any:
        return np.zeros(shape)

    def choice(self, values: Any, shape: Any) -> Any:
        return np.zeros(shape, values.dtype)


def test_names_are_different_quick_runs_have_all_suites_and_targets_are_of_some_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the sizes that are run."""
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Zeros())
    names: dict[str, list[str]] = {}
    for suite in suites.NAMES:
        quick = False
        for case in suites.cases(suite):
            names.setdefault(suite, []).append(case.name)
            quick |= case.quick
        assert quick and len(set(names[suite])) == len(names[suite]), suite
    for target in TARGETS:
        assert any(re.fullmatch(target.cases, name) for name in names[target.suite]), target


def test_with_threads_one_thread_stands_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.threads", lambda: 2)
    case = next(iter(suites.cases("scaling", tiny)))
    contestant = measure.here(case)["weft on one thread"]
    before = get_threads()
    try:
        contestant.prepare()
        contestant.run(1)
        assert get_threads() == 2
    finally:
        set_threads(before)
