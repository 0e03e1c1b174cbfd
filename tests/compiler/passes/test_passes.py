"""Each pass keeps every value, by bits, and does what its docstring says."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.verify import verify
from weftc.ops import build, movement, pointwise, source
from weftc.ops.elementary import exp
from weftc.ops.parts import deinterleave, interleave
from weftc.passes.cse import eliminate_common_subexpressions
from weftc.passes.fold import fold_constants
from weftc.passes.own_outputs import own_outputs
from weftc.passes.simplify import simplify
from weftc.pipeline import optimize
from weftc.validate.values import ValueValidator
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import VerifyError

EDGES = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-40, 3e38]
SHAPE = (len(EDGES),)


def _input(dtype: DType = dtypes.float32, index: int = 0) -> Node:
    return source.input(index=index, name=f"x{index}", dtype=dtype, shape=SHAPE)


def _full(value: float, dtype: DType = dtypes.float32) -> Node:
    scalar = source.constant(value=value, dtype=dtype)
    return movement.broadcast(scalar, shape=SHAPE, axes=())


def _edges(dtype: DType) -> np.ndarray[Any, Any]:
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.array(EDGES), nan=3 if not dtype.is_float else np.nan).astype(
            dtype.dtype
        )


def _same_values(before: Graph, after: Graph) -> None:
    verify(after)
    arrays = [_edges(i.type.dtype) for i in before.inputs]
    for a, b in zip(interpret(after, arrays), interpret(before, arrays), strict=True):
        assert_same_bits(a, b)


def _neg(x: Node) -> Node:
    return pointwise.neg(x)


VANISH: dict[str, Callable[[Node], Node]] = {
    "x * 1": lambda x: pointwise.mul(x, _full(1.0)),
    "x / 1": lambda x: pointwise.div(x, _full(1.0)),
    "x + -0.0": lambda x: pointwise.add(x, _full(-0.0)),
    "x - 0": lambda x: pointwise.sub(x, _full(0.0)),
    "--x": lambda x: _neg(_neg(x)),
    "identity": lambda x: pointwise.identity(x),
    "flip twice": lambda x: movement.flip(movement.flip(x, axes=(0,)), axes=(0,)),
    "where true": lambda x: pointwise.where(_full(True, dtypes.bool_), x, _full(2.0)),
    "where same": lambda x: pointwise.where(pointwise.lt(x, _full(0.0)), x, x),
    "reshape back": lambda x: movement.reshape(movement.reshape(x, shape=(3, 3)), shape=SHAPE),
    "full slice": lambda x: movement.slice(x, start=(0,), stop=SHAPE, step=(1,)),
    "same cast": lambda x: pointwise.convert(x, dtype=dtypes.float32),
}


@pytest.mark.parametrize("name", VANISH)
def test_simplify_removes(name: str) -> None:
    x = _input()
    graph = Graph("f", (x,), (VANISH[name](x),))
    simpler = simplify(graph)
    assert simpler.outputs == (x,)
    _same_values(graph, simpler)


KEPT: dict[str, Callable[[Node], Node]] = {
    "x + 0.0 changes -0": lambda x: pointwise.add(x, _full(0.0)),
    "x * 0 is nan for inf": lambda x: pointwise.mul(x, _full(0.0)),
    "0 - x changes 0": lambda x: pointwise.sub(_full(0.0), x),
    "x / 3 rounds differently": lambda x: pointwise.div(x, _full(3.0)),
}


@pytest.mark.parametrize("name", KEPT)
def test_simplify_keeps_what_is_not_exact(name: str) -> None:
    x = _input()
    graph = Graph("f", (x,), (KEPT[name](x),))
    assert simplify(graph).outputs[0].op is graph.outputs[0].op
    _same_values(graph, simplify(graph))


REWRITTEN: dict[str, tuple[Callable[[Node], Node], str]] = {
    "x / 8 -> x * 0.125": (lambda x: pointwise.div(x, _full(8.0)), "mul"),
    "x * -1 -> neg": (lambda x: pointwise.mul(x, _full(-1.0)), "neg"),
    "abs(-x) -> abs": (lambda x: pointwise.abs(_neg(x)), "abs"),
    "op before broadcast": (lambda x: pointwise.add(_full(1.0), _full(2.0)), "broadcast"),
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_simplify_rewrites(name: str) -> None:
    x = _input()
    build, expected = REWRITTEN[name]
    graph = Graph("f", (x,), (build(x),))
    simpler = simplify(graph)
    assert simpler.outputs[0].op.name == expected
    _same_values(graph, simpler)


def _turned(permutation: tuple[int, ...], *axes: tuple[int, ...]) -> Graph:
    """A transposed array times vectors along these axes of the result."""
    shape = (*SHAPE, 2, 3)
    x = source.input(index=0, name="x", dtype=dtypes.float32, shape=shape)
    result = movement.transpose(x, permutation=permutation)
    turned = result.type.shape
    for index, places in enumerate(axes):
        small = tuple(turned[axis] for axis in places)
        value = source.constant(value=1.5 + index, dtype=dtypes.float32)
        row = _neg(movement.broadcast(value, shape=small, axes=()))
        row = pointwise.add(row, source.iota(shape=small, axis=0, dtype=dtypes.float32))
        result = pointwise.mul(result, movement.broadcast(row, shape=turned, axes=places))
    return Graph("turned", (x,), (result,))


@pytest.mark.parametrize("permutation", [(2, 0, 1), (0, 2, 1), (2, 1, 0)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_is_computed_of_a_transpose_is_computed_before(
    permutation: tuple[int, ...], axis: int
) -> None:
    graph = _turned(permutation, (axis,), ((axis + 1) % 3,))
    simpler = simplify(graph)
    result = simpler.outputs[0]
    assert result.op.name == "transpose" and result.inputs[0].op.name == "mul"
    verify(simpler)
    x = np.random.default_rng(0).standard_normal((*SHAPE, 2, 3)).astype(np.float32)
    for a, b in zip(interpret(simpler, [x]), interpret(graph, [x]), strict=True):
        assert_same_bits(a, b)


def test_an_operand_that_would_have_to_be_turned_the_other_way_stays() -> None:
    simpler = simplify(_turned((2, 1, 0), (0, 1)))
    assert simpler.outputs[0].op.name == "mul"


def _of_parts(function: Callable[[Node, Node], Node]) -> Graph:
    """Of two arrays of pairs: `function` of both parts, as pairs."""
    x, y = (
        source.input(index=i, name=f"x{i}", dtype=dtypes.float32, shape=(*SHAPE, 2)) for i in (0, 1)
    )
    parts = (function(a, b) for a, b in zip(deinterleave(x), deinterleave(y)))
    return Graph("pairs", (x, y), (interleave(*parts),))


def test_what_is_computed_of_both_parts_alike_is_computed_of_pairs() -> None:
    for function, left in (
        (lambda x, y: x, []),
        (lambda x, y: pointwise.add(_neg(x), y), ["neg", "add"]),
        (lambda x, y: pointwise.mul(x, _full(3.0)), ["constant", "broadcast", "mul"]),
        (lambda x, y: pointwise.where(pointwise.lt(x, y), x, y), ["lt", "where"]),
    ):
        graph = _of_parts(function)
        simpler = simplify(graph)
        assert [node.op.name for node in simpler.nodes() if node.op.name != "input"] == left
        arrays = [np.stack([_edges(dtypes.float32)] * 2, -1), np.ones((*SHAPE, 2), np.float32)]
        for a, b in zip(interpret(simpler, arrays), interpret(graph, arrays), strict=True):
            assert_same_bits(a, b)


def test_what_is_not_alike_is_put_together() -> None:
    for function in (exp, lambda x, y=None: x):
        x = source.input(index=0, name="x", dtype=dtypes.float32, shape=(*SHAPE, 2))
        real, imag = deinterleave(x)
        graph = Graph("pairs", (x,), (interleave(function(imag), function(real)),))
        assert "interleave" in [node.op.name for node in simplify(graph).nodes()]


def _padded(x: Node, low: int, high: int, value: float = 0.0, interior: int = 0) -> Node:
    number = value if x.type.dtype.is_float else int(value)
    zero = source.constant(value=number, dtype=x.type.dtype)
    place = {"low": (low,), "high": (high,), "interior": (interior,)}
    return build.call("pad", x, zero, **place)


def _ops(graph: Graph) -> list[str]:
    return sorted(node.op.name for node in graph.nodes() if node.op.name in ("concat", "pad"))


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.int32])
@pytest.mark.parametrize(
    ("places", "left"),
    [
        ([(0, 18), (9, 9), (18, 0)], ["concat"]),
        ([(18, 0), (0, 18), (9, 9)], ["concat"]),
        ([(1, 10), (10, 1)], ["concat", "pad"]),
        ([(0, 19), (10, 9)], ["pad", "pad"]),
        ([(0, 9), (5, 4)], ["pad", "pad"]),
    ],
)
def test_padded_pieces_are_joined(dtype: DType, places: Any, left: list[str]) -> None:
    """In any order, unless they overlap or leave a gap; -0 becomes +0 as in the sum."""
    inputs = [_input(dtype, k) for k in range(len(places))]
    padded = [_padded(x, *place) for x, place in zip(inputs, places, strict=True)]
    total = functools.reduce(lambda a, b: build.call("add", a, b), padded)
    graph = Graph("f", tuple(inputs), (total,))
    simpler = simplify(graph)
    assert _ops(simpler) == left
    _same_values(graph, simpler)


def test_other_padding_is_not_joined() -> None:
    x, y = _input(), _input(index=1)
    first = _padded(x, 0, 9)
    for second in (_padded(y, 9, 0, -0.0), _padded(y, 9, 0, 1.0), pointwise.neg(_padded(y, 9, 0))):
        graph = Graph("f", (x, y), (build.call("add", first, second),))
        assert _ops(simplify(graph)) == ["pad", "pad"]
    spread = build.call("add", _padded(x, 0, 0, 0.0, 1), _padded(y, 0, 8))
    assert _ops(simplify(Graph("f", (x, y), (spread,)))) == ["pad", "pad"]


@pytest.mark.parametrize(
    ("name", "known", "is_left"),
    [
        ("bitwise_and", True, True),
        ("bitwise_and", False, False),
        ("bitwise_or", False, True),
        ("bitwise_or", True, False),
    ],
)
def test_what_is_known_of_a_truth(name: str, known: bool, is_left: bool) -> None:
    x = _input()
    truth, other = pointwise.lt(x, _neg(x)), _full(known, dtypes.bool_)
    for operands in ((truth, other), (other, truth)):
        before = Graph("truth", (x,), (build.call(name, *operands),))
        after = simplify(before)
        assert after.outputs == ((truth if is_left else other),)
        _same_values(before, after)
    numbers = _input(dtypes.int32)
    before = Graph("numbers", (numbers,), (build.call(name, numbers, _full(1, dtypes.int32)),))
    assert simplify(before).outputs == before.outputs


def test_integer_zero_is_neutral() -> None:
    x = _input(dtypes.int32)
    graph = Graph("f", (x,), (pointwise.add(x, _full(0, dtypes.int32)),))
    assert simplify(graph).outputs == (x,)


def test_fold_evaluates_exact_ops_only() -> None:
    two, three = (source.constant(value=v, dtype=dtypes.float32) for v in (2.0, 3.0))
    product, power = pointwise.mul(two, three), exp(two)
    folded = fold_constants(Graph("f", (), (product, power)))
    assert folded.outputs[0].op.name == "constant"
    assert folded.outputs[0]["value"] == 6.0
    assert folded.outputs[1].op.name == "exp"


def test_fold_rounds_to_the_dtype() -> None:
    one, three = (source.constant(value=v, dtype=dtypes.float32) for v in (1.0, 3.0))
    folded = fold_constants(Graph("f", (), (pointwise.div(one, three),)))
    assert folded.outputs[0]["value"] == float(np.float32(1) / np.float32(3))


def test_cse_merges_equal_nodes_but_not_equal_looking_constants() -> None:
    x = _input()
    plus, minus = pointwise.mul(x, _full(0.0)), pointwise.mul(x, _full(-0.0))
    graph = Graph("f", (x,), (pointwise.add(exp(x), exp(x)), plus, minus))
    merged = eliminate_common_subexpressions(graph)
    left, right = merged.outputs[0].inputs
    assert left is right
    assert merged.outputs[1] is not merged.outputs[2]
    _same_values(graph, merged)


def test_cse_never_merges_inputs() -> None:
    x, y = _input(index=0), _input(index=1)
    graph = Graph("f", (x, y), (pointwise.add(x, y),))
    assert eliminate_common_subexpressions(graph).outputs[0].inputs == (x, y)


def test_outputs_never_alias_inputs() -> None:
    x = _input()
    owned = own_outputs(Graph("f", (x,), (x, exp(x))))
    assert owned.outputs[0].op.name == "identity"
    assert owned.outputs[1].op.name == "exp"


def test_dead_nodes_are_not_in_a_graph() -> None:
    x = _input()
    exp(x)  # nothing reads it
    graph = Graph("f", (x,), (_neg(x),))
    assert graph.nodes() == [x, graph.outputs[0]]


def test_optimize_keeps_values_by_bits() -> None:
    x = _input()
    y = pointwise.add(exp(pointwise.mul(x, _full(1.0))), exp(x))
    graph = Graph("f", (x,), (y, x))
    _same_values(graph, optimize(graph, ValueValidator()))


def _drops_the_sign_of_zero(graph: Graph) -> Graph:
    """x -> x + 0: wrong only for -0."""
    return Graph(graph.name, graph.inputs, (pointwise.add(graph.outputs[0], _full(0.0)),))


def _forgets_an_input(graph: Graph) -> Graph:
    return Graph(graph.name, (), graph.outputs)


def _swaps_operands(graph: Graph) -> Graph:
    (node,) = graph.outputs
    return Graph(graph.name, graph.inputs, (node.op(*node.inputs[::-1]),))


@pytest.mark.parametrize("wrong", [_drops_the_sign_of_zero, _forgets_an_input, _swaps_operands])
def test_a_wrong_pass_is_caught_and_named(wrong: Callable[[Graph], Graph]) -> None:
    x = _input()
    graph = Graph("f", (x,), (pointwise.sub(x, _full(0.0)),))
    with pytest.raises(VerifyError, match=wrong.__name__):
        optimize(graph, ValueValidator(), (wrong,))
