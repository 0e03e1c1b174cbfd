"""branch, and what it shares with loops (weftc.ops.loops): ops that run the graphs they hold.

Each graph takes all operands, one by one, and is closed: what a body reads from outside is an
operand. The state of a loop comes first; what follows it is the same in every iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from weftc.ir.interpret import call
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import TABLE, Attrs, Family, OpDef
from weftc.ir.types import TensorType, TokenType, TupleType, ValueType
from weftc.ops import build, check
from weftc.ops.control_maps import batch_branch
from weftc.ops.control_tangents import jvp_branch
from weftc.ops.pointwise import add, neg
from weftc.ops.structure import project
from weftc.transforms.closing import closing
from weftc.transforms.effects import check_effects, without_effects
from weftc.transforms.vjp import vjp
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


def check_all(what: str, found: Sequence[ValueType], wanted: Sequence[ValueType]) -> None:
    """ShapeError unless types are those that they should be."""
    if len(found) != len(wanted) or not all(map(alike, found, wanted)):
        raise ShapeError(f"{what} {_listed(found)}, but should be {_listed(wanted)}")


def _listed(types: Sequence[ValueType]) -> str:
    return f"({', '.join(map(str, types))})"


def check_inputs(name: str, graph: Graph, types: Sequence[ValueType]) -> None:
    """ShapeError unless a graph takes these types."""
    check_all(f"{name}: the inputs of {graph.name} are", types_of(graph.inputs), types)


def check_scalar(name: str, what: str, type_: ValueType, dtype: DType) -> None:
    """DTypeError unless a type is a scalar of this dtype."""
    if type_ != TensorType(dtype, ()):
        raise DTypeError(f"{name}: {what} is {type_}, but should be {dtype.short}[]")


def types_of(nodes: Sequence[Any]) -> tuple[Any, ...]:
    """The types of nodes."""
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
    results = types_of(first.outputs)
    for graph in (first, *others):
        check_inputs("branch", graph, operands)
        check_all(f"branch: the results of {graph.name} are", types_of(graph.outputs), results)
    return TupleType(results)


def _reference_branch(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    (index, *operands), branches = arrays, attrs["branches"]
    return call(branches[min(max(int(index), 0), len(branches) - 1)], operands)


def _vjp_branch(
    node: Node, *cotangents: Node | None, wanted: Sequence[bool]
) -> tuple[Node | None, ...]:
    """A branch of the gradients of the branches, which compute again what these need; where that is
    costly, the pass `share_branches` has them read what the branch has computed."""
    places = [place for place, is_wanted in enumerate(wanted[1:]) if is_wanted]
    given = [number for number, g in enumerate(cotangents) if g is not None]
    graphs = tuple([_gradient(without_effects(g), given, places) for g in node["branches"]])
    arrived = [g for g in cotangents if g is not None]
    result = closing(branch, *node.inputs, *arrived, branches=graphs)
    parts: list[Node | None] = [None] * len(node.inputs)
    for index, place in enumerate(places):
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


def no_gradient(node: Node, what: str) -> TraceError:
    """What is said where reverse mode meets `what`, a loop."""
    place = node.location or "unknown place"
    return TraceError(
        f"{what} has no gradient (at {place}): reverse mode needs every state that it goes "
        "through, and there is room for them only where shapes tell how many there are"
    )


def inputs_of(*types: TensorType) -> tuple[Any, ...]:
    """Inputs of these types."""
    return tuple(build.argument(i, f"x{i}", type_) for i, type_ in enumerate(types))


VECTOR = TensorType(dtypes.float64, (3,))
SCALAR = TensorType(dtypes.float64, ())
INT = TensorType(dtypes.int64, ())


def _samples_branch() -> Samples:
    x, y = inputs_of(VECTOR, SCALAR)
    same = Graph("same", (x, y), (x, y))
    negative = Graph("negative", (x, y), (neg(x), neg(y)))
    twice = Graph("twice", (x, y), (add(x, x), y))
    return [
        ((TensorType(dtype, ()), VECTOR, SCALAR), {"branches": branches})
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
