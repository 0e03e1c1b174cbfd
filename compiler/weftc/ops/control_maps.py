"""How branch, while, fori and scan are mapped (`OpDef.batch`).

Where all elements go the same way the node stays what it is, over mapped graphs; it may have
effects, on what the elements share. Where each element has an index, a condition or bounds of its
own, all branches are computed and each element takes its own; a loop runs while it does for any
element, and those that are done keep their state.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import TypeAlias

from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Mapper
from weftc.ir.types import TOKEN, TensorType, TokenType
from weftc.ops import build
from weftc.transforms.batch import is_mapped, refuse_effects
from weftrt import dtypes

Nodes: TypeAlias = Sequence[Node]
Flags: TypeAlias = tuple[bool, ...]
Types: TypeAlias = "Sequence[TensorType | TokenType]"


# ---------------------------------------------------------------------------------------------
# Graphs
# ---------------------------------------------------------------------------------------------


def _shared(mapper: Mapper) -> list[Node]:
    """What a mapped graph takes after its operands: which elements are active, if not all."""
    return [] if mapper.active is None else [mapper.active]


def _arguments(graph: Graph, types: Types) -> Nodes:
    """Inputs of a graph for operands of these types, called as those of `graph`."""
    names = [str(node["name"]) for node in graph.inputs] + ["active"]
    pairs = enumerate(zip(names, types))
    return [build.argument(place, name, type_) for place, (name, type_) in pairs]


def _types(nodes: Nodes) -> Types:
    return [node.type if node.is_tensor else TOKEN for node in nodes]


def _outputs(graph: Graph, arguments: Nodes, mapper: Mapper) -> Nodes:
    """The outputs of `graph` for arguments, which may end with the active elements."""
    count = len(graph.inputs)
    active = arguments[count] if len(arguments) > count else None
    return mapper.outputs(graph, arguments[:count], active)


def _whole(before: Node, after: Node, mapper: Mapper) -> Node:
    return after if is_mapped(before, after) else mapper.expanded(after)


def _choice(condition: Node, new: Node, old: Node) -> Node:
    """For each element `new` where its condition holds, else `old`."""
    if new is old:
        return old
    return build.call("where", build.expand(condition, new.type.shape, (0,)), new, old)


def _both(a: Node | None, b: Node) -> Node:
    return b if a is None else build.call("bitwise_and", a, b)


def _any(condition: Node) -> Node:
    return build.call("any", condition, axes=(0,))


# ---------------------------------------------------------------------------------------------
# branch
# ---------------------------------------------------------------------------------------------


def batch_branch(
    node: Node, inputs: tuple[Node, ...], batched: Flags, mapper: Mapper
) -> Node | Nodes:
    """One branch of mapped graphs, or the results of all branches, chosen for each element."""
    index, *operands = inputs
    graphs: tuple[Graph, ...] = node["branches"]
    if batched[0]:
        refuse_effects(node)
        return _chosen(graphs, index, operands, mapper)
    operands += _shared(mapper)
    arguments = [_arguments(graph, _types(operands)) for graph in graphs]
    found = [_outputs(graph, a, mapper) for graph, a in zip(graphs, arguments)]
    mapped = [any(flags) for flags in zip(*map(_mapped, graphs, found))]
    branches = tuple(
        [
            Graph(graph.name, tuple(a), _expanded(graph, results, mapped, mapper))
            for graph, a, results in zip(graphs, arguments, found)
        ]
    )
    return build.call("branch", index, *operands, branches=branches)


def _mapped(graph: Graph, outputs: Nodes) -> list[bool]:
    return list(map(is_mapped, graph.outputs, outputs))


def _expanded(
    graph: Graph, outputs: Nodes, mapped: Sequence[bool], mapper: Mapper
) -> tuple[Node, ...]:
    """The outputs of a mapped graph, those that should be it `mapped`."""
    triples = zip(graph.outputs, outputs, mapped)
    return tuple([_whole(before, x, mapper) if wanted else x for before, x, wanted in triples])


def _chosen(graphs: Sequence[Graph], index: Node, operands: Nodes, mapper: Mapper) -> Nodes:
    number = index if index.type.dtype is dtypes.uint64 else build.convert(index, dtypes.int64)
    reached = [_at_least(number, place) for place in range(1, len(graphs))]
    chosen: Nodes = ()
    for place, graph in enumerate(graphs):
        active = mapper.active
        if place:
            active = _both(active, reached[place - 1])
        if place < len(reached):
            active = _both(active, build.call("bitwise_not", reached[place]))
        moving = [_moving(*pair, active) for pair in zip(graph.inputs, operands, strict=True)]
        found = mapper.outputs(graph, moving, active)
        found = [_whole(before, x, mapper) for before, x in zip(graph.outputs, found)]
        if place:
            found = [_choice(reached[place - 1], *pair) for pair in zip(found, chosen)]
        chosen = found
    return chosen


def _moving(before: Node, operand: Node, active: Node | None) -> Node:
    """`operand` with derivatives for active elements alone. Others get a cotangent of 0, which
    times an infinite derivative is NaN."""
    if active is None or not is_mapped(before, operand) or not operand.type.dtype.is_float:
        return operand
    return _choice(active, operand, build.call("stop_gradient", operand))


def _at_least(number: Node, place: int) -> Node:
    return build.call("ge", number, build.like(place, number))


# ---------------------------------------------------------------------------------------------
# Loops
# ---------------------------------------------------------------------------------------------


def _settled(
    body: Graph,
    counters: Types,
    state: Nodes,
    rest: Types,
    mapper: Mapper,
) -> tuple[Nodes, Graph]:
    """The state, mapped where the body makes it so, and the body for this: its inputs are the
    counters, the state, and the rest."""
    before = body.inputs[len(counters) :]
    while True:
        types = [*counters, *_types(state), *rest, *_types(_shared(mapper))]
        arguments = _arguments(body, types)
        found = _outputs(body, arguments, mapper)
        grown = [
            _whole(b, s, mapper) if is_mapped(out, new) else s
            for b, s, out, new in zip(before, state, body.outputs, found)
        ]
        if all(map(is_, grown, state)):
            break
        state = grown
    mapped = [*map(is_mapped, before, state), *_mapped(body, found)[len(state) :]]
    return state, Graph(body.name, tuple(arguments), _expanded(body, found, mapped, mapper))


def _varying(body: Graph, operands: Nodes, mapper: Mapper) -> Nodes:
    """The operands, mapped where the body changes them."""
    before = body.inputs[-len(operands) :]
    state = [
        o if out is b else _whole(b, o, mapper) for b, o, out in zip(before, operands, body.outputs)
    ]
    return (*state, *operands[len(state) :])


def _kept(body: Graph, active: Node, found: Nodes, state: Nodes, mapper: Mapper) -> Nodes:
    """What the body makes of active elements, and the state of the others."""
    triples = zip(body.outputs, found, state)
    return [
        old if new is old else _choice(active, _whole(before, new, mapper), old)
        for before, new, old in triples
    ]


# ---------------------------------------------------------------------------------------------
# while
# ---------------------------------------------------------------------------------------------


def batch_while(
    node: Node, inputs: tuple[Node, ...], batched: Flags, mapper: Mapper
) -> Node | Nodes:
    """A loop over the same graphs, mapped, where the condition is the same for all elements."""
    condition, carried = node["condition"], node["carried"]
    rest = inputs[carried:]
    state, body = _settled(node["body"], (), inputs[:carried], _types(rest), mapper)
    (holds,) = _outputs(condition, body.inputs, mapper)
    if is_mapped(condition.outputs[0], holds):
        return _while_any(node, (*state, *rest), mapper)
    if mapper.active is not None:
        holds = build.call("bitwise_and", holds, _any(body.inputs[-1]))
    return build.call(
        "while",
        *state,
        *rest,
        *_shared(mapper),
        condition=Graph(condition.name, body.inputs, (holds,)),
        body=body,
        carried=carried,
    )


def _while_any(node: Node, operands: Nodes, mapper: Mapper) -> Nodes:
    """A loop that turns while the condition holds for any element; the first of its state says for
    which."""
    refuse_effects(node)
    condition, body, carried = node["condition"], node["body"], node["carried"]
    operands = _varying(body, operands, mapper)
    (holds,) = mapper.outputs(condition, operands, mapper.active)
    first = _both(mapper.active, _whole(condition.outputs[0], holds, mapper))
    alive = build.argument(0, "active", first.type)
    arguments = [
        build.argument(place, str(node["name"]), operand.type)
        for place, (node, operand) in enumerate(zip(body.inputs, operands), 1)
    ]
    found = mapper.outputs(body, arguments, alive)
    kept = _kept(body, alive, found, arguments[:carried], mapper)
    (holds,) = mapper.outputs(condition, [*kept, *arguments[carried:]], alive)
    still = build.call("bitwise_and", alive, _whole(condition.outputs[0], holds, mapper))
    inputs = (alive, *arguments)
    result = build.call(
        "while",
        first,
        *operands,
        condition=Graph(condition.name, inputs, (_any(alive),)),
        body=Graph(body.name, inputs, (still, *kept)),
        carried=carried + 1,
    )
    return [build.call("project", result, index=place) for place in range(1, carried + 1)]


# ---------------------------------------------------------------------------------------------
# fori
# ---------------------------------------------------------------------------------------------


def batch_fori(
    node: Node, inputs: tuple[Node, ...], batched: Flags, mapper: Mapper
) -> Node | Nodes:
    """A loop over the mapped body with the same bounds, or with the most turns of any element."""
    (lower, upper, *operands), carried = inputs, node["carried"]
    if any(batched[:2]):
        bounds = [_whole(before, x, mapper) for before, x in zip(node.inputs, (lower, upper))]
        return _fori_any(node, bounds[0], bounds[1], operands, mapper)
    rest = operands[carried:]
    state, body = _settled(node["body"], [lower.type], operands[:carried], _types(rest), mapper)
    return build.call(
        "fori", lower, upper, *state, *rest, *_shared(mapper), body=body, carried=carried
    )


def _fori_any(node: Node, lower: Node, upper: Node, operands: Nodes, mapper: Mapper) -> Node:
    """Element by element turn t is the body for lower + t, as long as there is one."""
    refuse_effects(node)
    body, carried, zero = node["body"], node["carried"], build.zero(dtypes.int64)
    turns = build.call("sub", upper, lower)
    any_turns = _both(mapper.active, build.call("lt", lower, upper))
    turns = build.call("where", any_turns, turns, build.like(0, turns))
    most = build.call("max", turns, axes=(0,), or_lowest=True)
    operands = [*_varying(body, operands, mapper), lower, turns]
    names = [str(argument["name"]) for argument in body.inputs]
    named = zip([*names, "lower", "turns"], [zero, *operands])
    arguments = [build.argument(n, name, o.type) for n, (name, o) in enumerate(named)]
    t = build.expand(arguments[0], turns.type.shape, ())
    active = build.call("lt", t, arguments[-1])
    own = [build.call("add", arguments[-2], t), *arguments[1:-2]]
    found = mapper.outputs(body, own, active)
    kept = _kept(body, active, found, arguments[1 : 1 + carried], mapper)
    mapped = Graph(body.name, tuple(arguments), tuple(kept))
    return build.call("fori", zero, most, *operands, body=mapped, carried=carried)


# ---------------------------------------------------------------------------------------------
# scan
# ---------------------------------------------------------------------------------------------


def batch_scan(node: Node, inputs: tuple[Node, ...], batched: Flags, mapper: Mapper) -> Nodes:
    """A scan over the same rows, each of all elements: in stacks the mapped axis is the second."""
    carried, end = node["carried"], node["carried"] + node["scanned"]
    pairs = list(zip(inputs, batched))[carried:end]
    stacks = [build.from_front(x, 1) if is_batched else x for x, is_batched in pairs]
    rows = [stack.type.with_shape(stack.type.shape[1:]) for stack in stacks]
    types = [*rows, *_types(inputs[end:])]
    state, body = _settled(node["body"], (), inputs[:carried], types, mapper)
    operands = (*state, *stacks, *inputs[end:], *_shared(mapper))
    result = build.call("scan", *operands, **{**node.attrs, "body": body})
    parts = [build.call("project", result, index=i) for i in range(len(body.outputs))]
    stacked = zip(node["body"].outputs[carried:], body.outputs[carried:], parts[carried:])
    ys = [build.to_front(part, 1) if is_mapped(b, a) else part for b, a, part in stacked]
    return [*parts[:carried], *ys]
