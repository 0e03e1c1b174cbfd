"""One training step of the demo's network: forward, backward, Adam; batch 64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.harness import Case
from weft import demo

STEPS = 512
"""Steps from the initial parameters before a contestant starts over. Training on and on over the
same few images ends with gradients so small that the job becomes one of denormal numbers."""


def cases() -> Iterator[Case]:
    """MLP 784-128-10. Every run is one of the first STEPS steps, on the next batch."""
    batches = _batches()
    runs: dict[str, Any] = {"weft": _cycled(_weft(), batches)}
    if (jax := peers.load("jax")) is not None:
        runs["jax.jit"] = _cycled(_jax(jax), [tuple(map(jax.numpy.asarray, b)) for b in batches])
    if (torch := peers.load("torch")) is not None:
        runs["torch eager"] = _cycled(_torch(torch), [tuple(map(torch.tensor, b)) for b in batches])
    yield Case("MLP 784-128-10 training step", runs, goals={"jax.jit": 1.0}, seconds=2.0)


def _batches() -> list[tuple[Any, Any]]:
    """Noise images labelled by a linear teacher, 64 batches."""
    rng = np.random.default_rng(0)
    images = rng.random((64, demo.BATCH, 784), dtype=np.float32)
    teacher = rng.standard_normal((784, demo.CLASSES), dtype=np.float32)
    return [(x, (x @ teacher).argmax(1)) for x in images]


def _cycled(start: Any, batches: list[tuple[Any, Any]]) -> Any:
    """A run that takes one step: `start()` gives a function of a batch, from fresh parameters."""
    count = 0
    step: Any = None

    def run() -> None:
        nonlocal count, step
        if count % STEPS == 0:
            step = start()
        step(*batches[count % len(batches)])
        count += 1

    return run


def _parameters() -> dict[str, np.ndarray[Any, Any]]:
    parameters = demo.initial_parameters(784, np.random.default_rng(0))
    return {name: np.array(p) for name, p in parameters.items()}


def _weft() -> Any:
    import weft as wf

    def start() -> Any:
        parameters = {name: wf.asarray(p) for name, p in _parameters().items()}
        zeros = {name: wf.zeros(p.shape) for name, p in parameters.items()}
        state: Any = [parameters, zeros, zeros, wf.asarray(np.float32(0))]

        def step(x: Any, labels: Any) -> None:
            *state[:], _ = demo.train_step(*state, x, labels)

        return step

    return start


def _jax(jax: Any) -> Any:
    jnp, tree = jax.numpy, jax.tree_util.tree_map

    def loss(p: Any, x: Any, labels: Any) -> Any:
        z = jax.nn.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], 1))

    def step(p: Any, m: Any, v: Any, t: Any, x: Any, labels: Any) -> Any:
        value, g = jax.value_and_grad(loss)(p, x, labels)
        t = t + 1
        m = tree(lambda m, g: demo.BETA1 * m + (1 - demo.BETA1) * g, m, g)
        v = tree(lambda v, g: demo.BETA2 * v + (1 - demo.BETA2) * g * g, v, g)
        c1, c2 = 1 - demo.BETA1**t, 1 - demo.BETA2**t
        p = tree(
            lambda p, m, v: p - demo.LEARNING_RATE * (m / c1) / (jnp.sqrt(v / c2) + demo.EPSILON),
            p,
            m,
            v,
        )
        return p, m, v, t, value

    jitted = jax.jit(step, donate_argnums=(0, 1, 2, 3))

    def start() -> Any:
        p = {name: jnp.array(a) for name, a in _parameters().items()}
        state = [p, tree(jnp.zeros_like, p), tree(jnp.zeros_like, p), jnp.float32(0)]

        def run(x: Any, labels: Any) -> None:
            *state[:], value = jitted(*state, x, labels)
            value.block_until_ready()

        return run

    return start


def _torch(torch: Any) -> Any:
    def start() -> Any:
        model = torch.nn.Sequential(
            torch.nn.Linear(784, demo.HIDDEN),
            torch.nn.ReLU(),
            torch.nn.Linear(demo.HIDDEN, demo.CLASSES),
        )
        optimizer = torch.optim.Adam(model.parameters(), demo.LEARNING_RATE, foreach=True)

        def run(x: Any, labels: Any) -> None:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), labels).backward()
            optimizer.step()

        return run

    return start
