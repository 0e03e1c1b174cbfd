"""A run: every case of the chosen suites by all who can do it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import limits, machine, measure, plot, records, report, suites
from benchmarks.peers import PEERS, Peer, named
from benchmarks.records import Case, Row, Run, Size
from benchmarks.workers import Workers, workers

NOT_QUICK = ("torch.compile",)
"""Peers that take seconds to compile each case."""


@dataclass(frozen=True)
class Settings:
    """What is asked for."""

    suites: tuple[str, ...]
    peers: tuple[Peer, ...]
    threads: int = 1
    quick: bool = False
    size: Size = int


def chosen_peers(wanted: list[str], quick: bool) -> tuple[Peer, ...]:
    """Those that are asked for and installed; what is missing is said in one line. ValueError: no
    such peer."""
    if wanted == ["none"]:
        return ()
    asked = named(wanted) or tuple(p for p in PEERS if not (quick and p.name in NOT_QUICK))
    missing = [p.name for p in asked if not p.installed]
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
    return tuple(p for p in asked if p.installed)


def run(settings: Settings, json: Path | None = None, picture: Path | None = None) -> int:
    """Run, print, and write what is asked for, be it interrupted; exit status 1: a target is
    missed, or Weft failed."""
    progress = report.Progress(sys.stderr)
    progress.case("measuring the machine's limits")
    made = start(settings)
    progress.clear()
    print(report.head(made))
    try:
        for longer in _grown(made, settings, progress):
            made = longer
    except KeyboardInterrupt:
        progress.clear()
        print("\ninterrupted: this is what was measured")
    print(report.end(made))
    if json is not None:
        records.write(made, json)
    if picture is not None:
        plot.draw(made, picture)
    failed = any("weft" in row.unable for row in made.rows)
    return int(failed or not all(v.holds for v in report.all_verdicts(made)))


def _grown(made: Run, settings: Settings, progress: report.Progress) -> Iterator[Run]:
    """A run with one more row each time, which is printed."""
    names = [p.name for p in settings.peers]
    for number, suite in enumerate(settings.suites, 1):
        progress.suite(suite, number, len(settings.suites))
        print(report.columns(suite, names), flush=True)
        for row in rows(settings, suite, progress):
            made = replace(made, rows=(*made.rows, row))
            progress.clear()
            print(report.row(made, row, names), flush=True)
            yield made
        for line in report.suite_end(made, suite):
            print(line)


def start(settings: Settings) -> Run:
    """A run of no rows so far."""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    rounds = 3 if settings.quick else 7
    found = limits.measure(settings.threads, limits.SIZES, rounds)
    return Run(date, settings.threads, settings.quick, machine.describe(), found, ())


def rows(settings: Settings, suite: str, progress: report.Progress) -> Iterator[Row]:
    """The rows of a suite, one by one."""
    effort = measure.QUICK if settings.quick else measure.FULL
    with ExitStack() as stack:
        apart: Workers | None = None
        if settings.threads > 1:
            apart = stack.enter_context(workers(settings.size))
        for index, whole in enumerate(suites.cases(suite, settings.size)):
            if settings.quick and not whole.quick:
                continue
            case = among(whole, settings.peers)
            contestants = apart.contestants(suite, index, case) if apart else measure.here(case)
            yield measure.measure(
                suite,
                case,
                contestants,
                effort,
                lambda text, case=case: progress.case(f"{suite}: {case.name}: {text}"),
            )


def among(case: Case, peers: tuple[Peer, ...]) -> Case:
    """A case for Weft and some peers."""
    names = {p.name for p in peers}
    kept = {n: m for n, m in case.makers.items() if n.startswith("weft") or n in names}
    return replace(case, makers=kept)
