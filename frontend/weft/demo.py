"""The main job on real input: train a digit classifier; the whole step is one compiled function."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np

import weft as wf
from weft import data

HIDDEN = 128
CLASSES = 10
BATCH = 64
EPOCHS = 15
LEARNING_RATE = 1e-3
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

Tree = Any
T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """What a training run measured."""

    accuracy: float
    """Of the test set, 0..1."""
    losses: tuple[float, ...]
    """Mean training loss of each epoch."""
    microseconds: float
    """Median time of one training step."""
    kernels: int
    """Native kernels in one training step."""


def initial_parameters(features: int, rng: np.random.Generator) -> dict[str, Any]:
    """A two-layer perceptron: weights uniform as in He et al. (2015), zero biases."""

    def weights(inputs: int, outputs: int) -> Tree:
        bound = math.sqrt(6 / inputs)
        return wf.asarray(rng.uniform(-bound, bound, (inputs, outputs)).astype(np.float32))

    return {
        "w1": weights(features, HIDDEN),
        "b1": wf.zeros((HIDDEN,)),
        "w2": weights(HIDDEN, CLASSES),
        "b2": wf.zeros((CLASSES,)),
    }


def logits(parameters: Tree, x: Tree) -> Tree:
    """The network: (batch, features) -> (batch, classes)."""
    hidden = wf.nn.relu(x @ parameters["w1"] + parameters["b1"])
    return hidden @ parameters["w2"] + parameters["b2"]


def loss(parameters: Tree, x: Tree, labels: Tree) -> Tree:
    """Mean cross-entropy."""
    return wf.mean(wf.nn.cross_entropy(logits(parameters, x), labels))


@wf.jit
def train_step(
    parameters: Tree, first: Tree, second: Tree, step: Tree, x: Tree, labels: Tree
) -> Tree:
    """Forward, backward and Adam (Kingma and Ba, 2015) for every parameter, as one program."""
    value, gradients = wf.value_and_grad(loss)(parameters, x, labels)
    step = step + 1.0
    correction1 = 1.0 - BETA1**step
    correction2 = 1.0 - BETA2**step
    first = wf.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradients)
    second = wf.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradients)
    parameters = wf.tree.map(
        lambda p, m, v: (
            p - LEARNING_RATE * (m / correction1) / (wf.sqrt(v / correction2) + EPSILON)
        ),
        parameters,
        first,
        second,
    )
    return parameters, first, second, step, value


@wf.jit
def predict(parameters: Tree, x: Tree) -> Tree:
    """The most likely class of each row."""
    return wf.argmax(logits(parameters, x), axis=-1)


def accuracy(parameters: Tree, images: data.Images) -> float:
    """The share of `images` classified right."""
    return float(np.mean(np.asarray(predict(parameters, images.pixels)) == images.labels))


def train(
    images: data.Images,
    epochs: int = EPOCHS,
    seed: int = 0,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda epochs: epochs,
    report: Callable[[int, float, float], None] = lambda epoch, loss, accuracy: None,
) -> Result:
    """Train on 80 % of `images`, test on the rest. `report(epoch, loss, accuracy)` is called after
    each epoch; `progress` may wrap the epochs in a bar."""
    rng = np.random.default_rng(seed)
    training, held = data.split(images, seed=seed)
    parameters = initial_parameters(images.pixels.shape[1], rng)
    zeros = {name: wf.zeros(p.shape) for name, p in parameters.items()}
    first, second, step = zeros, zeros, wf.asarray(np.float32(0))
    losses: list[float] = []
    times: list[float] = []
    for epoch in progress(range(epochs)):
        total: list[float] = []
        for batch in data.batches(training, BATCH, rng):
            start = time.perf_counter()
            parameters, first, second, step, value = train_step(
                parameters, first, second, step, batch.pixels, batch.labels
            )
            times.append(time.perf_counter() - start)
            total.append(float(value))
        losses.append(float(np.mean(total)))
        report(epoch, losses[-1], accuracy(parameters, training))
    kernels = train_step.lower(parameters, first, second, step, batch.pixels, batch.labels).kernels
    score = accuracy(parameters, held)
    return Result(score, tuple(losses), median(times) * 1e6, len(kernels))


def main(dataset: str, epochs: int, dump: Path) -> Result:
    """`weft demo`: train, show progress, then say what was measured and where the IR is."""
    images = {"mnist": data.mnist5k, "digits": data.digits}[dataset]()
    print(f"{dataset}: {len(images)} images, {images.pixels.shape[1]} pixels, 80/20 split")
    bar = _progress_bar(epochs)
    result = train(images, epochs, progress=bar.wrap, report=bar.report)
    write_stages(images, dump)
    print(f"test accuracy  {result.accuracy:.4f}")
    print(f"training step  {result.microseconds:.0f} us (median), {result.kernels} kernels")
    print(f"its IR         {dump}/")
    return result


def write_stages(images: data.Images, folder: Path) -> None:
    """Write every stage of the training step as text files."""
    rng = np.random.default_rng(0)
    parameters = initial_parameters(images.pixels.shape[1], rng)
    arguments = (parameters, parameters, parameters, np.array(0, np.float32))
    x, labels = images.pixels[:BATCH], images.labels[:BATCH]
    train_step.lower(*arguments, x, labels).write(folder)


class PlainProgress:
    """A line per epoch."""

    def __init__(self, epochs: int) -> None:
        self._width = len(str(epochs))
        self._epochs = epochs

    def wrap(self, epochs: Iterable[int]) -> Iterable[int]:
        return epochs

    def report(self, epoch: int, loss: float, accuracy: float) -> None:
        count = f"{epoch + 1:{self._width}}/{self._epochs}"
        print(f"epoch {count}  loss {loss:.4f}  accuracy {accuracy:.4f}", flush=True)


class BarProgress(PlainProgress):
    """A tqdm bar below the line of each epoch."""

    def wrap(self, epochs: Iterable[int]) -> Iterable[int]:
        tqdm: Any = importlib.import_module("tqdm")
        self._bar = tqdm.tqdm(epochs, unit="epoch", leave=False)
        yield from self._bar

    def report(self, epoch: int, loss: float, accuracy: float) -> None:
        count = f"{epoch + 1:{self._width}}/{self._epochs}"
        self._bar.write(f"epoch {count}  loss {loss:.4f}  accuracy {accuracy:.4f}")


def _progress_bar(epochs: int) -> PlainProgress:
    return BarProgress(epochs) if find_spec("tqdm") is not None else PlainProgress(epochs)
