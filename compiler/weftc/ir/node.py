"""The graph: frozen nodes, compared by identity, typed when they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import is_
from typing import TYPE_CHECKING, Any, Final, TypeVar

from weftc.ir import location as locations
from weftc.ir.constraints import Constraint
from weftc.ir.location import Location
from weftc.ir.sizes import Shape
from weftc.ir.types import TensorType, TokenType, TupleType, ValueType, check_size
from weftrt.errors import VerifyError

if TYPE_CHECKING:
    from weftc.ir.index_map import IndexMap
    from weftc.ir.opdef import Attr, Attrs, OpDef

T = TypeVar("T")


class Node:
    """One value: an op applied to inputs. Made by calling an OpDef; never changed. `type` is what
    `value_type` is if the value `is_tensor`, an array, which can have a buffer; VerifyError if it
    is a tuple or a token."""

    __slots__ = (
        "_attr_text",
        "_maps",
        "attrs",
        "inputs",
        "is_tensor",
        "location",
        "op",
        "type",
        "value_type",
    )

    def __init__(
        self,
        op: OpDef,
        inputs: tuple[Node, ...],
        attrs: Attrs,
        value_type: ValueType,
        location: Location | None,
    ) -> None:
        self.op: Final = op
        self.inputs: Final = inputs
        self.attrs: Final = attrs
        self.value_type: Final = value_type
        self.location: Final = location
        self._attr_text: str | None = None
        self._maps: tuple[IndexMap, ...] | None = None
        self.is_tensor: Final = isinstance(value_type, TensorType)
        if isinstance(value_type, TensorType):
            self.type: Final = value_type

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name != "type":
                raise AttributeError(f"a node has no attribute {name!r}")
            raise VerifyError(f"{self!r} is no tensor")

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.value_type}>"

    def __getitem__(self, name: str) -> Any:
        """The attribute `name`."""
        return self.attrs[name]

    def rebuilt(self, inputs: tuple[Node, ...]) -> Node:
        """This node over other inputs of the same types; itself if they are the same nodes."""
        if inputs == self.inputs:
            return self
        rebuilt = Node(self.op, inputs, self.attrs, self.value_type, self.location)
        rebuilt._attr_text = self._attr_text
        return rebuilt

    @property
    def maps(self) -> tuple[IndexMap, ...]:
        """Where a movement reads each of its inputs, as its op's `view` has it."""
        if self._maps is None:
            operands = tuple([operand.type.shape for operand in self.inputs])
            attrs = tuple(self.attrs.items())
            self._maps = _maps(self.op, self.type.shape, operands, attrs)
        return self._maps

    @property
    def attr_text(self) -> str:
        """What its attributes are, if they hold no graphs and no functions, in any order: their
        `repr`, in which 0.0 is not -0.0, and 1 is neither True nor 1.0."""
        if self._attr_text is None:
            attrs = self.attrs
            self._attr_text = repr(attrs if len(attrs) < 2 else sorted(attrs.items()))
        return self._attr_text

    def graphs(self) -> Iterator[Graph]:
        """The graphs that its attributes hold."""
        if self.op.holds_graphs:
            for value in self.attrs.values():
                yield from _graphs(value)

    def with_graphs(self, change: Callable[[Graph], Graph]) -> Node:
        """This node with `change(graph)` for each graph that its attributes hold."""
        if not self.op.holds_graphs:
            return self
        attrs = {name: _changed(value, change) for name, value in self.attrs.items()}
        if all(attrs[name] is value for name, value in self.attrs.items()):
            return self
        return Node(self.op, self.inputs, attrs, self.value_type, self.location)


@lru_cache(maxsize=1024)
def _maps(
    op: OpDef, shape: Shape, operands: tuple[Shape, ...], attrs: tuple[tuple[str, Attr], ...]
) -> tuple[IndexMap, ...]:
    """The maps of movements that are alike, with all that is found of these, once for all."""
    assert op.view is not None
    return op.view(shape, operands, dict(attrs))


def _graphs(value: Attr) -> Iterator[Graph]:
    if isinstance(value, Graph):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _graphs(item)


def _changed(value: Attr, change: Callable[[Graph], Graph]) -> Attr:
    if isinstance(value, Graph):
        return change(value)
    if isinstance(value, tuple):
        items = tuple([_changed(item, change) for item in value])
        return value if all(map(is_, items, value)) else items
    return value


def make(op: OpDef, inputs: tuple[Node, ...], attrs: Attrs, at: Location | None = None) -> Node:
    """A node, typed by the op's rule; ShapeError or DTypeError when the inputs do not fit,
    OutOfMemoryError when the value fits no memory."""
    type_ = op.infer(tuple([i.value_type for i in inputs]), attrs)
    if isinstance(type_, TensorType):
        check_size(type_)
    return Node(op, inputs, attrs, type_, at if at is not None else locations.current())


@dataclass(frozen=True, eq=False, slots=True)
class Graph:
    """A closed graph: every `input` node reachable from `outputs` is in `inputs`, in call order. It
    means something only for sizes that its `constraints` allow, and those of graphs around it."""

    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    constraints: tuple[Constraint, ...] = ()
    _found: dict[Callable[[Graph], Any], Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, find: Callable[[Graph], T]) -> T:
        """`find` of this graph, which is asked once."""
        if find not in self._found:
            self._found[find] = find(self)
        found: T = self._found[find]
        return found

    def nodes(self) -> list[Node]:
        """Inputs first, then every node the outputs need, producers before consumers."""
        return list(self.once(_order))

    def all_nodes(self) -> Iterator[Node]:
        """`nodes`, each followed by those of the graphs that it holds."""
        for node in self.nodes():
            yield node
            if node.op.holds_graphs:
                for inner in node.graphs():
                    yield from inner.all_nodes()

    def ops(self) -> Set[OpDef]:
        """The ops of `all_nodes`: what a pass asks first, for most graphs have nothing for it."""
        return self.once(_ops)

    def returning(self, outputs: Sequence[Node]) -> Graph:
        """This graph with other outputs; itself if they are the same nodes."""
        outputs = tuple(outputs)
        return self if outputs == self.outputs else replace(self, outputs=outputs)


def _order(graph: Graph) -> list[Node]:
    return toposort(graph.outputs, graph.inputs)


def _ops(graph: Graph) -> Set[OpDef]:
    own = {node.op for node in graph.nodes()}
    holds_graphs = any(op.holds_graphs for op in own)
    return {node.op for node in graph.all_nodes()} if holds_graphs else own


def result_types(node: Node) -> tuple[TensorType | TokenType, ...]:
    """The types of what a node gives: one, or those of its tuple."""
    type_ = node.value_type
    return type_.items if isinstance(type_, TupleType) else (type_,)


def toposort(roots: Sequence[Node], first: Iterable[Node] = ()) -> list[Node]:
    """Nodes reachable from `roots`, producers first; deterministic; no recursion."""
    order = list(dict.fromkeys(first))
    done = set(order)
    for root in roots:
        stack = [(root, iter(root.inputs))] if root not in done else []
        while stack:
            node, operands = stack[-1]
            for operand in operands:
                if operand not in done:
                    stack.append((operand, iter(operand.inputs)))
                    break
            else:
                done.add(node)
                order.append(node)
                stack.pop()
    return order


def rewrite(
    graph: Graph, rule: Callable[[Node], Node | None], settled: Set[Node] = frozenset()
) -> Graph:
    """Rebuild `graph` and the graphs in it bottom up. `rule` sees each node with its inputs and its
    graphs already rewritten and returns a replacement or None to keep it; what does not change is
    kept by identity. It keeps those that are `settled`, and is not asked."""
    new: dict[Node, Node] = {}
    changed = new.keys()
    for node in graph.nodes():
        rebuilt = node
        if not changed.isdisjoint(node.inputs):
            rebuilt = node.rebuilt(tuple([new.get(i, i) for i in node.inputs]))
        elif node in settled:
            continue
        if node.op.holds_graphs:
            rebuilt = rebuilt.with_graphs(lambda inner: rewrite(inner, rule))
        rebuilt = rule(rebuilt) or rebuilt
        if rebuilt is not node:
            new[node] = rebuilt
    return graph.returning([new.get(o, o) for o in graph.outputs])


def substitute(graph: Graph, replacements: Mapping[Node, Node]) -> Graph:
    """`graph` with some nodes, of it or of the graphs in it, replaced (and what depends on them
    rebuilt)."""
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        if node in replacements:
            new[node] = replacements[node]
            continue
        rebuilt = node.rebuilt(tuple([new[i] for i in node.inputs]))
        new[node] = rebuilt.with_graphs(lambda inner: substitute(inner, replacements))
    inputs, outputs = tuple([new[i] for i in graph.inputs]), [new[o] for o in graph.outputs]
    return replace(graph, inputs=inputs, outputs=tuple(outputs))


def inlined(graph: Graph, operands: Sequence[Node]) -> list[Node]:
    """The outputs of `graph` for these inputs."""
    new = dict(zip(graph.inputs, operands, strict=True))
    for node in graph.nodes():
        if node not in new:
            new[node] = node.rebuilt(tuple([new[i] for i in node.inputs]))
    return [new[output] for output in graph.outputs]


def numbered(graph: Graph) -> Graph:
    """`graph` with the inputs that are not so numbered by their places."""
    moved = {node: index for index, node in enumerate(graph.inputs) if node["index"] != index}
    return substitute(graph, {node: _numbered(node, index) for node, index in moved.items()})


def _numbered(node: Node, index: int) -> Node:
    return Node(node.op, (), {**node.attrs, "index": index}, node.value_type, node.location)
