"""Mapping: a function of one element becomes one of all elements along a new first axis.

y = mul(x, w); batch([y], {x: xs: f32[n,3]}, n)  ->  [mul(xs, broadcast(w): f32[n,3])]

A value is mapped, and then has the new axis in front, or it is the same for all elements, and then
has the axes that it had: which of the two, its rank tells. Every element has the bits that the
function gives for it alone, but where columns become a matrix (`ops/contraction.py`).

Where elements take different branches, or turns of a loop, all are computed and each element keeps
its own. What would fail for an element that is not `active` there looks at index 0 instead, or at
an identity matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from weftc.ir import location as locations
from weftc.ir.constraints import AtLeast, assume
from weftc.ir.node import Graph, Node, result_types, toposort
from weftc.ir.opdef import ON_TENSORS, TABLE, Family, Mapper
from weftc.ir.sizes import Shape, Size
from weftc.ir.types import TOKEN, TensorType, TupleType
from weftrt.errors import LinAlgError, ShapeError, TraceError
from weftrt.sizes import MAXIMUM_RANK


def batch(outputs: Sequence[Node], inputs: Mapping[Node, Node], size: Size) -> list[Node]:
    """The outputs, where each of `inputs` is replaced by what it is mapped to: a node with an axis
    of `size` in front, or one of its own type.

    TraceError for an effect, and ShapeError for values of too many axes, with their lines.
    """
    return _Map(size, None).walk(outputs, inputs)


def mapper_of(size: Size) -> Mapper:
    """What maps whole graphs over `size` elements."""
    return _Map(size, None)


def is_mapped(before: Node, after: Node) -> bool:
    """Whether `after`, which replaces `before`, has the mapped axis."""
    return before.is_tensor and after.type.rank != before.type.rank


def fails_for_some(node: Node) -> bool:
    """Whether a node fails for some matrices."""
    fails = node.op.fails if node.op.family is Family.EXTERN else None
    return fails is not None and fails(node).kind is LinAlgError


def refuse_effects(node: Node) -> None:
    """TraceError for a node with effects, where each element would have its own."""
    if any(operand.value_type is TOKEN for operand in node.inputs):
        raise _refusal("an effect (a print, check or callback)", node)


def _refusal(what: str, node: Node) -> TraceError:
    return TraceError(f"{what} cannot be mapped (at {node.location or 'unknown place'})")


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
        for output in outputs:
            _check_rank(output, self._new[output])
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
            self._set(node, self._guarded(node, inputs, self.active))
            return
        batched = tuple(map(is_mapped, node.inputs, inputs))
        asked = node.op.holds_graphs or fails_for_some(node)
        if any(batched) or (self.active is not None and asked):
            self._set(node, self._computed(node, inputs, batched))
        else:
            self._new[node] = node.rebuilt(inputs)

    def _computed(
        self, node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...]
    ) -> Node | Sequence[Node]:
        rule = node.op.batch or FAMILIES.get(node.op.family)
        if self.active is not None or not node.op.holds_graphs:
            refuse_effects(node)
        if rule is None:
            raise _refusal(node.op.name, node)
        return rule(node, inputs, batched, self)

    def _set(self, node: Node, found: Node | Sequence[Node]) -> None:
        if isinstance(found, Node) and not isinstance(found.value_type, TupleType):
            if node.op.family not in ON_TENSORS:  # kernels take what loops run over, of any rank
                _check_rank(node, found)
            self._new[node] = found
        elif isinstance(found, Node):
            places = range(len(result_types(found)))
            self._parts[node] = [TABLE["project"](found, index=place) for place in places]
        else:
            self._parts[node] = found

    def _guarded(self, node: Node, inputs: tuple[Node, ...], active: Node) -> Node:
        """A node whose indices are 0 for elements that are not active; those that all elements have
        in common, where none is. An axis of no elements has one for these."""
        x, indices, *others = inputs
        mapped = is_mapped(node.inputs[1], indices)
        counted = active if mapped else TABLE["any"](active, axes=(0,))
        holds = _repeated(counted, indices.type, (0,) if mapped else ())
        zeros = _repeated(TABLE["constant"](value=0, dtype=indices.type.dtype), indices.type, ())
        axis = node["axis"] + is_mapped(node.inputs[0], x)
        x = x if assume(AtLeast(x.type.shape[axis], 1)) else _with_element(x, axis)
        given = (x, TABLE["where"](holds, indices, zeros), *others)
        batched = tuple(map(is_mapped, node.inputs, given))
        if not any(batched):
            return _cut(node.op(*given, **node.attrs), node.type.shape)
        found = self._computed(node, given, batched)
        assert isinstance(found, Node)
        return _cut(found, (self.size, *node.type.shape))


def _repeated(node: Node, type_: TensorType, axes: tuple[int, ...]) -> Node:
    return TABLE["broadcast"](node, shape=type_.shape, axes=axes)


def _with_element(x: Node, axis: int) -> Node:
    """`x` with one more element, 0, along an axis."""
    zero = TABLE["constant"](value=x.type.dtype.dtype.type(0).item(), dtype=x.type.dtype)
    none = (0,) * x.type.rank
    high = tuple(int(a == axis) for a in range(x.type.rank))
    return TABLE["pad"](x, zero, low=none, high=high, interior=none)


def _cut(x: Node, shape: Shape) -> Node:
    """The elements of `x` that a value of this shape has."""
    if x.type.shape == shape:
        return x
    return TABLE["slice"](x, start=(0,) * len(shape), stop=shape, step=(1,) * len(shape))


def _check_rank(node: Node, found: Node) -> None:
    if found.is_tensor and found.type.rank > MAXIMUM_RANK:
        place = node.location or "unknown place"
        problem = f"{node.op.name} gives {found.type.rank} axes, the mapped one included"
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


def _cumulative(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: _Map
) -> Node:
    whole = [x if is_batched else mapper.expanded(x) for x, is_batched in zip(inputs, batched)]
    return node.op(*whole, **{**node.attrs, "axis": node["axis"] + 1})


def _behind(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in axes)


FAMILIES: Final[Mapping[Family, Callable[..., Node]]] = {
    Family.POINTWISE: _pointwise,
    Family.PARTS: _pointwise,
    Family.REDUCTION: _reduction,
    Family.CUMULATIVE: _cumulative,
}
"""The rules of families whose ops need none of their own."""
