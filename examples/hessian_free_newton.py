"""Newton's method without a Hessian: its products with vectors are pushes of the linearized
gradient, and conjugate gradients, a loop inside of the program, need no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import weft as wf

COUNT, FEATURES, PENALTY, STEPS = 400, 30, 1e-2, 8


def data(seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Points, and labels of 0 or 1 that a plane tells apart, but for some noise."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((COUNT, FEATURES)) * np.linspace(0.2, 2, FEATURES)
    return x, (x @ rng.standard_normal(FEATURES) + rng.standard_normal(COUNT) > 0).astype(float)


def loss(w: Any, x: Any, y: Any) -> Any:
    """Logistic regression with a penalty on the weights."""
    z = x @ w
    both = wf.stack([z, wf.zeros_like(z)])
    return wf.mean(wf.logsumexp(both, axis=0) - y * z) + PENALTY * wf.sum(w * w)


def conjugate_gradients(product: Callable[[Any], Any], b: Any) -> Any:
    """The x with product(x) = b, for a product with a positive definite matrix."""

    def goes_on(state: Any) -> Any:
        _, _, _, rest, turns = state
        return (rest > 1e-24 * wf.sum(b * b)) & (turns < 4 * FEATURES)

    def turn(state: Any) -> Any:
        x, residual, direction, rest, turns = state
        image = product(direction)
        step = rest / wf.sum(direction * image)
        x, residual = x + step * direction, residual - step * image
        now = wf.sum(residual * residual)
        return x, residual, residual + now / rest * direction, now, turns + 1

    start = wf.zeros_like(b), b, b, wf.sum(b * b), 0
    return wf.while_loop(goes_on, turn, start)[0]


@wf.jit
def newton(w: Any, x: Any, y: Any) -> Any:
    """One step, and the gradient's norm before it."""
    gradient, push = wf.linearize(wf.grad(lambda w: loss(w, x, y)), w)
    return w - conjugate_gradients(push, gradient), wf.sqrt(wf.sum(gradient * gradient))


def expected(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same minimum by NumPy, from formulas for the gradient and the Hessian."""
    w = np.zeros(FEATURES)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = (x.T * (p * (1 - p))) @ x / COUNT + 2 * PENALTY * np.eye(FEATURES)
        w = w - np.linalg.solve(hessian, x.T @ (p - y) / COUNT + 2 * PENALTY * w)
    return w


def main() -> None:
    """Minimize, and compare."""
    x, y = data()
    w: Any = wf.zeros(FEATURES, dtype=wf.float64)
    for number in range(STEPS):
        w, norm = newton(w, x, y)
        print(f"step {number}  gradient {float(norm):.1e}")
    difference = np.abs(np.asarray(w) - expected(x, y)).max()
    print("as NumPy's" if difference < 1e-9 else f"off by {difference:.1e}")


if __name__ == "__main__":
    main()
