"""What a call costs when there is nothing to compute. JAX's results are not waited for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass
from typing import Any, NamedTuple

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case


class Pair(NamedTuple):
    """Two arrays."""

    first: Any
    second: Any


@wf.tree.register
@dataclass
class State:
    """Two arrays."""

    first: Any
    second: Any


Wide = wf.tree.register(make_dataclass("Wide", [f"leaf{n}" for n in range(200)]))
"""Two hundred arrays."""


def cases() -> Iterator[Case]:
    """Adding two arrays, alone and in trees of several kinds."""
    yield _arrays()
    yield _closed_over()
    yield _any_size()
    x = wf.ones((4,))
    for name, tree, limit in (
        ("a named tuple of 2", Pair(x, x), 0.5e-6),
        ("a dataclass of 2", State(x, x), 0.5e-6),
        ("a dataclass of 200", Wide(*[x] * 200), 6e-6),
    ):
        yield _tree(name, tree, limit)


def _any_size() -> Case:
    """Adding two arrays by a program for any size, where the program of the first call comes
    first; and by one that knows its size from the start."""
    x = wf.ones((4,))
    changed, named = wf.jit(_sum), wf.jit(_sum, dynamic={"x": {0: "n"}, "y": {0: "n"}})
    fixed = wf.jit(_sum, dynamic=False)
    for size in (2, 3):
        changed(wf.ones((size,)), wf.ones((size,)))
    runs = {"weft": lambda: named(x, x), "changed": lambda: changed(x, x)}
    runs["fixed"] = lambda: fixed(x, x)
    return Case("call: two arrays of any size", runs, np.full(4, 2.0), limit=1e-6, seconds=0.3)


def _sum(x: Any, y: Any) -> Any:
    return x + y


def _tree(name: str, tree: Any, limit: float) -> Case:
    """A call that is given a tree and returns the sum of two of its leaves."""
    compiled = wf.jit(_ends)
    runs: dict[str, Any] = {"weft": lambda: compiled(tree)}
    if (jax := peers.load("jax")) is not None:
        values = [jax.numpy.ones(4)] * len(wf.tree.leaves(tree))
        if not isinstance(tree, Pair):
            fields = list(type(tree).__dataclass_fields__)
            jax.tree_util.register_dataclass(type(tree), data_fields=fields, meta_fields=[])
        jitted, given = jax.jit(_ends), type(tree)(*values)
        runs["jax.jit"] = lambda: jitted(given)
    return Case(f"call: {name} arrays", runs, np.full(4, 2.0), limit=limit, seconds=0.3)


def _ends(tree: Any) -> Any:
    """The sum of the first and the last field."""
    if isinstance(tree, Pair):
        return tree.first + tree.second
    fields = list(type(tree).__dataclass_fields__)
    return getattr(tree, fields[0]) + getattr(tree, fields[-1])


def _closed_over() -> Case:
    """Adding a closed-over array, which is another one at each call."""
    ones, bound = np.ones(4, np.float32), wf.ones((4,))
    arrays = [wf.ones((4,)), wf.ones((4,))]
    x = wf.ones((4,))
    compiled = wf.jit(lambda x: x + bound)

    def rebound() -> Any:
        nonlocal bound
        arrays.reverse()
        bound = arrays[0]
        return compiled(x)

    return Case(
        "call: a closed-over array, rebound",
        {"weft": rebound},
        ones + ones,
        limit=1e-6,
        seconds=0.3,
    )


def _arrays() -> Case:
    """Adding two arrays of four elements, compiled and eager."""
    a, b = np.ones(4, np.float32), np.ones(4, np.float32)
    x, y = wf.asarray(a), wf.asarray(b)
    compiled = wf.jit(lambda x, y: x + y)
    runs: dict[str, Any] = {
        "weft": lambda: compiled(x, y),
        "weft, numpy in": lambda: compiled(a, b),
        "weft eager": lambda: x + y,
        "numpy": lambda: a + b,
    }
    if (jax := peers.load("jax")) is not None:
        jitted, ja, jb = jax.jit(lambda x, y: x + y), jax.numpy.asarray(a), jax.numpy.asarray(b)
        runs["jax.jit"] = lambda: jitted(ja, jb)
    if (torch := peers.load("torch")) is not None:
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        runs["torch eager"] = lambda: ta + tb
    if (numba := peers.load("numba")) is not None:
        nb = numba.njit(lambda x, y: x + y)
        runs["numba"] = lambda: nb(a, b)
    return Case("call: add two arrays of 4 float32", runs, a + b, limit=1e-6, seconds=0.3)
