"""Tracing a function for one kind of arguments: a graph, its hidden inputs, its result's shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weft import diagnostics, tree
from weft.calls import Call, Leaf
from weft.promotion import as_strong
from weft.tracing import INT64, SCALAR_DTYPES, Range, Trace, Tracer, array_dtype, lift, tracing
from weft.tree import Structure
from weftc.ir.constraints import Assumptions, assuming, solved
from weftc.ir.location import Location
from weftc.ir.node import Graph, Node
from weftc.ir.size_functions import substitute
from weftc.ir.sizes import Dim, Size, static_shape
from weftc.ir.types import TensorType
from weftc.ops import TABLE
from weftrt.array import Array
from weftrt.errors import TraceError, WeftError


@dataclass(frozen=True)
class Traced:
    """A function's graph for one kind of call. `result` has one leaf per entry of `outputs`,
    which are numbers of graph outputs. It holds while integer arguments are in their `ranges`, of
    which each leaf has one. `made_by_numpy`: a scalar of NumPy's came into it."""

    graph: Graph
    captured: tuple[Any, ...]
    result: Structure
    outputs: tuple[int, ...]
    ranges: tuple[Range, ...]
    made_by_numpy: bool

    @property
    def symbolic(self) -> bool:
        """Whether an input has a symbolic size."""
        return not all(node.type.is_static for node in self.graph.inputs)


_MOST_SYMBOLS = 32
"""Independent sizes of one program (a concat of as many arrays): with more, a program for any sizes
takes several times as long to compile as one for these."""


def trace(function: Callable[..., Any], name: str, call: Call) -> Traced:
    """Trace `function` for exactly the shapes of `call`."""
    return _trace(function, name, call, [_fixed(leaf) for leaf in call.leaves], locate=True)


def trace_symbolic(function: Callable[..., Any], name: str, call: Call) -> Traced | None:
    """Trace with a symbol for every size but 1, equal only where the function needs it.

    None if the function needs the sizes themselves, or too many are independent. Where sizes had
    to be equal it is traced again, with one symbol for them.
    """
    values: dict[str, int] = {}
    types = [_symbolic(leaf, values) for leaf in call.leaves]
    try:
        while True:
            assumptions = Assumptions(values=values)
            with assuming(assumptions):
                traced = _trace(function, name, call, types, locate=False)
            equal = solved(tuple(assumptions.recorded))
            if not equal:
                break
            types = [t.with_shape(tuple(substitute(s, equal) for s in t.shape)) for t in types]
    except WeftError:
        return None
    sizes = {size for t in types for size in t.shape if isinstance(size, Dim)}
    if len(sizes) > _MOST_SYMBOLS:
        return None
    return replace(traced, graph=replace(traced.graph, constraints=tuple(assumptions.recorded)))


def _fixed(leaf: Leaf) -> TensorType:
    if isinstance(leaf, (Array, np.ndarray)):
        return TensorType(array_dtype(leaf, "an argument"), tuple(leaf.shape))
    return TensorType(SCALAR_DTYPES[type(leaf)], ())


def _symbolic(leaf: Leaf, values: dict[str, int]) -> TensorType:
    fixed = _fixed(leaf)
    shape: list[Size] = []
    for size in static_shape(fixed.shape):
        name = f"n{len(values)}"
        if size != 1:
            values[name] = size
        shape.append(1 if size == 1 else Dim.symbol(name))
    return fixed.with_shape(tuple(shape))


def _trace(
    function: Callable[..., Any], name: str, call: Call, types: Sequence[TensorType], locate: bool
) -> Traced:
    context = Trace(name, len(types))
    inputs = [
        TABLE["input"](index=i, name=called, dtype=t.dtype, shape=t.shape)
        for i, (called, t) in enumerate(zip(call.names, types, strict=True))
    ]
    with tracing(context, locate):
        tracers = [
            Tracer(node, context, weak=True, value=leaf)  # type: ignore[arg-type]
            if type(leaf) in SCALAR_DTYPES
            else Tracer(node, context)
            for node, leaf in zip(inputs, call.leaves, strict=True)
        ]
        args, kwargs = call.structure.unflatten(tracers)
        try:
            result = function(*args, **kwargs)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                diagnostics.as_intended(error)  # the function does not take such arguments
            raise
        nodes, structure = _results(name, result, diagnostics.definition(function))
    outputs = list(dict.fromkeys(nodes))
    position = {node: index for index, node in enumerate(outputs)}
    if context.token is not None:
        outputs.append(context.token)
    graph = Graph(name, (*inputs, *context.hidden), tuple(outputs))
    indices = tuple(position[node] for node in nodes)
    ranges = tuple(context.ranges.get(node, INT64) for node in graph.inputs)
    return Traced(graph, tuple(context.captured), structure, indices, ranges, context.made_by_numpy)


def _results(name: str, result: Any, at: Location | None) -> tuple[list[Node], Structure]:
    """The nodes of a result tree; scalars become arrays of their default dtype."""
    found, structure = tree.flatten_with_paths(result, as_filled=True)
    nodes: list[Node] = []
    for path, leaf in found:
        if not isinstance(leaf, (Tracer, Array, np.ndarray, np.generic, bool, int, float)):
            place = f"at {path} " if path else ""
            raise diagnostics.located(
                TraceError,
                f"{name} returns {diagnostics.kind_of(leaf)} {place}({leaf!r:.40}); it may return "
                "arrays, numbers, None, and tuples, lists and dicts of them"
                + diagnostics.tree_hint(leaf),
                at,
            )
        nodes.append(as_strong(lift(leaf, f"the result of {name}{path}")).node)
    return nodes, structure
