"""Equal computations -> one node, so that nothing is computed twice.

    %2 = exp(%0)
    %3 = exp(%0)          ->    %2 = exp(%0)
    %4 = add(%2, %3)            %4 = add(%2, %2)

Values are numbered in topological order (a recursive hash of a shared DAG would double per level).
"""

from __future__ import annotations

from weftc.ir.digest import attrs_text
from weftc.ir.node import Graph, Node


def eliminate_common_subexpressions(graph: Graph) -> Graph:
    """Merge nodes of the same op over the same inputs with the same attributes; the first in
    program order stays, with its location. `input` nodes are never merged."""
    number: dict[Node, int] = {}
    known: dict[tuple[str, tuple[int, ...], str], Node] = {}
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        inputs = tuple(new[i] for i in node.inputs)
        unchanged = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        rebuilt = node if unchanged else Node(node.op, inputs, node.attrs, node.type, node.location)
        if node.op.name != "input":
            key = (node.op.name, tuple(number[i] for i in inputs), attrs_text(node))
            rebuilt = known.setdefault(key, rebuilt)
        number.setdefault(rebuilt, len(number))
        new[node] = rebuilt
    return Graph(graph.name, graph.inputs, tuple(new[o] for o in graph.outputs))
