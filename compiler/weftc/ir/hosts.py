"""The Python functions that a graph calls."""

from __future__ import annotations

from collections.abc import Iterator

from weftc.ir.node import Graph
from weftc.ir.opdef import HostFunction


def host_functions(graph: Graph) -> tuple[HostFunction, ...]:
    """Each once, in an order that graphs with one digest share; those within its graphs too."""
    return tuple(dict.fromkeys(_found(graph)))


def _found(graph: Graph) -> Iterator[HostFunction]:
    for node in graph.all_nodes():
        for value in node.attrs.values():
            if isinstance(value, HostFunction):
                yield value
