"""The graph interpreter: `OpDef.reference`, node by node. The oracle for all below the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Attr, Attrs
from weftc.ir.sizes import Dim
from weftc.ir.types import TensorType
from weftrt.errors import DTypeError, OutOfBoundsError, ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"


def interpret(
    graph: Graph, arrays: Sequence[Array], sizes: Mapping[str, int] | None = None
) -> list[Array]:
    """The outputs of `graph` for `arrays`. Size symbols are read from the input shapes; `sizes`
    gives those that are not there. OutOfBoundsError names the node's location."""
    bound = _bind(graph, arrays, sizes or {})
    values: dict[Node, Array] = dict(zip(graph.inputs, arrays))
    for node in graph.nodes():
        if node not in values:
            values[node] = evaluate(node, [values[i] for i in node.inputs], bound)
    return [np.array(values[o], order="C") for o in graph.outputs]


def evaluate(node: Node, arrays: Sequence[Array], sizes: Mapping[str, int]) -> Array:
    """The value of one node for the values of its inputs."""
    type_ = concrete_type(node.type, sizes)
    try:
        value = node.op.reference(arrays, concrete_attrs(node.attrs, sizes), type_)
    except OutOfBoundsError as error:
        raise OutOfBoundsError(f"{node.op.name} at {node.location}: {error}") from None
    assert value.shape == type_.shape and value.dtype == type_.dtype.dtype, (node, value)
    return value


def concrete_type(type_: TensorType, sizes: Mapping[str, int]) -> TensorType:
    """`type_` with its symbolic sizes evaluated."""
    if type_.is_static:
        return type_
    return type_.with_shape(
        tuple(s.evaluate(sizes) if isinstance(s, Dim) else s for s in type_.shape)
    )


def concrete_attrs(attrs: Attrs, sizes: Mapping[str, int]) -> Attrs:
    """`attrs` with their symbolic sizes evaluated."""

    def concrete(value: Attr) -> Attr:
        if isinstance(value, Dim):
            return value.evaluate(sizes)
        return tuple(map(concrete, value)) if isinstance(value, tuple) else value

    return {name: concrete(value) for name, value in attrs.items()}


def _bind(graph: Graph, arrays: Sequence[Array], sizes: Mapping[str, int]) -> dict[str, int]:
    """Size symbols from the input shapes, which are checked against the types."""
    if len(arrays) != len(graph.inputs):
        raise ShapeError(f"{graph.name} has {len(graph.inputs)} inputs, not {len(arrays)}")
    bound = dict(sizes)
    for node, array in zip(graph.inputs, arrays):
        if array.dtype != node.type.dtype.dtype:
            raise DTypeError(f"input {node['name']!r} is {node.type}, not {array.dtype}")
        for size, actual in zip(node.type.shape, array.shape):
            if isinstance(size, Dim) and size.terms == (((str(size),), 1),):
                bound.setdefault(str(size), actual)
    for node, array in zip(graph.inputs, arrays):
        if concrete_type(node.type, bound).shape != array.shape:
            raise ShapeError(f"input {node['name']!r} is {node.type}, not of shape {array.shape}")
    return bound
