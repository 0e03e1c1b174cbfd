"""Public functions without the backend: traced, then run by the graph interpreter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import weft.operators  # noqa: F401  (installs the operators)
from weft import specialize, tree
from weft.calls import Call, Reader
from weft.dynamic import Every
from weft.specialize import Traced, trace
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.verify import verify
from weftc.transforms.pairs import as_real, as_stored, from_stored


@dataclass(frozen=True)
class Staged:
    """A function traced for one kind of arguments, given as leaves: arrays and scalars."""

    traced: Traced

    def run(self, *leaves: Any) -> Any:
        """The result, as ndarrays."""
        found = _interpreted(self.traced.graph, self.inputs(leaves))
        return tree.unflatten(self.traced.result, [found[index] for index in self.traced.outputs])

    def leaf(self, number: int, *leaves: Any) -> np.ndarray[Any, Any]:
        """One leaf of the result; only what it needs is computed."""
        graph = self.traced.graph
        only = Graph(graph.name, graph.inputs, (graph.outputs[self.traced.outputs[number]],))
        return _interpreted(only, self.inputs(leaves))[0]

    def inputs(self, leaves: tuple[Any, ...]) -> list[np.ndarray[Any, Any]]:
        """What the graph is run on: the leaves, then what was captured."""
        return [np.asarray(item, order="C") for item in (*leaves, *self.traced.captured)]


def _interpreted(graph: Graph, arrays: list[np.ndarray[Any, Any]]) -> list[Any]:
    """The outputs; complex numbers mean what the graph of their parts does."""
    found = interpret(as_real(graph), list(map(as_stored, arrays)))
    return [
        from_stored(array, node.type.dtype) if node.is_tensor else array
        for array, node in zip(found, graph.outputs, strict=True)
    ]


def trace_symbolic(function: Callable[..., Any], call: Call) -> Traced | None:
    """`function` traced for any sizes, as eager operations are; None where none does."""
    found = specialize.trace_symbolic(function, "function", call, Every().places(call, ()))
    return found if isinstance(found, Traced) and found.symbolic else None


def stage(function: Callable[..., Any], *args: Any, symbolic: bool = False) -> Staged | None:
    """`function` traced; None where symbolic sizes are asked but do not do."""
    call = Reader(function, (), freeze=False).read(args, {})
    traced = trace_symbolic(function, call) if symbolic else trace(function, "function", call)
    if traced is None:
        return None
    verify(traced.graph)
    return Staged(traced)


def nodes_of(function: Callable[..., Any], *args: Any) -> list[Node]:
    """The nodes of the graph of `function`, those of bodies among them."""
    found = stage(function, *args)
    assert found is not None
    return list(found.traced.graph.all_nodes())


def run(function: Callable[..., Any], *args: Any, symbolic: bool = False) -> Any:
    """The result of `function`, as ndarrays; None where symbolic sizes are asked but do not do."""
    staged = stage(function, *args, symbolic=symbolic)
    leaves = Reader(function, (), freeze=False).read(args, {}).leaves
    return None if staged is None else staged.run(*leaves)


def assert_close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Equal shapes, values within `tolerance`, NaN where expected."""
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
