"""The tangents of branches and loops: one branch, or one loop, that computes them beside what it
computed before, so that what happens in it happens once.

branch(i, x) {f, g}                ->  branch(i, x, dx) {f and df, g and dg}
while(x; c) {x * c}                ->  while(x, dx; c) {x * c, dx * c}

The results of before come first. Inputs of the graphs stay in the order state, rest; the tangents
of the state follow the state, and those of the rest the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from weftc.ir.node import Graph, Node, numbered
from weftc.ops import build
from weftc.ops.structure import project
from weftc.transforms.closing import closing
from weftc.transforms.jvp import Tangents, jvp


class _Pushed(NamedTuple):
    """The outputs of a graph and their tangents, and the inputs that are those of its inputs."""

    given: list[Node | None]
    outputs: list[Node]
    tangents: list[Node | None]


def _pushed(graph: Graph, moving: Sequence[int] | set[int]) -> _Pushed:
    """`graph` with tangents of its inputs at the places `moving`."""
    given = [
        build.argument(place, "tangent", node.type) if place in moving else None
        for place, node in enumerate(graph.inputs)
    ]
    return _Pushed(given, *jvp(graph.outputs, graph.inputs, given))


def _closed(graph: Graph, inputs: Sequence[Node], outputs: Sequence[Node]) -> Graph:
    return numbered(replace(graph, inputs=tuple(inputs), outputs=tuple(outputs)))


def jvp_graph(graph: Graph, tangents: Sequence[Node | None]) -> tuple[Graph, list[int]]:
    """`graph` with tangents of its inputs, where there are any, after these, and those of its
    outputs after its outputs, which are at the given places."""
    moving = {place for place, tangent in enumerate(tangents) if tangent is not None}
    pushed = _pushed(graph, moving)
    moved = [k for k, tangent in enumerate(pushed.tangents) if tangent is not None]
    outputs = [*pushed.outputs, *_present(pushed.tangents)]
    return _closed(graph, [*graph.inputs, *_present(pushed.given)], outputs), moved


def _or_zeros(tangent: Node | None, primal: Node) -> Node:
    return build.like(0.0, primal) if tangent is None else tangent


def _present(nodes: Sequence[Node | None]) -> list[Node]:
    return [node for node in nodes if node is not None]


def _parts(node: Node, count: int, moving: Sequence[int]) -> Tangents:
    """The tangents of the first `count` results of `node`: its results after these belong to those
    at the places `moving`."""
    parts: list[Node | None] = [None] * count
    for number, place in enumerate(moving, count):
        parts[place] = project(node, index=number)
    return tuple(parts)


def jvp_branch(node: Node, *tangents: Node | None) -> tuple[Node, Tangents]:
    """A branch whose graphs give the tangents of their results too."""
    graphs: tuple[Graph, ...] = node["branches"]
    moving = {place for place, tangent in enumerate(tangents[1:]) if tangent is not None}
    pushed = [_pushed(graph, moving) for graph in graphs]
    count = len(graphs[0].outputs)
    moved = [k for k in range(count) if any(p.tangents[k] is not None for p in pushed)]
    branches = tuple(
        _closed(
            graph,
            [*graph.inputs, *_present(p.given)],
            [*p.outputs, *(_or_zeros(p.tangents[k], p.outputs[k]) for k in moved)],
        )
        for graph, p in zip(graphs, pushed, strict=True)
    )
    both = closing(node.op, *node.inputs, *_present(tangents), branches=branches)
    return both, _parts(both, count, moved)


def jvp_while(node: Node, *tangents: Node | None) -> tuple[Node, Tangents]:
    """A loop whose state has tangents too."""
    return _loop(node, 0, 0, tangents)


def jvp_fori(node: Node, *tangents: Node | None) -> tuple[Node, Tangents]:
    """A loop whose state has tangents too."""
    return _loop(node, 2, 1, tangents)


def jvp_scan(node: Node, *tangents: Node | None) -> tuple[list[Node], Tangents]:
    """A scan whose state, rows and stacks have tangents too. Parts of its operands, of its body's
    inputs and of its results are each followed by their tangents."""
    body, carried, scanned = node["body"], node["carried"], node["scanned"]
    moving, pushed = _settled(body, 0, carried, tangents)
    cuts = (0, carried, carried + scanned, len(tangents))
    groups = [range(*pair) for pair in pairwise(cuts)]
    state, rows, _ = counts = [[place for place in group if place in moving] for group in groups]

    def laid(nodes: Sequence[Node], tangents: Sequence[Node | None]) -> list[Node]:
        laid: list[Node] = []
        for group, own in zip(groups, counts):
            laid += [nodes[place] for place in group]
            laid += [_or_zeros(tangents[place], nodes[place]) for place in own]
        return laid

    ends = [_or_zeros(pushed.tangents[place], pushed.outputs[place]) for place in state]
    stacks = [k for k in range(carried, len(body.outputs)) if pushed.tangents[k] is not None]
    turn = [*pushed.outputs[:carried], *ends, *pushed.outputs[carried:]]
    turn += _present([pushed.tangents[k] for k in stacks])
    attrs = {**node.attrs, "carried": carried + len(state), "scanned": scanned + len(rows)}
    attrs["body"] = _closed(body, laid(body.inputs, pushed.given), turn)
    both = closing(node.op, *laid(node.inputs, tangents), **attrs)
    parts = [project(both, index=index) for index in range(len(turn))]
    moved = dict(zip(state, parts[carried:]))
    own = [*parts[:carried], *parts[carried + len(state) :]]
    moved.update(zip(stacks, own[len(body.outputs) :]))
    return own[: len(body.outputs)], tuple([moved.get(k) for k in range(len(body.outputs))])


def _loop(
    node: Node, bounds: int, counters: int, tangents: Sequence[Node | None]
) -> tuple[Node, Tangents]:
    """The loop over twice the state: of `bounds` operands before the state, the graphs take as many
    as there are `counters`."""
    body, carried = node["body"], node["carried"]
    operands, starts = node.inputs[bounds:], tangents[bounds:]
    moving, pushed = _settled(body, counters, carried, starts)
    state = [place for place in moving if place < carried]
    rest = [place for place in moving if place >= carried]

    def laid(nodes: Sequence[Node], tangents: Sequence[Node | None]) -> list[Node]:
        own = [_or_zeros(tangents[place], nodes[place]) for place in state]
        return [*nodes[:carried], *own, *nodes[carried:], *_present([tangents[k] for k in rest])]

    def over(graph: Graph, counters: int, outputs: Sequence[Node]) -> Graph:
        inputs = laid(graph.inputs[counters:], pushed.given[-len(operands) :])
        return _closed(graph, [*graph.inputs[:counters], *inputs], outputs)

    ends = [_or_zeros(pushed.tangents[place], pushed.outputs[place]) for place in state]
    attrs = {**node.attrs, "carried": carried + len(state)}
    attrs["body"] = over(body, counters, [*pushed.outputs, *ends])
    if "condition" in attrs:
        attrs["condition"] = over(attrs["condition"], 0, attrs["condition"].outputs)
    both = closing(node.op, *node.inputs[:bounds], *laid(operands, starts), **attrs)
    return both, _parts(both, carried, state)


def _settled(
    body: Graph, counters: int, carried: int, starts: Sequence[Node | None]
) -> tuple[list[int], _Pushed]:
    """Which operands have tangents in some turn, and what the body makes of them: a state has one
    if it starts with one, or if the body makes one of those that there are."""
    moving = {place for place, start in enumerate(starts) if start is not None}
    while True:
        pushed = _pushed(body, {counters + place for place in moving})
        state = enumerate(pushed.tangents[:carried])
        made = {place for place, tangent in state if tangent is not None}
        if made <= moving:
            return sorted(moving), pushed
        moving |= made
