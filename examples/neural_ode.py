"""Gradients of differential equations in constant memory: dy/dt = f(y, w), solved by steps of Runge
and Kutta in a scan. Backpropagation keeps every step; the adjoint equation, solved back in time as
a rule of `custom_vjp`, keeps the end (Chen et al., "Neural Ordinary Differential Equations",
2018)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import weft as wf

Field = Callable[[Any, Any], Any]
STEPS, SIZE = 64, 4


def runge_kutta(derivative: Callable[[Any], Any], y: Any, duration: float) -> Any:
    """y after a duration, in steps of fourth order; y is a tree."""
    h = duration / STEPS

    def moved(y: Any, slope: Any, by: float) -> Any:
        return wf.tree.map(lambda a, b: a + by * b, y, slope)

    def step(y: Any, _: Any) -> Any:
        k1 = derivative(y)
        k2 = derivative(moved(y, k1, h / 2))
        k3 = derivative(moved(y, k2, h / 2))
        k4 = derivative(moved(y, k3, h))
        slope = wf.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
        return moved(y, slope, h), None

    return wf.scan(step, y, length=STEPS)[0]


def by_steps(f: Field, duration: float, y: Any, w: Any) -> Any:
    """The solution, through which gradients go step by step."""
    return runge_kutta(lambda y: f(y, w), y, duration)


@partial(wf.custom_vjp, nondiff_argnums=(0, 1))
def solve(f: Field, duration: float, y: Any, w: Any) -> Any:
    """The solution, whose gradient solves the adjoint equation."""
    return by_steps(f, duration, y, w)


def forward(f: Field, duration: float, y: Any, w: Any) -> Any:
    """The end is all that the way back needs: it goes through the states again."""
    end = solve(f, duration, y, w)
    return end, (end, w)


def backward(f: Field, duration: float, kept: Any, g: Any) -> Any:
    """Back in time: the state y, its cotangent a with da/dt = -a df/dy, and that of w, the integral
    of a df/dw."""
    end, w = kept

    def derivative(state: Any) -> Any:
        y, a, _ = state
        slope, pull = wf.vjp(f, y, w)
        along_y, along_w = pull(a)
        return -slope, along_y, along_w

    start = end, g, wf.tree.map(wf.zeros_like, w)
    _, a, gradient = runge_kutta(derivative, start, duration)
    return a, gradient


solve.defvjp(forward, backward)


def network(y: Any, w: Any) -> Any:
    """A small one."""
    return w["out"] @ wf.tanh(w["in"] @ y)


def linear(y: Any, w: Any) -> Any:
    """dy/dt = w y, whose solution is exp(t w) y."""
    return w @ y


def exponential(matrix: Any) -> Any:
    """Of a matrix, by its series."""
    total, term = np.eye(SIZE), np.eye(SIZE)
    for k in range(1, 40):
        term = term @ matrix / k
        total = total + term
    return total


def check_closed_form(rng: np.random.Generator) -> None:
    """The solution of the linear equation, and its gradient by differences of the closed form."""
    w, y, weights = (rng.standard_normal(s) for s in ((SIZE, SIZE), SIZE, SIZE))
    w = w / 2
    gy, gw = wf.grad(lambda y, w: wf.sum(weights * solve(linear, 1.5, y, w)), argnums=(0, 1))(y, w)
    end = exponential(1.5 * w)
    np.testing.assert_allclose(solve(linear, 1.5, y, w), end @ y, rtol=1e-6)
    np.testing.assert_allclose(gy, end.T @ weights, rtol=1e-6)
    for place in np.ndindex(SIZE, SIZE):
        moved = np.zeros((SIZE, SIZE))
        moved[place] = 1e-5
        ends = [weights @ exponential(1.5 * (w + s * moved)) @ y for s in (1, -1)]
        np.testing.assert_allclose(gw[place], (ends[0] - ends[1]) / 2e-5, rtol=1e-4, atol=1e-6)


def main() -> None:
    """Compare both gradients with each other, and with what is known."""
    rng = np.random.default_rng(0)
    w = {"in": rng.standard_normal((16, SIZE)) / 2, "out": rng.standard_normal((SIZE, 16)) / 4}
    y, target = rng.standard_normal(SIZE), rng.standard_normal(SIZE)

    def loss(solver: Any) -> Any:
        return lambda w: wf.sum((solver(network, 2.0, y, w) - target) ** 2)

    adjoint, unrolled = (wf.jit(wf.grad(loss(solver))) for solver in (solve, by_steps))
    found, wanted = adjoint(w), unrolled(w)
    for name in w:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-6)
    print("the adjoint gradient is that of the steps")
    check_closed_form(rng)
    print("both are as NumPy's, for the linear equation")


if __name__ == "__main__":
    main()
