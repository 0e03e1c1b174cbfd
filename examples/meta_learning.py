"""Learning to learn: parameters from which one step of gradient descent fits a new sine curve (Finn
et al., "Model-Agnostic Meta-Learning", 2017). The outer gradient goes through the inner one, a
gradient of a gradient, for many tasks at once by `vmap`."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft as wf

HIDDEN, POINTS, TASKS, RATE, STEPS = 24, 10, 16, 0.05, 300


def start(rng: np.random.Generator) -> Any:
    """Parameters of a network with one hidden layer."""
    return {
        "a": rng.standard_normal((1, HIDDEN)),
        "b": rng.standard_normal(HIDDEN),
        "c": rng.standard_normal((HIDDEN, 1)) / HIDDEN**0.5,
    }


def tasks(rng: np.random.Generator, count: int) -> Any:
    """Points of sine curves, to adapt to and to be judged by: x, y, x, y for each."""
    size, shift = rng.uniform(0.5, 2, (count, 1, 1)), rng.uniform(0, np.pi, (count, 1, 1))
    xs = [rng.uniform(-3, 3, (count, POINTS, 1)) for _ in range(2)]
    (x, u), (y, v) = xs, [size * np.sin(x + shift) for x in xs]
    return x, y, u, v


def error(p: Any, x: Any, y: Any) -> Any:
    """The mean squared error of the network on some points."""
    return wf.mean((wf.tanh(x @ p["a"] + p["b"]) @ p["c"] - y) ** 2)


def adapted_error(p: Any, x: Any, y: Any, u: Any, v: Any) -> Any:
    """The error on (u, v) after a step downhill on (x, y)."""
    gradient = wf.grad(error)(p, x, y)
    return error(wf.tree.map(lambda p, g: p - RATE * g, p, gradient), u, v)


@wf.jit
def outer(p: Any, x: Any, y: Any, u: Any, v: Any) -> Any:
    """The mean over tasks."""
    return wf.mean(wf.vmap(adapted_error, in_axes=(None, 0, 0, 0, 0))(p, x, y, u, v))


def by_hand(p: Any, x: Any, y: Any, u: Any, v: Any) -> Any:
    """The outer gradient by NumPy: g'(q) - RATE * H(p) g'(q) at q = p - RATE * g(p), for one task,
    where H is the Jacobian of the inner gradient, by differences in the direction of g'(q)."""
    inner = gradient_by_hand(p, x, y)
    outside = gradient_by_hand({k: p[k] - RATE * inner[k] for k in p}, u, v)
    size = 1e-5 / np.sqrt(sum((g * g).sum() for g in outside.values()))
    ends = [gradient_by_hand({k: p[k] + s * outside[k] for k in p}, x, y) for s in (size, -size)]
    curved = {k: (ends[0][k] - ends[1][k]) / (2 * size) for k in p}
    return {k: outside[k] - RATE * curved[k] for k in p}


def gradient_by_hand(p: Any, x: Any, y: Any) -> Any:
    """That of the error, by the chain rule."""
    h = np.tanh(x @ p["a"] + p["b"])
    g = 2 * (h @ p["c"] - y) / len(x)
    inside = (g @ p["c"].T) * (1 - h * h)
    return {"a": x.T @ inside, "b": inside.sum(0), "c": h.T @ g}


def main() -> None:
    """Compare the gradient with one by hand; learn; adapt to new curves."""
    rng = np.random.default_rng(0)
    p, step = start(rng), wf.jit(wf.value_and_grad(outer))
    some = tasks(rng, TASKS)
    _, found = step(p, *some)
    each = [by_hand(p, *(part[k] for part in some)) for k in range(TASKS)]
    for name in p:
        wanted = np.mean([task[name] for task in each], axis=0)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-7)
    print("the gradient through a gradient is as NumPy's, written by hand")
    new, before = tasks(rng, 100), p
    moments = wf.tree.map(np.zeros_like, p)
    for _ in range(STEPS):
        _, gradient = step(p, *tasks(rng, TASKS))
        moments = wf.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments, gradient)
        p = wf.tree.map(lambda p, m: p - 0.05 * m, p, moments)
    first, last = float(outer(before, *new)), float(outer(p, *new))
    print(f"error on new curves after one step: {first:.2f} -> {last:.2f}")
    assert last < 0.5 * first


if __name__ == "__main__":
    main()
