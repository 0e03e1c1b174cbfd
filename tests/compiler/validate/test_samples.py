"""Sample inputs: valid indices, edge values, sizes that fit."""

from __future__ import annotations

import numpy as np
from tests.compiler.assembly.graphs import INT, graph, loop, parts, repeat
from tests.compiler.schedule.kernels import Inputs
from tests.compiler.schedule.networks import matmul, op

from weftc.ir.node import Graph, Node
from weftc.ir.opdef import TABLE, HostFunction
from weftc.ir.sizes import Dim
from weftc.ir.types import TensorType
from weftc.ops import build
from weftc.validate import samples
from weftrt import dtypes

N, M = Dim.symbol("n"), Dim.symbol("m")


def test_two_samples_one_with_edge_values() -> None:
    x = Inputs()
    a = x(8, 40)
    ordinary, edges = samples.draw(x.graph(op("exp", a)))
    assert np.isfinite(ordinary.inputs[0]).all() and np.signbit(ordinary.inputs[0]).any()
    assert np.isnan(edges.inputs[0]).any() and np.isposinf(edges.inputs[0]).any()


def test_integers_reach_the_ends_of_their_range() -> None:
    x = Inputs()
    a = x(200, dtype=dtypes.int32)
    _, edges = samples.draw(x.graph(op("neg", a)))
    assert {-(1 << 31), (1 << 31) - 1} <= set(edges.inputs[0].tolist())


def test_symbols_get_sizes_that_differ_then_one_and_none() -> None:
    x = Inputs()
    a, b = x(N, Dim.symbol("m")), x(N)
    *different, ones, nothing = samples.draw(x.graph(op("exp", a), op("exp", b)))
    for sample in different:
        assert min(sample.sizes.values()) > 1 and len(set(sample.sizes.values())) == 2
    assert ones.sizes == {"n": 1, "m": 1} and nothing.sizes == {"n": 0, "m": 0}
    large, small, *_ = samples.draw(x.graph(op("exp", a), op("exp", b)))
    assert large.sizes["n"] > 64 > small.sizes["n"]


def test_symbols_that_no_shape_shows() -> None:
    """Of a body, whose sizes are those of the graph around it."""

    def counted(x: Node) -> list[Node]:
        return [op("add", x, op("size", size=N * 2))]

    def turned(x: Node) -> list[Node]:
        (total,) = loop(op("size", size=0), op("size", size=M), [x], lambda i, t: counted(t))
        return [total]

    for body, names in ((counted, {"n"}), (turned, {"n", "m"})):
        for sample in samples.draw(graph("body", body, INT)):
            assert set(sample.sizes) == names


def test_sizes_that_a_slice_needs() -> None:
    x = Inputs()
    a = x(N)
    cut = op("slice", a, start=(5,), stop=(N,), step=(1,))
    found = samples.draw(x.graph(cut))
    assert found and all(sample.sizes["n"] >= 5 for sample in found)


def _taking(shift: int) -> Graph:
    x = Inputs()
    table, places = x(5, 3), x(4, dtype=dtypes.int64)
    offset = build.expand(build.constant(shift, dtypes.int64), (4,), ())
    rows = op("reshape", op("add", places, offset), shape=(2, 2))
    return x.graph(op("take", table, rows, axis=0))


def test_indices_are_valid_behind_movement_and_arithmetic() -> None:
    for shift in (0, 2, 4):
        found = samples.draw(_taking(shift))
        assert len(found) == 2
        for sample in found:
            assert ((sample.inputs[1] + shift < 5) & (sample.inputs[1] + shift >= -5)).all()
    ordinary, _ = samples.draw(_taking(0))
    assert (ordinary.inputs[1] < 0).any()


def test_no_sample_where_no_index_is_valid_or_the_graph_is_too_large() -> None:
    assert samples.draw(_taking(100)) == []
    x = Inputs()
    assert samples.draw(x.graph(op("exp", x(samples.LARGEST + 1)))) == []
    x = Inputs()
    assert samples.draw(x.graph(matmul(x(256, 256), x(256, 256)))) == []


def test_indices_that_bodies_take() -> None:
    """An operand of a loop whose body takes by it, and the number of the turn itself."""

    def whole(low: Node, high: Node, place: Node, table: Node) -> list[Node]:
        def body(i: Node, row: Node, place: Node, table: Node) -> list[Node]:
            taken = [op("take", table, index, axis=0) for index in (i, place)]
            return [op("add", row, op("mul", *taken))]

        return loop(low, high, [op("take", table, place, axis=0)], body, place, table)

    table = TensorType(dtypes.float32, (5, 3))
    found = samples.draw(graph("taking", whole, INT, INT, INT, table))
    assert found and all(-5 <= sample.inputs[2] < 5 for sample in found)
    assert all(sample.inputs[1] <= 5 for sample in found)


def test_no_sample_of_a_loop_that_does_not_end_or_that_calls_python() -> None:
    def endless(x: Node) -> list[Node]:
        return repeat(lambda x: [op("eq", x, x)], [x], lambda x: [op("add", x, x)])

    assert samples.draw(graph("endless", endless, INT)) == []

    called: list[int] = []
    function = HostFunction(lambda: called.append(1) or [])

    def calling(x: Node) -> list[Node]:
        call = TABLE["callback"]
        return [x, *parts(call(TABLE["token"](), function=function, types=()))]

    assert samples.draw(graph("calling", calling, INT)) == [] and not called


def test_a_check_that_fails_makes_no_sample() -> None:
    def checked(x: Node) -> list[Node]:
        small = op("lt", x, op("mul", x, x))
        return [TABLE["check"](TABLE["token"](), small, message="")]

    found = samples.draw(graph("checked", checked, INT))
    assert found and all(sample.inputs[0] < sample.inputs[0] ** 2 for sample in found)
