"""Training steps: forward, backward and Adam."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks import networks, steps
from benchmarks.networks import Network
from benchmarks.records import Case, Size, Work

BATCHES = 16
CHECKED = 4
"""The first run takes so many steps, and gives the loss at the last: wrong gradients and wrong
updates show."""
STEPS = 512
"""Steps before a contestant starts over. Training on and on over the same few batches ends with
gradients so small that the job becomes one of denormal numbers."""


def cases(size: Size) -> Iterator[Case]:
    """Every run is one of the first STEPS steps, on the next batch."""
    for name, network in networks.trained(size).items():
        makers = {library: partial(_cycled, library, network) for library in steps.LIBRARIES}
        yield Case(
            f"step of {name}",
            makers,
            partial(_expected, network),
            tolerance=1e-3,
            seconds=1.5,
            quick=name.startswith("MLP 784-128"),
        )


def _batches(network: Network) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(steps.SEED + 1)
    return [network.batch(rng) for _ in range(BATCHES)]


def _expected(network: Network) -> Any:
    """The loss of Weft's step in float64."""
    step = steps.weft(network, np.float64)()
    wide = [tuple(a.astype(np.float64) for a in pair) for pair in _batches(network)[:CHECKED]]
    return [step(*pair) for pair in wide][-1]


def _cycled(library: str, network: Network) -> Work:
    start = steps.LIBRARIES[library](network)
    batches = [tuple(steps.converted(library, a) for a in pair) for pair in _batches(network)]
    count = 0
    step: Any = None

    def run() -> Any:
        nonlocal count, step
        if count % STEPS == 0:
            step = start()
        value = step(*batches[count % BATCHES])
        count += 1
        return value if count >= CHECKED else run()

    return run
