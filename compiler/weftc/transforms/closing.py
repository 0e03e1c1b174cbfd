"""Nodes that hold graphs, which read nothing from around them but by operands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from weftc.ir.node import Graph, Node, substitute
from weftc.ir.opdef import OpDef
from weftc.ops import build


def closing(op: OpDef, *inputs: Node, **attrs: Any) -> Node:
    """A node of `op`, with one more operand for each array from outside that its graphs read.

    The rules of a user's function may read arrays that are no arguments: inputs of the graph around
    everything, which come with the gradient into whatever graph the function is called in.
    """
    node = op(*inputs, **attrs)
    free = list(dict.fromkeys(n for graph in node.graphs() for n in _free(graph)))
    if not free:
        return node
    return op(*inputs, *free, **node.with_graphs(lambda graph: _widened(graph, free)).attrs)


def _free(graph: Graph) -> Sequence[Node]:
    own = set(graph.inputs)
    return [node for node in graph.nodes() if node.op.name == "input" and node not in own]


def _widened(graph: Graph, free: Sequence[Node]) -> Graph:
    """`graph` with inputs for what it reads from outside."""
    first = len(graph.inputs)
    more = [build.argument(first + k, node["name"], node.type) for k, node in enumerate(free)]
    inputs: Mapping[Node, Node] = dict(zip(free, more, strict=True))
    return substitute(replace(graph, inputs=(*graph.inputs, *more)), inputs)
