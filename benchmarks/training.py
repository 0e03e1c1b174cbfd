"""One training step of the demo's network: forward, backward, Adam; batch 64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.harness import Case
from weft import demo


def cases() -> Iterator[Case]:
    """MLP 784-128-10. Every contestant keeps its state, so each run is one more step."""
    rng = np.random.default_rng(0)
    x = rng.random((demo.BATCH, 784), dtype=np.float32)
    labels = rng.integers(0, demo.CLASSES, demo.BATCH)
    runs: dict[str, Any] = {"weft": _weft(x, labels)}
    if (jax := peers.load("jax")) is not None:
        runs["jax.jit"] = _jax(jax, x, labels)
    if (torch := peers.load("torch")) is not None:
        runs["torch eager"] = _torch(torch, x, labels)
    yield Case("MLP 784-128-10 training step", runs, goals={"jax.jit": 1.0}, seconds=2.0)


def _parameters() -> dict[str, np.ndarray[Any, Any]]:
    parameters = demo.initial_parameters(784, np.random.default_rng(0))
    return {name: np.array(p) for name, p in parameters.items()}


def _weft(x: Any, labels: Any) -> Any:
    import weft as wf

    parameters = {name: wf.asarray(p) for name, p in _parameters().items()}
    zeros = {name: wf.zeros(p.shape) for name, p in parameters.items()}
    state: Any = [parameters, zeros, zeros, wf.asarray(np.float32(0))]

    def run() -> None:
        *state[:], _ = demo.train_step(*state, x, labels)

    return run


def _jax(jax: Any, x: Any, labels: Any) -> Any:
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
    p = {name: jnp.array(a) for name, a in _parameters().items()}
    state = [p, tree(jnp.zeros_like, p), tree(jnp.zeros_like, p), jnp.float32(0)]
    xs, ls = jnp.asarray(x), jnp.asarray(labels)

    def run() -> None:
        *state[:], value = jitted(*state, xs, ls)
        value.block_until_ready()

    return run


def _torch(torch: Any, x: Any, labels: Any) -> Any:
    model = torch.nn.Sequential(
        torch.nn.Linear(784, demo.HIDDEN),
        torch.nn.ReLU(),
        torch.nn.Linear(demo.HIDDEN, demo.CLASSES),
    )
    optimizer = torch.optim.Adam(model.parameters(), demo.LEARNING_RATE, foreach=True)
    xs, ls = torch.tensor(x), torch.tensor(labels)

    def run() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(xs), ls).backward()
        optimizer.step()

    return run
