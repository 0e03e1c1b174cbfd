"""A run as text: a line for each row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from benchmarks import targets
from benchmarks.records import Machine, Row, Run
from benchmarks.targets import Verdict
from benchmarks.text import figure

SHORT = {"torch eager": "torch", "torch.compile": "compiled", "onnxruntime": "onnx"}
CASE, COLUMN = 46, 9


def head(run: Run) -> str:
    """The machine, and what its limits are."""
    machine, limits = run.machine, run.limits
    lines = [
        _described(machine),
        ", ".join(f"{name} {number}" for name, number in machine.versions.items()),
        f"{run.threads} thread{'s' * (run.threads > 1)}{', quick' * run.quick}; at most "
        f"{limits.fma['float32'] / 1e9:.0f} GFLOP/s in float32, "
        f"{limits.fma['float64'] / 1e9:.0f} in float64; "
        f"GB/s by MB touched: copying {_rates(limits.copy)}; reading {_rates(limits.read)}",
        "medians; limit: the share of what the machine can do; the factors are times over Weft's "
        "(above 1: Weft is faster)",
    ]
    return "\n".join(lines)


def _described(machine: Machine) -> str:
    sizes = ", ".join(
        f"L{level} {size >> 10} KiB"
        for level, size in enumerate((machine.l1_bytes, machine.l2_bytes, machine.l3_bytes), 1)
        if size
    )
    return (
        f"{machine.cpu}; {machine.cores} cores, vectors of {machine.vector_bits} bits, {sizes}, "
        f"{figure(machine.memory_bytes, 'B')} of memory; {machine.system}"
    )


def _rates(table: Mapping[int, float]) -> str:
    return ", ".join(f"{size / 1e6:.1f}: {rate / 1e9:.0f}" for size, rate in table.items())


def columns(suite: str, peers: Iterable[str]) -> str:
    """The line above a suite's rows."""
    names = "".join(f"{SHORT.get(peer, peer):>{COLUMN}}" for peer in peers)
    return f"\n{suite:{CASE}}{'weft':>{COLUMN}}{'spread':>{COLUMN}}{'limit':>{COLUMN}}{names}"


def row(run: Run, row: Row, peers: Iterable[str]) -> str:
    """A row's line, one for variants and what is beside it, and those of its targets."""
    return "\n".join(_lines(run, row, tuple(peers)))


def _lines(run: Run, row: Row, peers: tuple[str, ...]) -> Iterator[str]:
    ours = row.of("weft")
    if ours is None:
        yield f"  {row.case:{CASE - 2}} FAILED: {row.unable.get('weft', 'was not run')}"
        return
    share = run.share(row)
    cells = [
        figure(ours.median, row.unit),
        f"{ours.spread:.0%}",
        "-" if share is None else f"{share:.0%}",
        *(_factor(row, peer) for peer in peers),
    ]
    yield f"  {row.case:{CASE - 2}}" + "".join(f"{cell:>{COLUMN}}" for cell in cells)
    others = [m.name for m in row.measurements if m.name.startswith("weft ")]
    if others:
        yield "      " + ", ".join(f"{name[5:]} {_factor(row, name)}" for name in others)
    for peer in peers:
        if row.unable.get(peer, "").startswith("is wrong"):
            yield f"      {peer} {row.unable[peer]}"
    for verdict in targets.verdicts(run, row):
        yield verdict_text(verdict)


def _factor(row: Row, name: str) -> str:
    ratio = row.ratio(name)
    return "-" if ratio is None else f"{ratio:.2f}x"


def verdict_text(verdict: Verdict) -> str:
    """A target's line."""
    state = "held" if verdict.holds else "MISSED"
    return f"      target {verdict.text}: {state} ({verdict.value:.3g})"


def suite_end(run: Run, suite: str) -> Iterator[str]:
    """The lines below a suite's rows."""
    yield from map(verdict_text, targets.together(run, suite))


def whole(run: Run) -> str:
    """All of a run."""
    peers = list(dict.fromkeys(m.name for found in run.rows for m in found.peers))
    lines = [head(run)]
    for suite in dict.fromkeys(found.suite for found in run.rows):
        lines.append(columns(suite, peers))
        lines += [row(run, found, peers) for found in run.rows if found.suite == suite]
        lines += suite_end(run, suite)
    return "\n".join([*lines, end(run)])


def end(run: Run) -> str:
    """How many targets were held."""
    found = list(all_verdicts(run))
    missed = sum(not verdict.holds for verdict in found)
    return f"\n{len(found)} targets: {len(found) - missed} held, {missed} missed"


def all_verdicts(run: Run) -> Iterator[Verdict]:
    """Of every row, and of rows together."""
    for found in run.rows:
        yield from targets.verdicts(run, found)
    for suite in dict.fromkeys(found.suite for found in run.rows):
        yield from targets.together(run, suite)


class Progress:
    """What is being done, on standard error: in one line of a terminal that changes, else a line
    for each suite."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._changes = stream, stream.isatty()

    def suite(self, name: str, number: int, count: int) -> None:
        """A suite begins."""
        if not self._changes:
            print(f"[{number}/{count}] {name}", file=self._stream, flush=True)

    def case(self, text: str) -> None:
        """A step of a case."""
        if self._changes:
            print(f"\r\x1b[K{text[:100]}", end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Before a line is printed."""
        if self._changes:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
