"""Training steps of a network by library: forward, backward, Adam (Kingma and Ba, 2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import weft as wf
from benchmarks import names, peers
from benchmarks.networks import Network, Parameters

RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
SEED = 0

Step = Callable[[Any, Any], Any]
"""Of a batch: takes one step, waits for it, and gives the loss before it."""
Start = Callable[[], Step]
"""Starts from the initial parameters."""


def adam(xp: Any, loss: Any) -> Callable[..., Any]:
    """(parameters, first and second moments, count, x, target) -> the same four, and the loss."""

    def step(p: Any, first: Any, second: Any, count: Any, x: Any, target: Any) -> Any:
        value, gradients = xp.value_and_grad(loss)(p, x, target)
        count = count + 1.0
        rate1, rate2 = 1 - BETA1**count, 1 - BETA2**count
        first = xp.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, first, gradients)
        second = xp.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, second, gradients)

        def moved(p: Any, m: Any, v: Any) -> Any:
            return p - RATE * (m / rate1) / (xp.sqrt(v / rate2) + EPSILON)

        return xp.map(moved, p, first, second), first, second, count, value

    return step


def initial(network: Network) -> Parameters:
    """The parameters that every library starts from."""
    return network.parameters(np.random.default_rng(SEED))


def weft(network: Network, dtype: Any = np.float32) -> Start:
    """Weft's, which gives up parameters and moments to their successors."""
    xp = names.weft()
    step = wf.jit(adam(xp, network.loss(xp)), donate_argnames=("p", "first", "second", "count"))

    def start() -> Step:
        made = wf.tree.map(lambda a: a.astype(dtype), initial(network))
        p, first, second = (wf.tree.map(f, made) for f in (wf.asarray, _zeros, _zeros))
        state: list[Any] = [p, first, second, wf.asarray(np.zeros((), dtype))]

        def run(x: Any, target: Any) -> Any:
            *state[:], value = step(*state, x, target)
            return value

        return run

    return start


def _zeros(array: Any) -> Any:
    return wf.asarray(np.zeros_like(array))


def jax(network: Network) -> Start:
    """JAX's, which gives up the same."""
    library = peers.load("jax")
    xp, jnp = names.jax(library), library.numpy
    step = library.jit(adam(xp, network.loss(xp)), donate_argnums=(0, 1, 2, 3))

    def start() -> Step:
        p = xp.map(jnp.array, initial(network))
        state = [p, xp.map(jnp.zeros_like, p), xp.map(jnp.zeros_like, p), jnp.float32(0)]

        def run(x: Any, target: Any) -> Any:
            *state[:], value = step(*state, x, target)
            return value.block_until_ready()

        return run

    return start


def torch(network: Network, compiled: bool) -> Start:
    """PyTorch's, with its own Adam, fused; `compiled`: forward and backward are."""
    library = peers.load("torch")
    loss = network.loss(names.torch(library))
    if compiled:
        library.compiler.reset()
        loss = library.compile(loss)

    def start() -> Step:
        p = wf.tree.map(lambda a: library.tensor(a, requires_grad=True), initial(network))
        optimizer = library.optim.Adam(wf.tree.leaves(p), RATE, fused=True)

        def run(x: Any, target: Any) -> Any:
            optimizer.zero_grad()
            value = loss(p, x, target)
            value.backward()
            optimizer.step()
            return value.detach()

        return run

    return start


LIBRARIES: dict[str, Callable[[Network], Start]] = {
    "weft": weft,
    "torch eager": lambda network: torch(network, False),
    "torch.compile": lambda network: torch(network, True),
    "jax.jit": jax,
}


def converted(library: str, array: Any) -> Any:
    """An array as a library takes it."""
    if library == "weft":
        return wf.asarray(array)
    if library == "jax.jit":
        return peers.load("jax").numpy.asarray(array)
    return peers.load("torch").from_numpy(array)
