"""Graphs that are computed a second time, without doing again what happened the first time."""

from __future__ import annotations

from collections.abc import Iterable

from weftc.ir.node import Graph, Node, rewrite
from weftc.ir.types import TokenType
from weftrt.errors import TraceError


def without_effects(graph: Graph) -> Graph:
    """`graph` without the effects whose results it does not read."""
    return rewrite(graph, _token_before)


def _token_before(node: Node) -> Node | None:
    """For the token that an effect gives, the one that it takes."""
    source = node.inputs[0] if node.op.name == "project" else node
    gives_token = isinstance(node.value_type, TokenType) and source.op.effect
    return source.inputs[0] if gives_token else None


def check_effects(what: str, nodes: Iterable[Node]) -> None:
    """TraceError if a derivative would have an effect a second time."""
    for node in nodes:
        if node.op.effect:
            place = node.location or "unknown place"
            problem = f"a {what} whose gradient needs what an effect in it gives has no gradient"
            raise TraceError(f"{problem} (at {place})")
