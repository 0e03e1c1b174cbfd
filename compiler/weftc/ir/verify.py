"""The graph verifier: run after every pass in tests."""

from __future__ import annotations

from collections.abc import Sequence

from weftc.ir.constraints import Assumptions, assuming
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import RULE_ERRORS, TABLE
from weftc.ir.print import print_attr, print_node
from weftc.ir.types import TOKEN
from weftrt.errors import VerifyError

_CONTEXT = 3


def verify(graph: Graph) -> None:
    """VerifyError, with the lines around the first bad node, unless `graph` is well formed: known
    ops, the types their rules give, printable attributes, every input listed, none twice, and
    every graph that a node holds well formed too. What rules assume of sizes must follow from the
    graph's constraints."""
    with assuming(Assumptions(graph.constraints, strict=True)):
        _verify(graph)


def _verify(graph: Graph) -> None:
    if len(set(graph.inputs)) != len(graph.inputs):
        raise VerifyError(f"graph {graph.name}: an input is listed twice")
    nodes = graph.nodes()
    listed = set(graph.inputs)
    for number, node in enumerate(nodes):
        problem = _problem(node, listed)
        if problem is not None:
            around = _excerpt(nodes, number)
            raise VerifyError(f"graph {graph.name}, %{number}: {problem}\n{around}")


def _problem(node: Node, listed: set[Node]) -> str | None:
    name = node.op.name
    if name not in TABLE or TABLE[name] is not node.op:
        return f"{name} is not a registered op"
    if (name == "input") != (node in listed):
        return "an input that the graph does not list" if name == "input" else "not an input"
    try:
        for value in node.attrs.values():
            print_attr(value)
            hash(value)
        for graph in node.graphs():
            _verify(graph)
        wanted = node.op.infer(tuple(i.value_type for i in node.inputs), node.attrs)
    except RULE_ERRORS as error:
        return f"{type(error).__name__}: {error}"
    if wanted != node.value_type:
        return f"its type is {wanted}, but it has {node.value_type}"
    if node.op.effect and not (node.inputs and node.inputs[0].value_type is TOKEN):
        return "an effect takes a token first"
    return None


def _excerpt(nodes: Sequence[Node], bad: int) -> str:
    numbers = {node: number for number, node in enumerate(nodes)}
    lines = []
    for number in range(max(0, bad - _CONTEXT), min(len(nodes), bad + _CONTEXT + 1)):
        try:
            line = print_node(nodes[number], numbers, str)
        except VerifyError:
            line = f"%{number} = {nodes[number].op.name}(...)"
        lines.append(f"{'>' if number == bad else ' '} {line}")
    return "\n".join(lines)
