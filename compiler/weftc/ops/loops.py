"""while, fori and scan: ops that run a graph again and again, on a state.

The state of a loop comes first; what follows it is the same in every turn, but for the rows that a
scan reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from weftc.ir.interpret import call
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import TABLE, Attrs, Family, Loop, OpDef
from weftc.ir.sizes import Size, static_shape
from weftc.ir.types import TensorType, TokenType, TupleType
from weftc.ops import build, check
from weftc.ops.control import (
    INT,
    SCALAR,
    VECTOR,
    Arrays,
    Samples,
    Types,
    check_all,
    check_inputs,
    check_scalar,
    inputs_of,
    no_gradient,
    types_of,
)
from weftc.ops.control_maps import batch_fori, batch_scan, batch_while
from weftc.ops.control_tangents import jvp_fori, jvp_scan, jvp_while
from weftc.ops.loop_gradients import vjp_fori, vjp_scan
from weftc.ops.pointwise import add, lt, mul, neg
from weftc.ops.source import constant
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError

# ---------------------------------------------------------------------------------------------
# while(condition, body, carried; *operands): the state, the first `carried` operands, as it is when
# the condition fails
# ---------------------------------------------------------------------------------------------


def _infer_state(name: str, body: Graph, types: Types, carried: int) -> TupleType:
    state = types[:carried]
    if len(state) < carried:
        raise ShapeError(f"{name}: {len(types)} operands hold no state of {carried}")
    check_all(f"{name}: the results of {body.name} are", types_of(body.outputs), state)
    return TupleType(state)


def _infer_while(types: Types, attrs: Attrs) -> TupleType:
    condition, body = attrs["condition"], attrs["body"]
    check_inputs("while", condition, types)
    check_inputs("while", body, types)
    (holds,) = types_of(condition.outputs)
    check_scalar("while", "the condition", holds, dtypes.bool_)
    return _infer_state("while", body, types, attrs["carried"])


def _reference_while(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    carried = attrs["carried"]
    state, rest = tuple(arrays[:carried]), tuple(arrays[carried:])
    while call(attrs["condition"], (*state, *rest))[0]:
        state = call(attrs["body"], (*state, *rest))
    return state


def _vjp_while(
    node: Node, *cotangents: Node | None, wanted: Sequence[bool]
) -> tuple[Node | None, ...]:
    raise no_gradient(node, "a loop")


def _samples_while() -> Samples:
    operands = (TensorType(dtypes.uint8, ()), VECTOR, VECTOR)
    count, x, step = inputs_of(*operands)
    three, one = (constant(value=value, dtype=dtypes.uint8) for value in (3, 1))
    condition = Graph("condition", (count, x, step), (lt(count, three),))
    body = Graph("body", (count, x, step), (add(count, one), add(x, step)))
    return [(operands, {"condition": condition, "body": body, "carried": 2})]


while_ = TABLE.add(
    OpDef(
        "while",
        Family.CONTROL,
        infer=_infer_while,
        reference=_reference_while,
        vjp=_vjp_while,
        jvp=jvp_while,
        batch=batch_while,
        holds_graphs=True,
        loop=Loop(),
        samples=_samples_while,
    )
)


# ---------------------------------------------------------------------------------------------
# fori(body, carried; lower, upper, *operands): the state after body(i, *operands) for each int64 i
# from lower to upper - 1
# ---------------------------------------------------------------------------------------------


def _infer_fori(types: Types, attrs: Attrs) -> TupleType:
    lower, upper, *operands = types
    check_scalar("fori", "the lower bound", lower, dtypes.int64)
    check_scalar("fori", "the upper bound", upper, dtypes.int64)
    check_inputs("fori", attrs["body"], (lower, *operands))
    return _infer_state("fori", attrs["body"], tuple(operands), attrs["carried"])


def _reference_fori(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    (lower, upper, *operands), carried = arrays, attrs["carried"]
    state, rest = tuple(operands[:carried]), tuple(operands[carried:])
    for i in range(int(lower), int(upper)):
        state = call(attrs["body"], (dtypes.int64.dtype.type(i).reshape(()), *state, *rest))
    return state


def _turns_of_fori(node: Node) -> Size | None:
    lower, upper = node.inputs[:2]
    if lower.op.name != "constant" or upper.op.name != "constant":
        return None
    return len(range(lower["value"], upper["value"]))


def _apart(node: Node) -> Node:
    """A node of its own for an operand, which may be there twice."""
    return build.call("identity", node) if node.is_tensor else node


def _samples_fori() -> Samples:
    operands = (VECTOR, SCALAR, VECTOR)
    i, x, y, step = inputs_of(INT, *operands)
    body = Graph("body", (i, x, y, step), (add(x, step), neg(y)))
    return [((INT, INT, *operands), {"body": body, "carried": 2})]


fori = TABLE.add(
    OpDef(
        "fori",
        Family.CONTROL,
        infer=_infer_fori,
        reference=_reference_fori,
        vjp=vjp_fori,
        jvp=jvp_fori,
        batch=batch_fori,
        holds_graphs=True,
        loop=Loop(bounds=2, counters=1, turns=_turns_of_fori),
        samples=_samples_fori,
    )
)


# ---------------------------------------------------------------------------------------------
# scan(body, carried, scanned, length, reverse; *operands): operands are the state, `scanned` stacks
# of `length` rows each, and what every turn reads; `unroll`, if it is there, says how many turns
# are to be made one (the pass unroll_scans). The state after body(*state, *rows, *rest) ->
# (*state, *ys) for each row, the last one first if in `reverse`; then a stack of each y
# ---------------------------------------------------------------------------------------------


def _infer_scan(types: Types, attrs: Attrs) -> TupleType:
    body, carried, length = attrs["body"], attrs["carried"], attrs["length"]
    end = carried + attrs["scanned"]
    if isinstance(length, int) and length < 0:
        raise ShapeError(f"scan: the length is {length}")
    if len(types) < end:
        raise ShapeError(f"scan: {len(types)} operands hold no {carried} parts of a state and rows")
    rows = [_row(type_, length) for type_ in types[carried:end]]
    check_inputs("scan", body, (*types[:carried], *rows, *types[end:]))
    found = types_of(body.outputs)
    what = f"scan: the state that {body.name} returns is"
    check_all(what, found[:carried], types[:carried])
    return TupleType((*types[:carried], *(_stack(type_, length) for type_ in found[carried:])))


def _row(stack: TensorType | TokenType, length: Size) -> TensorType:
    if not isinstance(stack, TensorType) or not stack.shape:
        raise ShapeError(f"scan: {stack} has no rows")
    if not check.same_sizes(stack.shape[:1], (length,)):
        raise ShapeError(f"scan: {stack} has not {length} rows")
    return stack.with_shape(stack.shape[1:])


def _stack(row: TensorType | TokenType, length: Size) -> TensorType:
    if not isinstance(row, TensorType):
        raise DTypeError(f"scan: {row} is no row of a stack")
    return row.with_shape((length, *row.shape))


def _reference_scan(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    carried, end = attrs["carried"], attrs["carried"] + attrs["scanned"]
    state, stacks, rest = tuple(arrays[:carried]), arrays[carried:end], tuple(arrays[end:])
    results = [
        np.empty(static_shape(item.shape), item.dtype.dtype)
        for item in type_.items[carried:]
        if isinstance(item, TensorType)
    ]
    turns = range(attrs["length"])
    for turn in reversed(turns) if attrs["reverse"] else turns:
        rows = [stack[turn, ...] for stack in stacks]
        found = call(attrs["body"], (*state, *rows, *rest))
        state = found[:carried]
        for result, row in zip(results, found[carried:]):
            result[turn] = row
    return *state, *results


def _samples_scan() -> Samples:
    stack = TensorType(dtypes.float64, (4, 3))
    operands = (VECTOR, stack, VECTOR)
    x, row, step = inputs_of(VECTOR, VECTOR, VECTOR)
    body = Graph("body", (x, row, step), (add(mul(x, step), row), mul(x, row)))
    attrs = {"body": body, "carried": 1, "scanned": 1}
    return [
        *((operands, {**attrs, "length": 4, "reverse": reverse}) for reverse in (False, True)),
        ((VECTOR, stack.with_shape((0, 3)), VECTOR), {**attrs, "length": 0, "reverse": False}),
    ]


scan = TABLE.add(
    OpDef(
        "scan",
        Family.CONTROL,
        infer=_infer_scan,
        reference=_reference_scan,
        vjp=vjp_scan,
        jvp=jvp_scan,
        batch=batch_scan,
        holds_graphs=True,
        loop=Loop(turns=lambda node: node["length"]),
        samples=_samples_scan,
    )
)
