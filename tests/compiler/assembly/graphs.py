"""Graphs with control flow, written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Shape, Size
from weftc.ir.types import TensorType, ValueType
from weftc.ops.build import argument
from weftc.ops.control import branch
from weftc.ops.loops import fori, scan, while_
from weftc.ops.movement import broadcast
from weftc.ops.source import constant, input
from weftc.ops.structure import project
from weftrt import dtypes
from weftrt.dtypes import DType

Body: TypeAlias = Callable[..., Sequence[Node]]
INT = TensorType(dtypes.int64, ())


def graph(name: str, body: Body, *types: ValueType) -> Graph:
    """What `body` computes of inputs of these types."""
    inputs = tuple(_input(number, type_) for number, type_ in enumerate(types))
    return Graph(name, inputs, tuple(body(*inputs)))


def _input(number: int, type_: ValueType) -> Node:
    if isinstance(type_, TensorType):
        return argument(number, f"x{number}", type_)
    return input(index=number, name=f"x{number}", dtype=None, shape=None)


def full(value: float, dtype: DType, shape: Shape) -> Node:
    """An array of equal elements."""
    return broadcast(constant(value=value, dtype=dtype), shape=shape, axes=())


def integer(value: int) -> Node:
    """An int64 that is known."""
    return constant(value=value, dtype=dtypes.int64)


def parts(node: Node) -> list[Node]:
    """The results of a node, one by one."""
    return [project(node, index=index) for index in range(len(node.value_type.items))]  # type: ignore[union-attr]


def loop(lower: Node, upper: Node, state: Sequence[Node], body: Body, *rest: Node) -> list[Node]:
    """The state after body(i, *state, *rest) for each i."""
    operands = (*state, *rest)
    inner = graph("turn", body, INT, *(n.value_type for n in operands))
    return parts(fori(lower, upper, *operands, body=inner, carried=len(state)))


def over_rows(
    state: Sequence[Node],
    stacks: Sequence[Node],
    body: Body,
    *rest: Node,
    length: Size,
    reverse: bool = False,
    **more: int,
) -> list[Node]:
    """The state after body(*state, *rows, *rest) for each row of the stacks, and what it stacks."""
    rows = [n.type.with_shape(n.type.shape[1:]) for n in stacks]
    types = [*(n.value_type for n in state), *rows, *(n.value_type for n in rest)]
    attrs = {"carried": len(state), "scanned": len(stacks), "length": length, "reverse": reverse}
    attrs |= more
    return parts(scan(*state, *stacks, *rest, body=graph("turn", body, *types), **attrs))


def repeat(condition: Body, state: Sequence[Node], body: Body, *rest: Node) -> list[Node]:
    """The state once the condition fails."""
    operands = (*state, *rest)
    types = [n.value_type for n in operands]
    holds, turn = graph("condition", condition, *types), graph("turn", body, *types)
    return parts(while_(*operands, condition=holds, body=turn, carried=len(state)))


def choose(index: Node, operands: Sequence[Node], *bodies: Body) -> list[Node]:
    """The results of one of the bodies."""
    types = [n.value_type for n in operands]
    graphs = tuple(graph(f"branch{k}", body, *types) for k, body in enumerate(bodies))
    return parts(branch(index, *operands, branches=graphs))
