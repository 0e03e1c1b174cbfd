"""The identity of a graph for caches: numbered from the outputs, without locations and names."""

from __future__ import annotations

import hashlib

from weftc.ir.node import Graph
from weftc.ir.print import Canonical


def digest(graph: Graph) -> str:
    """SHA-256 of the graph's structure. Graphs that differ only in locations, in the names of
    inputs, in which host functions they call or in unused nodes have one digest."""
    return graph.once(_digest)


def _digest(graph: Graph) -> str:
    return hashlib.sha256(Canonical().body(graph).encode()).hexdigest()
