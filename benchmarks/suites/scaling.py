"""One job at many sizes, and beside one thread where the run has more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.jobs import Written, case
from benchmarks.peers import WEFT, Job
from benchmarks.records import Case, Size, Work
from benchmarks.suites.gemm import product
from benchmarks.suites.pointwise import chain
from weftrt.cpu.threads import set_threads

ELEMENTS = tuple(1 << k for k in range(8, 25, 4))
SQUARES = (64, 128, 256, 512, 1024)
ROWS = (16, 256, 4096)


def _softmax(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.nn.softmax(x)


def cases(size: Size) -> Iterator[Case]:
    """The 20-op chain, softmax and square products."""
    rng = np.random.default_rng(0)
    for count in map(size, ELEMENTS):
        arrays = [rng.standard_normal(count, dtype=np.float32) for _ in range(3)]
        yield _case(f"20-op chain {count}", chain, arrays, tolerance=2e-4)
    for rows in map(size, ROWS):
        x = rng.standard_normal((rows, size(1024)), dtype=np.float32)
        how = {"reads": x.nbytes, "writes": x.nbytes}
        yield _case(f"softmax {rows}x{size(1024)}", _softmax, [x], **how)
    for n in map(size, SQUARES):
        arrays = [rng.standard_normal((n, n), dtype=np.float32) for _ in range(2)]
        yield _case(f"matmul {n}x{n}x{n}", product, arrays, flops=2 * n**3, quick=n == 256)


def _case(name: str, function: Written, arrays: list[Any], **how: Any) -> Case:
    made = case(name, function, *arrays, seconds=0.3, **how)
    if peers.threads() == 1:
        return made
    alone = {"weft on one thread": partial(_on_one_thread, Job(function, tuple(arrays)))}
    return replace(made, makers={**made.makers, **alone})


def _on_one_thread(job: Job) -> Work:
    work = WEFT.prepare(job)

    def run() -> Any:
        set_threads(1)
        try:
            return work()
        finally:
            set_threads(peers.threads())

    return run
