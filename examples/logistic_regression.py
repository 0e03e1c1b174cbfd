"""Multinomial logistic regression on synthetic blobs: jit, grad and pytrees in thirty lines."""

from __future__ import annotations

from typing import Any

import numpy as np

import weft as wf

CLASSES, FEATURES, COUNT, STEPS = 3, 2, 300, 200


def blobs(seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Points around three centres, and which centre each belongs to."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, COUNT)
    centres = np.array([[0, 2], [2, -1], [-2, -1]], np.float32)
    points = centres[labels] + rng.standard_normal((COUNT, FEATURES))
    return points.astype(np.float32), labels


def loss(parameters: Any, x: Any, labels: Any) -> Any:
    """Mean cross-entropy of a linear model."""
    return wf.mean(wf.nn.cross_entropy(x @ parameters["w"] + parameters["b"], labels))


@wf.jit
def step(parameters: Any, x: Any, labels: Any, rate: float) -> Any:
    """One step of gradient descent. `rate` is an argument: a new rate compiles nothing."""
    value, gradients = wf.value_and_grad(loss)(parameters, x, labels)
    return wf.tree.map(lambda p, g: p - rate * g, parameters, gradients), value


def main() -> None:
    """Train, and print the loss now and then."""
    x, labels = blobs()
    parameters: Any = {"w": wf.zeros((FEATURES, CLASSES)), "b": wf.zeros((CLASSES,))}
    for number in range(STEPS):
        parameters, value = step(parameters, x, labels, 1.0 if number < 100 else 0.1)
        if number % 50 == 0 or number == STEPS - 1:
            print(f"step {number:3}  loss {float(value):.4f}")
    scores = np.asarray(x @ parameters["w"] + parameters["b"])
    print(f"accuracy {np.mean(scores.argmax(1) == labels):.3f}; {len(step.cache_report())} compile")


if __name__ == "__main__":
    main()
