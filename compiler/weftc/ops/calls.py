"""call: a graph that runs where it stands, and whose derivative may be another one's.

call(x) {sin(x)} by a rule  -- reverse mode -->  %r = call(x) {sin(x), x}, instead of it
                                                 the pullback {g * cos(x)} of %r's second result

Transforms see a call as one node; then the pass `inline_calls` puts its body in its place, so that
fusion and kernels know of none. What a rule computes forward it computes instead of the body: the
pass gives the results of the second call for those of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

from weftc.ir.interpret import call as interpreted
from weftc.ir.node import Graph, Node, inlined, numbered, substitute, toposort
from weftc.ir.opdef import TABLE, Attrs, Family, Mapper, OpDef
from weftc.ir.types import TupleType
from weftc.ops import build
from weftc.ops.complex_rules import Pair, Value
from weftc.ops.control import (
    SCALAR,
    VECTOR,
    Arrays,
    Samples,
    Types,
    check_inputs,
    inputs_of,
    types_of,
)
from weftc.ops.control_tangents import jvp_graph
from weftc.ops.pointwise import add, mul
from weftc.ops.structure import project, token
from weftc.transforms.batch import is_mapped
from weftc.transforms.closing import closing
from weftc.transforms.effects import check_effects, without_effects
from weftc.transforms.jvp import Tangents
from weftc.transforms.rules import Asked, Reverse, Rule, arguments
from weftc.transforms.vjp import has_floats, vjp

# ---------------------------------------------------------------------------------------------
# call(body, rule, instead; *operands): the results of the body. Its derivative is the rule's, if it
# has one; `instead` is the rule whose forward part this is
# ---------------------------------------------------------------------------------------------


def _infer_call(types: Types, attrs: Attrs) -> TupleType:
    check_inputs("call", attrs["body"], types)
    return TupleType(types_of(attrs["body"].outputs))


def _reference_call(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    return interpreted(attrs["body"], arrays)


def _vjp_call(
    node: Node, *cotangents: Node | None, wanted: Sequence[bool]
) -> tuple[Node | None, ...]:
    rule: Rule | None = node["rule"]
    if rule is None:
        return _vjp_body(node["body"], node.inputs, cotangents, wanted)
    results = zip(node["body"].outputs, cotangents, strict=True)
    given = [g is not None for o, g in results if has_floats(o)]
    operands = zip(node.inputs, wanted, strict=True)
    needed = [is_wanted for operand, is_wanted in operands if has_floats(operand)]
    reverse = rule.asked(types_of(node.inputs), Asked(given, needed))
    made = _forward(node, rule, reverse)[reverse.results :]
    sent = iter(inlined(reverse.backward, [*made, *(g for g in cotangents if g is not None)]))
    return tuple([next(sent) if has_floats(operand) else None for operand in node.inputs])


def _forward(node: Node, rule: Rule, reverse: Reverse) -> list[Node]:
    """What the forward part of a rule gives: an operand itself where it passes one on."""
    body = reverse.forward
    result = closing(call, *node.inputs, body=numbered(body), rule=None, instead=rule)
    operands = dict(zip(body.inputs, node.inputs))
    places = enumerate(body.outputs)
    return [operands[o] if o in operands else project(result, index=k) for k, o in places]


def _vjp_body(
    body: Graph,
    operands: Sequence[Node],
    cotangents: Sequence[Node | None],
    wanted: Sequence[bool],
) -> tuple[Node | None, ...]:
    """The gradient of what a body computes, which is computed once more: equal nodes become one."""
    tokens = {i: token() for i in body.inputs if not i.is_tensor}
    apart = [build.call("identity", node) if node.is_tensor else node for node in operands]
    outputs = inlined(substitute(without_effects(body), tokens), apart)
    found = dict(zip(inputs := list(compress(apart, wanted)), vjp(outputs, cotangents, inputs)))
    given = [*apart, *(g for g in cotangents if g is not None)]
    check_effects("function", toposort([g for g in found.values() if g is not None], given))
    return tuple([found.get(node) for node in apart])


def _jvp_call(node: Node, *tangents: Node | None) -> tuple[Sequence[Node], Tangents]:
    """A call that gives the tangents of the results after these."""
    rule: Rule | None = node["rule"]
    after: Rule | None = None
    results = node["body"].outputs
    if rule is None:
        body, moved = jvp_graph(node["body"], tangents)
        given = [t for t in tangents if t is not None]
    else:
        push = rule.push(types_of(node.inputs))
        body, after = numbered(push.graph), rule.after_push(push)
        moved = [k for k, output in enumerate(results) if has_floats(output)]
        pairs = zip(node.inputs, tangents)
        given = [build.like(0.0, x) if t is None else t for x, t in pairs if has_floats(x)]
    both = closing(call, *node.inputs, *given, body=body, rule=after, instead=None)
    parts = [project(both, index=k) for k in range(len(body.outputs))]
    slopes = dict(zip(moved, parts[len(results) :], strict=True))
    places = range(len(results))
    return parts[: len(results)], tuple([slopes.get(k) for k in places])


def _batch_call(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: Mapper
) -> Node:
    """A call of the mapped body, by the mapped rule. Results that a rule knows of are mapped."""
    shared = [] if mapper.active is None else [mapper.active]
    body, operands = node["body"], (*shared, *inputs)
    given = arguments(types_of(operands))
    found = mapper.outputs(body, given[len(shared) :], given[0] if shared else None)
    rules: dict[str, Rule | None] = {name: node[name] for name in ("rule", "instead")}
    if any(rules.values()):
        pairs = zip(body.outputs, found)
        found = [x if is_mapped(before, x) else mapper.expanded(x) for before, x in pairs]
    attrs: dict[str, Any] = {
        name: None if rule is None else rule.mapped(mapper.size, batched, bool(shared))
        for name, rule in rules.items()
    }
    return call(*operands, body=Graph(body.name, tuple(given), tuple(found)), **attrs)


def _pairs_call(node: Node, inputs: tuple[Value, ...]) -> list[Value]:
    """A call of the body on parts, by the rules on parts."""
    from weftc.transforms.pairs import control  # which knows of this module

    is_complex = tuple(isinstance(value, Pair) for value in inputs)
    rules: dict[str, Rule | None] = {name: node[name] for name in ("rule", "instead")}
    changed = {name: rule and rule.in_parts(is_complex) for name, rule in rules.items()}
    return control(node, inputs, **changed)


def _samples_call() -> Samples:
    x, y = inputs_of(VECTOR, SCALAR)
    body = Graph("body", (x, y), (mul(x, x), add(y, y), x))
    return [((VECTOR, SCALAR), {"body": body, "rule": None, "instead": None})]


call = TABLE.add(
    OpDef(
        "call",
        Family.CONTROL,
        infer=_infer_call,
        reference=_reference_call,
        vjp=_vjp_call,
        jvp=_jvp_call,
        batch=_batch_call,
        pairs=_pairs_call,
        holds_graphs=True,
        samples=_samples_call,
    )
)
