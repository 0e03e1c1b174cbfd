"""The gradient of a scan: a scan in the other direction, over what the turns have kept.

c, ys = scan(c0, xs; w) {c', y = f(c, x, w)}
    ->  _, residuals = scan(c0, xs; w) {f, and what its pullback reads}
        dc0, dw, dxs = scan(dc, 0, dys, residuals, xs; w) {pullback of f; dw + its part}  in reverse

The first of the two computes what the scan itself does, and more: the pass `merge_loops` makes one
of them. A fori of which it is known how often it turns is a scan over its counter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weftc.ir.node import Graph, Node, numbered, substitute, toposort
from weftc.ir.opdef import Family
from weftc.ir.size_functions import maximum
from weftc.ir.sizes import Size
from weftc.ir.types import TokenType
from weftc.ops import build
from weftc.ops.control import no_gradient
from weftc.ops.structure import project, token
from weftc.transforms.closing import closing
from weftc.transforms.effects import check_effects, without_effects
from weftc.transforms.vjp import has_floats, vjp
from weftrt import dtypes


@dataclass(frozen=True, eq=False)
class _Parts:
    """What a scan is over, or the inputs of its body, by what they are; no tokens."""

    state: list[Node]
    rows: list[Node]
    rest: list[Node]

    @staticmethod
    def of(node: Node, nodes: Sequence[Node]) -> _Parts:
        first, end = node["carried"], node["carried"] + node["scanned"]
        parts = (nodes[:first], nodes[first:end], nodes[end:])
        return _Parts(*([n for n in some if n.is_tensor] for some in parts))

    @property
    def all(self) -> list[Node]:
        return [*self.state, *self.rows, *self.rest]


@dataclass(frozen=True, eq=False)
class _Pullback:
    """What a turn back computes: `given` are the cotangents of parts of the state, by number, and
    of rows of stacks; `sent` are those of the inputs of the body, where there are any."""

    state: dict[int, Node]
    rows: dict[int, Node]
    sent: dict[Node, Node]


def vjp_scan(
    node: Node, *cotangents: Node | None, wanted: Sequence[bool]
) -> tuple[Node | None, ...]:
    """The cotangents of what a scan is over, from one in the other direction."""
    body = without_effects(node["body"])
    body = substitute(body, {i: token() for i in body.inputs if not i.is_tensor})
    operands, inputs = _Parts.of(node, node.inputs), _Parts.of(node, body.inputs)
    given = [g for g, o in zip(cotangents, body.outputs, strict=True) if o.is_tensor]
    outputs = [o for o in body.outputs if o.is_tensor]
    pairs = zip(body.inputs, wanted, strict=True)
    fixed = {i for i, is_wanted in pairs if not is_wanted and i not in inputs.state}
    back = _settled(outputs, inputs, given, fixed)
    kept = _residuals(outputs, inputs, back)
    stacks = _stacked(node, operands, inputs, outputs, kept)
    found = _run_back(node, operands, inputs, back, given, dict(zip(kept, stacks)))
    return tuple([found.get(i) for i in body.inputs])


def vjp_fori(
    node: Node, *cotangents: Node | None, wanted: Sequence[bool]
) -> tuple[Node | None, ...]:
    """The gradient of the scan that a loop is."""
    found = as_scan(node)
    if found is None:
        raise no_gradient(node, "a loop whose number of turns is not known")
    carried = node["carried"]
    state, rest = wanted[2 : 2 + carried], wanted[2 + carried :]
    sent = vjp_scan(found, *cotangents, wanted=[*state, False, *rest])
    return None, None, *sent[:carried], *sent[carried + 1 :]


def as_scan(node: Node) -> Node | None:
    """A fori as a scan over its counter; None if it is not known how often it turns."""
    lower, upper = map(_size, node.inputs[:2])
    if lower is None or upper is None:
        return None
    carried, body, length = node["carried"], node["body"], maximum(upper - lower, 0)
    operands, (i, *inputs) = node.inputs[2:], body.inputs
    counter = build.call("iota", shape=(length,), axis=0, dtype=dtypes.int64)
    if lower != 0:
        start = build.expand(node.inputs[0], (length,), ())
        counter = build.call("add", counter, start)
    turn = Graph(body.name, (*inputs[:carried], i, *inputs[carried:]), body.outputs)
    attrs = {"carried": carried, "scanned": 1, "length": length, "reverse": False}
    over = (*operands[:carried], counter, *operands[carried:])
    return build.call("scan", *over, body=numbered(turn), **attrs)


def _size(bound: Node) -> Size | None:
    """A bound whose value follows from the sizes of arrays."""
    known = {"constant": "value", "size": "size"}.get(bound.op.name)
    return None if known is None else bound[known]


# -- the pullback of a turn ------------------------------------------------------------------------


def _settled(
    outputs: Sequence[Node], inputs: _Parts, given: Sequence[Node | None], fixed: set[Node]
) -> _Pullback:
    """The pullback of a turn for all that has a cotangent after some turn: what the scan gives one
    for, and what the pullback makes one of; none of what is `fixed`."""
    carried = len(inputs.state)
    rows = {k: _cotangent(outputs[k]) for k in range(carried, len(outputs)) if given[k] is not None}
    moving = {k for k in range(carried) if given[k] is not None}
    floats = [node for node in inputs.all if has_floats(node) and node not in fixed]
    while True:
        state = {k: _cotangent(outputs[k]) for k in sorted(moving)}
        known = state | rows
        found = vjp([outputs[k] for k in known], list(known.values()), floats)
        sent = {node: g for node, g in zip(floats, found, strict=True) if g is not None}
        made = {k for k, node in enumerate(inputs.state) if node in sent}
        if made <= moving:
            return _Pullback(state, rows, sent)
        moving |= made


def _cotangent(output: Node) -> Node:
    return build.argument(0, "cotangent", output.type)


# -- what turns keep for it ------------------------------------------------------------------------


def _residuals(outputs: Sequence[Node], inputs: _Parts, back: _Pullback) -> list[Node]:
    """What the pullback reads of a turn: what the turn computes anyway, and what costs much.

    Rows and what every turn reads are at hand, and what is cheap to make of such is made again. Of
    an array that only has another shape the array is kept.
    """
    sent = list(back.sent.values())
    order = toposort(sent)
    moved = {*back.state.values(), *back.rows.values()}
    for node in order:
        if not moved.isdisjoint(node.inputs):
            moved.add(node)
    read = [i for node in order if node in moved for i in node.inputs if i not in moved]
    read += [node for node in sent if node not in moved]
    return [node for node in _kept(read, set(toposort(outputs)), inputs) if node.is_tensor]


def _kept(read: Sequence[Node], computed: set[Node], inputs: _Parts) -> Iterator[Node]:
    """Each node to be kept, once."""
    turning = _depending(inputs.state, read)
    pending, seen = list(reversed(read)), set[Node]()
    while pending:
        node = pending.pop()
        if node in seen or (node.op.name == "input" and node not in inputs.state):
            continue
        seen.add(node)
        if _is_made_again(node, node in turning, node in computed):
            pending += reversed(node.inputs)
        else:
            yield node


def _depending(sources: Sequence[Node], roots: Sequence[Node]) -> set[Node]:
    """The nodes that depend on what a turn starts from."""
    found = set(sources)
    for node in toposort(roots):
        if not found.isdisjoint(node.inputs):
            found.add(node)
    return found


_RESHAPED = ("broadcast", "reshape", "transpose")
_CHEAP = 8
"""The work per element of what is rather computed again than kept."""


def _is_made_again(node: Node, turning: bool, computed: bool) -> bool:
    if node.op.name in _RESHAPED or not node.inputs:
        return node.op.name != "input"
    cheap = node.op.family is Family.POINTWISE and node.op.cost < _CHEAP
    return cheap and not (turning and computed)


def _stacked(
    node: Node, operands: _Parts, inputs: _Parts, outputs: Sequence[Node], kept: Sequence[Node]
) -> list[Node]:
    """The stacks of what turns keep, from a scan that computes what `node` does, and these."""
    if not kept:
        return []
    carried = len(operands.state)
    body = Graph(node["body"].name, tuple(inputs.all), (*outputs[:carried], *kept))
    check_effects("loop", body.all_nodes())
    attrs = {**node.attrs, "carried": carried, "body": numbered(body)}
    result = closing(node.op, *operands.all, **attrs)
    return [project(result, index=carried + k) for k in range(len(kept))]


# -- the scan back ---------------------------------------------------------------------------------


def _run_back(
    node: Node,
    operands: _Parts,
    inputs: _Parts,
    back: _Pullback,
    given: Sequence[Node | None],
    kept: dict[Node, Node],
) -> dict[Node, Node]:
    """The cotangent of each operand that has one, by the input of the body that it is."""
    rest = [n for n in inputs.rest if n in back.sent]
    rows = [n for n in inputs.rows if n in back.sent]
    sums = {n: build.argument(0, "sum", n.type) for n in rest}
    read = {n: build.argument(0, "kept", n.type) for n in kept} | _tokens(back)
    state = [inputs.state[k] for k in back.state]
    sent = [back.sent.get(n) for n in state]
    outputs = [
        *(build.like(0.0, n) if g is None else g for n, g in zip(state, sent)),
        *(build.call("add", sums[n], back.sent[n]) for n in rest),
        *(back.sent[n] for n in rows),
    ]
    scanned = (*back.rows.values(), *(read[n] for n in kept), *inputs.rows)
    taken = (*back.state.values(), *sums.values(), *scanned, *inputs.rest)
    body = substitute(Graph(f"{node['body'].name} gradient", taken, tuple(outputs)), read)
    check_effects("loop", body.all_nodes())
    ends = [given[k] for k in back.state]
    starts = [build.like(0.0, n) if g is None else g for n, g in zip(state, ends)]
    starts += [build.like(0.0, n) for n in rest]
    stacks = [g for k in back.rows if (g := given[k]) is not None]
    over = (*starts, *stacks, *kept.values(), *operands.rows, *operands.rest)
    attrs = {**node.attrs, "carried": len(starts), "scanned": len(scanned)}
    attrs |= {"body": numbered(body), "reverse": not node["reverse"]}
    result = closing(node.op, *over, **attrs)
    return {n: project(result, index=k) for k, n in enumerate((*state, *rest, *rows))}


def _tokens(back: _Pullback) -> dict[Node, Node]:
    """New ones for the tokens that a turn back reads: nothing is left in it to follow."""
    order = toposort(list(back.sent.values()))
    return {node: token() for node in order if isinstance(node.value_type, TokenType)}
