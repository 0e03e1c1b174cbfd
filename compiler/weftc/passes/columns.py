"""Products with one column -> sums of rounded products, which fuse with what is around them.

    %1 = contract(%w, %v) {contracted=((1,), (0,)), column_sum}
    ->
    %1 = broadcast(%v) : f32[m,k];  %2 = mul(%w, %1);  %3 = sum(%2) {axes=(1,)}

That is what they mean. Until here they are contractions, for transforms to see what is multiplied:
a map of one is a product of matrices.
"""

from __future__ import annotations

from weftc.ir import location as locations
from weftc.ir.node import Graph, Node, rewrite
from weftc.ops.contraction import columns, contract, product_sum, sums_column


def write_columns(graph: Graph) -> Graph:
    """Write out every product that is known to have one column."""
    return rewrite(graph, _written) if any(map(_is_column, graph.all_nodes())) else graph


def _is_column(node: Node) -> bool:
    return node.op is contract and sums_column(node.attrs) and columns(node) == 1


def _written(node: Node) -> Node | None:
    if not _is_column(node):
        return None
    a, b = node.inputs
    with locations.at(node.location):
        return product_sum(a, b, node["batch"], node["contracted"])
