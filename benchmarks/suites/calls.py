"""What a call costs when there is nothing to compute. JAX's results are not waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, make_dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.records import Case, Size, Work


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


def cases(size: Size) -> Iterator[Case]:
    """Adding two arrays of four elements, alone and in trees of several kinds."""
    yield _case("two arrays", MAKERS, quick=True)
    yield _case("two arrays of any size", {"weft": _named, "weft changed": _changed})
    yield _case("a closed-over array, rebound", {"weft": _rebound})
    for name, kind, count in (
        ("a named tuple of 2 arrays", Pair, 2),
        ("a dataclass of 2 arrays", State, 2),
        ("a dataclass of 200 arrays", Wide, 200),
    ):
        yield _case(
            name, {"weft": partial(_tree, kind, count), "jax.jit": partial(_jax_tree, kind, count)}
        )


def _case(name: str, makers: Mapping[str, Callable[[], Work]], quick: bool = False) -> Case:
    return Case(f"call: {name}", makers, lambda: np.full(4, 2.0), seconds=0.3, quick=quick)


def _sum(x: Any, y: Any) -> Any:
    return x + y


def _pair() -> tuple[Any, Any]:
    return np.ones(4, np.float32), np.ones(4, np.float32)


def _compiled() -> Work:
    function, x, y = wf.jit(_sum), *map(wf.asarray, _pair())
    return lambda: function(x, y)


def _numpy_in() -> Work:
    function, (a, b) = wf.jit(_sum), _pair()
    return lambda: function(a, b)


def _eager() -> Work:
    x, y = map(wf.asarray, _pair())
    return lambda: x + y


def _numpy() -> Work:
    a, b = _pair()
    return lambda: a + b


def _jax() -> Work:
    jax = peers.load("jax")
    function, a, b = jax.jit(_sum), *map(jax.numpy.asarray, _pair())
    return lambda: function(a, b)


def _torch(compiled: bool) -> Work:
    torch = peers.load("torch")
    a, b = map(torch.from_numpy, _pair())
    function = torch.compile(_sum) if compiled else torch.add
    return lambda: function(a, b)


def _numba() -> Work:
    function, (a, b) = peers.load("numba").njit(_sum), _pair()
    return lambda: function(a, b)


MAKERS = {
    "weft": _compiled,
    "weft numpy in": _numpy_in,
    "weft eager": _eager,
    "numpy": _numpy,
    "torch eager": partial(_torch, False),
    "torch.compile": partial(_torch, True),
    "jax.jit": _jax,
    "numba": _numba,
}


def _named() -> Work:
    """By a program for any size."""
    function, x = wf.jit(_sum, dynamic={"x": {0: "n"}, "y": {0: "n"}}), wf.ones((4,))
    return lambda: function(x, x)


def _changed() -> Work:
    """By a program for any size, where the program of the first call comes first."""
    function, x = wf.jit(_sum), wf.ones((4,))
    for size in (2, 3):
        function(wf.ones((size,)), wf.ones((size,)))
    return lambda: function(x, x)


def _rebound() -> Work:
    """Adding a closed-over array, which is another one at each call."""
    bound = wf.ones((4,))
    arrays = [wf.ones((4,)), wf.ones((4,))]
    x = wf.ones((4,))
    function = wf.jit(lambda x: x + bound)

    def run() -> Any:
        nonlocal bound
        arrays.reverse()
        bound = arrays[0]
        return function(x)

    return run


def _ends(tree: Any) -> Any:
    """The sum of the first and the last field."""
    if isinstance(tree, Pair):
        return tree.first + tree.second
    fields = list(type(tree).__dataclass_fields__)
    return getattr(tree, fields[0]) + getattr(tree, fields[-1])


def _tree(kind: Any, count: int) -> Work:
    """A call that is given a tree and returns the sum of two of its leaves."""
    function, tree = wf.jit(_ends), kind(*[wf.ones((4,))] * count)
    return lambda: function(tree)


def _jax_tree(kind: Any, count: int) -> Work:
    jax = peers.load("jax")
    if kind is not Pair:
        _register(kind)
    function, tree = jax.jit(_ends), kind(*[jax.numpy.ones(4)] * count)
    return lambda: function(tree)


@cache
def _register(kind: Any) -> None:
    """JAX knows a dataclass once."""
    fields = list(kind.__dataclass_fields__)
    peers.load("jax").tree_util.register_dataclass(kind, data_fields=fields, meta_fields=[])
