"""python -m benchmarks [SUITE ...] [--threads N] [--json FILE]"""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from benchmarks import peers

if TYPE_CHECKING:
    from benchmarks.harness import Case

SUITES = (
    "calls",
    "elementwise",
    "rowwise",
    "sorting",
    "fft",
    "matmul",
    "control",
    "training",
    "symbolic",
    "transforms",
    "linalg",
)

ALONE = ("memory", "startup")
"""Suites of other figures than times of cases."""


def main() -> int:
    """Run the suites; exit status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join((*SUITES, *ALONE)))
    parser.add_argument("--threads", type=int, default=1, help="for every library (default 1)")
    parser.add_argument("--json", metavar="FILE", help="also write the rows here")
    options = parser.parse_args()
    chosen = options.suites or [*SUITES, *ALONE]
    unknown = [s for s in chosen if s not in (*SUITES, *ALONE)]
    if unknown:
        parser.error(f"no suite {unknown[0]}; there are: {', '.join((*SUITES, *ALONE))}")
    peers.set_threads(options.threads)

    from benchmarks import harness

    print(f"{options.threads} thread(s); {peers.versions()}")
    print("medians; the factor is a contestant's time over Weft's (above 1: Weft is faster)")
    rows: list[harness.Row] = []
    holds = True
    for name in chosen:
        module = importlib.import_module(f"benchmarks.{name}")
        if name in ALONE:
            holds &= module.run()
            continue
        for case in module.cases():
            found = harness.measure(case if options.threads == 1 else without_goals(case))
            harness.show(found)
            rows += found
    if options.json:
        with open(options.json, "w") as file:
            json.dump([asdict(r) for r in rows], file, indent=1)
    missed = [r for r in rows if r.holds is False]
    print(f"\n{sum(r.holds is not None for r in rows)} goals in cases, {len(missed)} missed")
    return 0 if holds and not missed else 1


def without_goals(case: Case) -> Case:
    """The goals are for one thread: with more, the pools of several libraries spin against one
    another in one process, and a row says little about a library on its own."""
    return replace(case, goals={}, limit=None)


if __name__ == "__main__":
    raise SystemExit(main())
