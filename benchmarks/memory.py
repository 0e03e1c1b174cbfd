"""The memory that a training step takes at its peak, with and without that of its arguments."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

import weft as wf
from weft import demo
from weftrt import array

FEATURES, BATCH = 8000, 64


def run() -> bool:
    """Print the peaks; whether donation saves what parameters and moments take."""
    step = demo.train_step.__wrapped__
    names = ("parameters", "first", "second")
    plain, _ = _peak(wf.jit(step))
    donating, state = _peak(wf.jit(step, donate_argnames=names))
    print(
        f"\nmemory: a step of Adam, MLP {FEATURES}-128-10, of parameters and moments {_mb(state)}"
    )
    print(f"  {'at its peak':<24}{_mb(plain):>10}")
    print(f"  {'the same, donating':<24}{_mb(donating):>10}")
    holds = plain - donating >= 0.95 * state
    print(f"  saved: {_mb(plain - donating)}, goal >= 95 % of {_mb(state)}: ", end="")
    print("holds" if holds else "MISSED")
    return holds


def _peak(step: Any) -> tuple[int, int]:
    """The bytes that arrays take at most while a step runs, without those of earlier suites, and
    those of parameters and moments."""
    gc.collect()
    before = array.pool_stats()["used_bytes"]
    rng = np.random.default_rng(0)
    parameters = demo.initial_parameters(FEATURES, rng)
    moments = [{name: np.zeros(p.shape, "f4") for name, p in parameters.items()} for _ in range(2)]
    state = [wf.tree.map(wf.asarray, part) for part in (parameters, *moments)]
    count = wf.asarray(np.float32(0))
    x = wf.asarray(rng.random((BATCH, FEATURES), dtype=np.float32))
    labels = wf.asarray(rng.integers(0, 10, BATCH))
    for _ in range(3):
        array.limit_pool(0)  # nothing is held that was used before
        array.limit_pool(1 << 30)
        *state, count, _ = step(*state, count, x, labels)
    stats = array.pool_stats()
    peak = stats["used_bytes"] + stats["held_bytes"] - before
    return peak, sum(p.nbytes for p in wf.tree.leaves(state))


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
