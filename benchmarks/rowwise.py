"""Softmax, layer normalization, a large sum, and running sums along rows, columns and one row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case

ROWS, COLUMNS = 4096, 1024


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    centred = x - x.mean(axis=1, keepdims=True)
    variance = (centred * centred).mean(axis=1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * scale + shift


def cases() -> Iterator[Case]:
    """Row-wise chains, each one kernel in Weft."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, COLUMNS), dtype=np.float32)
    scale, shift = (rng.standard_normal(COLUMNS, dtype=np.float32) for _ in range(2))
    yield _softmax_case(x)
    yield _layer_norm_case(x, scale, shift)
    yield _sum_case(rng.standard_normal(1 << 24, dtype=np.float32))
    yield _running_case(x, 1)
    yield _running_case(x, 0)
    yield _running_case(x.reshape(-1, 4), 0)
    yield _running_case(x.reshape(-1), 0)


def _softmax_case(x: Any) -> Case:
    compiled, ours = wf.jit(wf.nn.softmax), wf.asarray(x)
    runs: dict[str, Any] = {"weft": lambda: compiled(ours), "numpy": lambda: _softmax(x)}
    if (jax := peers.load("jax")) is not None:
        theirs, jitted = jax.numpy.asarray(x), jax.jit(jax.nn.softmax)
        runs["jax.jit"] = lambda: jitted(theirs).block_until_ready()
    if (torch := peers.load("torch")) is not None:
        tensor = torch.from_numpy(x)
        runs["torch eager"] = lambda: torch.softmax(tensor, 1)
    name = f"softmax {ROWS}x{COLUMNS} float32"
    return Case(name, runs, _softmax(x.astype("d")), 1e-5, {"jax.jit": 1.5}, x.nbytes * 2, "B")


def _layer_norm_case(x: Any, scale: Any, shift: Any) -> Case:
    compiled = wf.jit(wf.nn.layer_norm)
    ours = tuple(map(wf.asarray, (x, scale, shift)))
    runs: dict[str, Any] = {
        "weft": lambda: compiled(*ours),
        "numpy": lambda: _layer_norm(x, scale, shift),
    }
    if (jax := peers.load("jax")) is not None:
        jnp = jax.numpy

        def theirs(x: Any, scale: Any, shift: Any) -> Any:
            centred = x - x.mean(1, keepdims=True)
            variance = (centred * centred).mean(1, keepdims=True)
            return centred * jax.lax.rsqrt(variance + 1e-5) * scale + shift

        arguments, jitted = tuple(map(jnp.asarray, (x, scale, shift))), jax.jit(theirs)
        runs["jax.jit"] = lambda: jitted(*arguments).block_until_ready()
    if (torch := peers.load("torch")) is not None:
        t, s, b = map(torch.from_numpy, (x, scale, shift))
        runs["torch eager"] = lambda: torch.nn.functional.layer_norm(t, (COLUMNS,), s, b)
    expected = _layer_norm(*(a.astype("d") for a in (x, scale, shift)))
    name = f"layer_norm {ROWS}x{COLUMNS} float32"
    return Case(name, runs, expected, 1e-5, {"jax.jit": 1.5}, x.nbytes * 2, "B")


def _sum_case(x: Any) -> Case:
    compiled, ours = wf.jit(wf.sum), wf.asarray(x)
    runs: dict[str, Any] = {"weft": lambda: compiled(ours), "numpy": lambda: x.sum()}
    if (jax := peers.load("jax")) is not None:
        theirs, jitted = jax.numpy.asarray(x), jax.jit(jax.numpy.sum)
        runs["jax.jit"] = lambda: jitted(theirs).block_until_ready()
    if (torch := peers.load("torch")) is not None:
        tensor = torch.from_numpy(x)
        runs["torch eager"] = lambda: tensor.sum()
    return Case("sum of 16M float32", runs, None, 1e-3, {}, x.nbytes, "B")


def _running_case(x: Any, axis: int) -> Case:
    compiled, ours = wf.jit(lambda x: wf.cumsum(x, axis)), wf.asarray(x)
    runs: dict[str, Any] = {
        "weft": lambda: compiled(ours),
        "numpy": lambda: np.cumsum(x, axis),
    }
    if (jax := peers.load("jax")) is not None:
        theirs, jitted = jax.numpy.asarray(x), jax.jit(lambda x: jax.numpy.cumsum(x, axis))
        runs["jax.jit"] = lambda: jitted(theirs).block_until_ready()
    if (torch := peers.load("torch")) is not None:
        tensor = torch.from_numpy(x)
        runs["torch eager"] = lambda: torch.cumsum(tensor, axis)
    shape = "x".join(map(str, x.shape))
    expected = np.cumsum(x.astype("d"), axis)
    goals = {"numpy": 1.0, "jax.jit": 1.0}
    return Case(f"cumsum {shape} axis {axis}", runs, expected, 1e-4, goals, x.nbytes * 2, "B")
