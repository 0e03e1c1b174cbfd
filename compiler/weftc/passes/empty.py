"""Arrays without elements -> constants, so that no kernel has loops over nothing.

    %1 = exp(%x) : f32[0,3]                   %1 = broadcast(0.0) : f32[0,3]
    %2 = sum(%1) {axes=(0,)} : f32[3]   ->    %2 = broadcast(0.0) : f32[3]

A value of no elements may be any constant; a reduction of none is its identity, a product over none
is 0. What may fail, or holds graphs, is left alone.
"""

from __future__ import annotations

from weftc.ir.node import Graph, Node, rewrite
from weftc.ir.opdef import Family
from weftc.ops import build

_REPLACED = (
    Family.POINTWISE,
    Family.MOVEMENT,
    Family.REDUCTION,
    Family.CUMULATIVE,
    Family.CONTRACTION,
)


def replace_empty(graph: Graph) -> Graph:
    """Replace every node without elements, and every node that combines no elements."""
    is_any = any(node.is_tensor and 0 in node.type.shape for node in graph.all_nodes())
    return rewrite(graph, _replace) if is_any else graph


def _replace(node: Node) -> Node | None:
    if node.op.family not in _REPLACED or _is_constant(node):
        return None
    if _is_empty(node):
        return build.full(node.type.dtype.dtype.type(0).item(), node.type)
    if node.op.identity is not None and _is_empty(node.inputs[0]):
        return build.full(node.type.dtype.dtype.type(node.op.identity).item(), node.type)
    if node.op.family is Family.CONTRACTION and any(map(_is_empty, node.inputs)):
        return build.full(node.type.dtype.dtype.type(0).item(), node.type)
    return None


def _is_empty(node: Node) -> bool:
    return 0 in node.type.shape


def _is_constant(node: Node) -> bool:
    return node.op.name == "broadcast" and node.inputs[0].op.name == "constant"
