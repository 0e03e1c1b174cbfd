"""Checks between the stages (WEFT_VERIFY): is the IR well formed, does its value stay the same?

As in translation validation (Pnueli, Siegel and Singerman, 1998), what is checked is each run of a
pass, not the pass: the interpreter runs the graph before and after on the same inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from weftc.ir import verify as graphs
from weftc.ir.interpret import concrete_type, interpret
from weftc.ir.node import Graph
from weftc.ir.types import Dim, static_shape
from weftc.loop import verify as loops
from weftc.loop.ir import LoopFunction
from weftrt.dtypes import Kind
from weftrt.errors import OutOfBoundsError, VerifyError

LARGEST = 1 << 20
"""Elements of a graph's values above which level 2 checks the form only."""
EDGES = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40)


@dataclass
class Validator:
    """level 0: nothing is checked; 1: the form, after every pass; 2: also the value, on random
    inputs with edge values among them, by bits (NaN payloads aside). VerifyError names the pass."""

    level: int
    _expected: list[np.ndarray[Any, Any]] | None = field(default=None, init=False)

    def begin(self, graph: Graph) -> None:
        """Take `graph` as what every later graph has to mean."""
        if self.level >= 1:
            self._verify("tracing", graph)
        if self.level >= 2 and _elements(graph) <= LARGEST:
            self._expected = _values(graph)

    def after(self, name: str, graph: Graph) -> None:
        """Check `graph`, which the pass `name` made."""
        if self.level >= 1:
            self._verify(name, graph)
        if self._expected is None:
            return
        found = _values(graph)
        for position, (old, new) in enumerate(zip(self._expected, found or (), strict=True)):
            if not _same(old, new):
                raise VerifyError(f"the pass {name} changed the value of output {position}")

    def loops(self, name: str, function: LoopFunction, widened: bool) -> None:
        """Check a loop function, which the stage `name` made."""
        if self.level >= 1:
            try:
                loops.verify(function, widened)
            except VerifyError as error:
                raise VerifyError(f"after {name}: {error}") from None

    def _verify(self, name: str, graph: Graph) -> None:
        try:
            graphs.verify(graph)
        except VerifyError as error:
            raise VerifyError(f"after {name}: {error}") from None


def _sizes(graph: Graph) -> dict[str, int]:
    symbols = {
        name
        for node in graph.inputs
        for size in node.type.shape
        if isinstance(size, Dim)
        for name in size.symbols()
    }
    return {name: 3 + position for position, name in enumerate(sorted(symbols))}


def _elements(graph: Graph) -> int:
    sizes = _sizes(graph)
    total = 0
    for node in graph.nodes():
        total += prod(static_shape(concrete_type(node.type, sizes).shape))
    return total


def _values(graph: Graph) -> list[np.ndarray[Any, Any]] | None:
    """The outputs on sample inputs; None where those are no valid indices."""
    rng = np.random.default_rng(0)
    sizes = _sizes(graph)
    arrays = []
    for node in graph.inputs:
        type_ = concrete_type(node.type, sizes)
        arrays.append(_sample(type_.shape, type_.dtype.dtype, type_.dtype.kind, rng))
    try:
        with np.errstate(all="ignore"):
            return interpret(graph, arrays, sizes)
    except OutOfBoundsError:
        return None


def _sample(
    shape: Sequence[Any], dtype: np.dtype[Any], kind: Kind, rng: np.random.Generator
) -> np.ndarray[Any, Any]:
    if kind is Kind.FLOAT:
        values = rng.standard_normal(tuple(shape)).astype(dtype)
        flat = values.reshape(-1)
        some = flat[:: max(len(flat) // 32, 2)]
        some[:] = np.resize(np.array(EDGES, dtype), len(some))
        return values
    return rng.integers(0, 2, tuple(shape)).astype(dtype)


def _same(old: np.ndarray[Any, Any], new: np.ndarray[Any, Any]) -> bool:
    if old.dtype != new.dtype or old.shape != new.shape:
        return False
    if old.dtype.kind != "f":
        return bool((old == new).all())
    both = np.isnan(old) & np.isnan(new)
    return bool((both | ((old == new) & (np.signbit(old) == np.signbit(new)))).all())
