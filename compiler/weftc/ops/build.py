"""Small node builders for gradient rules and passes, over primitives looked up by name.

Looking up by name keeps the families free of import cycles: a gradient may use any op.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE
from weftc.ir.sizes import Shape
from weftc.ir.types import TensorType, TokenType, TupleType, ValueType
from weftrt.dtypes import DType


def call(name: str, *inputs: Node, **attrs: Any) -> Node:
    """A node of the op called `name`."""
    return TABLE[name](*inputs, **attrs)


def argument(index: int, name: str, type_: ValueType) -> Node:
    """The array or the token that is input number `index` of a graph; none is a tuple."""
    assert not isinstance(type_, TupleType)
    if isinstance(type_, TokenType):
        return TABLE["input"](index=index, name=name, dtype=None, shape=())
    return TABLE["input"](index=index, name=name, dtype=type_.dtype, shape=type_.shape)


def constant(value: bool | int | float | complex, dtype: DType) -> Node:
    """A 0-d constant."""
    if dtype.is_complex:
        value = complex(value)
        return call("complex", constant(value.real, dtype.part), constant(value.imag, dtype.part))
    return call("constant", value=value, dtype=dtype)


def zero(dtype: DType) -> Node:
    """A 0-d zero."""
    return constant(dtype.dtype.type(0).item(), dtype)


def full(value: bool | int | float | complex, type_: TensorType) -> Node:
    """A constant in every element of `type_`."""
    return expand(constant(value, type_.dtype), type_.shape, ())


def like(value: bool | int | float | complex, node: Node) -> Node:
    """A constant in every element of the type of `node`."""
    return full(value, node.type)


def expand(node: Node, shape: Shape, axes: Sequence[int]) -> Node:
    """`node` broadcast to `shape`, its axis i becoming result axis axes[i]."""
    if node.type.shape == shape and tuple(axes) == tuple(range(len(shape))):
        return node
    return call("broadcast", node, shape=shape, axes=tuple(axes))


def spread(node: Node, shape: Shape, removed: Sequence[int]) -> Node:
    """`node`, from which the axes `removed` of `shape` were reduced, broadcast back over them."""
    return expand(node, shape, tuple(a for a in range(len(shape)) if a not in removed))


def reshape(node: Node, shape: Shape) -> Node:
    """`node` in another shape of as many elements."""
    return node if node.type.shape == shape else call("reshape", node, shape=shape)


def transpose(node: Node, permutation: Sequence[int]) -> Node:
    """Result axis i is operand axis permutation[i]."""
    if tuple(permutation) == tuple(range(node.type.rank)):
        return node
    return call("transpose", node, permutation=tuple(permutation))


def at(node: Node, places: Mapping[int, int]) -> Node:
    """What `node` has at one place of some axes, which are gone."""
    rank, sizes = node.type.rank, node.type.shape
    start = tuple(places.get(axis, 0) for axis in range(rank))
    stop = tuple(places[axis] + 1 if axis in places else sizes[axis] for axis in range(rank))
    part = call("slice", node, start=start, stop=stop, step=(1,) * rank)
    return reshape(part, tuple(sizes[axis] for axis in range(rank) if axis not in places))


def to_front(node: Node, axis: int) -> Node:
    """`node` with one axis moved in front of the others."""
    return transpose(node, (axis, *(a for a in range(node.type.rank) if a != axis)))


def from_front(node: Node, axis: int) -> Node:
    """`node` with its first axis moved to the place `axis`."""
    others = list(range(1, node.type.rank))
    return transpose(node, (*others[:axis], 0, *others[axis:]))


def convert(node: Node, dtype: DType) -> Node:
    """`node` in another dtype."""
    return node if node.type.dtype is dtype else call("convert", node, dtype=dtype)


def adjacent_groups(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Ascending axes cut into runs of neighbours: (0, 1, 3) -> [(0, 1), (3,)]."""
    groups: list[tuple[int, ...]] = []
    for axis in axes:
        if groups and groups[-1][-1] == axis - 1:
            groups[-1] = (*groups[-1], axis)
        else:
            groups.append((axis,))
    return groups


def reduce(name: str, node: Node, axes: Sequence[int]) -> Node:
    """A reduction over any ascending axes: one op per run of neighbours, innermost first."""
    for group in reversed(adjacent_groups(axes)):
        node = call(name, node, axes=group)
    return node


def along(node: Node, *tangents: Node | None) -> tuple[Node, tuple[Node, ...]]:
    """The tangent rule of an op that is linear in the one operand that has a tangent, the others
    being constants: the op itself, of the tangent."""
    pairs = zip(node.inputs, tangents, strict=True)
    moved = [operand if tangent is None else tangent for operand, tangent in pairs]
    return node, (node.op(*moved, **node.attrs),)
