"""The Python functions that a graph calls."""

from __future__ import annotations

from weftc.ir.node import Graph
from weftc.ir.opdef import HostFunction


def host_functions(graph: Graph) -> tuple[HostFunction, ...]:
    """Each once, in an order that graphs with one digest share; those within its graphs too."""
    values = (value for node in graph.all_nodes() for value in node.attrs.values())
    return tuple(dict.fromkeys(value for value in values if isinstance(value, HostFunction)))
