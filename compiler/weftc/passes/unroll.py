"""Scans that are to be unrolled -> scans whose turns do several of theirs, one after the other.

scan(%c, %xs: f32[7,2]) {c * x} by 3    ->    %1 = scan(%c, reshape(%xs[:6]): f32[2,3,2])
                                                     {c * x[0] * x[1] * x[2]}
                                              %2 = mul(%1, %xs[6])

Turns that are one graph share kernels. The same nodes are computed, in the same order: the bits
stay. A scan of a number of turns that only the call tells is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from weftc.ir.node import Graph, Node, inlined
from weftc.ops import build
from weftc.ops.loops import scan
from weftc.ops.structure import project


def unroll_scans(graph: Graph) -> Graph:
    """Unroll the scans in `graph`, and those in each graph in it."""
    if scan not in graph.ops():
        return graph
    new: dict[Node, Node] = {}
    parts: dict[Node, Sequence[Node]] = {}
    for node in graph.nodes():
        if node.op is project and node.inputs[0] in parts:
            new[node] = parts[node.inputs[0]][node["index"]]
            continue
        new[node] = rebuilt = node.rebuilt(tuple([new[i] for i in node.inputs]))
        new[node] = rebuilt = rebuilt.with_graphs(unroll_scans)
        if node.op is scan and "unroll" in node.attrs and isinstance(node["length"], int):
            parts[node] = _unrolled(rebuilt)
    return graph.returning([new[o] for o in graph.outputs])


def _unrolled(node: Node) -> Sequence[Node]:
    """The results of a scan."""
    length, at_once = node["length"], min(node["unroll"], node["length"])
    groups = length // at_once if at_once else 0
    if groups == 1:
        groups = 0  # the whole is one graph
    first, end = node["carried"], node["carried"] + node["scanned"]
    state: Sequence[Node] = node.inputs[:first]
    rest = node.inputs[end:]
    stacks, reverse = node.inputs[first:end], node["reverse"]
    cut = groups * at_once
    ys: list[Sequence[Node]] = []
    for is_grouped in (reverse is False, reverse is not False):
        if is_grouped and groups:
            found = _grouped(node, state, stacks, rest, groups, at_once)
        elif not is_grouped and cut < length:
            found = _turns(node["body"], state, stacks, rest, range(cut, length), reverse)
        else:
            continue
        state, made = found[:first], found[first:]
        ys = [made, *ys] if reverse else [*ys, made]
    return [*state, *(_joined(some) for some in zip(*ys))] if ys else _empty(node)


def _empty(node: Node) -> Sequence[Node]:
    """The results of no turns."""
    attrs = {name: value for name, value in node.attrs.items() if name != "unroll"}
    result = scan(*node.inputs, **attrs, at=node.location)
    return [project(result, index=k) for k in range(len(node["body"].outputs))]


def _grouped(
    node: Node,
    state: Sequence[Node],
    stacks: Sequence[Node],
    rest: Sequence[Node],
    groups: int,
    at_once: int,
) -> list[Node]:
    """The state after the first turns, some at once, and the stacks that they make."""
    body: Graph = node["body"]
    grouped = [_group(stack, groups, at_once) for stack in stacks]
    first, end = len(state), len(state) + len(stacks)
    rows = [
        build.argument(k, inner["name"], x.type.with_shape(x.type.shape[1:]))
        for k, (inner, x) in enumerate(zip(body.inputs[first:end], grouped), first)
    ]
    given = [*body.inputs[:first], *rows, *body.inputs[end:]]
    turns = range(at_once)
    outputs = _turns(body, given[:first], rows, given[end:], turns, node["reverse"])
    attrs = {**node.attrs, "body": Graph(body.name, tuple(given), tuple(outputs))}
    del attrs["unroll"]
    attrs["length"] = groups
    result = scan(*state, *grouped, *rest, **attrs, at=node.location)
    parts = [project(result, index=k, at=node.location) for k in range(len(outputs))]
    stacked = [build.reshape(y, (groups * at_once, *y.type.shape[2:])) for y in parts[first:]]
    return [*parts[:first], *stacked]


def _group(stack: Node, groups: int, at_once: int) -> Node:
    """The first rows of a stack as groups."""
    return build.reshape(
        _rows(stack, 0, groups * at_once), (groups, at_once, *stack.type.shape[1:])
    )


def _turns(
    body: Graph,
    state: Sequence[Node],
    stacks: Sequence[Node],
    rest: Sequence[Node],
    places: range,
    reverse: bool,
) -> list[Node]:
    """The state after a turn for each of these rows of stacks, and the stacks that they make."""
    made: list[Sequence[Node]] = []
    for place in reversed(places) if reverse else places:
        rows = [build.reshape(_rows(x, place, place + 1), x.type.shape[1:]) for x in stacks]
        found = inlined(body, [*state, *rows, *rest])
        state = found[: len(state)]
        ys = [build.reshape(y, (1, *y.type.shape)) for y in found[len(state) :]]
        made = [ys, *made] if reverse else [*made, ys]
    return [*state, *map(_joined, zip(*made))]


def _joined(parts: Sequence[Node]) -> Node:
    return build.call("concat", *parts, axis=0) if len(parts) > 1 else parts[0]


def _rows(stack: Node, start: int, stop: int) -> Node:
    shape = stack.type.shape
    if (start, stop) == (0, shape[0]):
        return stack
    low = (start, *(0 for _ in shape[1:]))
    return build.call("slice", stack, start=low, stop=(stop, *shape[1:]), step=(1,) * len(shape))
