"""Calls -> what their bodies compute, where they stand.

%1 = call(%x) {sin(x)} by a rule    ->    %1 = sin(%x)

Where the forward part of its rule stands beside a call, over the same operands, it runs instead:

%1 = call(%x) {f(x)} by a rule
%2, %r = call(%x) {g(x), h(x)} instead of it    ->    %1 = %2 = g(%x);  %r = h(%x)
"""

from __future__ import annotations

from collections.abc import Sequence

from weftc.ir.node import Graph, Node, inlined
from weftc.ops.calls import call
from weftc.ops.structure import project


def inline_calls(graph: Graph) -> Graph:
    """Put the bodies of calls in their places, in `graph` and in each graph in it."""
    return _Inlined(graph).graph if call in graph.ops() else graph


class _Inlined:
    """One graph, without its calls."""

    def __init__(self, graph: Graph) -> None:
        order = graph.nodes()
        self._instead = [n for n in order if n.op is call and n["instead"] is not None]
        self._new: dict[Node, Node] = {}
        self._parts: dict[Node, Sequence[Node]] = {}
        for node in order:
            if node.op is call:
                self._parts.setdefault(node, self._results(node))
            elif node.op is project and node.inputs[0] in self._parts:
                self._new[node] = self._parts[node.inputs[0]][node["index"]]
            else:
                rebuilt = node.rebuilt(tuple([self._new[i] for i in node.inputs]))
                self._new[node] = rebuilt.with_graphs(inline_calls)
        self.graph = graph.returning([self._new[o] for o in graph.outputs])

    def _results(self, node: Node) -> Sequence[Node]:
        for other in self._instead if node["rule"] is not None else ():
            operands, more = other.inputs[: len(node.inputs)], other.inputs[len(node.inputs) :]
            is_forward = other["instead"] == node["rule"] and operands == node.inputs
            if is_forward and all(operand in self._new for operand in more):
                return self._parts.setdefault(other, self._body(other))
        return self._body(node)

    def _body(self, node: Node) -> Sequence[Node]:
        operands = [self._new[operand] for operand in node.inputs]
        return inlined(inline_calls(node["body"]), operands)
