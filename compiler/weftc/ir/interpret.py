"""The graph interpreter: `OpDef.reference`, node by node. The oracle for all below the graph."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Attr, Attrs
from weftc.ir.sizes import Dim, concrete_shape, lone_symbol
from weftc.ir.types import TOKEN, TensorType, TokenType, TupleType, ValueType
from weftrt.errors import CheckError, DTypeError, LinAlgError, OutOfBoundsError, ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"


def interpret(
    graph: Graph, arrays: Sequence[Array], sizes: Mapping[str, int] | None = None
) -> list[Array]:
    """The outputs of `graph` for `arrays`; None for a token. Size symbols are read from the input
    shapes; `sizes` gives those that are not there. OutOfBoundsError names the node's location."""
    bound = _bind(graph, arrays, sizes or {})
    found = _outputs(graph, arrays, bound)
    tokens = (o.value_type is TOKEN for o in graph.outputs)
    return [f if token else np.array(f, order="C") for f, token in zip(found, tokens)]


class TooLongError(Exception):
    """A graph took more than it was allowed (`bounded`)."""


class _State(threading.local):
    left: int | None = None


_state = _State()
_NODE = 4000
"""What evaluating a node takes besides its elements."""


@contextmanager
def bounded(work: int) -> Iterator[None]:
    """Within, the bodies of loops and branches may take so much, in additions, about: TooLongError
    where they would take more, as a loop that never ends does."""
    before, _state.left = _state.left, work
    try:
        yield
    finally:
        _state.left = before


def call(graph: Graph, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs of a graph of fixed sizes that a node holds; they may share memory with `arrays`,
    and with each other."""
    if _state.left is not None:
        elements = max((array.size for array in arrays if array is not None), default=0)
        _state.left -= len(graph.nodes()) * (_NODE + elements)
        if _state.left < 0:
            raise TooLongError(f"{graph.name} runs too long")
    return _outputs(graph, arrays, {})


def _outputs(graph: Graph, arrays: Sequence[Any], sizes: Mapping[str, int]) -> tuple[Any, ...]:
    values: dict[Node, Any] = dict(zip(graph.inputs, arrays, strict=True))
    for node in graph.nodes():
        if node not in values:
            values[node] = evaluate(node, [values[i] for i in node.inputs], sizes)
    return tuple(values[o] for o in graph.outputs)


def evaluate(node: Node, arrays: Sequence[Any], sizes: Mapping[str, int]) -> Any:
    """The value of one node for the values of its inputs: an array, a tuple of them, or None for a
    token."""
    type_ = concrete_type(node.value_type, sizes)
    try:
        value = node.op.reference(arrays, concrete_attrs(node.attrs, sizes), type_)
    except (OutOfBoundsError, CheckError, LinAlgError) as error:
        if error.is_located:  # by a node of a graph that this one holds
            raise
        located = type(error)(f"{node.op.name} at {node.location}: {error}")
        located.is_located = True
        raise located from None
    assert _fits(value, type_), (node, value)
    return value


def _fits(value: Any, type_: ValueType) -> bool:
    if isinstance(type_, TupleType):
        return len(value) == len(type_.items) and all(map(_fits, value, type_.items))
    if isinstance(type_, TokenType):
        return value is None
    return bool(value.shape == type_.shape and value.dtype == type_.dtype.dtype)


def concrete_type(type_: ValueType, sizes: Mapping[str, int]) -> ValueType:
    """`type_` with its symbolic sizes evaluated."""
    if isinstance(type_, TupleType):
        return TupleType(tuple([_concrete_part(part, sizes) for part in type_.items]))
    return _concrete_part(type_, sizes)


def _concrete_part(
    type_: TensorType | TokenType, sizes: Mapping[str, int]
) -> TensorType | TokenType:
    if isinstance(type_, TokenType) or type_.is_static:
        return type_
    return type_.with_shape(concrete_shape(type_.shape, sizes))


def concrete_attrs(attrs: Attrs, sizes: Mapping[str, int]) -> Attrs:
    """`attrs` with their symbolic sizes evaluated, those in graphs too."""

    def concrete(value: Attr) -> Attr:
        if isinstance(value, Dim):
            return value.evaluate(sizes)
        if isinstance(value, Graph):
            return _concrete_graph(value, sizes) if sizes else value
        return tuple(map(concrete, value)) if isinstance(value, tuple) else value

    return {name: concrete(value) for name, value in attrs.items()}


def _concrete_graph(graph: Graph, sizes: Mapping[str, int]) -> Graph:
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        inputs = tuple([new[i] for i in node.inputs])
        attrs, type_ = concrete_attrs(node.attrs, sizes), concrete_type(node.value_type, sizes)
        new[node] = Node(node.op, inputs, attrs, type_, node.location)
    inputs, outputs = tuple([new[i] for i in graph.inputs]), [new[o] for o in graph.outputs]
    return Graph(graph.name, inputs, tuple(outputs))


def _bind(graph: Graph, arrays: Sequence[Array], sizes: Mapping[str, int]) -> dict[str, int]:
    """Size symbols from the input shapes, which are checked against the types."""
    if len(arrays) != len(graph.inputs):
        raise ShapeError(f"{graph.name} has {len(graph.inputs)} inputs, not {len(arrays)}")
    bound = dict(sizes)
    pairs = [(n, a) for n, a in zip(graph.inputs, arrays) if n.value_type is not TOKEN]
    for node, array in pairs:
        if array.dtype != node.type.dtype.dtype:
            raise DTypeError(f"input {node['name']!r} is {node.type}, not {array.dtype}")
        for size, actual in zip(node.type.shape, array.shape):
            symbol = lone_symbol(size)
            if symbol is not None:
                bound.setdefault(symbol, actual)
    for node, array in pairs:
        if concrete_shape(node.type.shape, bound) != array.shape:
            raise ShapeError(f"input {node['name']!r} is {node.type}, not of shape {array.shape}")
    return bound
