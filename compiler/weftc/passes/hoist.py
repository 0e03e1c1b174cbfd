"""What every turn of a loop makes anew of what never changes -> made once, before the loop.

%s = while(%x, %w) {s @ exp(w)}      ->    %1 = exp(%w);  %s = while(%x, %1) {s @ w}
%s = scan(%x, %w) {s @ w.T}          ->    %1 = transpose(%w);  %s = scan(%x, %1) {s @ w}

A product wants the rows of its second operand along the axis that is summed over, and lays them out
so where they are not: once for all turns. What is cheap is left to the kernels that read it, and
what may fail to the turns, of which there may be none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from weftc.ir.node import Graph, Node, inlined, substitute
from weftc.ir.opdef import Family
from weftc.ops import build

_COSTLY = (Family.CONTRACTION, Family.REDUCTION, Family.CUMULATIVE, Family.EXTERN)
_READ_WHOLE = (Family.CONTRACTION, Family.CONTROL)
"""What reads its operands from memory, so that a turn writes them there."""
_DEAR = 8
"""The work per element of what is rather read than computed again."""


def hoist_invariants(graph: Graph) -> Graph:
    """Take what does not change out of the loops in `graph`, and of those in each graph in it."""
    if not any(op.loop for op in graph.ops()):
        return graph
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        rebuilt = node.rebuilt(tuple([new[i] for i in node.inputs]))
        if node.op.holds_graphs:
            rebuilt = _hoisted(rebuilt.with_graphs(hoist_invariants))
        new[node] = rebuilt
    return graph.returning([new[o] for o in graph.outputs])


def _hoisted(node: Node) -> Node:
    loop = node.op.loop
    if loop is None or loop.turns(node) in (0, 1):
        return node
    first = loop.counters + node["carried"] + node.attrs.get("scanned", 0)
    body = _laid_out(node["body"], first)
    found = _frontier(body, _fixed(body, first))
    if not found:
        return node
    rest = body.inputs[first:]
    operands = node.inputs[len(node.inputs) - len(rest) :]
    once = inlined(Graph("once", rest, tuple(found)), operands)
    attrs = {**node.attrs, "body": _reading(body, found)}
    if "condition" in attrs:
        attrs["condition"] = _reading(attrs["condition"], found)
    return node.op(*node.inputs, *once, **attrs, at=node.location)


def _fixed(body: Graph, first: int) -> set[Node]:
    """The nodes of a body that are the same in each turn, where inputs from `first` on are, and
    cannot fail."""
    moving = set(body.inputs[:first])
    for node in body.nodes():
        stays = node.is_tensor and not node.op.effect and node.op.fails is None
        if not stays or not moving.isdisjoint(node.inputs):
            moving.add(node)
    return set(body.nodes()) - moving


def _laid_out(body: Graph, first: int) -> Graph:
    """`body` with products whose second operand, if it is fixed, has the axis in front that is
    summed over."""
    fixed = _fixed(body, first)
    new: dict[Node, Node] = {}
    for node in body.nodes():
        inputs = tuple([new[i] for i in node.inputs])
        if _is_crosswise(node) and node.inputs[1] in fixed and node not in fixed:
            attrs = {**node.attrs, "contracted": (node["contracted"][0], (0,))}
            turned = build.transpose(inputs[1], (1, 0))
            new[node] = node.op(inputs[0], turned, **attrs, at=node.location)
        else:
            new[node] = node.rebuilt(inputs)
    return body.returning([new[o] for o in body.outputs])


def _is_crosswise(node: Node) -> bool:
    """Whether a node is a product with a matrix whose rows lie along the axis that stays."""
    if node.op.family is not Family.CONTRACTION or node.inputs[1].type.rank != 2:
        return False
    return bool(node["contracted"][1] == (1,) and node["batch"] == ((), ()))


def _frontier(body: Graph, fixed: set[Node]) -> list[Node]:
    """The fixed nodes that are worth to be made once, each as late as it can be."""
    whole = (node for node in body.nodes() if node.op.family in _READ_WHOLE and node not in fixed)
    written = {operand for node in whole for operand in node.inputs}
    found: list[Node] = []
    pending, seen = list(body.outputs), set[Node]()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in fixed and _is_dear(node, node in written):
            found.append(node)
        else:
            pending += node.inputs
    return found


def _is_dear(node: Node, is_written: bool) -> bool:
    if not node.inputs:
        return False
    if node.op.family is Family.POINTWISE:
        return node.op.cost >= _DEAR or is_written
    return node.op.family in _COSTLY or (is_written and node.op.name == "transpose")


def _reading(graph: Graph, found: Sequence[Node]) -> Graph:
    """`graph` with more inputs, in place of nodes that it computes."""
    count = len(graph.inputs)
    more = [build.argument(count + k, "once", node.type) for k, node in enumerate(found)]
    whole = replace(graph, inputs=(*graph.inputs, *more))
    return substitute(whole, dict(zip(found, more)))
