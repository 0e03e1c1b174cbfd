"""What got slower, or larger, between two runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.records import Row, Run
from benchmarks.text import figure

TOLERANCE = 0.05


@dataclass(frozen=True)
class Change:
    """A row in two runs."""

    before: Row
    after: Row
    ours: float
    """By what factor Weft's figure grew."""
    machine: float
    """By what factor those of its peers did, in the middle: the machine, or what shared it."""
    noise: float
    """The spreads of both."""

    @property
    def net(self) -> float:
        """By what factor Weft's grew beside theirs."""
        return self.ours / self.machine


def changes(before: Run, after: Run) -> Iterator[Change]:
    """Of the rows that both runs have."""
    rows = {(row.suite, row.case): row for row in before.rows}
    for row in after.rows:
        old = rows.get((row.suite, row.case))
        if old is not None and (change := _change(old, row)) is not None:
            yield change


def _change(before: Row, after: Row) -> Change | None:
    old, new = before.of("weft"), after.of("weft")
    if old is None or new is None or not old.median:
        return None
    theirs = [
        now.median / then.median
        for then in before.peers
        if (now := after.of(then.name)) is not None and then.median
    ]
    return Change(
        before, after, new.median / old.median, median(theirs or [1.0]), old.spread + new.spread
    )


def slower(found: list[Change], tolerance: float = TOLERANCE) -> list[Change]:
    """Those where Weft's figure grew more than its peers', beyond the tolerance and the spread;
    the worst first."""
    grown = [c for c in found if c.net > 1 + max(tolerance, c.noise)]
    return sorted(grown, key=lambda c: -c.net)


def faster(found: list[Change], tolerance: float = TOLERANCE) -> list[Change]:
    """Those where it shrank so; the best first."""
    shrunk = [c for c in found if c.net < 1 / (1 + max(tolerance, c.noise))]
    return sorted(shrunk, key=lambda c: c.net)


def report(before: Run, after: Run, tolerance: float = TOLERANCE) -> str:
    """Both lists in words."""
    return "\n".join(_lines(before, after, tolerance))


def _lines(before: Run, after: Run, tolerance: float) -> Iterator[str]:
    if (before.machine.cpu, before.threads) != (after.machine.cpu, after.threads):
        yield (
            f"other machines or threads: {before.machine.cpu}, {before.threads}, then "
            f"{after.machine.cpu}, {after.threads}; only what changed beside the peers counts"
        )
    found = list(changes(before, after))
    grown, shrunk = slower(found, tolerance), faster(found, tolerance)
    for title, group in (("slower", grown), ("faster", shrunk)):
        yield f"{len(group)} of {len(found)} rows {title}"
        yield from map(_line, group)
    lost = [row for row in after.rows if "weft" in row.unable]
    for row in lost:
        yield f"FAILED now: {row.suite}: {row.case}: {row.unable['weft']}"


def _line(change: Change) -> str:
    old, new = change.before.of("weft"), change.after.of("weft")
    assert old is not None and new is not None
    unit = change.after.unit
    return (
        f"  {change.net:5.2f}x  {change.after.suite}: {change.after.case}: "
        f"{figure(old.median, unit)} -> {figure(new.median, unit)}, peers {change.machine:.2f}x"
    )
