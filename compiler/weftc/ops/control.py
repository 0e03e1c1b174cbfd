"""branch, while and fori: ops that run the graphs they hold.

Each graph takes all operands, one by one, and is closed: what a body reads from outside is an
operand. The state of a loop comes first; what follows it is the same in every iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from weftc.ir.interpret import call
from weftc.ir.node import Graph, Node, inlined, toposort
from weftc.ir.opdef import TABLE, Attrs, Family, OpDef
from weftc.ir.types import TensorType, TokenType, TupleType, ValueType
from weftc.ops import build, check
from weftc.ops.control_maps import batch_branch, batch_fori, batch_while
from weftc.ops.control_tangents import jvp_branch, jvp_fori, jvp_while
from weftc.ops.pointwise import add, lt, neg
from weftc.ops.source import constant
from weftc.ops.structure import project
from weftc.transforms.effects import check_effects, without_effects
from weftc.transforms.vjp import has_floats, vjp
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, TraceError

Arrays: TypeAlias = Sequence[Any]
Types: TypeAlias = tuple[TensorType | TokenType, ...]
Samples: TypeAlias = list[tuple[Types, Attrs]]


def alike(a: ValueType, b: ValueType) -> bool:
    """Whether two types are equal, by form or by what is assumed of sizes."""
    if isinstance(a, TensorType) and isinstance(b, TensorType):
        return a.dtype is b.dtype and check.same_sizes(a.shape, b.shape)
    return bool(a == b)


def _check_all(what: str, found: Sequence[ValueType], wanted: Sequence[ValueType]) -> None:
    if len(found) != len(wanted) or not all(map(alike, found, wanted)):
        raise ShapeError(f"{what} {_listed(found)}, but should be {_listed(wanted)}")


def _listed(types: Sequence[ValueType]) -> str:
    return f"({', '.join(map(str, types))})"


def _check_inputs(name: str, graph: Graph, types: Sequence[ValueType]) -> None:
    _check_all(f"{name}: the inputs of {graph.name} are", _types(graph.inputs), types)


def _check_scalar(name: str, what: str, type_: ValueType, dtype: DType) -> None:
    if type_ != TensorType(dtype, ()):
        raise DTypeError(f"{name}: {what} is {type_}, but should be {dtype.short}[]")


def _types(nodes: Sequence[Any]) -> tuple[Any, ...]:
    return tuple([node.value_type for node in nodes])


# ---------------------------------------------------------------------------------------------
# branch(branches; index, *operands): the results of branch number `index`, which is a bool or an
# integer and counts as the first or last branch where it is outside
# ---------------------------------------------------------------------------------------------


def _infer_branch(types: Types, attrs: Attrs) -> TupleType:
    index, *operands = types
    if not isinstance(index, TensorType) or index.shape or index.dtype.is_float:
        raise DTypeError(f"branch: the index is {index}, but should be a scalar bool or integer")
    first, *others = attrs["branches"]
    results = _types(first.outputs)
    for graph in (first, *others):
        _check_inputs("branch", graph, operands)
        _check_all(f"branch: the results of {graph.name} are", _types(graph.outputs), results)
    return TupleType(results)


def _reference_branch(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    (index, *operands), branches = arrays, attrs["branches"]
    return call(branches[min(max(int(index), 0), len(branches) - 1)], operands)


def _vjp_branch(node: Node, *cotangents: Node | None) -> tuple[Node | None, ...]:
    """A branch of the gradients of the branches, which compute again what these need."""
    wanted = [place for place, operand in enumerate(node.inputs[1:]) if has_floats(operand)]
    given = [number for number, g in enumerate(cotangents) if g is not None]
    graphs = tuple([_gradient(without_effects(g), given, wanted) for g in node["branches"]])
    arrived = [g for g in cotangents if g is not None]
    result = branch(*node.inputs, *arrived, branches=graphs)
    parts: list[Node | None] = [None] * len(node.inputs)
    for index, place in enumerate(wanted):
        parts[1 + place] = project(result, index=index)
    return tuple(parts)


def _gradient(graph: Graph, given: Sequence[int], wanted: Sequence[int]) -> Graph:
    """From the inputs of `graph` and cotangents of the results `given` to those of the inputs
    `wanted`; zeros where no gradient comes."""
    outputs = [graph.outputs[number] for number in given]
    cotangents = [
        build.argument(place, "cotangent", o.type)
        for place, o in enumerate(outputs, len(graph.inputs))
    ]
    inputs = [graph.inputs[place] for place in wanted]
    found = vjp(outputs, cotangents, inputs)
    results = [g if g is not None else build.like(0.0, i) for g, i in zip(found, inputs)]
    gradient = Graph(f"{graph.name} gradient", (*graph.inputs, *cotangents), tuple(results))
    check_effects("branch", gradient.all_nodes())
    return gradient


def _inputs(*types: TensorType) -> tuple[Any, ...]:
    return tuple(build.argument(i, f"x{i}", type_) for i, type_ in enumerate(types))


_VECTOR = TensorType(dtypes.float64, (3,))
_SCALAR = TensorType(dtypes.float64, ())
_COUNTER = TensorType(dtypes.uint8, ())
_INT = TensorType(dtypes.int64, ())


def _samples_branch() -> Samples:
    x, y = _inputs(_VECTOR, _SCALAR)
    same = Graph("same", (x, y), (x, y))
    negative = Graph("negative", (x, y), (neg(x), neg(y)))
    twice = Graph("twice", (x, y), (add(x, x), y))
    return [
        ((TensorType(dtype, ()), _VECTOR, _SCALAR), {"branches": branches})
        for dtype in (dtypes.bool_, dtypes.int64, dtypes.int32, dtypes.uint64)
        for branches in ((same,), (same, negative), (twice, same, negative))
    ]


branch = TABLE.add(
    OpDef(
        "branch",
        Family.CONTROL,
        infer=_infer_branch,
        reference=_reference_branch,
        vjp=_vjp_branch,
        jvp=jvp_branch,
        batch=batch_branch,
        holds_graphs=True,
        samples=_samples_branch,
    )
)


# ---------------------------------------------------------------------------------------------
# while(condition, body, carried; *operands): the state, the first `carried` operands, as it is when
# the condition fails
# ---------------------------------------------------------------------------------------------


def _infer_state(name: str, body: Graph, types: Types, carried: int) -> TupleType:
    state = types[:carried]
    if len(state) < carried:
        raise ShapeError(f"{name}: {len(types)} operands hold no state of {carried}")
    _check_all(f"{name}: the results of {body.name} are", _types(body.outputs), state)
    return TupleType(state)


def _infer_while(types: Types, attrs: Attrs) -> TupleType:
    condition, body = attrs["condition"], attrs["body"]
    _check_inputs("while", condition, types)
    _check_inputs("while", body, types)
    (holds,) = _types(condition.outputs)
    _check_scalar("while", "the condition", holds, dtypes.bool_)
    return _infer_state("while", body, types, attrs["carried"])


def _reference_while(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    carried = attrs["carried"]
    state, rest = tuple(arrays[:carried]), tuple(arrays[carried:])
    while call(attrs["condition"], (*state, *rest))[0]:
        state = call(attrs["body"], (*state, *rest))
    return state


def _vjp_while(node: Node, *cotangents: Node | None) -> tuple[Node | None, ...]:
    raise _no_gradient(node, "a loop")


def _no_gradient(node: Node, what: str) -> TraceError:
    return TraceError(
        f"{what} has no gradient (at {node.location or 'unknown place'}): reverse mode needs every "
        "state that it goes through, and these are not kept; up to "
        f"{MOST_UNROLLED} turns of a fori_loop are unrolled where their number is known"
    )


def _samples_while() -> Samples:
    operands = (_COUNTER, _VECTOR, _VECTOR)
    count, x, step = _inputs(*operands)
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
        samples=_samples_while,
    )
)


# ---------------------------------------------------------------------------------------------
# fori(body, carried; lower, upper, *operands): the state after body(i, *operands) for each int64 i
# from lower to upper - 1
# ---------------------------------------------------------------------------------------------


def _infer_fori(types: Types, attrs: Attrs) -> TupleType:
    lower, upper, *operands = types
    _check_scalar("fori", "the lower bound", lower, dtypes.int64)
    _check_scalar("fori", "the upper bound", upper, dtypes.int64)
    _check_inputs("fori", attrs["body"], (lower, *operands))
    return _infer_state("fori", attrs["body"], tuple(operands), attrs["carried"])


def _reference_fori(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    (lower, upper, *operands), carried = arrays, attrs["carried"]
    state, rest = tuple(operands[:carried]), tuple(operands[carried:])
    for i in range(int(lower), int(upper)):
        state = call(attrs["body"], (dtypes.int64.dtype.type(i).reshape(()), *state, *rest))
    return state


MOST_UNROLLED = 64
"""Turns of a loop that its gradient computes one by one."""


def _vjp_fori(node: Node, *cotangents: Node | None) -> tuple[Node | None, ...]:
    """The gradient of the turns, one after another, where it is known how many there are."""
    bounds, operands = node.inputs[:2], list(map(_apart, node.inputs[2:]))
    if any(bound.op.name != "constant" for bound in bounds):
        raise _no_gradient(node, "a loop whose number of turns is not known")
    turns = range(*(bound["value"] for bound in bounds))
    if len(turns) > MOST_UNROLLED:
        raise _no_gradient(node, f"a loop of {len(turns):,} turns")
    state, rest = operands[: node["carried"]], operands[node["carried"] :]
    body = without_effects(node["body"])
    for i in turns:
        state = inlined(body, [constant(value=i, dtype=dtypes.int64), *state, *rest])
    floats = list(filter(has_floats, operands))
    found = dict(zip(floats, vjp(state, cotangents, floats)))
    given = {*operands, *cotangents}
    made = toposort([g for g in found.values() if g is not None], filter(None, given))
    check_effects("loop", [n for n in made if n not in given])
    return None, None, *map(found.get, operands)


def _apart(node: Node) -> Node:
    """A node of its own for an operand, which may be there twice."""
    return build.call("identity", node) if node.is_tensor else node


def _samples_fori() -> Samples:
    operands = (_VECTOR, _SCALAR, _VECTOR)
    i, x, y, step = _inputs(_INT, *operands)
    body = Graph("body", (i, x, y, step), (add(x, step), neg(y)))
    return [((_INT, _INT, *operands), {"body": body, "carried": 2})]


fori = TABLE.add(
    OpDef(
        "fori",
        Family.CONTROL,
        infer=_infer_fori,
        reference=_reference_fori,
        vjp=_vjp_fori,
        jvp=jvp_fori,
        batch=batch_fori,
        holds_graphs=True,
        samples=_samples_fori,
    )
)
