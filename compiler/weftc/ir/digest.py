"""The identity of a graph for caches: numbered from the outputs, without locations and names."""

from __future__ import annotations

import hashlib

from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Attrs


def digest(graph: Graph) -> str:
    """SHA-256 of the graph's structure. Graphs that differ only in locations, in the names of
    inputs or in unused nodes have one digest. Types follow from the inputs' and are not read."""
    numbers: dict[Node, str] = {}
    lines: list[str] = []
    for number, node in enumerate(graph.nodes()):
        numbers[node] = str(number)
        operands = ",".join([numbers[i] for i in node.inputs])
        attrs = attrs_text(node) if node.attrs else ""
        lines.append(f"{node.op.name} {operands} {attrs}")
    lines.append(f"return {','.join([numbers[o] for o in graph.outputs])}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def attrs_text(node: Node) -> str:
    """The attributes as canonical text: `repr` tells 0.0 from -0.0 and 1 from True and 1.0."""
    attrs: Attrs = node.attrs
    if node.op.name == "input":
        attrs = {name: value for name, value in attrs.items() if name != "name"}
    return repr(attrs if len(attrs) < 2 else sorted(attrs.items()))
