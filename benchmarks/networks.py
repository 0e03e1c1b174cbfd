"""Networks whose first call is timed, written once for Weft and its peers.

`python -m benchmarks.networks LIBRARY JOB` prints the seconds of the first call of a job in this
process: tracing or capturing, compiling, and one run.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

WIDTH, HEADS, LENGTH, BATCH = 128, 4, 64, 2
LAYERS = {"block step": 1, "12 layers": 12, "48 layers": 48, "48 layers by scan": 48}

Parameters = dict[str, Any]
Run = Callable[[], Any]


def block_parameters(rng: np.random.Generator) -> Parameters:
    """One pre-norm transformer block."""

    def matrix(rows: int, columns: int) -> Any:
        return rng.normal(0, 0.02, (rows, columns)).astype(np.float32)

    square = {name: matrix(WIDTH, WIDTH) for name in ("query", "key", "value", "out")}
    rows = {name: np.ones(WIDTH, np.float32) for name in ("scale1", "scale2", "shift1", "shift2")}
    wide = {"up": matrix(WIDTH, 4 * WIDTH), "down": matrix(4 * WIDTH, WIDTH)}
    return {**square, **rows, **wide}


def mlp_parameters(rng: np.random.Generator) -> Parameters:
    """A perceptron of two layers."""
    w1, w2 = rng.normal(0, 0.05, (784, 128)), rng.normal(0, 0.05, (128, 10))
    weights = {"w1": w1, "b1": np.zeros(128), "w2": w2, "b2": np.zeros(10)}
    return {name: value.astype(np.float32) for name, value in weights.items()}


def mlp_loss(xp: Any, p: Parameters, x: Any, target: Any) -> Any:
    """Cross-entropy of a perceptron against one-hot targets."""
    hidden = xp.maximum(x @ p["w1"] + p["b1"], 0 * p["b1"])
    z = hidden @ p["w2"] + p["b2"]
    z = z - xp.max(z, axis=-1, keepdims=True)
    total = xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))
    return -xp.mean(xp.sum((z - total) * target, axis=-1))


def blocks_loss(xp: Any, layers: list[Parameters], x: Any, target: Any) -> Any:
    """Squared error of a stack of transformer blocks."""
    for p in layers:
        x = block(xp, p, x)
    return xp.mean((x - target) * (x - target))


def scanned_loss(xp: Any, layers: Parameters, x: Any, target: Any) -> Any:
    """The same of layers whose parameters are stacked; `xp` has a scan."""
    x, _ = xp.scan(lambda x, p: (block(xp, p, x), ()), x, layers)
    return xp.mean((x - target) * (x - target))


def block(xp: Any, p: Parameters, x: Any) -> Any:
    """Attention and a feed-forward network, each behind a normalization and beside a residual."""
    h = normalized(xp, x, p["scale1"], p["shift1"])
    q, k, v = (heads(xp, h @ p[name]) for name in ("query", "key", "value"))
    scores = q @ xp.permute_dims(k, (0, 1, 3, 2)) * (WIDTH // HEADS) ** -0.5
    e = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    mixed = (e / xp.sum(e, axis=-1, keepdims=True)) @ v
    x = x + xp.reshape(xp.permute_dims(mixed, (0, 2, 1, 3)), (BATCH, LENGTH, WIDTH)) @ p["out"]
    h = normalized(xp, x, p["scale2"], p["shift2"]) @ p["up"]
    gelu = 0.5 * h * (1 + xp.tanh(0.79788456 * (h + 0.044715 * h * h * h)))
    return x + gelu @ p["down"]


def normalized(xp: Any, x: Any, scale: Any, shift: Any) -> Any:
    """Layer normalization of the last axis."""
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    variance = xp.mean(centred * centred, axis=-1, keepdims=True)
    return centred / xp.sqrt(variance + 1e-5) * scale + shift


def heads(xp: Any, x: Any) -> Any:
    """(batch, length, width) -> (batch, heads, length, width of a head)."""
    split = xp.reshape(x, (BATCH, LENGTH, HEADS, WIDTH // HEADS))
    return xp.permute_dims(split, (0, 2, 1, 3))


def adam(xp: Any, map_: Any, value_and_grad: Any, loss: Any) -> Any:
    """A training step: gradients and Adam (Kingma and Ba, 2015)."""

    def step(p: Any, first: Any, second: Any, count: Any, x: Any, target: Any) -> Any:
        value, gradients = value_and_grad(loss)(p, x, target)
        count = count + 1.0
        rate1, rate2 = 1 - 0.9**count, 1 - 0.999**count
        first = map_(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = map_(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)

        def moved(p: Any, m: Any, v: Any) -> Any:
            return p - 1e-3 * (m / rate1) / (xp.sqrt(v / rate2) + 1e-8)

        return map_(moved, p, first, second), first, second, count, value

    return step


def data(job: str) -> tuple[Any, Any, Any, Any]:
    """The loss of a job, its parameters, input and target."""
    rng = np.random.default_rng(0)
    if job == "mlp step":
        target = np.eye(10, dtype=np.float32)[rng.integers(0, 10, 64)]
        return mlp_loss, mlp_parameters(rng), rng.random((64, 784), np.float32), target
    layers = [block_parameters(rng) for _ in range(LAYERS[job])]
    x = rng.standard_normal((BATCH, LENGTH, WIDTH), np.float32)
    if job.endswith("scan"):
        stacked = {name: np.stack([layer[name] for layer in layers]) for name in layers[0]}
        return scanned_loss, stacked, x, np.zeros_like(x)
    return blocks_loss, layers, x, np.zeros_like(x)


def functional(job: str, xp: Any, array: Any, map_: Any, transform: Any, jit: Any) -> Run:
    """The first call of a job in a library of function transformations."""
    loss, parameters, *inputs = data(job)
    p, x, target = map_(array, parameters), *map(array, inputs)

    def own_loss(p: Any, x: Any, target: Any) -> Any:
        return loss(xp, p, x, target)

    if not job.endswith("step"):
        function = jit(transform(own_loss))
        return lambda: function(p, x, target)
    zeros = map_(lambda a: array(np.zeros(a.shape, np.float32)), p)
    step = jit(adam(xp, map_, transform, own_loss))
    return lambda: step(p, zeros, zeros, array(np.float32(0)), x, target)


def with_weft(job: str) -> Run:
    import weft as wf

    wf.ones((1,))  # the native runtime is loaded
    return functional(job, wf, wf.asarray, wf.tree.map, wf.value_and_grad, wf.jit)


def with_jax(job: str) -> Run:
    import jax

    class Names:
        """JAX's functions of arrays, and its scan."""

        scan = staticmethod(jax.lax.scan)

        def __getattr__(self, name: str) -> Any:
            return getattr(jax.numpy, name)

    tree, jnp = jax.tree_util.tree_map, jax.numpy
    run = functional(job, Names(), jnp.asarray, tree, jax.value_and_grad, jax.jit)
    return lambda: jax.block_until_ready(run())


def with_torch(job: str) -> Run:
    """Loss and gradients only: the optimizer of torch is not compiled with them."""
    import torch

    class Names:
        """The functions of torch by NumPy's names."""

        permute_dims = staticmethod(torch.permute)
        max = staticmethod(torch.amax)

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

    loss, parameters, *inputs = data(job)
    x, target = map(torch.tensor, inputs)
    layers = [parameters] if isinstance(parameters, dict) else parameters
    own = [{k: torch.tensor(v, requires_grad=True) for k, v in layer.items()} for layer in layers]
    compiled = torch.compile(lambda p, x, target: loss(Names(), p, x, target))
    given = own[0] if isinstance(parameters, dict) else own
    return lambda: compiled(given, x, target).backward()


LIBRARIES = {"weft": with_weft, "jax.jit": with_jax, "torch.compile": with_torch}

if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # compilers use more than one core
    run = LIBRARIES[sys.argv[1]](sys.argv[2])
    start = time.perf_counter()
    run()
    print(time.perf_counter() - start)
