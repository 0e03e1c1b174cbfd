"""Matrix products and a fused linear layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case

SQUARES = (256, 512, 1024, 2048)
LINEAR = ((64, 784, 256), (512, 512, 512))


def cases() -> Iterator[Case]:
    """Square products, then gelu(x @ w + b)."""
    rng = np.random.default_rng(0)
    for n in SQUARES:
        a, b = (rng.standard_normal((n, n), dtype=np.float32) for _ in range(2))
        yield _product(f"matmul {n}x{n}x{n} float32", a, b)
    for m, k, n in LINEAR:
        x = rng.standard_normal((m, k), dtype=np.float32)
        w = rng.standard_normal((k, n), dtype=np.float32) / np.float32(np.sqrt(k))
        yield _linear(
            f"gelu(x @ w + b) {m}x{k}x{n}", x, w, rng.standard_normal(n, dtype=np.float32)
        )


def _product(name: str, a: Any, b: Any) -> Case:
    compiled, ours = wf.jit(wf.matmul), (wf.asarray(a), wf.asarray(b))
    runs: dict[str, Any] = {"weft": lambda: compiled(*ours), "numpy": lambda: a @ b}
    if (jax := peers.load("jax")) is not None:
        jitted, theirs = jax.jit(jax.numpy.matmul), (jax.numpy.asarray(a), jax.numpy.asarray(b))
        runs["jax.jit"] = lambda: jitted(*theirs).block_until_ready()
    if (torch := peers.load("torch")) is not None:
        tensors = torch.from_numpy(a), torch.from_numpy(b)
        runs["torch eager"] = lambda: torch.mm(*tensors)
    m, k = a.shape
    expected = a.astype("d") @ b
    return Case(name, runs, expected, 1e-5, {"numpy": 0.8}, 2 * m * k * b.shape[1], "FLOP")


def _linear(name: str, x: Any, w: Any, b: Any) -> Case:
    compiled = wf.jit(lambda x, w, b: wf.nn.gelu(x @ w + b, approximate=True))
    ours = tuple(map(wf.asarray, (x, w, b)))
    runs: dict[str, Any] = {"weft": lambda: compiled(*ours), "numpy": lambda: _gelu(x @ w + b)}
    if (jax := peers.load("jax")) is not None:
        jitted = jax.jit(lambda x, w, b: jax.nn.gelu(x @ w + b))
        theirs = tuple(map(jax.numpy.asarray, (x, w, b)))
        runs["jax.jit"] = lambda: jitted(*theirs).block_until_ready()
    if (torch := peers.load("torch")) is not None:
        t = tuple(map(torch.from_numpy, (x, w, b)))
        gelu = torch.nn.functional.gelu
        runs["torch eager"] = lambda: gelu(torch.addmm(t[2], t[0], t[1]), approximate="tanh")
    expected = _gelu(x.astype("d") @ w + b)
    return Case(name, runs, expected, 1e-5, {}, 2 * x.size * w.shape[1], "FLOP")


def _gelu(z: Any) -> Any:
    return 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)))
