"""Branches, loops, calls and solutions without what nobody reads, and without what is known before
they run.

%2 = branch(true, %x) {f, g}               the nodes of g over %x
a result, or a state, that nobody reads    ->    none
a state that the body returns as it was    ->    an operand beside the state
a stack of such, or of rows that are read  ->    the operand, for each turn
an operand that no graph reads             ->    none
factors of a solution that nobody reads    ->    none
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from weftc.ir.node import Graph, Node, inlined, numbered
from weftc.ir.sizes import Size
from weftc.ops import build, control, loops
from weftc.ops.structure import project
from weftc.ops.systems import without_factors

Parts: TypeAlias = Mapping[int, Node]
"""What stands for those results of a node that are read."""


def trim_control(graph: Graph) -> Graph:
    """Trim every branch, loop, call and solution in `graph`, and in the graphs in it."""
    if _TRIM.keys().isdisjoint(op.name for op in graph.ops()):
        return graph
    needed = _needed(graph)
    reads = _reads(needed)
    new: dict[Node, Node] = {}
    parts: dict[Node, Parts] = {}
    for node in filter(needed.__contains__, graph.nodes()):
        if node.op is project and node.inputs[0] in parts:
            new[node] = parts[node.inputs[0]][node["index"]]
            continue
        rebuilt = node.rebuilt(tuple([new.get(i, i) for i in node.inputs]))
        if node.op.holds_graphs:
            rebuilt = rebuilt.with_graphs(trim_control)
        new[node] = rebuilt
        trim = _TRIM.get(node.op.name)
        trimmed = trim(rebuilt, reads.get(node, ())) if trim is not None else None
        if trimmed is not None:
            parts[node] = trimmed
    return graph.returning([new[o] for o in graph.outputs])


def _needed(graph: Graph) -> set[Node]:
    """What the outputs depend on. A branch or a loop is among it for the results that are, without
    the operands that only others depend on: those it does not keep."""
    needed, pending = set[Node](), [*graph.inputs, *graph.outputs]
    holders = set[Node]()
    while pending:
        node = pending.pop()
        if node not in needed:
            needed.add(node)
            pending += _read_for(node)
            if node.op is project:
                holders.add(node.inputs[0])
    return needed | holders


def _reads(needed: set[Node]) -> dict[Node, list[int]]:
    """Which results of nodes that have several are read."""
    reads: dict[Node, list[int]] = {}
    for node in needed:
        if node.op is project:
            reads.setdefault(node.inputs[0], []).append(node["index"])
    return {node: sorted(places) for node, places in reads.items()}


def _branch(node: Node, reads: Sequence[int]) -> Parts | None:
    index, *operands = node.inputs
    graphs: tuple[Graph, ...] = node["branches"]
    if index.op.name == "constant" or len(graphs) == 1:
        known = index["value"] if index.op.name == "constant" else 0
        chosen = graphs[min(max(known, 0), len(graphs) - 1)]
        part = _part(chosen, chosen.inputs, _chosen(chosen, reads))
        return dict(zip(reads, inlined(part, operands), strict=True))
    passed = {k: operands[p] for k in reads if (p := _passed(graphs, k)) is not None}
    kept = sorted(set(reads) - set(passed))
    if not kept:
        return passed
    used = sorted(set().union(*(_used(g, kept) for g in graphs)))
    if len(kept) == len(graphs[0].outputs) and len(used) == len(operands):
        return None
    branches = tuple(_part(g, [g.inputs[p] for p in used], _chosen(g, kept)) for g in graphs)
    inputs = [operands[p] for p in used]
    smaller = control.branch(index, *inputs, branches=branches, at=node.location)
    return {**passed, **_projected(smaller, kept)}


def _passed(graphs: Sequence[Graph], result: int) -> int | None:
    """The operand that every graph gives as this result, if there is one."""
    found = {g.inputs.index(o) if (o := g.outputs[result]) in g.inputs else None for g in graphs}
    return found.pop() if len(found) == 1 else None


def _call(node: Node, reads: Sequence[int]) -> Parts | None:
    body, rule, kept = node["body"], node["rule"], sorted(reads)
    used = sorted(_used(body, kept))
    is_whole = len(kept) == len(body.outputs) and len(used) == len(node.inputs)
    if is_whole or not _has_parts(node):
        return None
    part = _part(body, _at(body.inputs, used), _chosen(body, kept))
    of_part = None if rule is None else rule.of_part(part)
    operands = _at(node.inputs, used)
    smaller = node.op(*operands, body=part, rule=of_part, instead=None, at=node.location)
    return _projected(smaller, kept)


def _has_parts(call: Node) -> bool:
    """Whether less of a call is a call too: no results have a derivative in common."""
    rule = call["rule"]
    return call["instead"] is None and (rule is None or rule.of_part(call["body"]) is not None)


def _loop(node: Node, reads: Sequence[int]) -> Parts | None:
    loop = node.op.loop
    assert loop is not None
    body: Graph = node["body"]
    operands, same = node.inputs[loop.bounds :], _same(node)
    if _is_stuck(node, same):
        return None
    known = {k: operands[k] for k in same} | _known_stacks(node, reads, same)
    if known.keys() >= set(reads):
        return known
    kept, used = _live(node, set(reads) - known.keys(), same)
    order = _in_order(node, kept, used)
    if len(kept) == len(body.outputs) and len(order) == len(operands):
        return None
    return {**known, **_projected(_smaller(node, kept, order), kept)}


def _same(node: Node) -> set[int]:
    """The states of a loop that its body returns as they were."""
    loop, body = node.op.loop, node["body"]
    assert loop is not None
    inputs = body.inputs[loop.counters :]
    return {k for k in range(node["carried"]) if body.outputs[k] is inputs[k]}


def _is_stuck(node: Node, same: set[int]) -> bool:
    """Whether a loop turns for ever or not at all, which is left to it: its condition may fail."""
    return node.op is loops.while_ and len(same) == node["carried"]


def _smaller(node: Node, kept: Sequence[int], order: Sequence[int]) -> Node:
    """A loop that gives the results `kept`, from the operands at the places `order`."""
    loop, body, attrs = node.op.loop, node["body"], dict(node.attrs)
    assert loop is not None
    operands, inputs = node.inputs[loop.bounds :], body.inputs[loop.counters :]
    given = [*body.inputs[: loop.counters], *_at(inputs, order)]
    attrs["body"] = _part(body, given, _chosen(body, kept))
    attrs["carried"] = sum(k < node["carried"] for k in kept)
    if node.op is loops.while_:
        condition: Graph = node["condition"]
        attrs["condition"] = _part(condition, _at(condition.inputs, order), condition.outputs)
    if node.op is loops.scan:
        attrs["scanned"] = sum(k in _scanned(node) for k in order)
    bounds = node.inputs[: loop.bounds]
    return node.op(*bounds, *_at(operands, order), **attrs, at=node.location)


def _scanned(node: Node) -> range:
    """The operands of a loop, by place, of which a turn reads one row each."""
    first = node["carried"]
    return range(first, first + node.attrs.get("scanned", 0))


def _known_stacks(node: Node, reads: Sequence[int], same: set[int]) -> dict[int, Node]:
    """The stacks that a scan makes of the rows of another, or of what every turn reads."""
    inputs, found = node["body"].inputs, dict[int, Node]()
    for k in reads:
        row = node["body"].outputs[k]
        if k >= node["carried"] and row in inputs:
            place = inputs.index(row)
            if place in _scanned(node):
                found[k] = node.inputs[place]
            elif place >= node["carried"] or place in same:
                found[k] = _repeated(node.inputs[place], node["length"])
    return found


def _repeated(row: Node, length: Size) -> Node:
    shape = row.type.shape
    return build.expand(row, (length, *shape), range(1, 1 + len(shape)))


def _live(node: Node, read: set[int], same: set[int]) -> tuple[list[int], set[int]]:
    """The results that what is read depends on, or the condition, and all operands in use."""
    loop, body, carried = node.op.loop, node["body"], node["carried"]
    assert loop is not None
    used = {k for k in read if k < carried}
    stacks = sorted(read - used)
    used |= _used(body, stacks, loop.counters)
    if node.op is loops.while_:
        used |= _used(node["condition"], [0])
    live = set[int]()
    while True:
        found = {k for k in used if k < carried} - same
        if found == live:
            return [*sorted(live), *stacks], used
        live = found
        used |= _used(body, live, loop.counters)


def _in_order(node: Node, kept: Sequence[int], used: set[int]) -> list[int]:
    """The operands in use: the state, what rows are read of, the rest."""
    state = [k for k in kept if k < node["carried"]]
    rows = [k for k in _scanned(node) if k in used]
    return [*state, *rows, *sorted(used - {*state, *rows})]


def _at(nodes: Sequence[Node], places: Sequence[int]) -> list[Node]:
    return [nodes[place] for place in places]


def _chosen(graph: Graph, results: Sequence[int] | set[int]) -> list[Node]:
    return [graph.outputs[result] for result in results]


def _used(graph: Graph, results: Iterable[int], counters: int = 0) -> set[int]:
    """Which inputs some results of a graph depend on, by their places after the counters."""
    found = graph.once(_needs)
    bits = _union(found[result] for result in results) >> counters
    return {place for place in range(bits.bit_length()) if bits >> place & 1}


def _needs(graph: Graph) -> Sequence[int]:
    """The inputs that each output depends on, a bit for each."""
    found = {node: 1 << place for place, node in enumerate(graph.inputs)}
    for node in graph.nodes():
        if node not in found:
            found[node] = _union(found[i] for i in _read_for(node))
    return [found[output] for output in graph.outputs]


def _union(masks: Iterable[int]) -> int:
    return functools.reduce(operator.or_, masks, 0)


def _read_for(node: Node) -> Sequence[Node]:
    """What a node depends on: a result of a branch or of a loop on what gives it there."""
    if node.op is not project:
        return node.inputs
    (holder,), result = node.inputs, {node["index"]}
    if holder.op.name == "branch":
        graphs: tuple[Graph, ...] = holder["branches"]
        used = set[int]().union(*(_used(graph, result) for graph in graphs))
        return [holder.inputs[0], *_at(holder.inputs[1:], sorted(used))]
    if holder.op.name == "call" and _has_parts(holder):
        return _at(holder.inputs, sorted(_used(holder["body"], result)))
    if holder.op.loop is not None and not _is_stuck(holder, _same(holder)):
        first = holder.op.loop.bounds
        _, used = _live(holder, result, set())
        return [*holder.inputs[:first], *_at(holder.inputs[first:], sorted(used))]
    return node.inputs


def _part(graph: Graph, inputs: Sequence[Node], outputs: Sequence[Node]) -> Graph:
    """A graph for fewer results, which no longer reads what only the others depend on."""
    trimmed = trim_control(graph.returning(outputs))
    return numbered(replace(trimmed, inputs=tuple(inputs)))


def _projected(node: Node, results: Sequence[int]) -> dict[int, Node]:
    return {k: project(node, index=i, at=node.location) for i, k in enumerate(results)}


_TRIM: dict[str, Callable[[Node, Sequence[int]], Parts | None]] = {
    "branch": _branch,
    "call": _call,
    "while": _loop,
    "fori": _loop,
    "scan": _loop,
    "solve": without_factors,
}
