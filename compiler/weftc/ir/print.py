"""Graphs as text: one line per node. `weftc.ir.parse` reads it back to an equal graph.

graph softmax
  %0 = input() {index=0, name="x", dtype=f32, shape=(n, 10)} : f32[n,10]
  %1 = max(%0) {axes=(1,)} : f32[n]  # model.py:7: x.max(axis=1)
  return %1
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from weftc.ir.location import Location
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Attr
from weftc.ir.sizes import Dim
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import VerifyError

WORDS: Mapping[str, Attr] = {
    "true": True,
    "false": False,
    "none": None,
    "nan": float("nan"),
    "inf": float("inf"),
    **dtypes.BY_SHORT,
}
"""Words that an attribute may be besides sizes: no size symbol has such a name."""

_SYMBOL = re.compile(r"[A-Za-z_]\w*")


def print_graph(graph: Graph, place: Callable[[Location], str] | None = None) -> str:
    """`graph` as text, with the user's lines as comments, as `place` writes them."""
    numbers: dict[Node, int] = {}
    lines = [f"graph {graph.name}"]
    for number, node in enumerate(graph.nodes()):
        numbers[node] = number
        lines.append("  " + print_node(node, numbers, place))
    returned = ", ".join(f"%{numbers[o]}" for o in graph.outputs)
    lines.append(f"  return {returned}".rstrip())
    return "\n".join(lines) + "\n"


def print_node(
    node: Node, numbers: Mapping[Node, int], place: Callable[[Location], str] | None = None
) -> str:
    """One line; operands that have no number print as %?."""
    operands = ", ".join(f"%{numbers.get(i, '?')}" for i in node.inputs)
    attrs = ", ".join(f"{name}={print_attr(value)}" for name, value in node.attrs.items())
    line = f"%{numbers[node]} = {node.op.name}({operands})"
    line += f" {{{attrs}}} : {node.type}" if attrs else f" : {node.type}"
    return f"{line}  # {place(node.location)}" if place and node.location else line


def print_attr(value: Attr) -> str:
    """An attribute; VerifyError if it is of no printable kind."""
    if isinstance(value, tuple):
        inside = ", ".join(map(print_attr, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, DType):
        return value.short
    if isinstance(value, Dim):
        for symbol in value.symbols():
            if symbol in WORDS or not _SYMBOL.fullmatch(symbol):
                raise VerifyError(f"the size symbol {symbol!r} cannot be printed")
        return str(value)
    raise VerifyError(f"the attribute {value!r} ({type(value).__name__}) cannot be printed")
