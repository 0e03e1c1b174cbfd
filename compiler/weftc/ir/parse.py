"""Reads what weftc.ir.print writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from weftc.ir.constraints import (
    Assumptions,
    AtLeast,
    AtMost,
    Constraint,
    Differs,
    Divides,
    Equal,
    assuming,
)
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import RULE_ERRORS, TABLE, Attr, Attrs, HostFunction
from weftc.ir.print import WORDS
from weftc.ir.size_functions import floor_div, minimum
from weftc.ir.sizes import Dim, Size
from weftc.ir.tracing_state import state
from weftc.ir.types import TOKEN, TensorType, TokenType, TupleType, ValueType
from weftrt.dtypes import BY_SHORT
from weftrt.errors import VerifyError

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*")
        |(?P<number>\d+\.?\d*(?:e[+-]?\d+)?)
        |(?P<word>[A-Za-z_]\w*)
        |(?P<value>%\d+)
        |(?P<host>\#\d+)
        |(?P<sign>//|[<>=!]=|[-+*(){}\[\],=:])
        |(?P<rest>%)
        |(?P<skipped>\#[^\n]*|[^\S\n]+)
        |(?P<line>\n)
        |(?P<unknown>.)""",
    re.VERBOSE,
)
_RELATIONS = {relation.sign: relation for relation in (Equal, AtLeast, AtMost, Differs)}
_HEAD = re.compile(r"\A(?:\s*(?:\#.*)?\n)*\s*graph (?P<name>.*)(?:\n|\Z)")


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def parse_graph(text: str, functions: Sequence[Callable[..., Any]] = ()) -> Graph:
    """The graph that `text` describes; VerifyError, with the line, where it describes none.
    Function number k of the text is `functions[k]`, or one that cannot be called."""
    head = _HEAD.match(text)
    name = head["name"].strip() if head is not None else ""
    if head is None or not name:
        raise VerifyError("a graph starts with 'graph <name>' and ends with 'return'")
    first = head[0].count("\n") + 1
    reader = _Reader(list(_tokens(text[head.end() :], first)), functions)
    try:
        graph = reader.graph(name)
        reader.end()
    except RULE_ERRORS as error:
        line = text.splitlines()[reader.line - 1].strip() if reader.line else ""
        raise VerifyError(f"line {reader.line}: {line}\n  {error}") from error
    return graph


def _tokens(text: str, line: int) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        assert kind is not None
        if kind == "line":
            line += 1
        elif kind != "skipped":
            yield _Token(kind, match[kind], line)


class _Reader:
    """A text's tokens, read from left to right. `line` is where what is read now begins."""

    def __init__(self, tokens: Sequence[_Token], functions: Sequence[Callable[..., Any]]) -> None:
        self._tokens = tokens
        self._next = 0
        self._hosts = dict(enumerate(functions))
        self.line = 0

    def _peek(self) -> str:
        return self._tokens[self._next].text if self._next < len(self._tokens) else ""

    def _ahead(self, count: int) -> _Token:
        if self._next + count >= len(self._tokens):
            raise VerifyError("the text ends too early; a graph ends with 'return'")
        return self._tokens[self._next + count]

    def _take(self) -> _Token:
        token = self._ahead(0)
        if token.kind == "unknown":
            raise VerifyError(f"cannot read {token.text!r}")
        self._next += 1
        return token

    def _accept(self, sign: str) -> bool:
        if self._peek() != sign:
            return False
        self._next += 1
        return True

    def _expect(self, sign: str) -> None:
        found = self._take().text
        if found != sign:
            raise VerifyError(f"expected {sign!r}, found {found!r}")

    def end(self) -> None:
        """Nothing may be left."""
        if self._next < len(self._tokens):
            self.line = self._tokens[self._next].line
            raise VerifyError(f"expected the end, found {self._peek()!r}")

    def graph(self, name: str) -> Graph:
        """The lines of a graph."""
        constraints = self._constraints() if self._accept("where") else ()
        nodes: dict[str, Node] = {}
        with assuming(Assumptions(constraints) if constraints else state.assumptions):
            while self._peek() != "return":
                if self._next < len(self._tokens):
                    self.line = self._tokens[self._next].line
                target, node = self._node(nodes)
                nodes[target] = node
        self.line = self._take().line
        outputs = self._values(nodes)
        inputs = tuple(n for n in nodes.values() if n.op.name == "input")
        return Graph(name, inputs, outputs, constraints)

    def _constraints(self) -> tuple[Constraint, ...]:
        """n >= 1, m % 4 == 0"""
        found = [self._constraint()]
        while self._accept(","):
            found.append(self._constraint())
        return tuple(found)

    def _constraint(self) -> Constraint:
        a = self._size()
        if self._accept("%"):
            divisor = self._size()
            self._expect("==")
            self._expect("0")
            return Divides(divisor, a)
        return _RELATIONS[self._take().text](a, self._size())

    def _node(self, nodes: dict[str, Node]) -> tuple[str, Node]:
        """%3 = op(%1, %2) {attr=1} : f32[4]"""
        target = self._take().text
        self._expect("=")
        op = TABLE[self._take().text]
        self._expect("(")
        inputs = self._values(nodes)
        self._expect(")")
        attrs = self._attrs() if self._accept("{") else {}
        self._expect(":")
        written = self._type()
        node = op(*inputs, **attrs)
        if node.value_type != written:
            raise VerifyError(f"the type of {op.name} here is {node.value_type}, not {written}")
        return target, node

    def _values(self, nodes: dict[str, Node]) -> tuple[Node, ...]:
        values: list[Node] = []
        while self._peek().startswith("%"):
            values.append(nodes[self._take().text])
            if not self._accept(","):
                break
        return tuple(values)

    def _attrs(self) -> Attrs:
        attrs: Attrs = {}
        while not self._accept("}"):
            name = self._take().text
            self._expect("=")
            attrs[name] = self._attr()
            self._accept(",")
        return attrs

    def _type(self) -> ValueType:
        if not self._accept("("):
            return self._part()
        items: list[TensorType | TokenType] = []
        while not self._accept(")"):
            items.append(self._part())
            self._accept(",")
        return TupleType(tuple(items))

    def _part(self) -> TensorType | TokenType:
        word = self._take().text
        if word == "token":
            return TOKEN
        dtype = BY_SHORT[word]
        self._expect("[")
        shape: list[Size] = []
        while not self._accept("]"):
            shape.append(self._size())
            self._accept(",")
        return TensorType(dtype, tuple(shape))

    def _attr(self) -> Attr:
        if self._accept("("):
            return self._tuple()
        kind, text, _ = self._ahead(0)
        if kind == "string":
            return self._string()
        if kind == "word":
            if text in _NESTED and self._ahead(1).kind == "string":
                self._take()
                return _NESTED[text](self)
            if text in WORDS:
                return WORDS[self._take().text]
        negative = text == "-"
        kind, text, _ = self._ahead(negative)
        if text == "inf" or (kind == "number" and not text.isdigit()):
            self._next += 1 + negative
            return -float(text) if negative else float(text)
        return self._size()

    def _string(self) -> str:
        return str(json.loads(self._take().text))

    def _nested(self) -> Graph:
        """graph "name" { ... }"""
        name, line = self._string(), self.line
        self._expect("{")
        graph, self.line = self.graph(name), line
        self._expect("}")
        return graph

    def _host(self) -> HostFunction:
        """host "name" #0"""
        name, number = self._string(), int(self._take().text[1:])
        return HostFunction(self._hosts.setdefault(number, _unknown(name)))

    def _tuple(self) -> Attr:
        """(1, n) or (1,), the parenthesis open; (n//2) is a size if it is part of one."""
        items: list[Attr] = []
        comma = False
        while not self._accept(")"):
            items.append(self._attr())
            comma = self._accept(",")
        if comma or len(items) != 1:
            return tuple(items)
        (size,) = items
        if not isinstance(size, int | Dim):
            raise VerifyError(f"a tuple of one is written ({size},)")
        return self._sum(self._term(size))

    def _size(self) -> Size:
        """4*m*m+1-2*(n//2)"""
        sign = -1 if self._accept("-") else 1
        return self._sum(self._term(self._factor() * sign))

    def _sum(self, total: Size) -> Size:
        """The rest of a sum that starts with `total`."""
        while self._peek() in ("+", "-"):
            sign = -1 if self._take().text == "-" else 1
            total = total + self._term(self._factor()) * sign
        return total

    def _term(self, size: Size) -> Size:
        """The rest of a product or quotient that starts with `size`."""
        while self._peek() in ("*", "//"):
            if self._take().text == "*":
                size = size * self._factor()
            else:
                size = floor_div(size, self._factor())
        return size

    def _factor(self) -> Size:
        kind, text, _ = self._take()
        if text == "(":
            size = self._size()
            self._expect(")")
            return size
        if kind == "number" and text.isdigit():
            return int(text)
        if kind != "word":
            raise VerifyError(f"expected a size, found {text!r}")
        return self._minimum() if text == "min" and self._accept("(") else Dim.symbol(text)

    def _minimum(self) -> Size:
        """min(n,4), the parenthesis open"""
        a = self._size()
        self._expect(",")
        b = self._size()
        self._expect(")")
        return minimum(a, b)


_NESTED: dict[str, Callable[[_Reader], Attr]] = {"graph": _Reader._nested, "host": _Reader._host}


def _unknown(name: str) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        raise VerifyError(f"the function {name} is known by its name only")

    function.__qualname__ = name
    return function
