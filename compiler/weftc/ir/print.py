"""Graphs as text: one line per node. `weftc.ir.parse` reads it back to an equal graph.

graph softmax
  %0 = input() {index=0, name="x", dtype=f32, shape=(n, 10)} : f32[n,10]
  %1 = max(%0) {axes=(1,)} : f32[n]  # model.py:7: x.max(axis=1)
  return %1

A line "where n >= 1, m % 4 == 0" before the nodes has the constraints of sizes.
Graphs that attributes hold are written in braces, with numbers of their own:

  %2 = branch(%1, %0) {branches=(graph "negative" {
      %0 = input() {index=0, name="x", dtype=f32, shape=()} : f32[]
      %1 = neg(%0) : f32[]
      return %1
    }, graph "other" {
      ...
    })} : (f32[],)

The same writer writes what caches and common subexpressions are known by (`canonical`): that leaves
out names, locations and types, which follow from the inputs'.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from operator import attrgetter

from weftc.ir.location import Location
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Attr, Attrs, HostFunction
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
_ATOMS: Mapping[type, Callable[[Attr], str]] = {
    type(None): lambda value: "none",
    bool: lambda value: "true" if value else "false",
    int: repr,
    float: repr,
    str: json.dumps,
    DType: attrgetter("short"),
}


def print_graph(graph: Graph, place: Callable[[Location], str] | None = None) -> str:
    """`graph` as text, with the user's lines as comments, as `place` writes them."""
    return f"graph {graph.name}\n{Writer(place).body(graph)}\n"


def print_node(
    node: Node, numbers: Mapping[Node, int], place: Callable[[Location], str] | None = None
) -> str:
    """What `print_graph` writes of a node; operands that have no number print as %?."""
    return Writer(place).node(node, numbers)


def print_attr(value: Attr) -> str:
    """An attribute; VerifyError if it is of no printable kind."""
    return Writer().attr(value)


class Writer:
    """Writes graphs, nodes and attributes. Host functions are numbered as they come in all that one
    writer writes."""

    def __init__(self, place: Callable[[Location], str] | None = None) -> None:
        self._place = place
        self._indent = "  "
        self._hosts: dict[HostFunction, int] = {}

    def body(self, graph: Graph) -> str:
        """The lines of a graph, without its head."""
        numbers: dict[Node, int] = {}
        lines: list[str] = []
        if graph.constraints:
            lines.append(f"{self._indent}where {', '.join(map(str, graph.constraints))}")
        for number, node in enumerate(graph.nodes()):
            numbers[node] = number
            lines.append(self._indent + self.node(node, numbers))
        returned = ", ".join(f"%{numbers[o]}" for o in graph.outputs)
        lines.append(f"{self._indent}return {returned}".rstrip())
        return "\n".join(lines)

    def node(self, node: Node, numbers: Mapping[Node, int]) -> str:
        """One node, its operands by number."""
        operands = ", ".join(f"%{numbers.get(i, '?')}" for i in node.inputs)
        attrs = ", ".join(f"{name}={self.attr(value)}" for name, value in node.attrs.items())
        line = f"%{numbers[node]} = {node.op.name}({operands})"
        line += f" {{{attrs}}} : {node.value_type}" if attrs else f" : {node.value_type}"
        if self._place is not None and node.location is not None:
            line += f"  # {self._place(node.location)}"
        return line

    def attr(self, value: Attr) -> str:
        """An attribute; VerifyError if it is of no printable kind."""
        write = _ATOMS.get(type(value))
        if write is not None:
            return write(value)
        if isinstance(value, tuple):
            inside = ", ".join(map(self.attr, value))
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        if isinstance(value, Dim):
            return _size(value)
        if isinstance(value, Graph):
            return self.graph(value)
        if isinstance(value, HostFunction):
            return self._host(value)
        raise VerifyError(f"the attribute {value!r} ({type(value).__name__}) cannot be printed")

    def graph(self, graph: Graph) -> str:
        """A graph that an attribute holds."""
        outside, self._indent = self._indent, self._indent + "    "
        body, self._indent = self.body(graph), outside
        return f"graph {json.dumps(graph.name)} {{\n{body}\n{outside}  }}"

    def _host(self, function: HostFunction) -> str:
        number = self._hosts.setdefault(function, len(self._hosts))
        return f"host {json.dumps(function.name)} #{number}"


class Canonical(Writer):
    """Writes what makes two graphs or nodes equal, and nothing else."""

    def body(self, graph: Graph) -> str:
        numbers: dict[Node, str] = {}
        lines = list(map(str, graph.constraints))
        for number, node in enumerate(graph.nodes()):
            numbers[node] = str(number)
            operands = ",".join([numbers[i] for i in node.inputs])
            lines.append(f"{node.op.name} {operands} {self.attrs(node)}")
        lines.append(f"return {','.join([numbers[o] for o in graph.outputs])}")
        return "\n".join(lines)

    def attrs(self, node: Node) -> str:
        """The attributes of a node."""
        attrs: Attrs = node.attrs
        if not attrs:
            return ""
        if node.op.holds_graphs or node.op.effect:
            return ", ".join([f"{name}={self.attr(attrs[name])}" for name in sorted(attrs)])
        if node.op.name == "input":
            return repr(sorted((name, attrs[name]) for name in attrs if name != "name"))
        return node.attr_text

    def graph(self, graph: Graph) -> str:
        return f"{{{self.body(graph)}}}"

    def _host(self, function: HostFunction) -> str:
        return f"host #{self._hosts.setdefault(function, len(self._hosts))}"


def _size(size: Dim) -> str:
    for symbol in size.symbols():
        if symbol in WORDS or not _SYMBOL.fullmatch(symbol):
            raise VerifyError(f"the size symbol {symbol!r} cannot be printed")
    return str(size)
