"""Outputs that are inputs -> copies, so that an output never aliases the caller's data.

    return %x        ->    %1 = identity(%x)
                           return %1

Runs last: simplification would remove the copy again.
"""

from __future__ import annotations

from weftc.ir.node import Graph, Node
from weftc.ops.pointwise import identity
from weftc.ops.recomputation import barrier
from weftc.ops.structure import project


def own_outputs(graph: Graph) -> Graph:
    """Wrap every output that is an `input` node, or passes a barrier, in an `identity` node."""
    return graph.returning([_own(o) for o in graph.outputs])


def own_each_output(graph: Graph) -> Graph:
    """The same, and every output is another node: the results of a body each have their buffer."""
    seen: set[Node] = set(graph.inputs)
    outputs: list[Node] = []
    for node in graph.outputs:
        outputs.append(_copy(node) if node in seen else _own(node))
        seen.add(node)
    return graph.returning(outputs)


def _own(node: Node) -> Node:
    """`node`, or a copy if the memory of it is another node's."""
    passes = node.op is project and node.inputs[0].op is barrier
    return _copy(node) if passes or node.op.name == "input" else node


def _copy(node: Node) -> Node:
    return identity(node, at=node.location) if node.is_tensor else node
