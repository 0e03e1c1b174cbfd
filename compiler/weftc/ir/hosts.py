"""The Python functions that a graph calls."""

from __future__ import annotations

from weftc.ir.node import Graph
from weftc.ir.opdef import HostFunction


def host_functions(graph: Graph) -> tuple[HostFunction, ...]:
    """Each once, in an order that graphs with one digest share; those within its graphs too."""
    if not any(op.effect for op in graph.ops()):
        return ()
    effects = (node for node in graph.all_nodes() if node.op.effect)  # no rules of calls
    values = (value for node in effects for value in node.attrs.values())
    return tuple(dict.fromkeys(value for value in values if isinstance(value, HostFunction)))
