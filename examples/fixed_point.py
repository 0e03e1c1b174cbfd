"""The gradient of a fixed point, by the implicit function theorem: a loop of an unknown number of
turns has none, but x = f(a, x) has one, dx = (df/da) da + (df/dx) dx. What the way back solves is
such an equation again, for the transpose of df/dx."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import weft as wf

SIZE, TOLERANCE = 12, 1e-13


def repeated(f: Callable[[Any], Any], start: Any) -> Any:
    """f(f(... start)), until nothing changes any more."""

    def goes_on(state: Any) -> Any:
        before, now, turns = state
        return (wf.max(wf.abs(now - before)) > TOLERANCE) & (turns < 1000)

    def turn(state: Any) -> Any:
        _, now, turns = state
        return now, f(now), turns + 1

    return wf.while_loop(goes_on, turn, (start, f(start), 0))[1]


@partial(wf.custom_vjp, nondiff_argnums=0)
def fixed_point(f: Callable[[Any, Any], Any], a: Any, start: Any) -> Any:
    """The x with x = f(a, x) that is reached from `start`, on which it does not depend."""
    return repeated(lambda x: f(a, x), start)


def forward(f: Callable[[Any, Any], Any], a: Any, start: Any) -> Any:
    """The fixed point, and what the way back starts from."""
    x = fixed_point(f, a, start)
    return x, (a, x)


def backward(f: Callable[[Any, Any], Any], kept: Any, g: Any) -> Any:
    """u = g + u df/dx is a fixed point too, with a gradient of its own; the gradient is u df/da."""

    def adjoint(given: Any, u: Any) -> Any:
        a, x, g = given
        return g + wf.vjp(lambda x: f(a, x), x)[1](u)[0]

    a, x = kept
    u = fixed_point(adjoint, (a, x, g), g)
    return wf.vjp(lambda a: f(a, x), a)[1](u)[0], None


fixed_point.defvjp(forward, backward)


def step(a: Any, x: Any) -> Any:
    """A layer of which the outputs are the inputs."""
    return wf.tanh(a["w"] @ x + a["b"])


@wf.jit
def loss(a: Any, target: Any) -> Any:
    """How far the state in which such a network comes to rest is from a target."""
    return wf.sum((fixed_point(step, a, wf.zeros_like(target)) - target) ** 2)


def expected(w: Any, b: Any, target: Any) -> tuple[Any, Any]:
    """The same gradient by NumPy, which solves the equations."""
    x = np.zeros(SIZE)
    for _ in range(1000):
        x = np.tanh(w @ x + b)
    slope = 1 - x * x
    u = np.linalg.solve((np.eye(SIZE) - slope[:, None] * w).T, 2 * (x - target))
    return np.outer(u * slope, x), u * slope


def main() -> None:
    """Compare, and learn parameters that come to rest at a target."""
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((SIZE, SIZE)) / (2 * SIZE**0.5), rng.standard_normal(SIZE)
    target = np.tanh(rng.standard_normal(SIZE))
    gradient = wf.jit(wf.grad(loss))
    found, wanted = gradient({"w": w, "b": b}, target), expected(w, b, target)
    np.testing.assert_allclose(found["w"], wanted[0], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found["b"], wanted[1], rtol=1e-9, atol=1e-11)
    print("the gradient of the fixed point is as NumPy's, which solves for it")
    a = {"w": wf.asarray(w), "b": wf.asarray(b)}
    for _ in range(60):
        a = wf.tree.map(lambda p, g: p - 0.3 * g, a, gradient(a, target))
    print(f"loss {float(loss({'w': w, 'b': b}, target)):.3f} -> {float(loss(a, target)):.6f}")
    second = wf.grad(lambda s: wf.sum(wf.grad(loss)({"w": s * w, "b": b}, target)["b"]))(1.0)
    ends = [expected(s * w, b, target)[1].sum() for s in (1 + 1e-6, 1 - 1e-6)]
    np.testing.assert_allclose(second, (ends[0] - ends[1]) / 2e-6, rtol=1e-4)
    print("and so is the gradient of its gradient")


if __name__ == "__main__":
    main()
