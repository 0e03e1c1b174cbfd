"""Equal computations -> one node, so that nothing is computed twice.

    %2 = exp(%0)
    %3 = exp(%0)          ->    %2 = exp(%0)
    %4 = add(%2, %3)            %4 = add(%2, %2)

Nodes are looked up in topological order, by inputs that are merged already (a recursive hash of a
shared DAG would double per level).
"""

from __future__ import annotations

from weftc.ir.node import Graph, Node
from weftc.ir.opdef import OpDef
from weftc.ir.print import Canonical


def eliminate_common_subexpressions(graph: Graph) -> Graph:
    """Merge nodes of the same op over the same inputs with the same attributes, in `graph` and in
    each graph in it; the first in program order stays, with its location. `input` nodes are never
    merged."""
    return _merged(graph, Canonical())


def _merged(graph: Graph, writer: Canonical) -> Graph:
    known: dict[tuple[OpDef, tuple[Node, ...], str], Node] = {}
    new: dict[Node, Node] = {}
    changed = new.keys()
    for node in graph.nodes():
        rebuilt = node
        if not changed.isdisjoint(node.inputs):
            rebuilt = node.rebuilt(tuple([new.get(i, i) for i in node.inputs]))
        if node.op.holds_graphs:
            rebuilt = rebuilt.with_graphs(lambda inner: _merged(inner, writer))
        if node.op.name != "input":
            key = (node.op, rebuilt.inputs, writer.attrs(rebuilt))
            rebuilt = known.setdefault(key, rebuilt)
        if rebuilt is not node:
            new[node] = rebuilt
    return graph.returning([new.get(o, o) for o in graph.outputs])
