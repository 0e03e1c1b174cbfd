"""Lowered kernels, run by the loop interpreter, give the bits of the graph interpreter."""

from __future__ import annotations

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.schedule.kernels import TARGET, Inputs, check_plan, draw, run
from tests.compiler.schedule.networks import (
    adam,
    cross_entropy,
    full,
    layer_norm,
    matmul,
    op,
    rows,
    softmax,
)

from weftc import schedule
from weftc.fusion.clusters import fuse
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim
from weftc.loop.ir import Const, For, LoopKind, Store
from weftc.loop.walk import statements
from weftc.ops import build
from weftc.schedule.cpu.pointwise import nests
from weftc.transforms.vjp import vjp
from weftrt import dtypes

N, M = Dim.symbol("n"), Dim.symbol("m")


def check(graph: Graph, sizes: dict[str, int] | None = None, special: bool = False) -> None:
    """Written and widened loops against the graph interpreter."""
    check_plan(fuse(graph))
    arrays = [
        draw(node.type.shape, node.type.dtype, sizes or {}, seed)
        for seed, node in enumerate(graph.inputs)
    ]
    if special:
        for array in arrays:
            edge = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-42, -3e38], array.dtype)
            array.reshape(-1)[: len(edge)] = edge[: array.size]
    expected = interpret(graph, arrays, sizes or {})
    for wide in (False, True):
        for found, wanted in zip(run(graph, arrays, sizes, wide), expected, strict=True):
            assert_same_bits(found, wanted)


def kinds_of_loops(node: Node, inputs: Inputs) -> set[LoopKind]:
    (kernel,) = fuse(inputs.graph(node)).kernels
    body = schedule.lower(kernel, TARGET, "f").function.body
    return {s.kind for s in statements(body) if isinstance(s, For)}


# -- pointwise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [{"n": 5, "m": 7}, {"n": 0, "m": 7}, {"n": 3, "m": 0}])
def test_broadcasts_of_rows_columns_and_scalars(sizes: dict[str, int]) -> None:
    inputs = Inputs()
    x, row, column, single = inputs(N, M), inputs(M), inputs(N), inputs()
    y = op("add", x, build.expand(row, (N, M), (1,)))
    y = op("mul", y, build.expand(column, (N, M), (0,)))
    check(inputs.graph(op("sub", y, build.expand(single, (N, M), ()))), sizes)


def test_roots_of_several_shapes_in_one_kernel() -> None:
    inputs = Inputs()
    rate = inputs()
    updates = [n for s in ((7, 12), (12,), (12, 10)) for n in adam(*(inputs(*s),) * 4, rate)]
    check(inputs.graph(*updates))


PIECES = [
    (0, [(2, 3), (1, 3), (4, 3)]),
    (1, [(2, 3), (2, 1), (2, 0), (2, 70)]),
    (1, [(40, 1), (40, 1)]),
    (2, [(2, 3, 1), (2, 3, 4)]),
    (0, [(1,)] * 20),
    (1, [(3, 1, 2)] * 12),
]


@pytest.mark.parametrize(("axis", "shapes"), PIECES)
def test_pieces_are_written_into_slices(axis: int, shapes: list[tuple[int, ...]]) -> None:
    inputs = Inputs()
    pieces = [op("neg", inputs(*shape)) for shape in shapes]
    check(inputs.graph(op("concat", *pieces, axis=axis)))


def test_a_concat_of_concats_and_transposes() -> None:
    inputs = Inputs()
    x, y = inputs(33, 40), inputs(40, 2)
    below = op("concat", build.transpose(x, (1, 0)), op("exp", y), axis=1)
    inside = op("concat", below, below, axis=0)
    check(inputs.graph(op("concat", inside, op("flip", inside, axes=(0,)), axis=1), below))


def test_pieces_that_share_what_is_computed_are_one_nest() -> None:
    inputs = Inputs()
    x, y = inputs(5, 40), inputs(5, 40)
    both = op("mul", x, y)
    pieces = [op("add", both, x), op("sub", both, y), op("neg", x), op("mul", both, both), both]
    (kernel,) = fuse(inputs.graph(whole := op("concat", *pieces, axis=1))).kernels
    assert [len(roots) for roots, _ in nests(kernel)] == [1, 4]
    check(inputs.graph(whole))


def test_a_concat_of_symbolic_pieces() -> None:
    inputs = Inputs()
    n = Dim.symbol("n")
    pieces = [inputs(n, 3), inputs(2, 3), inputs(n, 3)]
    for size in (1, 5, 40):
        check(inputs.graph(op("concat", *pieces, axis=0)), {"n": size})


def test_slices_are_not_written_past_the_caches() -> None:
    """Such a store needs whole, aligned lines, which the rows of a slice are not."""
    inputs = Inputs()
    large = op("concat", op("neg", inputs(600_000, 16)), op("neg", inputs(600_000, 1)), axis=1)
    (kernel,) = fuse(inputs.graph(large)).kernels
    body = schedule.lower(kernel, TARGET, "f").function.body
    assert [s.nontemporal for s in statements(body) if isinstance(s, Store)] == [False, False]


def test_a_concat_of_many_is_linear() -> None:
    def statements_of(count: int) -> int:
        inputs = Inputs()
        (kernel,) = fuse(
            inputs.graph(op("concat", *(inputs(7) for _ in range(count)), axis=0))
        ).kernels
        return len(list(statements(schedule.lower(kernel, TARGET, "f").function.body)))

    assert statements_of(200) == 2 * statements_of(100)


@pytest.mark.parametrize("shape", [(37, 53), (1, 20), (20, 1), (16, 64), (3, 4, 5)])
def test_transposes(shape: tuple[int, ...]) -> None:
    inputs = Inputs()
    x = inputs(*shape)
    backwards = tuple(reversed(range(len(shape))))
    y = build.transpose(x, backwards)
    check(inputs.graph(op("add", y, inputs(*reversed(shape)))))


@pytest.mark.parametrize("before, after", [((4, 6), (24,)), ((24,), (4, 6)), ((4, 6), (3, 8))])
def test_reshapes(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    inputs = Inputs()
    y = build.reshape(op("neg", inputs(*before)), after)
    bias = build.expand(inputs(after[-1]), after, (len(after) - 1,))
    check(inputs.graph(op("add", y, bias)))


def test_merging_heads() -> None:
    inputs = Inputs()
    x, bias = inputs(2, 3, N, 5), inputs(15)
    merged = build.reshape(build.transpose(x, (0, 2, 1, 3)), (2 * N, 15))
    check(inputs.graph(op("add", merged, rows(bias, 2 * N))), {"n": 4})


def test_movement_in_one_kernel() -> None:
    inputs = Inputs()
    x, y = inputs(6, 5), inputs(6, 5)
    zero = build.constant(-1.0, dtypes.float32)
    both = op("concat", x, op("exp", y), axis=0)
    part = op("slice", both, start=(1, 0), stop=(11, 5), step=(3, 2))
    wide = op("pad", op("flip", part, axes=(0,)), zero, low=(1, 2), high=(0, 1), interior=(0, 1))
    check(inputs.graph(both, op("neg", wide)))


@pytest.mark.parametrize("shape", [(300, 1000), (2, 200000), (70000,), (4, 100, 500)])
def test_large_work_is_shared_by_threads(shape: tuple[int, ...]) -> None:
    inputs = Inputs()
    x = inputs(*shape)
    y = op("add", op("sin", x), build.expand(inputs(shape[-1]), shape, (len(shape) - 1,)))
    assert kinds_of_loops(y, inputs) >= {LoopKind.PARALLEL, LoopKind.VECTOR}


def test_a_few_long_rows() -> None:
    inputs = Inputs()
    x = inputs(2, 40000)
    check(inputs.graph(op("tanh", op("add", x, build.expand(inputs(2), (2, 40000), (0,))))))


def test_small_work_is_not_shared() -> None:
    inputs = Inputs()
    assert kinds_of_loops(op("neg", inputs(1000)), inputs) == {LoopKind.VECTOR}


# -- reductions -----------------------------------------------------------------------------------

REDUCTIONS = ("sum", "prod", "max", "min")


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("sizes", [{"n": 3, "m": 70}, {"n": 70, "m": 3}])
def test_reductions_over_any_axes(axes: tuple[int, ...], sizes: dict[str, int]) -> None:
    inputs = Inputs()
    x = inputs(N, 5, M)
    outputs = [op(name, x, axes=axes) for name in REDUCTIONS]
    check(inputs.graph(*outputs), sizes, special=True)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("sizes", [{"n": 0, "m": 3}, {"n": 3, "m": 0}])
def test_reductions_of_nothing(axes: tuple[int, ...], sizes: dict[str, int]) -> None:
    inputs = Inputs()
    check(inputs.graph(op("sum", inputs(N, M), axes=axes)), sizes)


@pytest.mark.parametrize("shape", [(90000,), (3, 30000), (5, 4097), (4097, 2)])
def test_long_reductions(shape: tuple[int, ...]) -> None:
    inputs = Inputs()
    x = inputs(*shape)
    axis = max(range(len(shape)), key=lambda a: shape[a])
    total = op("sum", op("abs", x), axes=(axis,))
    check(inputs.graph(op("sqrt", total)))


def test_blocks_of_a_symbolic_length() -> None:
    inputs = Inputs()
    check(inputs.graph(op("sum", inputs(N, 300), axes=(0, 1))), {"n": 70})
    check(inputs.graph(op("sum", inputs(N, 300), axes=(0, 1))), {"n": 0})


def test_integers_and_bools() -> None:
    inputs = Inputs()
    counts, flags = inputs(6, 50, dtype=dtypes.uint8), inputs(6, 50, dtype=dtypes.bool_)
    outputs = [
        op("sum", counts, axes=(1,)),
        op("any", flags, axes=(0,)),
        op("all", flags, axes=(1,)),
    ]
    check(inputs.graph(*outputs))


# -- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [{"n": 3, "m": 70}, {"n": 1, "m": 1}, {"n": 0, "m": 4}])
def test_softmax_of_symbolic_rows(sizes: dict[str, int]) -> None:
    inputs = Inputs()
    check(inputs.graph(softmax(inputs(N, M))), sizes)


@pytest.mark.parametrize("shape", [(64, 10), (2, 3, 5000), (20,), (3, 1)])
def test_softmax(shape: tuple[int, ...]) -> None:
    inputs = Inputs()
    check(inputs.graph(softmax(inputs(*shape))), special=True)


def test_softmax_that_also_writes_what_it_reads_again() -> None:
    inputs = Inputs()
    y = softmax(inputs(N, 20))
    e = y.inputs[0]
    assert e.op.name == "exp"
    check(inputs.graph(y, e, op("neg", e)), {"n": 7})


def test_layer_norm_and_gradient() -> None:
    inputs = Inputs()
    x, scale, shift, g = inputs(N, 33), inputs(33), inputs(33), inputs(N, 33)
    y = layer_norm(x, scale, shift)
    gradients = vjp([y], [g], [x, scale, shift])
    check(inputs.graph(y, *(n for n in gradients if n is not None)), {"n": 9})


def test_cross_entropy_and_gradient() -> None:
    inputs = Inputs()
    logits, labels = inputs(N, 10), inputs(N, dtype=dtypes.int64)
    loss = cross_entropy(logits, labels)
    (gradient,) = vjp([loss], [build.constant(1.0, dtypes.float32)], [logits])
    assert gradient is not None
    check(inputs.graph(loss, gradient), {"n": 6})


# -- indexing -------------------------------------------------------------------------------------


def test_take_then_pointwise() -> None:
    inputs = Inputs()
    table, indices = inputs(9, 5), inputs(N, 3, dtype=dtypes.int64)
    taken = op("take", table, indices, axis=0)
    check(inputs.graph(op("mul", taken, full(2.0, (N, 3, 5)))), {"n": 4})


@pytest.mark.parametrize("axis", [0, 1])
def test_scatter_adds_in_order(axis: int) -> None:
    inputs = Inputs()
    base, indices = inputs(4, 300), inputs(6, dtype=dtypes.int32)
    updates = inputs(*((6, 300) if axis == 0 else (4, 6)))
    check(inputs.graph(op("scatter_add", base, indices, op("exp", updates), axis=axis)))


def test_indices_of_indices_need_no_recursion() -> None:
    inputs = Inputs()
    x, place = inputs(3, dtype=dtypes.int64), inputs(3, dtype=dtypes.int64)
    for _ in range(600):
        place = op("take", x, op("flip", place, axes=(0,)), axis=0)
    check(inputs.graph(place))


def test_out_of_bounds_is_reported_though_only_a_part_is_used() -> None:
    inputs = Inputs()
    table, indices = inputs(9, 5), inputs(6, dtype=dtypes.int64)
    taken = op("take", table, indices, axis=0)
    part = op("slice", taken, start=(0, 0), stop=(2, 5), step=(1, 1))
    graph = inputs.graph(op("exp", part))
    arrays = [draw((9, 5), dtypes.float32, {}, 0), np.array([0, 1, 2, 3, -10, 9])]
    with pytest.raises(IndexError) as error:
        run(graph, arrays)
    assert error.value.args == (taken, 4)


def test_scatter_reports_and_writes_the_rest() -> None:
    inputs = Inputs()
    base, indices, updates = inputs(4, 3), inputs(3, dtype=dtypes.int64), inputs(3, 3)
    node = op("scatter_add", base, indices, updates, axis=0)
    arrays = [draw(i.type.shape, i.type.dtype, {}, 0) for i in inputs.nodes]
    arrays[1][:] = [1, 7, -1]
    with pytest.raises(IndexError) as error:
        run(inputs.graph(node), arrays)
    assert error.value.args == (node, 1)


# -- cumulative -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["sum", "prod", "max", "min"])
def test_running_along_rows_and_columns_of_any_size(kind: str, reverse: bool) -> None:
    for axis in (0, 1, 2):
        inputs = Inputs()
        running = op("cumulate", inputs(N, M, 2), axis=axis, kind=kind, reverse=reverse)
        graph = inputs.graph(running)
        for sizes in ({"n": 5, "m": 7}, {"n": 1, "m": 70}, {"n": 0, "m": 3}, {"n": 40, "m": 0}):
            check(graph, sizes, special=True)


@pytest.mark.parametrize("axis", [0, 1])
def test_what_surrounds_a_running_sum_is_in_its_kernel(axis: int) -> None:
    for shape in ((N, M), (7, 300), (3, 2), (300, 5), (40, 70)):
        inputs = Inputs()
        a, factor = inputs(*shape), inputs(*shape)
        running = op("cumulate", op("exp", a), axis=axis, kind="sum", reverse=True)
        graph = inputs.graph(op("mul", running, factor), running)
        assert len(fuse(graph).kernels) == 1
        check(graph, {"n": 9, "m": 270}, special=True)


def test_a_running_sum_of_a_running_sum_has_loops_of_its_own() -> None:
    inputs = Inputs()
    a = inputs(9, 70)
    first = op("cumulate", a, axis=1, kind="sum", reverse=False)
    second = op("cumulate", op("sub", first, a), axis=0, kind="max", reverse=False)
    graph = inputs.graph(op("add", first, second))
    assert [k.kind.value for k in fuse(graph).kernels] == ["cumulative", "cumulative"]
    check(graph)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_call_tells_of_its_sizes_whether_threads_pay(axis: int) -> None:
    inputs = Inputs()
    running = op("cumulate", inputs(N, M), axis=axis, kind="sum", reverse=False)
    (kernel,) = fuse(inputs.graph(running)).kernels
    body = schedule.lower(kernel, TARGET, "f").function.body
    loops = [s for s in body if isinstance(s, For) and s.kind is LoopKind.PARALLEL]
    assert loops and not any(s.grain is None or isinstance(s.grain, Const) for s in loops)


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.bool_], ids=str)
def test_recurrences(dtype: dtypes.DType) -> None:
    for shape, axis in (((N, M), 0), ((N, M), 1), ((6, 300), 1), ((70, 3), 0)):
        inputs = Inputs()
        factors, terms = inputs(*shape, dtype=dtype), inputs(*shape)
        graph = inputs.graph(op("recurrence", factors, terms, axis=axis, reverse=True))
        check(graph, {"n": 9, "m": 70})


# -- whole programs -------------------------------------------------------------------------------


def test_a_training_step() -> None:
    inputs = Inputs()
    x, labels = inputs(8, 12), inputs(8, dtype=dtypes.int64)
    w1, b1, w2, b2 = inputs(12, 6), inputs(6), inputs(6, 10), inputs(10)
    hidden = op("maximum", op("add", matmul(x, w1), rows(b1, 8)), full(0.0, (8, 6)))
    loss = cross_entropy(op("add", matmul(hidden, w2), rows(b2, 8)), labels)
    parameters = [w1, b1, w2, b2]
    gradients = vjp([loss], [build.constant(1.0, dtypes.float32)], parameters)
    rate = inputs()
    outputs = [loss]
    for p, g in zip(parameters, gradients, strict=True):
        assert g is not None
        outputs += adam(p, g, inputs(*p.type.shape), inputs(*p.type.shape), rate)
    check(inputs.graph(*outputs))
