"""Ops over constants -> constants, where NumPy's answer is exact on every machine.

    %0 = constant {value=2.0}
    %1 = constant {value=3.0}    ->    %2 = constant {value=6.0}
    %2 = mul(%0, %1)

Only ops marked `OpDef.exact` are evaluated (np.exp differs from our exp in the last bit of 39 % of
float32 values); everything else is left for a kernel, which computes it once.
"""

from __future__ import annotations

import numpy as np

from weftc.ir.node import Graph, Node, rewrite
from weftc.ir.opdef import Family
from weftc.ops.source import constant


def fold_constants(graph: Graph, before: Graph | None = None) -> Graph:
    """Evaluate 0-d exact pointwise ops whose inputs are constants, and sizes known by now. There
    are none among the nodes of `before`, which this made."""
    return rewrite(graph, _fold, frozenset(before.nodes() if before is not None else ()))


def _fold(node: Node) -> Node | None:
    for operand in node.inputs:
        if operand.op is not constant:
            return None
    if node.op.name == "size" and isinstance(node["size"], int):
        return constant(value=node["size"], dtype=node.type.dtype, at=node.location)
    if node.op.family is not Family.POINTWISE or not node.op.exact or not node.inputs:
        return None
    arrays = [np.asarray(i["value"], dtype=i.type.dtype.dtype) for i in node.inputs]
    with np.errstate(all="ignore"):
        value = node.op.reference(arrays, node.attrs, node.type)
    return constant(value=value.item(), dtype=node.type.dtype, at=node.location)
