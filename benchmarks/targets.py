"""What Weft is to reach, as data, and whether a run held it.

Those of ratios are for medians of one run, of float32 where nothing else is said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from benchmarks.records import Row, Run
from benchmarks.text import figure

BEST = "best peer"


class Goal(Protocol):
    """A condition on a row."""

    def value(self, run: Run, row: Row) -> float | None:
        """What it is about; None where the run does not tell."""

    def holds(self, value: float) -> bool:
        """Whether that is enough."""

    def text(self, row: Row) -> str:
        """In words."""


@dataclass(frozen=True)
class Faster:
    """A contestant takes so many times as long."""

    least: float
    than: str = BEST

    def value(self, run: Run, row: Row) -> float | None:
        """The contestant's figure over Weft's."""
        best = row.best
        name = self.than if self.than != BEST else (best.name if best else "")
        return row.ratio(name)

    def holds(self, value: float) -> bool:
        """Whether that is enough."""
        return value >= self.least

    def text(self, row: Row) -> str:
        """In words."""
        return f">= {self.least:g}x {self.than}"


@dataclass(frozen=True)
class Near:
    """Weft reaches such a share of the machine's limit."""

    share: float

    def value(self, run: Run, row: Row) -> float | None:
        """The share."""
        return run.share(row)

    def holds(self, value: float) -> bool:
        """Whether that is enough."""
        return value >= self.share

    def text(self, row: Row) -> str:
        """In words."""
        return f">= {self.share:.0%} of the limit"


@dataclass(frozen=True)
class Within:
    """A contestant's figure is at most so much."""

    most: float
    of: str = "weft"

    def value(self, run: Run, row: Row) -> float | None:
        """The figure."""
        found = row.of(self.of)
        return found.median if found is not None else None

    def holds(self, value: float) -> bool:
        """Whether that is enough."""
        return value <= self.most

    def text(self, row: Row) -> str:
        """In words."""
        whose = "" if self.of == "weft" else f" {self.of}"
        return f"<= {figure(self.most, row.unit)}{whose}"


@dataclass(frozen=True)
class Target:
    """A goal of every row of a suite whose case matches."""

    suite: str
    cases: str
    """A regular expression for the whole name."""
    goal: Goal
    threads: int = 1
    together: bool = False
    """Whether it is the geometric mean over the rows that has to hold."""

    def of(self, run: Run, row: Row) -> bool:
        """Whether it is about this row."""
        same = self.threads == run.threads and self.suite == row.suite
        return same and re.fullmatch(self.cases, row.case) is not None


@dataclass(frozen=True)
class Verdict:
    """A target in a run: of one row, or of several together."""

    text: str
    value: float
    holds: bool


_SQUARE = r"matmul ({0})x\1x\1( float64)?"
_SQUARES = rf"{_SQUARE.format('128|256|384|512|1000|1024|2048')}|a\.T @ .*|a @ b\.T.*"
_BLOCK = "transformer block.*"

TARGETS = (
    Target("gemm", _SQUARES, Faster(1.05), together=True),
    Target("gemm", _SQUARES, Faster(0.97)),
    Target("gemm", _SQUARE.format("512|1000|1024|2048"), Near(0.92)),
    Target("gemm", _SQUARE.format("256|512|1024"), Faster(1.0, "numpy"), threads=2),
    Target("gemm", "matmul (8x1024x1024|32x1024x4096|1x1024x1024|17x1031x513)", Faster(1.0)),
    Target("gemm", "matmul 4096x4096x16", Faster(1.1)),
    Target("gemm", _SQUARE.format("8|16"), Faster(5.0)),
    Target("gemm", _SQUARE.format("32"), Faster(2.5)),
    Target("gemm", "matmul (32x64x64x64|64x128x32x128)", Faster(1.1)),
    Target("gemm", r"relu\(.*", Faster(1.05)),
    Target("gemm", r"gelu\(.* 512x512x512", Faster(1.05), threads=2),
    Target("gemm", r"gelu\(.* 8x1024x1024", Faster(1.0)),
    Target("gemm", r"gelu\(.* 64x784x256", Faster(1.05)),
    Target("conv", r"(\dx\d|depthwise|relu).*|(max|avg) pool.*", Faster(1.05)),
    Target("conv", "gradients of .*", Faster(1.2, "torch eager")),
    Target("reductions", "(sum|max|mean) .* axis [01]", Faster(1.05)),
    Target("reductions", "(sum|max|mean) 4096x4096 axis 0|sum 64x.*", Near(0.9)),
    Target("reductions", "(sum|mean|var|max) .* all|var .*", Faster(1.0)),
    Target("reductions", "min, max and sum .*", Faster(1 / 1.1, "weft sum alone")),
    Target("reductions", "argmax .*", Faster(1.0)),
    Target("pointwise", "sin.*", Faster(1.5, "numpy")),
    Target("pointwise", "20-op chain .*", Faster(3.0, "numpy")),
    Target("pointwise", "20-op chain .*", Faster(1.0, "jax.jit")),
    Target("rowwise", "(softmax|log_softmax|layer_norm|rms_norm) .*", Faster(1.5, "jax.jit")),
    Target("rowwise", "(softmax|log_softmax|layer_norm|rms_norm) .*", Faster(1.1)),
    Target("indexing", "(concat|pad|roll|five|transpose|float32|embedding \\d).*", Faster(1.3)),
    Target("indexing", "(concat|pad|roll|transpose|float32) .*", Near(0.9)),
    Target("indexing", "(gather|scatter-add|embedding gradient|cumsum) .*", Faster(1.0)),
    Target("sorting", ".*", Faster(1.0, "jax.jit")),
    Target("training", "step of MLP 784-128-10.*", Faster(2.0)),
    Target("training", "step of MLP 784-512.*", Faster(1.15)),
    Target("training", "step of MLP 6x512.*", Faster(1.1)),
    Target("training", "step of MLP 4x64.*", Faster(3.0)),
    Target("training", f"step of {_BLOCK}", Faster(1.4)),
    Target("memory", "peak of a step of (MLP|transformer).*", Faster(1.0)),
    Target("memory", "peak of a step of Adam.*", Faster(2.0, "weft undonated")),
    Target("memory", "between kernels.*", Faster(5.0, "weft keeping all")),
    Target("compile", "first call: 20-op chain", Within(0.030)),
    Target("compile", "first call: 20-op chain", Within(0.005, "weft from disk")),
    Target("compile", "first call: MLP step", Within(0.080)),
    Target("compile", "first call: MLP step", Within(0.005, "weft from disk")),
    Target("compile", f"first call: {_BLOCK}", Within(0.250)),
    Target("compile", f"first call: {_BLOCK}", Within(0.010, "weft from disk")),
    Target("compile", "first call: 12 layers", Within(0.700)),
    Target("compile", "first call: 12 layers", Within(0.030, "weft from disk")),
    Target("compile", "first call: 48 layers.*", Within(0.810)),
    Target("startup", "import", Within(0.200)),
    Target("startup", "import and the first array", Within(0.400, "weft cache off")),
    Target("calls", "call: (two arrays.*|a closed.*)", Within(1e-6)),
    Target("calls", "call: .* of 2 arrays", Within(0.5e-6)),
    Target("calls", "call: .* of 200 arrays", Within(6e-6)),
    Target("control", "1,000,000 turns of an empty loop", Within(20e-3)),
    Target("control", "(Newton|tanh|Mandelbrot|cond|scan).*", Faster(1.0, "jax.jit")),
    Target("control", "gradient of the scan.*", Faster(3.0, "jax.jit")),
    Target("transforms", "vmap.*", Faster(0.95, "weft by hand")),
    Target("transforms", "gradients of an MLP.*", Faster(1.5, "jax.jit")),
    Target("transforms", "hessian.*", Faster(2.0, "jax.jit")),
    Target("linalg", "(cholesky|solve|eigh).*", Faster(0.95, "scipy")),
    Target("linalg", "likelihood.*", Faster(1.2, "jax.jit")),
    Target("fft", ".*", Faster(0.95, "scipy")),
    Target("symbolic", "any size.*", Faster(0.9, "weft fixed")),
)


def verdicts(run: Run, row: Row) -> Iterator[Verdict]:
    """Of the targets of a row."""
    for target in TARGETS:
        if target.of(run, row) and not target.together:
            value = target.goal.value(run, row)
            if value is not None:
                yield Verdict(target.goal.text(row), value, target.goal.holds(value))


def together(run: Run, suite: str) -> Iterator[Verdict]:
    """Of the targets that several rows of a suite have together."""
    for target in TARGETS:
        rows = [row for row in run.rows if target.of(run, row)]
        if target.together and target.suite == suite and rows:
            values = [v for row in rows if (v := target.goal.value(run, row)) is not None]
            if values:
                mean = math.exp(sum(map(math.log, values)) / len(values))
                text = f"geometric mean of {len(values)} {target.goal.text(rows[0])}"
                yield Verdict(text, mean, target.goal.holds(mean))
