"""A run as a picture: by what factor peers take longer, and a roofline."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.records import Row, Run

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000")


def missing() -> str:
    """What to do, where there is nothing to draw with."""
    return "" if find_spec("matplotlib") else "a plot needs matplotlib: pip install matplotlib"


def draw(run: Run, path: Path) -> None:
    """Write a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in run.rows if row.of("weft") is not None and row.peers]
    height = max(4.0, 0.19 * sum(len(row.peers) + 1 for row in rows) + 1)
    figure = Figure(figsize=(15, height), layout="constrained")
    FigureCanvasAgg(figure)
    bars, roofline = figure.subplots(1, 2, width_ratios=(3, 2))
    _bars(bars, rows)
    _roofline(roofline, run)
    figure.suptitle(f"{run.machine.cpu}, {run.threads} thread(s), {run.date}")
    figure.savefig(path, dpi=100)


def _bars(axes: Any, rows: list[Row]) -> None:
    """A group of bars for each row, one for each peer, on a logarithmic scale around 1."""
    names = list(dict.fromkeys(m.name for row in rows for m in row.peers))
    place, ticks = 0.0, []
    for row in rows:
        ticks.append(place + (len(row.peers) - 1) / 2)
        for measurement in row.peers:
            ratio = row.ratio(measurement.name) or 1.0
            colour = COLOURS[names.index(measurement.name) % len(COLOURS)]
            axes.barh(place, ratio - 1, left=1, height=0.9, color=colour)
            place += 1
        place += 1
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="time over Weft's (right of 1: Weft is faster)")
    axes.set_yticks(ticks, [f"{row.suite}: {row.case}" for row in rows], fontsize=7)
    axes.set_ylim(place, -1)
    for number, name in enumerate(names):
        axes.barh(0, 0, color=COLOURS[number % len(COLOURS)], label=name)
    axes.legend(loc="lower right", fontsize=8)


def _roofline(axes: Any, run: Run) -> None:
    """FLOP/s by FLOP a byte, below what memory and multiply-adds leave; and shares of the limit of
    rows that only move memory, at the left."""
    peak, copy = run.limits.fma["float32"] / 1e9, run.limits.copy[max(run.limits.copy)] / 1e9
    ends = (0.1, peak / copy, 1000.0)
    axes.plot(ends, [min(peak, copy * end) for end in ends], color="black", label="limit, float32")
    for row in run.rows:
        ours = row.of("weft")
        if ours is None or not row.flops or row.dtype != "float32":
            continue
        intensity = row.flops / (row.reads + row.writes)
        rate = row.flops / ours.median / 1e9
        axes.plot(intensity, rate, "o", color=COLOURS[0], markersize=4)
        axes.annotate(row.case, (intensity, rate), fontsize=6, xytext=(3, -3),
                      textcoords="offset points")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="FLOP a byte", ylabel="GFLOP/s")
    axes.legend(fontsize=8)
