"""Reads what weftc.ir.print writes."""

from __future__ import annotations

import json
import re

from weftc.ir.node import Graph, Node
from weftc.ir.opdef import TABLE, Attr, Attrs
from weftc.ir.print import WORDS
from weftc.ir.sizes import Dim, Size
from weftc.ir.types import TensorType
from weftrt.dtypes import BY_SHORT
from weftrt.errors import ShapeError, VerifyError

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")
         |(?P<number>\d+\.?\d*(?:e[+-]?\d+)?)
         |(?P<word>[A-Za-z_]\w*)
         |(?P<value>%\d+)
         |(?P<sign>[-+*(){}\[\],=:]))""",
    re.VERBOSE,
)
_COMMENT = re.compile(r'^((?:[^"#]|"(?:[^"\\]|\\.)*")*)#.*$')


def parse_graph(text: str) -> Graph:
    """The graph that `text` describes; VerifyError, with the line, where it describes none."""
    name, outputs = "", None
    nodes: dict[str, Node] = {}
    for number, line in enumerate(text.splitlines(), 1):
        source = _COMMENT.sub(r"\1", line).strip()
        try:
            reader = _Reader(source)
            if source.startswith("graph "):
                name = source.removeprefix("graph ").strip()
            elif source.startswith("return"):
                outputs = reader.returned(nodes)
            elif source:
                target, node = reader.node(nodes)
                nodes[target] = node
        except (KeyError, VerifyError, ShapeError, TypeError) as error:
            raise VerifyError(f"line {number}: {line.strip()}\n  {error}") from error
    if not name or outputs is None:
        raise VerifyError("a graph starts with 'graph <name>' and ends with 'return'")
    inputs = tuple(n for n in nodes.values() if n.op.name == "input")
    return Graph(name, inputs, outputs)


class _Reader:
    """A line's tokens, read from left to right."""

    def __init__(self, source: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._next = 0
        position, source = 0, source if not source.startswith("graph ") else ""
        while position < len(source):
            match = _TOKEN.match(source, position)
            if match is None or match.lastgroup is None:
                raise VerifyError(f"cannot read {source[position:]!r}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def _peek(self) -> str:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else ""

    def _take(self) -> tuple[str, str]:
        if self._next == len(self._tokens):
            raise VerifyError("the line ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def _accept(self, sign: str) -> bool:
        if self._peek() != sign:
            return False
        self._next += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise VerifyError(f"expected {sign!r}, found {self._peek()!r}")

    def returned(self, nodes: dict[str, Node]) -> tuple[Node, ...]:
        """return %1, %2"""
        self._expect("return")
        return self._values(nodes, "")

    def node(self, nodes: dict[str, Node]) -> tuple[str, Node]:
        """%3 = op(%1, %2) {attr=1} : f32[4]"""
        target = self._take()[1]
        self._expect("=")
        op = TABLE[self._take()[1]]
        self._expect("(")
        inputs = self._values(nodes, ")")
        self._expect(")")
        attrs = self._attrs() if self._accept("{") else {}
        self._expect(":")
        written = self._type()
        node = op(*inputs, **attrs)
        if node.type != written:
            raise VerifyError(f"the type of {op.name} here is {node.type}, not {written}")
        return target, node

    def _values(self, nodes: dict[str, Node], end: str) -> tuple[Node, ...]:
        values: list[Node] = []
        while self._peek() != end:
            values.append(nodes[self._take()[1]])
            if not self._accept(","):
                break
        return tuple(values)

    def _attrs(self) -> Attrs:
        attrs: Attrs = {}
        while not self._accept("}"):
            name = self._take()[1]
            self._expect("=")
            attrs[name] = self._attr()
            self._accept(",")
        return attrs

    def _type(self) -> TensorType:
        dtype = BY_SHORT[self._take()[1]]
        self._expect("[")
        shape: list[Size] = []
        while not self._accept("]"):
            shape.append(self._size())
            self._accept(",")
        return TensorType(dtype, tuple(shape))

    def _attr(self) -> Attr:
        if self._accept("("):
            items: list[Attr] = []
            while not self._accept(")"):
                items.append(self._attr())
                self._accept(",")
            return tuple(items)
        kind, text = self._tokens[self._next]
        if kind == "string":
            return json.loads(self._take()[1])
        if text in WORDS:
            return WORDS[self._take()[1]]
        negative = text == "-"
        kind, text = self._tokens[self._next + negative]
        if text == "inf" or (kind == "number" and not text.isdigit()):
            self._next += 1 + negative
            return -float(text) if negative else float(text)
        return self._size()

    def _size(self) -> Size:
        """4*m*m+1-2*n"""
        total: Size = 0
        while True:
            sign = -1 if self._accept("-") else 1
            term: Size = sign
            while True:
                kind, text = self._take()
                if kind not in ("number", "word"):
                    raise VerifyError(f"expected a size, found {text!r}")
                term = term * (int(text) if kind == "number" else Dim.symbol(text))
                if not self._accept("*"):
                    break
            total = total + term
            if not self._accept("+") and self._peek() != "-":
                return total
