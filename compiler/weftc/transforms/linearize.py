"""Tangents taken apart: what only depends on the primals, and what is linear in the tangents.

t * exp(x)  ->  residuals [exp(x)], linear (residual, t) -> t * residual
"""

from __future__ import annotations

from collections.abc import Sequence

from weftc.ir.node import Graph, Node, inlined, toposort
from weftc.ir.types import TokenType
from weftc.ops import build
from weftc.ops.structure import token
from weftc.transforms.effects import check_effects, without_effects


def linearized(
    outputs: Sequence[Node | None], tangents: Sequence[Node]
) -> tuple[list[Node], Graph]:
    """(residuals, a graph from these and tangents to the outputs that there are), where the outputs
    are what `jvp` made of `tangents`.

    Residuals are read by what depends on tangents, and do not; constants and the broadcasts of
    residuals are made again instead. TraceError if an output needs what an effect gives within a
    branch or a loop.
    """
    wanted = [output for output in outputs if output is not None]
    order = toposort(wanted, tangents)
    linear, variable = set(tangents), set[Node]()
    for node in order:
        if not linear.isdisjoint(node.inputs):
            linear.add(node)
        elif node.op.name == "input" or not variable.isdisjoint(node.inputs):
            variable.add(node)
    read = {operand: None for node in order if node in linear for operand in node.inputs}
    frontier = {_unspread(node): None for node in read if node in variable and node not in linear}
    tokens = [node for node in frontier if isinstance(node.value_type, TokenType)]
    residuals = [node for node in frontier if node not in tokens]
    inputs = [
        build.argument(number, "residual", node.type)
        for number, node in enumerate((*residuals, *tangents))
    ]
    cut = Graph("push", (*residuals, *tangents, *tokens), tuple(wanted))
    made = inlined(cut, [*inputs, *[token()] * len(tokens)])
    graph = without_effects(Graph("push", tuple(inputs), tuple(made)))
    check_effects("function", graph.all_nodes())
    return residuals, graph


def _unspread(node: Node) -> Node:
    """What `node` is a broadcast of."""
    while node.op.name == "broadcast":
        node = node.inputs[0]
    return node
