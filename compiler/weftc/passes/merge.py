"""Scans over the same that make the same of the state -> one scan, with the stacks of all.

%1, %ys = scan(%c, %xs) {c + x, c}
%2, %zs = scan(%c, %xs) {c + x, c * x}    ->    %1, %ys, %zs = scan(%c, %xs) {c + x, c, c * x}

Gradients are such: the scan that keeps what the way back needs computes what the user's scan does.
A fori over the same state is a scan over its counter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from weftc.ir import location as locations
from weftc.ir.node import Graph, Node, inlined, result_types
from weftc.ops import loops
from weftc.ops.loop_gradients import as_scan
from weftc.ops.structure import project
from weftc.passes.cse import eliminate_common_subexpressions

_Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class _Replaced:
    """The scan that stands for a loop, and which of its results are the loop's."""

    scan: Node
    places: Sequence[int]


def merge_scans(graph: Graph) -> Graph:
    """Merge the scans in `graph`, and those in each graph in it. Two scans that are over results of
    two that become one are merged after these."""
    if loops.scan not in graph.ops():
        return graph
    graph = _replace(graph, dict(_counting(graph)))
    while found := dict(_merged(graph)):
        graph = _replace(graph, found)
    return _within(graph)


def _within(graph: Graph) -> Graph:
    """Merge the scans in the graphs that `graph` holds."""
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        rebuilt = node.rebuilt(tuple([new[i] for i in node.inputs]))
        new[node] = rebuilt.with_graphs(merge_scans)
    return graph.returning([new[o] for o in graph.outputs])


def _counting(graph: Graph) -> Iterator[tuple[Node, _Replaced]]:
    """Each fori that a scan of `graph` may compute too, as a scan."""
    starts = {_state(node) for node in graph.nodes() if node.op is loops.scan}
    for node in graph.nodes() if starts else ():
        if node.op is loops.fori and _state(node) in starts:
            with locations.at(node.location):
                found = as_scan(node)
            if found is not None:
                yield node, _Replaced(found, range(node["carried"]))


def _state(node: Node) -> tuple[Node, ...]:
    """What a loop starts from."""
    assert node.op.loop is not None
    first = node.op.loop.bounds
    return node.inputs[first : first + node["carried"]]


def _merged(graph: Graph) -> Iterator[tuple[Node, _Replaced]]:
    """Each scan of which another one makes the same state."""
    alike: dict[_Key, list[Node]] = {}
    for node in graph.nodes():
        if node.op is loops.scan and all(i.is_tensor for i in node.inputs):
            named = ("carried", "scanned", "length", "reverse", "unroll")
            attrs = (node.attrs.get(name) for name in named)
            alike.setdefault((*node.inputs, *attrs), []).append(node)
    for scans in alike.values():
        if len(scans) > 1:
            yield from _joined(scans)


def _joined(scans: Sequence[Node]) -> Iterator[tuple[Node, _Replaced]]:
    """For scans over the same operands, those that are made of some of them."""
    (first, *_), inputs = scans, scans[0]["body"].inputs
    bodies = [inlined(scan["body"], inputs) for scan in scans]
    whole = Graph("bodies", inputs, tuple(o for outputs in bodies for o in outputs))
    outputs = iter(eliminate_common_subexpressions(whole).outputs)
    made: dict[_Key, dict[Node, list[Node]]] = {}
    for scan in scans:
        own = [next(outputs) for _ in result_types(scan)]
        made.setdefault(tuple(own[: scan["carried"]]), {})[scan] = own[scan["carried"] :]
    for state, some in made.items():
        if len(some) > 1:
            stacks = list(dict.fromkeys(row for rows in some.values() for row in rows))
            body = Graph(first["body"].name, inputs, (*state, *stacks))
            joined = loops.scan(*first.inputs, **{**first.attrs, "body": body}, at=first.location)
            for scan, rows in some.items():
                places = [len(state) + stacks.index(row) for row in rows]
                yield scan, _Replaced(joined, [*range(len(state)), *places])


def _replace(graph: Graph, found: Mapping[Node, _Replaced]) -> Graph:
    """`graph` with other scans for some of its loops."""
    if not found:
        return graph
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        source = found.get(node.inputs[0]) if node.op is project else None
        if source is None:
            new[node] = node.rebuilt(tuple([new[i] for i in node.inputs]))
            continue
        inputs = tuple([new.get(i, i) for i in source.scan.inputs])
        scan = new.setdefault(source.scan, source.scan.rebuilt(inputs))
        new[node] = project(scan, index=source.places[node["index"]], at=node.location)
    replaced = graph.returning([new[o] for o in graph.outputs])
    return eliminate_common_subexpressions(replaced)
