"""A recurrent network, a GRU by wf.scan, learns to say the next character of the licence."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import weft as wf

Array = np.ndarray[Any, Any]

HIDDEN, BATCH, LENGTH, STEPS, RATE = 48, 16, 32, 150, 1e-2
BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8
TEXT = (Path(__file__).resolve().parents[1] / "LICENSE").read_text()[:4000]


def new_parameters(letters: int, seed: int = 0) -> dict[str, Array]:
    """Random ones, as wide as the square root of what they add up."""
    rng = np.random.default_rng(seed)

    def drawn(rows: int, columns: int) -> Array:
        return (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)

    return {
        "letters": drawn(letters, 3 * HIDDEN),
        "gates": drawn(HIDDEN, 2 * HIDDEN),
        "new": drawn(HIDDEN, HIDDEN),
        "out": drawn(HIDDEN, letters),
        "bias": np.zeros(3 * HIDDEN, np.float32),
    }


def loss(p: Any, sequences: Any) -> Any:
    """The mean surprise at the next letter, of sequences that are columns of numbers."""

    def cell(h: Any, letter: Any) -> Any:
        given = p["letters"][letter] + p["bias"]
        gates = wf.nn.sigmoid(given[:, : 2 * HIDDEN] + h @ p["gates"])
        keep, forget = gates[:, :HIDDEN], gates[:, HIDDEN:]
        new = wf.tanh(given[:, 2 * HIDDEN :] + (forget * h) @ p["new"])
        h = keep * h + (1 - keep) * new
        return h, h

    start = wf.zeros((sequences.shape[1], HIDDEN), dtype=p["out"].dtype)
    _, states = wf.scan(cell, start, sequences[:-1])
    return wf.mean(wf.nn.cross_entropy(states @ p["out"], sequences[1:]))


@wf.jit
def step(p: Any, moments: Any, number: Any, sequences: Any) -> Any:
    """One step of Adam, and the loss before it."""
    value, gradient = wf.value_and_grad(loss)(p, sequences)
    first = wf.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, moments[0], gradient)
    second = wf.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, moments[1], gradient)
    rate = RATE * wf.sqrt(1 - BETA2**number) / (1 - BETA1**number)
    p = wf.tree.map(lambda w, m, v: w - rate * m / (wf.sqrt(v) + EPSILON), p, first, second)
    return p, (first, second), value


def expected(p: dict[str, Array], sequences: Array) -> float:
    """The loss by NumPy, letter after letter, in float64."""
    p = {name: value.astype(np.float64) for name, value in p.items()}
    h, total = np.zeros((sequences.shape[1], HIDDEN)), 0.0
    for now, following in pairwise(sequences):
        given = np.split(p["letters"][now] + p["bias"], 3, axis=1)
        back = np.split(h @ p["gates"], 2, axis=1)
        keep, forget = (1 / (1 + np.exp(-a - b)) for a, b in zip(given, back))
        h = keep * h + (1 - keep) * np.tanh(given[2] + (forget * h) @ p["new"])
        scores = h @ p["out"]
        log_sums = np.log(np.exp(scores).sum(axis=1))
        total += float(np.sum(log_sums - scores[np.arange(len(following)), following]))
    return total / following.size / (len(sequences) - 1)


def check(p: dict[str, Array], sequences: Array) -> float:
    """How far the loss is from NumPy's, and its gradient's slope from that of differences."""
    rng = np.random.default_rng(1)
    wide = {name: value.astype(np.float64) for name, value in p.items()}
    value, gradient = wf.jit(wf.value_and_grad(loss))(wide, sequences)
    way = {name: rng.standard_normal(value.shape) for name, value in wide.items()}
    sides = [
        expected({name: wide[name] + s * way[name] for name in wide}, sequences)
        for s in (1e-5, -1e-5)
    ]
    slope = sum(float(np.sum(np.asarray(gradient[name]) * way[name])) for name in wide)
    off = abs(slope - (sides[0] - sides[1]) / 2e-5)
    return max(abs(float(value) - expected(p, sequences)), 1e-3 * off)


def main() -> None:
    """Check, then train."""
    letters = sorted(set(TEXT))
    numbers = np.array([letters.index(letter) for letter in TEXT])
    rng = np.random.default_rng(0)

    def batch() -> Array:
        starts = rng.integers(0, len(numbers) - LENGTH, BATCH)
        return numbers[starts + np.arange(LENGTH + 1)[:, None]]

    p: Any = new_parameters(len(letters))
    off = check(p, batch())
    assert off < 1e-10, off
    print("loss and slope as NumPy's")
    moments = (wf.tree.map(np.zeros_like, p), wf.tree.map(np.zeros_like, p))
    for number in range(1, STEPS + 1):
        p, moments, value = step(p, moments, np.float32(number), batch())
        if number % 30 == 0 or number == 1:
            print(f"step {number:4}  nats per letter {float(value):.2f}")
    known = np.mean([expected(wf.tree.map(np.asarray, p), batch()) for _ in range(5)])
    print("it has learned to spell" if known < 2.2 else f"{known:.2f} nats are too many")


if __name__ == "__main__":
    main()
