"""Which products are of windows, and rewriting of these: for the passes that do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias

from weftc.ir import location as locations
from weftc.ir.node import Graph, Node
from weftc.ir.paths import path
from weftc.ops.contraction import sums_column
from weftc.ops.window_products import Product, product_of

Rule: TypeAlias = Callable[[Node], Node | None]


def rewrite_products(graph: Graph, rules: Sequence[Rule]) -> Graph:
    """`graph` with one rule after the other tried on all nodes that are a product, or cut or turn
    one that nobody else reads."""
    if any(node.op.name == "window" for node in graph.all_nodes()):
        for rule in rules:
            graph = _rewritten(graph, rule)
    return graph


def _rewritten(graph: Graph, rule: Rule) -> Graph:
    readers = Counter(i for node in graph.nodes() for i in node.inputs)
    readers.update(graph.outputs)
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        made = node
        if any(i in new for i in node.inputs):
            made = node.rebuilt(tuple([new.get(i, i) for i in node.inputs]))
        if node.op.holds_graphs:
            made = made.with_graphs(lambda inner: _rewritten(inner, rule))
        if _reads_alone(node, readers):
            with locations.at(node.location):
                made = rule(made) or made
        if made is not node:
            new[node] = made
    return graph.returning([new.get(o, o) for o in graph.outputs])


def _reads_alone(node: Node, readers: Counter[Node]) -> bool:
    while node.op.name in ("slice", "transpose"):
        (node,) = node.inputs
        if readers[node] > 1:
            return False
    return node.op.name == "contract"


def of_windows(node: Node) -> Product | None:
    """The product of windows that `node` is, seen through transposition, if it is one."""
    found = product_of(node)
    if found is None or sums_column(found.node.attrs):
        return None
    return found if any(map(slides, found.node.inputs)) else None


def slides(operand: Node) -> bool:
    """Whether an operand is windows."""
    return any(node.op.name == "window" for node in path(operand))
