"""Mapping: a function of one element becomes one of all elements along a new first axis.

y = mul(x, w); batch([y], {x: xs: f32[n,3]}, n)  ->  [mul(xs, broadcast(w): f32[n,3])]

A value is mapped, and then has the new axis in front, or it is the same for all elements, and then
has the axes that it had: which of the two, its rank tells. Every element has the bits that the
function gives for it alone.

Where elements take different branches, or turns of a loop, all are computed and each element keeps
its own. What would fail for an element that is not `active` there looks at index 0 instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from weftc.ir import location as locations
from weftc.ir.node import Graph, Node, result_types, toposort
from weftc.ir.opdef import TABLE, Family
from weftc.ir.sizes import Size
from weftc.ir.types import TOKEN, TensorType, TupleType
from weftrt.errors import ShapeError, TraceError
from weftrt.sizes import MAXIMUM_RANK


def batch(outputs: Sequence[Node], inputs: Mapping[Node, Node], size: Size) -> list[Node]:
    """The outputs, where each of `inputs` is replaced by what it is mapped to: a node with an axis
    of `size` in front, or one of its own type.

    TraceError for an effect, and ShapeError for values of too many axes, with their lines.
    """
    return _Map(size, None).walk(outputs, inputs)


def is_mapped(before: Node, after: Node) -> bool:
    """Whether `after`, which replaces `before`, has the mapped axis."""
    return before.is_tensor and after.type.rank != before.type.rank


class _Map:
    """One map over `size` elements: the Mapper of the rules of ops."""

    def __init__(self, size: Size, active: Node | None) -> None:
        self.size: Final = size
        self.active: Final = active
        self._new: dict[Node, Node] = {}
        self._parts: dict[Node, Sequence[Node]] = {}

    def walk(self, outputs: Sequence[Node], inputs: Mapping[Node, Node]) -> list[Node]:
        """The outputs for these inputs."""
        self._new.update(inputs)
        for node in toposort(outputs, inputs):
            if node not in self._new:
                with locations.at(node.location):
                    self._visit(node)
        return [self._new[output] for output in outputs]

    def outputs(
        self, graph: Graph, operands: Sequence[Node], active: Node | None
    ) -> Sequence[Node]:
        inputs = dict(zip(graph.inputs, operands, strict=True))
        return _Map(self.size, active).walk(graph.outputs, inputs)

    def expanded(self, node: Node) -> Node:
        type_ = node.type
        axes = tuple(range(1, type_.rank + 1))
        return TABLE["broadcast"](node, shape=(self.size, *type_.shape), axes=axes)

    def _visit(self, node: Node) -> None:
        if node.op.name == "project" and node.inputs[0] in self._parts:
            self._new[node] = self._parts[node.inputs[0]][node["index"]]
            return
        inputs = tuple([self._new[i] for i in node.inputs])
        if self.active is not None and node.op.family is Family.INDEXING:
            inputs = (inputs[0], self._guarded(node.inputs[1], inputs[1]), *inputs[2:])
        batched = tuple(map(is_mapped, node.inputs, inputs))
        if any(batched) or (self.active is not None and node.op.holds_graphs):
            self._set(node, self._computed(node, inputs, batched))
        else:
            self._new[node] = node.rebuilt(inputs)

    def _computed(
        self, node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...]
    ) -> Node | Sequence[Node]:
        rule = node.op.batch or FAMILIES.get(node.op.family)
        has_effects = any(operand.value_type is TOKEN for operand in inputs)
        if rule is None or has_effects:
            place = node.location or "unknown place"
            what = "an effect (a print, check or callback)" if has_effects else node.op.name
            raise TraceError(f"{what} cannot be mapped (at {place})")
        return rule(node, inputs, batched, self)

    def _set(self, node: Node, found: Node | Sequence[Node]) -> None:
        if isinstance(found, Node) and not isinstance(found.value_type, TupleType):
            _check_rank(found)
            self._new[node] = found
        elif isinstance(found, Node):
            places = range(len(result_types(found)))
            self._parts[node] = [TABLE["project"](found, index=place) for place in places]
        else:
            self._parts[node] = found

    def _guarded(self, before: Node, indices: Node) -> Node:
        """Indices that are 0 for elements that are not active; those of all elements, where none is
        active."""
        assert self.active is not None
        type_ = indices.type
        mapped = is_mapped(before, indices)
        counted = self.active if mapped else TABLE["any"](self.active, axes=(0,))
        axes = (0,) if mapped else ()
        holds = TABLE["broadcast"](counted, shape=type_.shape, axes=axes)
        zero = TABLE["constant"](value=0, dtype=type_.dtype)
        zeros = TABLE["broadcast"](zero, shape=type_.shape, axes=())
        return TABLE["where"](holds, indices, zeros)


def _check_rank(node: Node) -> None:
    if isinstance(node.value_type, TensorType) and node.type.rank > MAXIMUM_RANK:
        place = node.location or "unknown place"
        problem = f"{node.op.name} gives {node.type.rank} axes, the mapped one included"
        raise ShapeError(f"{problem}; an array has at most {MAXIMUM_RANK} (at {place})")


# ---------------------------------------------------------------------------------------------
# Families
# ---------------------------------------------------------------------------------------------


def _pointwise(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: _Map
) -> Node:
    whole = [x if is_batched else mapper.expanded(x) for x, is_batched in zip(inputs, batched)]
    return node.op(*whole, **node.attrs)


def _reduction(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: _Map
) -> Node:
    return node.op(*inputs, **{**node.attrs, "axes": _behind(node["axes"])})


def _contraction(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: _Map
) -> Node:
    """A pair of batch axes where both operands are mapped, else a free axis of one of them.

    A product with one column may be a sum of rounded products (`column_sum`): then a free axis of
    the second operand would make more columns of it.
    """
    a, b = inputs
    attrs = dict(node.attrs)
    if not batched[0] and attrs.get("column_sum"):
        a, batched = mapper.expanded(a), (True, True)
    for name in ("batch", "contracted"):
        left, right = attrs[name]
        attrs[name] = (
            _behind(left) if batched[0] else left,
            _behind(right) if batched[1] else right,
        )
    if all(batched):
        left, right = attrs["batch"]
        return node.op(a, b, **{**attrs, "batch": ((0, *left), (0, *right))})
    pairs = len(attrs["batch"][0])
    free = a.type.rank - pairs - len(attrs["contracted"][0])
    return _to_front(node.op(a, b, **attrs), pairs if batched[0] else pairs + free)


def _behind(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in axes)


def _to_front(node: Node, axis: int) -> Node:
    others = (a for a in range(node.type.rank) if a != axis)
    return TABLE["transpose"](node, permutation=(axis, *others)) if axis else node


FAMILIES: Final[Mapping[Family, Callable[..., Node]]] = {
    Family.POINTWISE: _pointwise,
    Family.REDUCTION: _reduction,
    Family.CONTRACTION: _contraction,
}
"""The rules of families whose ops need none of their own."""
