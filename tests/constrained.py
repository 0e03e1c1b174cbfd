"""Graphs made by hand, with the constraints that a trace would have recorded."""

from __future__ import annotations

from dataclasses import replace

from weftc.ir.constraints import Assumptions, assuming
from weftc.ir.node import Graph
from weftc.ir.sizes import Dim


def constrained(graph: Graph, size: int = 12) -> Graph:
    """`graph` with what its rules need to know of sizes, as traced where every symbol is `size`."""
    sizes = [s for node in graph.inputs for s in node.type.shape if isinstance(s, Dim)]
    values = {name: size for s in sizes for name in s.symbols()}
    assumptions = Assumptions(values=values)
    with assuming(assumptions):
        for node in graph.all_nodes():
            node.op.infer(tuple(i.value_type for i in node.inputs), node.attrs)
    return replace(graph, constraints=tuple(assumptions.recorded))
