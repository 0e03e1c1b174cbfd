"""Timing that holds on a noisy machine: all contestants in turn, medians, and ratios in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from statistics import quantiles
from typing import Any, Protocol

import numpy as np

import weft as wf
from benchmarks.records import Case, Measurement, Row, Work


@dataclass(frozen=True)
class Effort:
    """How often, and for what share of a case's time."""

    rounds: int
    share: float
    figures: int
    """Rounds where a run gives the figure itself."""


FULL, QUICK = Effort(15, 1.0, 5), Effort(5, 0.2, 2)


class Unable(Exception):
    """A contestant cannot do a job, or did it wrong; says why."""


class Contestant(Protocol):
    """Somebody who does a case, here or in a process of its own."""

    def prepare(self) -> None:
        """Compile and check. Unable: why not."""

    def run(self, repeats: int) -> float:
        """Seconds a run, over so many runs; or the figure that one run gives."""


def here(case: Case) -> dict[str, Here]:
    """All contestants of a case, in this process; what is expected is computed once."""
    expected = cache(case.expected) if case.expected is not None else None
    checked = replace(case, expected=expected)
    return {name: Here(checked, name) for name in case.makers}


class Here:
    """A contestant in this process."""

    def __init__(self, case: Case, name: str) -> None:
        self._case, self._name = case, name
        self._work: Work = lambda: None

    def prepare(self) -> None:
        """Compile and check. Unable: why not."""
        try:
            self._work = self._case.makers[self._name]()
            result = self._work()
        except Exception as error:
            raise Unable(f"{type(error).__name__}: {_first_line(error)}") from error
        if self._case.expected is not None and self._name not in self._case.unchecked:
            check(result, self._case.expected(), self._case.tolerance)

    def run(self, repeats: int) -> float:
        """Seconds a run, over so many runs; or the figure that one run gives."""
        work = self._work
        if self._case.figure:
            return float(work())
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        return (time.perf_counter() - start) / repeats


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:160]


def check(result: Any, expected: Any, tolerance: float) -> None:
    """Unable, where a result is not what is expected: nests of arrays, leaf by leaf."""
    found, wanted = wf.tree.leaves(result), wf.tree.leaves(expected)
    if len(found) != len(wanted):
        raise Unable(f"gives {len(found)} results, not {len(wanted)}")
    for a, b in zip(found, wanted, strict=True):
        _check_leaf(np.asarray(a), np.asarray(b), tolerance)


def _check_leaf(found: Any, expected: Any, tolerance: float) -> None:
    if found.shape != expected.shape:
        raise Unable(f"gives shape {found.shape}, not {expected.shape}")
    if not expected.size:
        return
    kind = np.result_type(expected, np.float64)
    distance = np.abs(found.astype(kind) - expected.astype(kind)).max()
    error = distance / (np.abs(expected).max() or 1.0)
    if not error <= tolerance:
        raise Unable(f"is wrong by {error:.1e} of the largest element")


def measure(
    suite: str,
    case: Case,
    contestants: Mapping[str, Contestant],
    effort: Effort,
    progress: Callable[[str], None] = lambda text: None,
) -> Row:
    """Prepare and check all contestants, then time those who can, in interleaved rounds."""
    able: dict[str, Contestant] = {}
    unable: dict[str, str] = {}
    for name, contestant in contestants.items():
        progress(f"preparing {name}")
        try:
            contestant.prepare()
            able[name] = contestant
        except Unable as error:
            unable[name] = str(error)
    progress("timing")
    found = _rounds(case, able, effort)
    measurements = tuple(_measurement(name, values) for name, values in found.items())
    work = (case.flops, case.reads, case.writes)
    return Row(suite, case.name, measurements, unable, case.unit, *work, case.dtype)


def _rounds(case: Case, able: Mapping[str, Contestant], effort: Effort) -> dict[str, list[float]]:
    rounds = effort.figures if case.figure else effort.rounds
    share = case.seconds * effort.share / rounds
    repeats = {name: _repeats(case, contestant, share) for name, contestant in able.items()}
    found: dict[str, list[float]] = {name: [] for name in able}
    for _ in range(rounds):
        for name, contestant in able.items():
            found[name].append(contestant.run(repeats[name]))
    return found


def _repeats(case: Case, contestant: Contestant, seconds: float) -> int:
    """How many runs take so many seconds: the first are tried out, and more where it takes no
    time."""
    if case.figure:
        return 1
    contestant.run(1)
    once = contestant.run(1)
    if once < seconds / 100:
        once = contestant.run(max(1, int(seconds / 100 / max(once, 1e-8))))
    return max(1, int(seconds / max(once, 1e-8)))


def _measurement(name: str, values: list[float]) -> Measurement:
    low, middle, high = (
        quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    )
    return Measurement(name, middle, low, high, len(values))
