"""Reverse-mode differentiation: cotangents flow from outputs to inputs, op by op.

y = mul(x, x); vjp([y], [g], [x])  ->  [add(mul(g, x), mul(g, x))]
"""

from __future__ import annotations

from collections.abc import Sequence

from weftc.ir import location as locations
from weftc.ir.node import Node, toposort
from weftc.ir.opdef import TABLE
from weftrt.errors import TraceError


def vjp(
    outputs: Sequence[Node], cotangents: Sequence[Node | None], inputs: Sequence[Node]
) -> list[Node | None]:
    """The cotangent of each input, given one per output (None: it does not count).

    The walk stops at `inputs`, which count as independent of each other. None for an input that no
    gradient reaches, or that is not a float. TraceError for an op that has no gradient rule.
    """
    order = toposort(outputs, inputs)
    active = _active(order, inputs)
    gathered: dict[Node, Node] = {}
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if cotangent is not None and output in active:
            _gather(gathered, output, cotangent)
    stops = set(inputs)
    for node in reversed(order):
        if node in gathered and node not in stops:
            with locations.at(node.location):
                _pull_back(node, gathered[node], active, gathered)
    return [gathered.get(node) for node in inputs]


def _active(order: Sequence[Node], inputs: Sequence[Node]) -> set[Node]:
    """Float nodes that depend on a float among `inputs` through floats."""
    active = {node for node in inputs if node.type.dtype.is_float}
    for node in order:
        if node.type.dtype.is_float and not active.isdisjoint(node.inputs):
            active.add(node)
    return active


def _gather(gathered: dict[Node, Node], node: Node, cotangent: Node) -> None:
    before = gathered.get(node)
    gathered[node] = cotangent if before is None else TABLE["add"](before, cotangent)


def _pull_back(node: Node, g: Node, active: set[Node], gathered: dict[Node, Node]) -> None:
    """Add the cotangents that `node` sends to its inputs, where they are wanted."""
    if node.op.vjp is None:
        raise TraceError(f"{node.op.name} has no gradient (at {node.location or 'unknown place'})")
    for operand, cotangent in zip(node.inputs, node.op.vjp(node, g), strict=True):
        if cotangent is not None and operand in active:
            _gather(gathered, operand, cotangent)
