"""Forward-mode differentiation: tangents flow from inputs to outputs, op by op.

y = mul(x, x); jvp([y], [x], [t])  ->  [y], [add(mul(t, x), mul(t, x))]

Most ops have one rule for both modes: what their pullback sends to an input is linear in the
cotangent, so the pullback's own pullback, from the input's tangent to that cotangent, is the
tangent of the result. (That of a pointwise op is its own transpose.) What a derivative is at ties,
at corners and beside NaN is then the same in both. An op has a rule of its own (`OpDef.jvp`) where
that saves work, or where it runs graphs.

exp(x): g -> g * exp(x), transposed t -> t * exp(x); take(x, i): g -> scatter_add(0, i, g),
transposed t -> take(t, i).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from weftc.ir import location as locations
from weftc.ir.node import Node, result_types, toposort
from weftc.ir.opdef import Family, Vjp
from weftc.ir.types import TensorType, TokenType
from weftc.ops import build
from weftc.transforms.vjp import has_floats, vjp
from weftrt.errors import TraceError, VerifyError

Tangents: TypeAlias = tuple[Node | None, ...]
"""One for each input, or each result, of a node; None: it is constant."""


def jvp(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    tangents: Sequence[Node | None],
    beside: Sequence[Node] = (),
) -> tuple[list[Node], list[Node | None]]:
    """(the outputs and what is wanted beside them, the tangent of each output), given a tangent per
    input (None: it is constant).

    The walk stops at `inputs`, which count as independent of each other. Outputs are the nodes they
    were, unless they depend on a branch or a loop, which then is one that computes its tangents
    too. None for an output that is constant, or no float. TraceError for an op without a rule.
    """
    order = toposort([*outputs, *beside], inputs)
    needed = _needed(order, outputs)
    new = {node: node for node in inputs}
    found: dict[Node, Tangents] = {n: (t,) for n, t in zip(inputs, tangents, strict=True)}
    parts: dict[Node, Sequence[Node]] = {}
    for node in order:
        if node in new:
            continue
        if node.op.name == "project" and (source := node.inputs[0]) in parts:
            new[node], found[node] = parts[source][node["index"]], (found[source][node["index"]],)
            continue
        rebuilt = node.rebuilt(tuple([new[operand] for operand in node.inputs]))
        pushed, found[node] = _pushed(node, rebuilt, needed, found)
        if isinstance(pushed, Node):
            new[node] = pushed
        else:
            parts[node] = pushed
    wanted = [new[node] for node in (*outputs, *beside)]
    return wanted, [found[output][0] for output in outputs]


def _needed(order: Sequence[Node], outputs: Sequence[Node]) -> dict[Node, set[int]]:
    """The nodes of floats that a float among the outputs depends on through floats, and which of
    their results these are: all where none is told apart."""
    needed: dict[Node, set[int]] = {node: set() for node in filter(has_floats, outputs)}
    for node in reversed(order):
        if node in needed and node.op.name != "stop_gradient":
            for operand in filter(has_floats, node.inputs):
                results = needed.setdefault(operand, set())
                if node.op.name == "project":
                    results.add(node["index"])
    return needed


def _pushed(
    node: Node, rebuilt: Node, needed: Mapping[Node, set[int]], found: Mapping[Node, Tangents]
) -> tuple[Node | Sequence[Node], Tangents]:
    """What stands for `node`, which is `rebuilt` over new inputs, or for its results, and its
    tangents."""
    if node.op.name == "project":
        return rebuilt, (found[node.inputs[0]][node["index"]],)
    tangents = tuple([found[operand][0] for operand in node.inputs])
    if node not in needed or all(tangent is None for tangent in tangents):
        return rebuilt, (None,) * len(result_types(node))
    with locations.at(node.location):
        if node.op.jvp is not None:
            return node.op.jvp(rebuilt, *tangents)
        if node.op.vjp is None:
            place = node.location or "unknown place"
            hint = "; wf.stop_gradient of what it gives is a constant" if node.op.effect else ""
            raise TraceError(f"{node.op.name} has no derivative (at {place}){hint}")
        if node.op.family is Family.POINTWISE:
            return rebuilt, _diagonal(rebuilt, node.op.vjp, tangents)
        return rebuilt, _transposed(rebuilt, node.op.vjp, tangents, needed.get(node, set()))


def _diagonal(node: Node, pull_back: Vjp, tangents: Tangents) -> Tangents:
    """The tangent of what is computed element by element: a pullback that multiplies each element
    by a derivative is its own transpose."""
    total: Node | None = None
    for place, tangent in enumerate(tangents):
        part = None if tangent is None else pull_back(node, tangent)[place]
        if part is not None:
            total = part if total is None else build.call("add", total, part)
    return (total,)


def _transposed(node: Node, pull_back: Vjp, tangents: Tangents, results: set[int]) -> Tangents:
    """The tangents of some results of `node`, or of all, by the transpose of its pullback."""
    cotangents = [
        None if results and place not in results else _cotangent(type_)
        for place, type_ in enumerate(result_types(node))
    ]
    sent = pull_back(node, *cotangents)
    pairs = [(s, t) for s, t in zip(sent, tangents, strict=True) if s is not None and t is not None]
    known = [node, *node.inputs]
    gs = [g for g in cotangents if g is not None]
    linear = vjp([s for s, _ in pairs], [t for _, t in pairs], gs, known)
    given = {*known, *(t for _, t in pairs)}
    if not set(gs).isdisjoint(toposort([n for n in linear if n is not None], given)):
        raise VerifyError(f"the gradient of {node.op.name} is not linear in what it is given")
    found = iter(linear)
    return tuple([None if g is None else next(found) for g in cotangents])


def _cotangent(type_: TensorType | TokenType) -> Node | None:
    """A stand-in for the cotangent of a result; None if it can have none."""
    if not isinstance(type_, TensorType) or not type_.dtype.is_float:
        return None
    return build.argument(0, "cotangent", type_)
