"""What is measured and what came of it: plain data, which is what a run's JSON holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
"""Of the JSON; a reader refuses others."""

Size = Callable[[int], int]
"""What a suite's sizes go through: `int` leaves them, tests make them small."""

Work = Callable[[], Any]
"""Does a job once and returns its result: arrays, or nests of them."""


@dataclass(frozen=True)
class Case:
    """One job and those who do it. `makers` prepare it (compile, convert, hold the arguments), by
    contestant: a peer's name, or one that begins with "weft"; "weft" itself is what all are
    compared with."""

    name: str
    makers: Mapping[str, Callable[[], Work]]
    expected: Callable[[], Any] | None = None
    """The result in float64; None where nothing is to be compared."""
    unchecked: frozenset[str] = frozenset()
    """Contestants that do something else, which is shown beside."""
    tolerance: float = 1e-5
    """Of every result, relative to its largest element."""
    flops: float = 0
    reads: float = 0
    writes: float = 0
    """What the job has to compute, and what bytes to read and to write, at the least: they give
    the least time that the machine's limits leave. 0 where that says nothing."""
    dtype: str = "float32"
    """What it computes in."""
    unit: str = "s"
    figure: bool = False
    """Whether a run gives the figure itself (bytes, or seconds of a process of its own), in
    `unit`. Otherwise runs are timed."""
    seconds: float = 0.5
    """Roughly how long each contestant is timed."""
    quick: bool = False
    """Whether a quick run has it too."""


@dataclass(frozen=True)
class Measurement:
    """A contestant's median in a case, and the quartiles around it."""

    name: str
    median: float
    low: float
    high: float
    rounds: int

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, relative to the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


@dataclass(frozen=True)
class Limits:
    """What this machine can do at most, on as many threads as the run has: multiply-adds in
    FLOP/s, and copying and reading in bytes/s by how many bytes are touched."""

    fma: Mapping[str, float]
    copy: Mapping[int, float]
    read: Mapping[int, float]

    def seconds(self, row: Row) -> float:
        """The least time that a row can take; 0 where its case says nothing of its work."""
        table = self.copy if row.writes else self.read
        moved = row.reads + row.writes
        enough = [size for size in sorted(table) if size >= moved] or [max(table)]
        computing = row.flops / self.fma[row.dtype] if row.flops else 0.0
        return max(computing, moved / table[enough[0]])


@dataclass(frozen=True)
class Machine:
    """Where a run took place."""

    cpu: str
    cores: int
    features: tuple[str, ...]
    vector_bits: int
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int
    memory_bytes: int
    system: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """A case as measured."""

    suite: str
    case: str
    measurements: tuple[Measurement, ...]
    unable: Mapping[str, str] = field(default_factory=dict)
    """Those who could not do it, or did it wrong, and what they said."""
    unit: str = "s"
    flops: float = 0
    reads: float = 0
    writes: float = 0
    dtype: str = "float32"

    def of(self, name: str) -> Measurement | None:
        """A contestant's measurement."""
        return next((m for m in self.measurements if m.name == name), None)

    @property
    def peers(self) -> tuple[Measurement, ...]:
        """All but Weft and its variants."""
        return tuple(m for m in self.measurements if not m.name.startswith("weft"))

    @property
    def best(self) -> Measurement | None:
        """The best peer."""
        return min(self.peers, key=lambda m: m.median, default=None)

    def ratio(self, name: str) -> float | None:
        """A contestant's figure over Weft's: above 1, Weft is better."""
        ours, theirs = self.of("weft"), self.of(name)
        if ours is None or theirs is None or not ours.median:
            return None
        return theirs.median / ours.median


@dataclass(frozen=True)
class Run:
    """A run of the benchmarks."""

    date: str
    threads: int
    quick: bool
    machine: Machine
    limits: Limits
    rows: tuple[Row, ...]

    def share(self, row: Row) -> float | None:
        """How much of the machine's limit Weft reaches in a row."""
        ours, least = row.of("weft"), self.limits.seconds(row)
        return least / ours.median if ours is not None and least else None


def write(run: Run, path: Path) -> None:
    """Write a run as JSON."""
    path.write_text(json.dumps({"format": FORMAT, **asdict(run)}, indent=1) + "\n")


def read(path: Path) -> Run:
    """A run from JSON. ValueError: the file is none, or of another format."""
    try:
        found = json.loads(path.read_text())
        number = found.pop("format")
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"{path}: no run of these benchmarks") from error
    if number != FORMAT:
        raise ValueError(f"{path}: format {number}, and this reads format {FORMAT}")
    machine = found["machine"] | {"features": tuple(found["machine"]["features"])}
    limits = found["limits"]
    for kind in ("copy", "read"):
        limits[kind] = {int(size): rate for size, rate in limits[kind].items()}
    rows = tuple(_rows(found["rows"]))
    return Run(**found | {"machine": Machine(**machine), "limits": Limits(**limits), "rows": rows})


def _rows(found: list[dict[str, Any]]) -> Iterator[Row]:
    for row in found:
        yield Row(**row | {"measurements": tuple(Measurement(**m) for m in row["measurements"])})
