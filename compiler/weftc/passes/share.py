"""What a branch computes that another one on the same index has computed -> its results.

%1 = branch(%i, %x) {f(dot(x, x)), x}
%2 = branch(%i, %x, %1) {df(dot(x, x)), x}

    ->  %1, %k = branch(%i, %x) {(f(d), d), (x, 0)}, with d = dot(x, x)
        %2 = branch(%i, %x, %1, %k) {df(k), x}

Gradients are such: that of a branch computes again what its pullback reads. What costs little for
each of its elements is left so; the others take it from the branch of before, in which branches
that do not compute it give zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from weftc.ir.node import Graph, Node, numbered, result_types, substitute
from weftc.ir.opdef import Family
from weftc.ir.print import Canonical
from weftc.ir.types import TensorType, TupleType
from weftc.ops import build, control
from weftc.ops.structure import project

_COSTLY = {
    Family.CONTRACTION,
    Family.REDUCTION,
    Family.CUMULATIVE,
    Family.CONTROL,
    Family.EXTERN,
}
"""Whose results are rather kept than computed again."""


def share_branches(graph: Graph) -> Graph:
    """Share between the branches in `graph`, and between those in each graph in it."""
    if control.branch not in graph.ops():
        return graph
    shared = _Shared()
    for nodes in _alike(graph):
        shared.find(nodes)
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        rebuilt = node.rebuilt(tuple([new[i] for i in node.inputs]))
        if node in shared.kept or node in shared.read:
            rebuilt = shared.rebuilt(node, rebuilt.inputs, new)
        new[node] = rebuilt.with_graphs(share_branches)
    return graph.returning([new[o] for o in graph.outputs])


def _alike(graph: Graph) -> Iterator[list[Node]]:
    """Branches on one index, those before others that may read them."""
    groups: dict[tuple[Node, int], list[Node]] = {}
    for node in graph.nodes():
        if node.op is control.branch and all(i.is_tensor for i in node.inputs):
            groups.setdefault((node.inputs[0], len(node["branches"])), []).append(node)
    yield from (nodes for nodes in groups.values() if len(nodes) > 1)


@dataclass(frozen=True, eq=False)
class _Kept:
    """A result that a node has besides its own: of each branch, by its place, the value that it is
    there; zeros in the others."""

    type: TensorType
    values: dict[int, Node]

    def of(self, place: int) -> Node:
        value = self.values.get(place)
        if value is not None:
            return value
        return build.expand(build.zero(self.type.dtype), self.type.shape, ())


@dataclass(frozen=True, eq=False)
class _Shared:
    """What branches give to others: `kept` are the results that a node has besides its own; `read`
    says for each branch of a node which of its values are results of other nodes, by number."""

    kept: dict[Node, list[_Kept]] = field(default_factory=dict)
    read: dict[Node, list[dict[Node, tuple[Node, int]]]] = field(default_factory=dict)

    def find(self, nodes: Sequence[Node]) -> None:
        """Let later ones of these read what earlier ones have computed."""
        numbering = _Numbering()
        made: list[dict[int, tuple[Node, Node]]] = [{} for _ in nodes[0]["branches"]]
        for node in nodes:
            for place, (body, known) in enumerate(zip(node["branches"], made, strict=True)):
                values = numbering.of(body, node.inputs[1:])
                for own in _readable(body, values, known):
                    self._give(node, place, own, *known[values[own]])
                for own, value in values.items():
                    known.setdefault(value, (node, own))

    def _give(self, node: Node, place: int, own: Node, source: Node, value: Node) -> None:
        """Let branch `place` of `node` read its `own` value from `source`, of which it is `value`
        in this branch."""
        outputs = source["branches"][place].outputs
        if value in outputs:
            number = outputs.index(value)
        else:
            number = len(outputs) + _number(self.kept.setdefault(source, []), place, value)
        bodies = node["branches"]
        self.read.setdefault(node, [{} for _ in bodies])[place][own] = source, number

    def rebuilt(self, node: Node, inputs: Sequence[Node], new: Mapping[Node, Node]) -> Node:
        """`node` over other inputs, with all that it gives and reads; `new` are the nodes that
        stand for those before it."""
        kept, read = self.kept.get(node, []), self.read.get(node, [{}] * len(node["branches"]))
        sources = list(dict.fromkeys(source for found in read for source in found.values()))
        more = [project(new[source], index=number) for source, number in sources]
        bodies = []
        for place, (body, found) in enumerate(zip(node["branches"], read, strict=True)):
            taken = [build.argument(0, "kept", part.type) for part in more]
            whole = body.returning([*body.outputs, *(result.of(place) for result in kept)])
            known = {own: taken[sources.index(source)] for own, source in found.items()}
            changed = substitute(whole, known)
            bodies.append(numbered(replace(changed, inputs=(*changed.inputs, *taken))))
        return control.branch(*inputs, *more, branches=tuple(bodies), at=node.location)


def _number(kept: list[_Kept], place: int, value: Node) -> int:
    """Which of the results besides is `value` in branch `place`: one of this type that the branch
    has no use for, or a new one."""
    for number, result in enumerate(kept):
        free = result.type == value.type and place not in result.values
        if free or result.values.get(place) is value:
            result.values[place] = value
            return number
    kept.append(_Kept(value.type, {place: value}))
    return len(kept) - 1


class _Numbering:
    """Numbers of values: equal ones are computed alike from the same operands."""

    def __init__(self) -> None:
        self._numbers: dict[Node | tuple[object, ...], int] = {}
        self._writer = Canonical()

    def of(self, body: Graph, operands: Sequence[Node]) -> dict[Node, int]:
        """The number of each node of a branch over these, and of parts of tuples that it has no
        use for."""
        values: dict[Node, int] = {}
        given = dict(zip(body.inputs, operands, strict=True))
        nodes = body.nodes()
        for node in (*nodes, *_parts(nodes)):
            inputs = tuple([values[i] for i in node.inputs])
            key = given.get(node) or (node.op.name, inputs, self._writer.attrs(node))
            values[node] = self._numbers.setdefault(key, len(self._numbers))
        return values


def _parts(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        if isinstance(node.value_type, TupleType):
            yield from (project(node, index=index) for index in range(len(result_types(node))))


def _readable(body: Graph, values: Mapping[Node, int], known: Mapping[int, object]) -> list[Node]:
    """What a branch needs of what is known, and is costly."""
    found: list[Node] = []
    pending, seen = list(reversed(body.outputs)), set(body.inputs)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if values[node] in known and _is_costly(node):
            found.append(node)
        else:
            pending += reversed(node.inputs)
    return found


def _is_costly(node: Node) -> bool:
    made = node.inputs[0] if node.op is project else node
    return node.is_tensor and made.op.family in _COSTLY
