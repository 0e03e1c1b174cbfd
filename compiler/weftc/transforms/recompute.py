"""Calls whose bodies reverse mode computes once more, where it needs what they computed.

forward (x) -> (f(x), x);  backward (x, g) -> the pullback of f at barrier(x, g), of g

What is kept from forward to backward are the operands, and results of some ops within. The barrier
makes the second computation one of its own, which begins when the cotangent has come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

from weftc.ir.node import Graph, Node, substitute, toposort
from weftc.ir.opdef import Family
from weftc.ops import build
from weftc.ops.control_tangents import jvp_graph
from weftc.ops.recomputation import barrier
from weftc.ops.structure import project, token
from weftc.transforms.effects import check_effects, without_effects
from weftc.transforms.rules import Asked, Push, Reverse, Rule, Types, arguments
from weftc.transforms.vjp import has_floats, vjp

KEPT: Final[Mapping[str, frozenset[Family]]] = {
    "nothing": frozenset(),
    "dots": frozenset({Family.CONTRACTION}),
}
"""What is kept from forward to backward besides the operands, by policy."""


@dataclass(frozen=True, eq=False)
class CheckpointRule(Rule):
    """The derivative that `body` has, from what `policy` says is kept of it."""

    body: Graph
    policy: str

    def reverse(self, types: Types) -> Reverse:
        floats = [len(list(filter(has_floats, n))) for n in (self.body.outputs, self.body.inputs)]
        return self.asked(types, Asked(*([True] * count for count in floats)))

    def asked(self, types: Types, asked: Asked) -> Reverse:
        body, pure = self.body, without_effects(self.body)
        saved = [n for n in pure.nodes() if n.op.family in KEPT[self.policy]]
        kept = [*(i for i in body.inputs if i.is_tensor), *saved]
        backward, read = _backward(pure, kept, asked)
        if len(read) < len(kept):
            kept = read
            backward, _ = _backward(pure, kept, asked)
        forward = Graph(self.name, body.inputs, (*body.outputs, *kept))
        return Reverse(len(body.outputs), forward, backward)

    def push(self, types: Types) -> Push:
        tangents = [node if has_floats(node) else None for node in self.body.inputs]
        graph, moved = jvp_graph(self.body, tangents)
        count = len(self.body.outputs)
        slopes = dict(zip(moved, graph.outputs[count:]))
        places = [k for k, output in enumerate(self.body.outputs) if has_floats(output)]
        zeros = (build.like(0.0, self.body.outputs[k]) for k in places)
        whole = [slopes.get(k, zero) for k, zero in zip(places, zeros)]
        return Push(count, graph.returning([*graph.outputs[:count], *whole]))

    def in_parts(self, is_complex: tuple[bool, ...]) -> Rule:
        from weftc.transforms.pairs import by_parts  # which knows of calls by their rules

        if is_complex not in self._in_parts:
            body = by_parts(self.body)
            rule = CheckpointRule(self.function, len(body.inputs), body, self.policy)
            self._in_parts[is_complex] = rule
        return self._in_parts[is_complex]

    def after_push(self, push: Push) -> Rule:
        return self.of_part(push.graph)

    def of_part(self, body: Graph) -> Rule:
        return CheckpointRule(self.function, len(body.inputs), body, self.policy)


def _backward(body: Graph, kept: Sequence[Node], asked: Asked) -> tuple[Graph, list[Node]]:
    """The pullback of `body` from the values of `kept` nodes, and which of these it reads."""
    held = arguments([node.value_type for node in kept])
    outputs = list(compress(filter(has_floats, body.outputs), asked.given))
    floats = list(filter(has_floats, body.inputs))
    gs = [build.argument(0, "cotangent", output.type) for output in outputs]
    behind = barrier(*held, *gs, count=len(held)) if held else token()
    known = {node: project(behind, index=k) for k, node in enumerate(kept)}
    again = _again(body, known)
    inputs = list(compress(floats, asked.wanted))
    found = vjp([again[o] for o in outputs], gs, [again[i] for i in inputs])
    by_input = dict(zip(inputs, found))
    sent = [build.like(0.0, i) if (g := by_input.get(i)) is None else g for i in floats]
    check_effects("function", toposort(sent))
    backward = Graph(body.name, (*held, *gs), tuple(sent))
    saved = {again[node]: known[node] for node in kept if node not in body.inputs}
    backward = substitute(backward, saved)
    nodes = set(backward.nodes())
    return backward, [node for node in kept if known[node] in nodes]


def _again(body: Graph, known: Mapping[Node, Node]) -> dict[Node, Node]:
    """What stands for the nodes of `body`, computed once more from the inputs that are known."""
    new = {i: known.get(i, i) if i.is_tensor else token() for i in body.inputs}
    for node in body.nodes():
        if node not in new:
            new[node] = node.rebuilt(tuple([new[i] for i in node.inputs]))
    return new
