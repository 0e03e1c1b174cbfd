"""Functions made of functions: maps beside what one writes by hand, gradients of each example."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import names
from benchmarks.jobs import Written, case, exact
from benchmarks.records import Case, Size

ROWS, WIDTH, DEPTH = 256, 256, 512
EXAMPLES, SIZES = 64, (784, 128, 10)
POINTS, PARAMETERS = 1000, 100
AMONG = ("jax.jit",)


def cases(size: Size) -> Iterator[Case]:
    """Mapped products, gradients of an MLP for each example, and a Hessian."""
    rng = np.random.default_rng(0)
    rows, width, depth = size(ROWS), size(WIDTH), size(DEPTH)
    w, xs = rng.standard_normal((width, depth)), rng.standard_normal((rows, depth))
    yield _mapped("vmap of w @ x", lambda w, x: w @ x, lambda xp: lambda w, xs: xs @ w.T, w, xs)
    w, xs = rng.standard_normal((depth, width)), rng.standard_normal((rows, 16, depth))
    yield _mapped("vmap of x @ w", lambda w, x: x @ w, lambda xp: lambda w, xs: xs @ w, w, xs)
    yield _gradients(rng, size(EXAMPLES), tuple(map(size, SIZES)))
    yield _curvature(rng, size(POINTS), size(PARAMETERS))


def _mapped(name: str, one: Any, by_hand: Written, w: Any, xs: Any) -> Case:
    """The columns of `xs` become a matrix: one product, as one writes it by hand."""
    arrays = w.astype(np.float32), xs.astype(np.float32)
    return case(
        f"{name}, {len(xs)} rows",
        lambda xp: xp.vmap(one, in_axes=(None, 0)),
        *arrays,
        variants={"weft by hand": by_hand},
        expected=partial(exact, by_hand, arrays),
        among=AMONG,
        quick=name.endswith("w @ x"),
    )


def _gradients(rng: np.random.Generator, examples: int, sizes: tuple[int, ...]) -> Case:
    def layer(rows: int, columns: int) -> Any:
        weights = rng.standard_normal((rows, columns), dtype=np.float32)
        return weights / np.float32(rows**0.5), np.zeros(columns, np.float32)

    layers = [layer(*pair) for pair in pairwise(sizes)]
    x = rng.standard_normal((examples, sizes[0]), dtype=np.float32)
    labels = rng.integers(0, sizes[-1], examples)
    return _derived(
        f"gradients of an MLP {'-'.join(map(str, sizes))} for {examples} examples",
        lambda xp: xp.vmap(xp.grad(_example_loss(xp)), in_axes=(None, 0, 0)),
        (layers, x, labels),
    )


def _example_loss(xp: Any) -> Callable[..., Any]:
    def loss(layers: Any, x: Any, label: Any) -> Any:
        for weights, bias in layers[:-1]:
            x = xp.maximum(x @ weights + bias, 0)
        logits = x @ layers[-1][0] + layers[-1][1]
        return xp.logsumexp(logits) - logits[label]

    return loss


def _curvature(rng: np.random.Generator, points: int, parameters: int) -> Case:
    """The Hessian of a logistic regression."""
    w = rng.standard_normal(parameters, dtype=np.float32) / 10
    x = rng.standard_normal((points, parameters), dtype=np.float32)
    y = rng.choice(np.array([-1, 1], np.float32), points)
    return _derived(
        f"hessian of a logistic regression: {parameters} parameters, {points} points",
        lambda xp: xp.hessian(lambda w, x, y: xp.mean(xp.log1p(xp.exp(-y * (x @ w))))),
        (w, x, y),
    )


def _derived(name: str, function: Written, arrays: Any) -> Case:
    expected = partial(exact, function, arrays, names.weft())
    return case(name, function, *arrays, among=AMONG, expected=expected, tolerance=1e-4)
