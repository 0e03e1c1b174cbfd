"""Networks that are trained, written once for Weft and its peers by benchmarks.names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.records import Size

Parameters = Any
"""Dicts, lists and tuples of arrays."""


@dataclass(frozen=True)
class Network:
    """Parameters from a random generator, a loss of (parameters, x, target), and batches."""

    parameters: Callable[[np.random.Generator], Parameters]
    loss: Callable[[Any], Callable[[Parameters, Any, Any], Any]]
    batch: Callable[[np.random.Generator], tuple[Any, Any]]


def _matrix(rng: np.random.Generator, rows: int, columns: int) -> Any:
    return (rng.standard_normal((rows, columns)) / rows**0.5).astype(np.float32)


def perceptron(widths: tuple[int, ...], batch: int) -> Network:
    """Layers with ReLU between; cross-entropy against one-hot targets of random classes."""

    def parameters(rng: np.random.Generator) -> Parameters:
        return [(_matrix(rng, m, n), np.zeros(n, np.float32)) for m, n in pairwise(widths)]

    def loss(xp: Any) -> Callable[..., Any]:
        def run(p: Parameters, x: Any, target: Any) -> Any:
            for weights, bias in p[:-1]:
                x = xp.nn.relu(x @ weights + bias)
            z = x @ p[-1][0] + p[-1][1]
            return -xp.mean(xp.sum(xp.nn.log_softmax(z) * target, axis=-1))

        return run

    def draw(rng: np.random.Generator) -> tuple[Any, Any]:
        x = rng.random((batch, widths[0]), dtype=np.float32)
        labels = rng.integers(0, widths[-1], batch)
        return x, np.eye(widths[-1], dtype=np.float32)[labels]

    return Network(parameters, loss, draw)


@dataclass(frozen=True)
class Shape:
    """Of a transformer's input, and its heads."""

    batch: int
    length: int
    width: int
    heads: int


def transformer(shape: Shape, layers: int = 1, stacked: bool = False) -> Network:
    """Blocks with causal attention, normalized first; squared error. `stacked`: the layers'
    parameters lie in one array each, and a scan goes over them."""

    def parameters(rng: np.random.Generator) -> Parameters:
        made = [_block_parameters(rng, shape.width) for _ in range(layers)]
        if stacked:
            return {name: np.stack([p[name] for p in made]) for name in made[0]}
        return made

    def loss(xp: Any) -> Callable[..., Any]:
        def run(p: Parameters, x: Any, target: Any) -> Any:
            if stacked:
                x, _ = xp.scan(lambda x, p: (_block(xp, shape, p, x), ()), x, p)
            else:
                for layer in p:
                    x = _block(xp, shape, layer, x)
            return xp.mean((x - target) * (x - target))

        return run

    def draw(rng: np.random.Generator) -> tuple[Any, Any]:
        x = rng.standard_normal((shape.batch, shape.length, shape.width), np.float32)
        return x, np.zeros_like(x)

    return Network(parameters, loss, draw)


def _block_parameters(rng: np.random.Generator, width: int) -> Parameters:
    square = {name: _matrix(rng, width, width) for name in ("query", "key", "value", "out")}
    rows = {name: np.ones(width, np.float32) for name in ("scale1", "scale2")}
    rows |= {name: np.zeros(width, np.float32) for name in ("shift1", "shift2")}
    wide = {"up": _matrix(rng, width, 4 * width), "down": _matrix(rng, 4 * width, width)}
    return {**square, **rows, **wide}


def _block(xp: Any, shape: Shape, p: Parameters, x: Any) -> Any:
    """Attention and a feed-forward network, each behind a normalization and beside a residual."""
    h = xp.nn.layer_norm(x, p["scale1"], p["shift1"])
    q, k, v = (_heads(xp, shape, h @ p[name]) for name in ("query", "key", "value"))
    places = xp.arange(shape.length)
    mixed = xp.nn.attention(q, k, v, places[:, None] >= places[None, :])
    x = x + xp.reshape(xp.permute_dims(mixed, (0, 2, 1, 3)), x.shape) @ p["out"]
    h = xp.nn.layer_norm(x, p["scale2"], p["shift2"]) @ p["up"]
    return x + xp.nn.gelu(h) @ p["down"]


def _heads(xp: Any, shape: Shape, x: Any) -> Any:
    """(batch, length, width) -> (batch, heads, length, width of a head)."""
    split = (shape.batch, shape.length, shape.heads, shape.width // shape.heads)
    return xp.permute_dims(xp.reshape(x, split), (0, 2, 1, 3))


def trained(size: Size = int) -> dict[str, Network]:
    """Those whose training steps are timed."""
    s = size
    block = Shape(size(8), size(128), size(256), 4)
    return {
        "MLP 784-128-10, batch 64": perceptron((s(784), s(128), s(10)), s(64)),
        "MLP 784-512-256-10, batch 128": perceptron((s(784), s(512), s(256), s(10)), s(128)),
        "MLP 6x512, batch 256": perceptron((s(512),) * 7, s(256)),
        "MLP 4x64, batch 32": perceptron((s(64),) * 5, s(32)),
        "transformer block, batch 8, 128x256": transformer(block),
    }


_SMALL = partial(transformer, Shape(2, 64, 128, 4))

COMPILED: dict[str, Callable[[], Network]] = {
    "MLP step": lambda: perceptron((784, 128, 10), 64),
    "transformer block step": lambda: _SMALL(1),
    "12 layers": lambda: _SMALL(12),
    "48 layers": lambda: _SMALL(48),
    "48 layers by scan": lambda: _SMALL(48, stacked=True),
}
"""Those whose first calls are timed: of a training step, else of the value and its gradient."""
