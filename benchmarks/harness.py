"""Timing that holds on a noisy machine: all contestants in turn, medians, and ratios in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

Run = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """One job, done by several libraries. `runs["weft"]` is ours; every run returns its result,
    which must agree with `expected` within `tolerance` (relative to the largest element)."""

    name: str
    runs: dict[str, Run]
    expected: np.ndarray[Any, Any] | None = None
    tolerance: float = 1e-4
    goals: dict[str, float] = field(default_factory=dict)
    """For a peer: by what factor Weft should be faster."""
    work: float = 0
    unit: str = ""
    """`work` units (FLOP, bytes) done per run: `unit` is printed as G<unit>/s."""
    seconds: float = 1.0
    """Rough time to spend on each contestant."""
    limit: float | None = None
    """Seconds that Weft itself may take."""


@dataclass(frozen=True)
class Row:
    """A contestant's median seconds in a case, and how many times slower than Weft it is."""

    case: str
    name: str
    seconds: float
    ratio: float
    rate: float
    unit: str
    goal: str
    holds: bool | None
    """Whether the goal holds; None where there is none."""


def measure(case: Case, rounds: int = 15) -> list[Row]:
    """Check every contestant's result, then time them in interleaved rounds."""
    for name, run in case.runs.items():
        _check(case, name, run())
    repeats = {name: _repeats(run, case.seconds / rounds) for name, run in case.runs.items()}
    times: dict[str, list[float]] = {name: [] for name in case.runs}
    for _ in range(rounds):
        for name, run in case.runs.items():
            times[name].append(_time(run, repeats[name]))
    ours = median(times["weft"])
    return [_row(case, name, median(found), ours) for name, found in times.items()]


def _row(case: Case, name: str, seconds: float, ours: float) -> Row:
    ratio, rate = seconds / ours, case.work / seconds / 1e9
    goal, holds = "", None
    if name in case.goals:
        goal, holds = f">= {case.goals[name]}x", ratio >= case.goals[name]
    if name == "weft" and case.limit is not None:
        goal, holds = f"<= {_duration(case.limit)}", seconds <= case.limit
    return Row(case.name, name, seconds, ratio, rate, case.unit, goal, holds)


def _check(case: Case, name: str, result: Any) -> None:
    if case.expected is None:
        return
    found = np.asarray(result, dtype=np.result_type(case.expected, np.float64))
    scale = np.abs(case.expected).max() or 1.0
    error = np.abs(found - case.expected).max() / scale
    if not error <= case.tolerance:
        raise SystemExit(f"{case.name}: {name} is wrong by {error:.1e} of the largest element")


def _repeats(run: Run, seconds: float) -> int:
    run()
    return max(1, int(seconds / max(_time(run, 1), 1e-8)))


def _time(run: Run, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def show(rows: Sequence[Row]) -> None:
    """Print the rows of one case."""
    print(f"\n{rows[0].case}")
    for row in sorted(rows, key=lambda r: r.seconds):
        rate = f"{row.rate:8.1f} G{row.unit}/s" if row.unit else ""
        verdict = {None: "", True: "holds", False: "MISSED"}[row.holds]
        mark = f"goal {row.goal}: {verdict}" if row.goal else ""
        print(
            f"  {row.name:14} {_duration(row.seconds):>10}  {row.ratio:6.2f}x {rate:18}"
            f" {mark}".rstrip()
        )


def _duration(seconds: float) -> str:
    for unit, scale in (("s ", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.2f} {unit}"
    return f"{seconds / 1e-9:.1f} ns"
