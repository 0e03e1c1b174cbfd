"""The graph: frozen nodes, compared by identity, typed when they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weftc.ir import location as locations
from weftc.ir.location import Location
from weftc.ir.opdef import Attrs, OpDef
from weftc.ir.types import TensorType, check_size


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One value: an op applied to inputs. Made by calling an OpDef; never changed."""

    op: OpDef
    inputs: tuple[Node, ...]
    attrs: Attrs
    type: TensorType
    location: Location | None

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.type}>"

    def __getitem__(self, name: str) -> Any:
        """The attribute `name`."""
        return self.attrs[name]


def make(op: OpDef, inputs: tuple[Node, ...], attrs: Attrs, at: Location | None = None) -> Node:
    """A node, typed by the op's rule; ShapeError or DTypeError when the inputs do not fit,
    OutOfMemoryError when the value fits no memory."""
    type_ = op.infer(tuple(i.type for i in inputs), attrs)
    check_size(type_)
    return Node(op, inputs, attrs, type_, at if at is not None else locations.current())


@dataclass(frozen=True, eq=False, slots=True)
class Graph:
    """A closed graph: every `input` node reachable from `outputs` is in `inputs`, in call order."""

    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]

    def nodes(self) -> list[Node]:
        """Inputs first, then every node the outputs need, producers before consumers."""
        return toposort(self.outputs, self.inputs)


def toposort(roots: Sequence[Node], first: Iterable[Node] = ()) -> list[Node]:
    """Nodes reachable from `roots`, producers first; deterministic; no recursion."""
    order: list[Node] = []
    done: set[Node] = set()
    for node in first:
        if node not in done:
            done.add(node)
            order.append(node)
    for root in roots:
        stack = [root]
        while stack:
            node = stack[-1]
            if node not in done:
                missing = [operand for operand in node.inputs if operand not in done]
                if missing:
                    stack += missing[::-1]
                    continue
                done.add(node)
                order.append(node)
            stack.pop()
    return order


def rewrite(graph: Graph, rule: Callable[[Node], Node | None]) -> Graph:
    """Rebuild `graph` bottom up. `rule` sees each node with its inputs already rewritten and
    returns a replacement or None to keep it; unchanged nodes are kept by identity."""
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        inputs = tuple(new[i] for i in node.inputs)
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        rebuilt = node if same else Node(node.op, inputs, node.attrs, node.type, node.location)
        new[node] = rule(rebuilt) or rebuilt
    return Graph(graph.name, graph.inputs, tuple(new[o] for o in graph.outputs))


def substitute(graph: Graph, replacements: Mapping[Node, Node]) -> Graph:
    """`graph` with some nodes replaced (and what depends on them rebuilt)."""
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        if node in replacements:
            new[node] = replacements[node]
            continue
        inputs = tuple(new[i] for i in node.inputs)
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        new[node] = node if same else Node(node.op, inputs, node.attrs, node.type, node.location)
    return Graph(graph.name, graph.inputs, tuple(new[o] for o in graph.outputs))
