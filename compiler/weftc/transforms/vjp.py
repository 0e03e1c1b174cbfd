"""Reverse-mode differentiation: cotangents flow from outputs to inputs, op by op.

y = mul(x, x); vjp([y], [g], [x])  ->  [add(mul(g, x), mul(g, x))]
"""

from __future__ import annotations

from collections.abc import Sequence

from weftc.ir import location as locations
from weftc.ir.node import Node, result_types, toposort
from weftc.ir.opdef import TABLE
from weftc.ir.types import TensorType
from weftrt.errors import TraceError, VerifyError


def vjp(
    outputs: Sequence[Node],
    cotangents: Sequence[Node | None],
    inputs: Sequence[Node],
    known: Sequence[Node] = (),
) -> list[Node | None]:
    """The cotangent of each input, given one per output (None: it does not count).

    The walk stops at `inputs`, which are different nodes and count as independent of each other,
    and at what is `known` not to depend on them. None for an input that no gradient reaches, or
    that is not a float. TraceError for an op that has no gradient rule.
    """
    order = toposort(outputs, [*inputs, *known])
    active = _active(order, inputs)
    gathered = _Gathered()
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if cotangent is not None and output in active:
            gathered.add(output, 0, cotangent)
    stops = set(inputs)
    assert len(stops) == len(inputs), "of one node twice, each place would have the whole cotangent"
    with locations.provided_by(lambda: node.location):  # what a node sends back is of its line
        for node in reversed(order):
            if node in gathered and node not in stops:
                _pull_back(node, active, gathered)
    return [gathered.of(node)[0] for node in inputs]


class _Gathered:
    """The cotangents that have reached the results of nodes."""

    def __init__(self) -> None:
        self._parts: dict[Node, list[Node | None]] = {}

    def __contains__(self, node: Node) -> bool:
        return node in self._parts

    def of(self, node: Node) -> list[Node | None]:
        """One for each result of `node`."""
        return self._parts.get(node) or [None] * len(result_types(node))

    def add(self, node: Node, index: int, cotangent: Node) -> None:
        """One more for result `index` of `node`."""
        parts = self._parts.get(node)
        if parts is None:
            parts = self._parts[node] = [None] * len(result_types(node))
        before = parts[index]
        parts[index] = cotangent if before is None else TABLE["add"](before, cotangent)


def has_floats(node: Node) -> bool:
    """Whether a value holds floats: others have no gradient."""
    if node.is_tensor:
        return node.type.dtype.is_float
    return any(isinstance(t, TensorType) and t.dtype.is_float for t in result_types(node))


def has_slopes(node: Node) -> bool:
    """Whether a value holds floats or complex numbers."""
    return any(isinstance(t, TensorType) and t.dtype.is_inexact for t in result_types(node))


def _active(order: Sequence[Node], inputs: Sequence[Node]) -> set[Node]:
    """Nodes of floats that depend on a float among `inputs` through floats."""
    active = {node for node in inputs if has_floats(node)}
    for node in order:
        if not active.isdisjoint(node.inputs):
            if has_floats(node):
                active.add(node)
            elif node.is_tensor and node.type.dtype.is_complex:
                raise VerifyError(f"{node!r} has to be taken apart before it is differentiated")
    return active


def _pull_back(node: Node, active: set[Node], gathered: _Gathered) -> None:
    """Add the cotangents that `node` sends to its inputs, where they are wanted."""
    cotangents = gathered.of(node)
    if node.op.name == "project":
        (cotangent,) = cotangents
        assert cotangent is not None
        gathered.add(node.inputs[0], node["index"], cotangent)
        return
    if node.op.vjp is None:
        raise TraceError(f"{node.op.name} has no gradient (at {node.location or 'unknown place'})")
    wanted = {"wanted": [i in active for i in node.inputs]} if node.op.holds_graphs else {}
    sent = node.op.vjp(node, *cotangents, **wanted)
    for operand, cotangent in zip(node.inputs, sent, strict=True):
        if cotangent is not None and operand in active:
            gathered.add(operand, 0, cotangent)
