"""A Gaussian process: the scales of its kernel, and the noise, are those that make the data most
likely, found by Newton's method with derivatives through a Cholesky factorization."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

import weft as wf

COUNT, NOISE, STEPS = 80, 0.1, 9


def data(seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Noisy values of a function that both waves and grows."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-3, 3, COUNT))
    return x, truth(x) + NOISE * rng.standard_normal(COUNT)


def truth(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What the data would be without noise."""
    return np.asarray(np.sin(2 * x) + x / 3)


def kernel(p: Any, x: Any, y: Any) -> Any:
    """The covariance of the process at x and y; p holds logarithms of its height, its length and
    the noise."""
    distance = (x[:, None] - y) / wf.exp(p[1])
    return wf.exp(2 * p[0] - 0.5 * distance * distance)


def factor(p: Any, x: Any) -> Any:
    """The lower triangle L of the covariance L L^T of the data."""
    return wf.linalg.cholesky(kernel(p, x, x) + wf.exp(2 * p[2]) * wf.eye(len(x), dtype=x.dtype))


def loss(p: Any, x: Any, y: Any) -> Any:
    """Minus the logarithm of the density of the data."""
    lower = factor(p, x)
    white = wf.linalg.solve_triangular(lower, y, lower=True)
    logs = wf.log(wf.linalg.diagonal(lower))
    return 0.5 * wf.sum(white * white) + wf.sum(logs) + len(y) / 2 * np.log(2 * np.pi)


@wf.jit
def newton(p: Any, x: Any, y: Any) -> Any:
    """The loss, its gradient, and the step to the lowest point near, if there is one: where the
    loss curves down, it goes as far as where it curves up as much."""
    value, gradient = wf.value_and_grad(loss)(p, x, y)
    curvatures, directions = wf.linalg.eigh(wf.hessian(loss)(p, x, y))
    return value, gradient, -directions @ (directions.T @ gradient / wf.abs(curvatures))


@wf.jit
def predict(p: Any, x: Any, y: Any, at: Any) -> Any:
    """The mean of the process at other points, and its standard deviation."""
    lower = factor(p, x)
    white = wf.linalg.solve_triangular(lower, y, lower=True)
    known = wf.linalg.solve_triangular(lower, kernel(p, x, at), lower=True)
    return white @ known, wf.sqrt(wf.exp(2 * p[0]) - wf.sum(known * known, axis=0))


def fit(x: Any, y: Any) -> Any:
    """The parameters with the least loss; steps that do not lower it are halved."""
    p = np.zeros(3)
    value, gradient, step = newton(p, x, y)
    for number in range(STEPS):
        print(f"step {number}  loss {float(value):8.3f}  gradient {np.abs(gradient).max():.1e}")
        size, before = 1.0, value
        while size > 1e-3:
            with suppress(np.linalg.LinAlgError):  # so far that it is no covariance any more
                found = newton(p + size * np.asarray(step), x, y)
                if found[0] <= before:
                    break
            size /= 2
        p = p + size * np.asarray(step)
        value, gradient, step = found
    return p


def expected(p: Any, x: Any, y: Any) -> tuple[float, np.ndarray[Any, Any]]:
    """The loss and its gradient by NumPy: from the inverse of the covariance, and from formulas for
    the derivatives of the covariance."""
    squares = ((x[:, None] - x) / np.exp(p[1])) ** 2
    smooth, noise = np.exp(2 * p[0] - 0.5 * squares), np.exp(2 * p[2]) * np.eye(len(x))
    inverse = np.linalg.inv(smooth + noise)
    logs = np.linalg.slogdet(2 * np.pi * (smooth + noise))[1]
    outer = inverse - np.outer(inverse @ y, inverse @ y)
    slopes = (2 * smooth, smooth * squares, 2 * noise)
    return 0.5 * (y @ inverse @ y + logs), np.array([0.5 * np.sum(outer * s) for s in slopes])


def main() -> None:
    """Fit, predict, and compare."""
    x, y = data()
    p = fit(x, y)
    height, length, noise = np.exp(p)
    print(f"height {height:.3f}  length {length:.3f}  noise {noise:.3f} (it was {NOISE})")
    at = np.linspace(-3, 3, 61)
    mean, deviation = predict(p, x, y, at)
    beyond = np.abs(np.asarray(mean) - truth(at)) / np.asarray(deviation)
    print(f"within two deviations of the truth: {np.mean(beyond < 2):.0%}")
    for point in (p, np.array([0.3, -0.2, -1.0])):
        value, gradient, _ = newton(point, x, y)
        known, slopes = expected(point, x, y)
        assert abs(float(value) - known) < 1e-8 * abs(known)
        assert np.abs(np.asarray(gradient) - slopes).max() < 1e-7 * max(1, np.abs(slopes).max())
    assert np.abs(expected(p, x, y)[1]).max() < 1e-6
    print("as NumPy's")


if __name__ == "__main__":
    main()
