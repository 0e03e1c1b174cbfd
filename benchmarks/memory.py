"""The memory that a training step takes at its peak, with and without that of its arguments, and
that of gradients which compute again instead of keeping."""

from __future__ import annotations

import gc
from time import perf_counter
from typing import Any

import numpy as np

import weft as wf
from weft import demo
from weftrt import array

FEATURES, BATCH = 8000, 64
LAYERS, ROWS, WIDTH = 24, 256, 128


def run() -> bool:
    """Print the peaks; whether donation saves what parameters and moments take, and checkpoints
    what layers compute."""
    return all([_donation(), _checkpoints()])


def _donation() -> bool:
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


def _checkpoints() -> bool:
    rng = np.random.default_rng(0)
    shapes = (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)
    weights = [
        tuple(wf.asarray((rng.standard_normal(s) / 32).astype(np.float32)) for s in shapes)
        for _ in range(LAYERS)
    ]
    x = wf.asarray(rng.standard_normal((ROWS, WIDTH)).astype(np.float32))
    print(f"\nmemory: the gradient of {LAYERS} layers of {WIDTH}-{4 * WIDTH}-{WIDTH}, {ROWS} rows")
    found = {policy: _held(policy, weights, x) for policy in ("everything", "dots", "nothing")}
    for policy, (size, seconds) in found.items():
        print(f"  keeping {policy:<16}{_mb(size):>10}   {seconds * 1e3:.0f} ms")
    holds = found["nothing"][0] <= 0.2 * found["everything"][0]
    print(f"  goal for nothing: <= 20 %: {'holds' if holds else 'MISSED'}")
    return holds


def _held(policy: str, weights: Any, x: Any) -> tuple[int, float]:
    """The bytes between kernels, and the seconds that a gradient takes."""

    @wf.checkpoint(policy=policy)
    def layer(x: Any, w: Any, v: Any) -> Any:
        centred = x - wf.mean(x, axis=1, keepdims=True)
        return x + wf.nn.gelu(centred @ w) @ v

    def loss(weights: Any, x: Any) -> Any:
        for w, v in weights:
            x = layer(x, w, v)
        return wf.sum(x * x)

    gradient, times = wf.jit(wf.grad(loss)), []
    for _ in range(6):
        start = perf_counter()
        gradient(weights, x)
        times.append(perf_counter() - start)
    return gradient.lower(weights, x)._stages.memory.arena, min(times)


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
