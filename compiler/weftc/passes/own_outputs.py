"""Outputs that are inputs -> copies, so that an output never aliases the caller's data.

    return %x        ->    %1 = identity(%x)
                           return %1

Runs last: simplification would remove the copy again.
"""

from __future__ import annotations

from weftc.ir.node import Graph
from weftc.ops.pointwise import identity


def own_outputs(graph: Graph) -> Graph:
    """Wrap every output that is an `input` node in an `identity` node."""
    outputs = tuple(
        identity(o, at=o.location) if o.op.name == "input" else o for o in graph.outputs
    )
    return Graph(graph.name, graph.inputs, outputs)
