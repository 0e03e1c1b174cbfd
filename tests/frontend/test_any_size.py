"""One program for any sizes gives, at each of them, the bits of the program for that size."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.faults.plant import planted
from tests.frontend.staged import run, trace_symbolic

import weft as wf
from weft import engine
from weft.calls import Reader
from weft.specialize import Traced
from weftc import pipeline
from weftc.ir.verify import verify
from weftrt.cpu.executable import load
from weftrt.cpu.host import host
from weftrt.errors import OutOfBoundsError, ShapeError, VerifyError, WeftError
from weftrt.options import Options

Function = Callable[..., Any]

ROWS: dict[str, Function] = {
    "x[:4]": lambda x: x[:4],
    "x[1:]": lambda x: x[1:],
    "x[-3:]": lambda x: x[-3:],
    "x[2:5]": lambda x: x[2:5],
    "x[:-1]": lambda x: x[:-1],
    "x[::2]": lambda x: x[::2],
    "x[1::3]": lambda x: x[1::3],
    "x[::-1]": lambda x: x[::-1],
    "x[7:2:-1]": lambda x: x[7:2:-1],
    "x[-2::-3]": lambda x: x[-2::-3],
    "x[3:][:2]": lambda x: x[3:][:2],
    "x[:len(x) // 2]": lambda x: x[: x.shape[0] // 2],
    "x[x.shape[0] - 1]": lambda x: x[x.shape[0] - 1],
    "x[0]": lambda x: x[0],
    "x[-1]": lambda x: x[-1],
    "x[None]": lambda x: x[None],
    "differences": lambda x: x[1:] - x[:-1],
    "flip": wf.flip,
    "concat": lambda x: wf.concat([x, x[:2], x]),
    "stack": lambda x: wf.stack([x, -x], axis=1),
    "pad": lambda x: wf.pad(x, (1, 2), constant_values=3),
    "reshape(-1, 1)": lambda x: x.reshape(-1, 1),
    "reshape(2, -1)": lambda x: x.reshape(2, -1),
    "reshape(-1, 3)": lambda x: x.reshape(-1, 3),
    "broadcast": lambda x: wf.broadcast_to(x, (3, x.shape[0])),
    "take": lambda x: wf.take(x, np.array([1, 0, -1])),
    "sum": wf.sum,
    "max": wf.max,
    "argmax": wf.argmax,
    "mean": wf.mean,
    "var": wf.var,
    "any": lambda x: wf.any(x > 0),
    "softmax": wf.nn.softmax,
    "logsumexp": wf.logsumexp,
    "x @ x": lambda x: x @ x,
    "outer": lambda x: wf.outer(x, x),
    "sort": wf.sort,
    "cumsum": lambda x: wf.cumsum(wf.exp(x), reverse=True) * x,
    "cummax": wf.cummax,
    "diff": wf.diff,
    "standard": lambda x: (x - wf.mean(x)) / (wf.std(x) + 1),
    "size": lambda x: x * x.shape[0],
    "arange": lambda x: x + wf.arange(x.shape[0]),
    "where": lambda x: wf.where(x > 0, x, 0),
}
MATRICES: dict[str, Function] = {
    "x.T": lambda x: x.T,
    "x[:, 1:]": lambda x: x[:, 1:],
    "x[1:, :-1]": lambda x: x[1:, :-1],
    "x[::2, ::-1]": lambda x: x[::2, ::-1],
    "x[:, 0]": lambda x: x[:, 0],
    "reshape(-1)": lambda x: x.reshape(-1),
    "reshape(m, n)": lambda x: x.reshape(x.shape[1], x.shape[0]),
    "reshape(m, -1)": lambda x: x.reshape(x.shape[1], -1),
    "reshape(-1, 2)": lambda x: x.reshape(-1, 2),
    "sum(0)": lambda x: x.sum(axis=0),
    "sum(1)": lambda x: x.sum(axis=1),
    "sum": lambda x: x.sum(),
    "max(0)": lambda x: wf.max(x, axis=0),
    "prod(1)": lambda x: wf.prod(x, axis=1),
    "softmax(0)": lambda x: wf.nn.softmax(x, axis=0),
    "softmax(1)": lambda x: wf.nn.softmax(x, axis=1),
    "centered": lambda x: x - wf.mean(x, axis=0, keepdims=True),
    "layer_norm": lambda x: wf.nn.layer_norm(x, wf.ones(x.shape[1]), wf.zeros(x.shape[1])),
    "cumprod(0)": lambda x: wf.cumprod(x, 0),
    "cumsum(1)": lambda x: wf.cumsum(x, 1, reverse=True),
    "logcumsumexp(1)": lambda x: wf.logcumsumexp(x, 1),
    "cumulative_sum(0)": lambda x: wf.cumulative_sum(x, axis=0, include_initial=True),
    "x @ x.T": lambda x: x @ x.T,
    "x.T @ x": lambda x: x.T @ x,
    "einsum": lambda x: wf.einsum("ij,kj->ik", x, x),
    "x @ x[0]": lambda x: x @ x[0],
    "concat(1)": lambda x: wf.concat([x, x[:, :1], x], axis=1),
    "pad": lambda x: wf.pad(x, ((1, 0), (0, 2))),
    "stack": lambda x: wf.stack([x, x * 2], axis=1).reshape(-1),
    "outer sum": lambda x: x.sum(axis=1, keepdims=True) + x.sum(axis=0),
    "attention": lambda x: wf.nn.softmax(x @ x.T, axis=-1) @ x,
    "triangle": lambda x: wf.where(
        wf.arange(x.shape[0])[:, None] >= wf.arange(x.shape[1]), x, -np.inf
    ),
}
"""Functions of an array of n, and of one of n, m."""


def values(*shape: int) -> Any:
    """Numbers of both signs and both zeros."""
    found = np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
    found.reshape(-1)[::3] = -0.0
    return found


class AnySize:
    """A function compiled once for any sizes."""

    def __init__(self, function: Function, example: Any) -> None:
        self.function = function
        call = Reader(function, (), freeze=False).read((example,), {})
        traced = trace_symbolic(function, call)
        assert isinstance(traced, Traced)
        verify(traced.graph)
        self._traced = traced
        self._executable, _ = engine.executable(traced.graph)

    def watch(self) -> None:
        """Run with checks of memory from now on."""
        self._executable = load(pipeline.compile(self._traced.graph, Options(host(), watched=True)))

    def run(self, x: Any) -> Any | None:
        """Its result; None where the sizes are not allowed."""
        try:
            found = self._executable.run((x, *self._traced.captured))
        except (ShapeError, OutOfBoundsError):
            return None
        return self._traced.result.unflatten([found[index] for index in self._traced.outputs])

    def agrees(self, x: Any) -> bool:
        """Whether the sizes of `x` are allowed; the bits are those of its own program then. What is
        an error for these sizes is not allowed."""
        found = self.run(x)
        try:
            expected = run(self.function, x)
        except WeftError:
            assert found is None
            return True
        if found is not None:
            assert_same_bits(np.asarray(found), expected)
        return found is not None


def gradient(function: Function) -> Function:
    """The gradient of a sum with weights that differ, and some that are -0."""

    def weighted(x: Any) -> Any:
        y = function(x)
        weights = wf.reshape(wf.arange(y.size), y.shape).astype(wf.float32) - 2
        return wf.sum(y * wf.where(weights == 0, -0.0, weights))

    return wf.grad(weighted)


@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str) -> None:
    program = AnySize(ROWS[name], values(6))
    allowed = [program.agrees(values(n)) for n in range(10)]
    assert sum(allowed) >= (4 if "reshape" in name else 8)


@pytest.mark.parametrize("name", MATRICES)
def test_matrices(name: str) -> None:
    program = AnySize(MATRICES[name], values(6, 4))
    shapes = list(itertools.product(range(10), range(5)))
    assert sum(program.agrees(values(*shape)) for shape in shapes) >= 20


VECTORS = [n for n in ROWS if n not in ("x[x.shape[0] - 1]", "x[0]", "x[-1]", "take", "any")]
SECOND = [n for n in VECTORS if n not in ("reshape(2, -1)", "reshape(-1, 3)")]
PAIRS = [pair for k, pair in enumerate(itertools.product(VECTORS, SECOND)) if k % 11 == 5]


@pytest.mark.parametrize("pair", PAIRS, ids=" then ".join)
def test_pairs(pair: tuple[str, str]) -> None:
    first, second = (ROWS[name] for name in pair)

    def both(x: Any) -> Any:
        return second(wf.reshape(first(x), (-1,)) * 2)

    program = AnySize(both, values(12))
    assert sum(program.agrees(values(n)) for n in range(10)) >= 2


@pytest.mark.parametrize("table", [ROWS, MATRICES], ids=["rows", "matrices"])
def test_nothing_is_read_that_is_not_there(table: dict[str, Function]) -> None:
    shape, others = ((6,), ((0,), (1,), (5,)))
    if table is MATRICES:
        shape, others = (6, 4), ((0, 0), (0, 3), (3, 0), (1, 1), (5, 3))
    for name in list(table)[::3]:
        program = AnySize(gradient(table[name]), values(*shape))
        program.watch()
        for other in others:
            program.run(values(*other))


@pytest.mark.parametrize("name", [n for n in ROWS if n not in ("any", "argmax")])
def test_gradients_of_rows(name: str) -> None:
    program = AnySize(gradient(ROWS[name]), values(6))
    assert sum(program.agrees(values(n)) for n in range(10)) >= 3


@pytest.mark.parametrize("name", MATRICES)
def test_gradients_of_matrices(name: str) -> None:
    program = AnySize(gradient(MATRICES[name]), values(6, 4))
    shapes = list(itertools.product((0, 1, 2, 3, 6, 9), (0, 1, 2, 4)))
    assert sum(program.agrees(values(*shape)) for shape in shapes) >= 6


@pytest.mark.parametrize("function", [wf.max, lambda x: x[2], lambda x: x.reshape(-1, 3)])
def test_a_trace_that_forgets_a_constraint_is_found(function: Function) -> None:
    call = Reader(function, (), freeze=False).read((values(6),), {})
    record = "self.recorded.setdefault(constraint, locations.current())"
    with planted("weftc.ir.constraints:Assumptions._record", record, "pass"):
        traced = trace_symbolic(function, call)
    assert traced is not None and not traced.graph.constraints
    with pytest.raises(VerifyError):
        verify(traced.graph)


def test_a_product_of_what_is_broadcast_to_a_size_that_is_assumed() -> None:
    """The differences of n elements are 4 where the program says so, and no 1 that is stretched."""

    def function(x: wf.Array) -> wf.Array:
        columns = wf.broadcast_to(wf.diff(x)[:, None], (4, 3))
        return columns @ columns.mT

    x = np.array([0.0, -1.0, 2.0, 1.0, 1.0], np.float32)
    steps = np.diff(x)
    found = wf.jit(function, dynamic={"x": {0: "n"}})(x)
    np.testing.assert_array_equal(found, 3 * np.outer(steps, steps))
