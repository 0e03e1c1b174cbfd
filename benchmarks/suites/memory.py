"""The memory that training steps take at their peak, donated and not, and that of gradients which
compute again instead of keeping."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import weft as wf
from benchmarks import networks, processes, steps
from benchmarks.records import Case, Size, Work
from weft import demo
from weftrt import array

FEATURES, BATCH = 8000, 64
LAYERS, ROWS, WIDTH = 24, 256, 128
KEPT = {"weft": "nothing", "weft keeping dots": "dots", "weft keeping all": "everything"}
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""So that what libraries free by malloc is the system's again and does not count."""


def cases(size: Size) -> Iterator[Case]:
    """Peaks of processes; those of Weft's own arrays; buffers between kernels, and the time."""
    for name in networks.trained():
        makers = {library: partial(_process, library, name) for library in steps.LIBRARIES}
        yield Case(f"peak of a step of {name}", makers, unit="B", figure=True)
    features = size(FEATURES)
    makers = {
        "weft": partial(_peak, features, ("parameters", "first", "second")),
        "weft undonated": partial(_peak, features, ()),
    }
    name = f"peak of a step of Adam, MLP {features}-128-10"
    yield Case(name, makers, unit="B", figure=True, quick=True)
    layers, rows, width = size(LAYERS), size(ROWS), size(WIDTH)
    makers = {who: partial(_held, policy, layers, rows, width) for who, policy in KEPT.items()}
    text = f"gradient of {layers} layers {width}-{4 * width}-{width}, {rows} rows"
    yield Case(f"between kernels: {text}", makers, unit="B", figure=True)
    makers = {who: partial(_timed, policy, layers, rows, width) for who, policy in KEPT.items()}
    yield Case(f"time: {text}", makers)


def _process(library: str, name: str) -> Work:
    return lambda: processes.ours("peak", library, name, **ALLOCATOR)


def _peak(features: int, donated: tuple[str, ...]) -> Work:
    """The bytes that arrays take at most while a step runs, without those of earlier suites."""
    step = wf.jit(demo.train_step.__wrapped__, donate_argnames=donated)

    def run() -> float:
        gc.collect()
        before = array.pool_stats()["used_bytes"]
        rng = np.random.default_rng(0)
        parameters = demo.initial_parameters(features, rng)
        moments = [{k: np.zeros(p.shape, "f4") for k, p in parameters.items()} for _ in range(2)]
        state = [wf.tree.map(wf.asarray, part) for part in (parameters, *moments)]
        del parameters, moments
        count = wf.asarray(np.float32(0))
        x = wf.asarray(rng.random((BATCH, features), dtype=np.float32))
        labels = wf.asarray(rng.integers(0, 10, BATCH))
        for _ in range(3):
            array.limit_pool(0)  # nothing is held that was used before
            array.limit_pool(1 << 30)
            *state, count, _ = step(*state, count, x, labels)
        stats = array.pool_stats()
        return float(stats["used_bytes"] + stats["held_bytes"] - before)

    return run


def _gradient(policy: str, layers: int, rows: int, width: int) -> tuple[Any, Any, Any]:
    """The gradient of a stack of layers that keep what a policy says, and its arguments."""

    @wf.checkpoint(policy=policy)
    def layer(x: Any, w: Any, v: Any) -> Any:
        centred = x - wf.mean(x, axis=1, keepdims=True)
        return x + wf.nn.gelu(centred @ w) @ v

    def loss(weights: Any, x: Any) -> Any:
        for w, v in weights:
            x = layer(x, w, v)
        return wf.sum(x * x)

    rng = np.random.default_rng(0)

    def drawn(shape: tuple[int, ...]) -> Any:
        return wf.asarray((rng.standard_normal(shape) / 32).astype(np.float32))

    weights = [(drawn((width, 4 * width)), drawn((4 * width, width))) for _ in range(layers)]
    return wf.jit(wf.grad(loss)), weights, drawn((rows, width))


def _held(policy: str, layers: int, rows: int, width: int) -> Work:
    gradient, weights, x = _gradient(policy, layers, rows, width)
    return lambda: gradient.lower(weights, x)._stages.memory.arena


def _timed(policy: str, layers: int, rows: int, width: int) -> Work:
    gradient, weights, x = _gradient(policy, layers, rows, width)
    return lambda: gradient(weights, x)
