"""Functions made of functions: maps beside what one writes by hand, gradients of each example."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case

ROWS, WIDTH, DEPTH = 256, 256, 512
EXAMPLES, SIZES = 64, (784, 128, 10)
POINTS, PARAMETERS = 1000, 100


def cases() -> Iterator[Case]:
    """Mapped products, gradients of an MLP for each example, and a Hessian."""
    rng = np.random.default_rng(0)
    yield _product(rng)
    yield _matrices(rng)
    yield _gradients(rng)
    yield _curvature(rng)


def _product(rng: np.random.Generator) -> Case:
    """The columns become a matrix: one product of matrices, as one writes it by hand."""
    w = rng.standard_normal((WIDTH, DEPTH), dtype=np.float32)
    xs = rng.standard_normal((ROWS, DEPTH), dtype=np.float32)
    return _case("vmap of w @ x", lambda w, x: w @ x, lambda w, xs: xs @ w.T, (None, 0), w, xs)


def _matrices(rng: np.random.Generator) -> Case:
    w = rng.standard_normal((DEPTH, WIDTH), dtype=np.float32)
    xs = rng.standard_normal((ROWS, 16, DEPTH), dtype=np.float32)
    return _case("vmap of x @ w", lambda w, x: x @ w, lambda w, xs: xs @ w, (None, 0), w, xs)


def _case(name: str, one: Any, by_hand: Any, axes: Any, *arrays: Any) -> Case:
    given = tuple(map(wf.asarray, arrays))
    mapped, written = wf.vmap(one, in_axes=axes), wf.jit(by_hand)
    runs: dict[str, Any] = {"weft": lambda: mapped(*given), "by hand": lambda: written(*given)}
    if (jax := peers.load("jax")) is not None:
        theirs = jax.jit(jax.vmap(one, in_axes=axes))
        moved = tuple(map(jax.numpy.asarray, arrays))
        runs["jax.jit"] = lambda: theirs(*moved).block_until_ready()
    expected, goals = np.asarray(by_hand(*arrays)), {"by hand": 0.95}
    return Case(f"{name}, {ROWS} rows", runs, expected, goals=goals, seconds=0.5)


def _gradients(rng: np.random.Generator) -> Case:
    layers = [
        (rng.standard_normal(pair, dtype=np.float32) / np.float32(pair[0] ** 0.5),
         np.zeros(pair[1], np.float32))
        for pair in pairwise(SIZES)
    ]  # fmt: skip
    x = rng.standard_normal((EXAMPLES, SIZES[0]), dtype=np.float32)
    labels = rng.integers(0, SIZES[-1], EXAMPLES)
    each = wf.vmap(wf.grad(lambda p, x, label: _loss(wf, wf, p, x, label)), in_axes=(None, 0, 0))
    given = wf.tree.map(wf.asarray, (layers, x, labels))
    runs: dict[str, Any] = {"weft": lambda: each(*given)[0][0]}
    if (jax := peers.load("jax")) is not None:
        special = jax.scipy.special
        loss = lambda p, x, label: _loss(jax.numpy, special, p, x, label)  # noqa: E731
        theirs = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0, 0)))
        moved = jax.tree_util.tree_map(jax.numpy.asarray, (layers, x, labels))
        runs["jax.jit"] = lambda: jax.block_until_ready(theirs(*moved))[0][0]
    text = "-".join(map(str, SIZES))
    return Case(f"gradients of an MLP {text} for {EXAMPLES} examples", runs,
                np.asarray(runs["weft"]()), goals={"jax.jit": 1.5})  # fmt: skip


def _loss(np_: Any, special: Any, layers: Any, x: Any, label: Any) -> Any:
    for weights, bias in layers[:-1]:
        x = np_.maximum(x @ weights + bias, 0)
    logits = x @ layers[-1][0] + layers[-1][1]
    return special.logsumexp(logits) - logits[label]


def _curvature(rng: np.random.Generator) -> Case:
    """The Hessian of a logistic regression."""
    w = rng.standard_normal(PARAMETERS, dtype=np.float32) / 10
    x = rng.standard_normal((POINTS, PARAMETERS), dtype=np.float32)
    y = rng.choice(np.array([-1, 1], np.float32), POINTS)
    hessian, given = wf.hessian(lambda w, x, y: _logistic(wf, w, x, y)), (w, x, y)
    ours = tuple(map(wf.asarray, given))
    runs: dict[str, Any] = {"weft": lambda: hessian(*ours)}
    if (jax := peers.load("jax")) is not None:
        theirs = jax.jit(jax.hessian(lambda w, x, y: _logistic(jax.numpy, w, x, y)))
        moved = tuple(map(jax.numpy.asarray, given))
        runs["jax.jit"] = lambda: theirs(*moved).block_until_ready()
    chance = 1 / (1 + np.exp(-(x @ w)))
    expected = (x.T * (chance * (1 - chance))) @ x / POINTS
    name = f"hessian of a logistic regression: {PARAMETERS} parameters, {POINTS} points"
    return Case(name, runs, expected, goals={"jax.jit": 2.0}, seconds=0.5)


def _logistic(np_: Any, w: Any, x: Any, y: Any) -> Any:
    return np_.mean(np_.log1p(np_.exp(-y * (x @ w))))
