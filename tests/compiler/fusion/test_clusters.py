"""What fusion makes of hand-built graphs, and that any plan covers its graph in order."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from tests.compiler.schedule.kernels import Inputs, check_plan, kinds
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

from weftc.fusion.clusters import fuse
from weftc.fusion.kernel import KernelKind, KernelPlan
from weftc.fusion.reasons import unfused
from weftc.ir.node import Node
from weftc.ir.sizes import Dim, Shape
from weftc.ops import TABLE, build
from weftc.transforms.vjp import vjp
from weftrt import dtypes


def plan_of(inputs: Inputs, *outputs: Node) -> KernelPlan:
    plan = fuse(inputs.graph(*outputs))
    check_plan(plan)
    return plan


def reasons(plan: KernelPlan) -> list[str]:
    """The codes of what is not fused."""
    return [edge.reason.split(":")[0] for edge in unfused(plan.kernels)]


def test_softmax_is_one_kernel() -> None:
    inputs = Inputs()
    plan = plan_of(inputs, softmax(inputs(Dim.symbol("n"), 10)))
    assert kinds(plan) == ["rowwise"]
    assert not reasons(plan)


def test_layer_norm_is_one_kernel() -> None:
    inputs = Inputs()
    x = inputs(8, 16)
    assert kinds(plan_of(inputs, layer_norm(x, inputs(16), inputs(16)))) == ["rowwise"]


def test_layer_norm_and_its_gradient() -> None:
    """One row-wise kernel and the two sums over rows of the gradients of scale and shift."""
    inputs = Inputs()
    x, scale, shift, g = inputs(8, 16), inputs(16), inputs(16), inputs(8, 16)
    y = layer_norm(x, scale, shift)
    gradients = vjp([y], [g], [x, scale, shift])
    plan = plan_of(inputs, y, *(node for node in gradients if node is not None))
    assert sorted(kinds(plan)) == ["reduction", "reduction", "rowwise"]


def test_linear_layer_with_activation_is_one_kernel() -> None:
    inputs = Inputs()
    x, w, b = inputs(16, 32), inputs(32, 24), inputs(24)
    y = op("tanh", op("add", matmul(x, w), rows(b, 16)))
    (kernel,) = plan_of(inputs, op("mul", y, inputs(16, 24))).kernels
    assert kernel.kind is KernelKind.CONTRACTION
    assert len(kernel.inputs) == 4


def test_a_contraction_writes_its_operands_and_reads_transposes_in_place() -> None:
    inputs = Inputs()
    x, w = inputs(16, 32), inputs(24, 32)
    y = matmul(op("exp", x), build.transpose(w, (1, 0)))
    plan = plan_of(inputs, y)
    assert kinds(plan) == ["pointwise", "contraction"]
    assert w in plan.kernels[1].inputs
    assert reasons(plan) == ["operand"]


def test_cross_entropy_and_its_gradient_are_two_kernels() -> None:
    inputs = Inputs()
    logits, labels = inputs(64, 10), inputs(64, dtype=dtypes.int64)
    loss = cross_entropy(logits, labels)
    (gradient,) = vjp([loss], [build.constant(1.0, dtypes.float32)], [logits])
    assert gradient is not None
    plan = plan_of(inputs, loss, gradient)
    assert kinds(plan) == ["rowwise", "rowwise"]
    assert reasons(plan) == ["reduction"]


def test_updates_of_all_parameters_are_one_kernel() -> None:
    inputs = Inputs()
    rate = inputs()
    shapes: Sequence[Shape] = [(78, 12), (12,), (12, 10), (10,)]
    updates = [n for s in shapes for n in adam(*(inputs(*s) for _ in range(4)), rate)]
    (kernel,) = plan_of(inputs, *updates).kernels
    assert kernel.kind is KernelKind.POINTWISE
    assert len(kernel.outputs) == 12


def test_a_value_between_two_kernels_does_not_close_a_cycle() -> None:
    """x -> product -> sum, and the sum meets the product again: two kernels, in order."""
    inputs = Inputs()
    product = matmul(inputs(16, 8), inputs(8, 12))
    total = op("sum", product, axes=(1,))
    y = op("add", product, build.expand(total, (16, 12), (0,)))
    assert kinds(plan_of(inputs, y)) == ["contraction", "rowwise"]


def test_a_kernel_in_between_keeps_two_apart() -> None:
    """e -> sum of columns -> t, and t + e: e and t may not share a kernel."""
    inputs = Inputs()
    e = op("exp", inputs(16, 12))
    t = op("mul", inputs(16, 12), rows(op("sum", e, axes=(0,)), 16))
    assert kinds(plan_of(inputs, op("add", t, e))) == ["pointwise", "reduction", "pointwise"]


def test_a_row_value_spread_over_columns_is_another_kernel() -> None:
    inputs = Inputs()
    x = inputs(12, 12)
    y = op("sub", x, rows(op("sum", x, axes=(1,)), 12))
    assert kinds(plan_of(inputs, y)) == ["rowwise", "pointwise"]


def test_pointwise_work_after_two_reductions_of_different_axes() -> None:
    inputs = Inputs()
    x = inputs(16, 12)
    by_row, by_column = op("sum", x, axes=(1,)), op("sum", x, axes=(0,))
    y = op("add", build.expand(by_row, (16, 12), (0,)), build.expand(by_column, (16, 12), (1,)))
    assert sorted(kinds(plan_of(inputs, y))) == ["reduction", "rowwise"]


def test_an_expensive_value_read_at_shifted_indices_is_computed_once() -> None:
    inputs = Inputs()
    e = op("exp", inputs(100))
    left = op("slice", e, start=(0,), stop=(99,), step=(1,))
    right = op("slice", e, start=(1,), stop=(100,), step=(1,))
    plan = plan_of(inputs, op("add", left, right))
    assert [k.outputs[0].op.name for k in plan.kernels] == ["exp", "add"]


def test_a_chain_of_stencils_does_not_explode() -> None:
    inputs = Inputs()
    x = inputs(100)
    for step in range(20):
        size = 99 - step
        left = op("slice", x, start=(0,), stop=(size,), step=(1,))
        right = op("slice", x, start=(1,), stop=(size + 1,), step=(1,))
        x = op("mul", op("add", left, right), full(0.5, (size,)))
    plan = plan_of(inputs, x)
    assert max(len(k.nodes) for k in plan.kernels) < 30


def _stencil(u: Node) -> Node:
    """A step of three points, the borders kept by a concat."""
    (n,) = u.type.shape
    left, middle, right = (
        op("slice", u, start=(k,), stop=(n - 2 + k,), step=(1,)) for k in range(3)
    )
    inner = op("add", op("add", left, middle), right)
    first = op("slice", u, start=(0,), stop=(1,), step=(1,))
    last = op("slice", u, start=(n - 1,), stop=(n,), step=(1,))
    return op("concat", first, inner, last, axis=0)


def test_pieces_of_pieces_do_not_explode() -> None:
    """What an element may be chosen from is bounded, though every concat reads the one before."""

    def work(steps: int) -> int:
        inputs = Inputs()
        u = inputs(100)
        for _ in range(steps):
            u = _stencil(u)
        return sum(len(kernel.nodes) for kernel in plan_of(inputs, u).kernels)

    assert work(40) < 2.2 * work(20) < 4.5 * work(10)


def test_neighbours_of_neighbours_do_not_explode() -> None:
    """Each step reads the one before in place and shifted; no kernel takes many steps at once."""
    inputs = Inputs()
    x = inputs(100)
    zero = build.constant(0.0, x.type.dtype)
    for _ in range(40):
        rest = op("slice", x, start=(1,), stop=(100,), step=(1,))
        shifted = op("pad", rest, zero, low=(1,), high=(0,), interior=(0,))
        x = op("add", op("neg", shifted), op("abs", x))
    assert max(len(kernel.nodes) for kernel in plan_of(inputs, x).kernels) < 24


def test_a_chain_of_residuals_does_not_explode() -> None:
    """x = x + sum(exp(x)) again and again: the sums read what is computed beside the next x."""
    inputs = Inputs()
    x = inputs(20, 30)
    for _ in range(150):
        x = op("add", x, build.expand(op("sum", op("exp", x), axes=(0,)), (20, 30), (1,)))
    kernels = plan_of(inputs, x).kernels
    assert max(len(kernel.nodes) for kernel in kernels) <= 150
    assert sum(len(kernel.nodes) for kernel in kernels) <= 100 * 150


def test_work_for_a_piece_is_done_where_the_piece_is_written() -> None:
    inputs = Inputs()
    pieces = [op("exp", op("sin", inputs(5))) for _ in range(20)]
    assert kinds(plan_of(inputs, op("concat", *pieces, axis=0))) == ["pointwise"]


def test_a_concat_that_is_multiplied_is_written_once() -> None:
    inputs = Inputs()
    whole = op("concat", op("exp", inputs(6, 4)), inputs(6, 3), axis=1)
    turned = build.transpose(whole, (1, 0))
    plan = plan_of(inputs, matmul(whole, inputs(7, 5)), matmul(turned, inputs(6, 2)))
    assert sorted(kinds(plan)) == ["contraction", "contraction", "pointwise"]


def test_a_cheap_value_is_not_written() -> None:
    inputs = Inputs()
    x = inputs(16, 12)
    mask = op("gt", x, full(0.0, (16, 12)))
    a = op("sum", op("convert", mask, dtype=dtypes.float32), axes=(0,))
    b = op("where", mask, op("sin", x), x)
    plan = plan_of(inputs, a, b)
    assert all(mask not in k.outputs for k in plan.kernels)


def test_a_single_element_that_takes_work_is_computed_once_for_many_kernels() -> None:
    def powers(readers: int) -> list[int]:
        inputs = Inputs()
        rate = op("pow", inputs(), inputs())
        products = (matmul(inputs(8, 8), inputs(8, 8)) for _ in range(readers))
        scaled = [op("mul", product, build.expand(rate, (8, 8), ())) for product in products]
        plan = plan_of(inputs, *scaled)
        return [sum(node.op.name == "pow" for node in kernel.nodes) for kernel in plan.kernels]

    assert powers(2) == [1, 1]
    assert sorted(powers(4)) == [0, 0, 0, 0, 1]


def test_a_kept_axis_of_size_one_is_written_by_its_reduction() -> None:
    inputs = Inputs()
    total = op("sum", inputs(16, 12), axes=(1,))
    assert kinds(plan_of(inputs, build.reshape(total, (16, 1)))) == ["rowwise"]
    inputs = Inputs()
    total = op("sum", inputs(16, 12), axes=(0,))
    assert kinds(plan_of(inputs, build.reshape(total, (1, 12)))) == ["reduction"]


PASSES = [
    ((200, 300), (0, 1), "reduction"),
    ((3, 30000), (1,), "reduction"),
    ((Dim.symbol("n"), 30), (0, 1), "reduction"),
    ((40, 50), (1,), "rowwise"),
    ((40, 50), (0,), "reduction"),
    ((6, 40, 5), (1,), "reduction"),
]


@pytest.mark.parametrize(("shape", "axes", "kind"), PASSES)
def test_reductions_of_one_array_take_one_pass(shape: Shape, axes: tuple[int], kind: str) -> None:
    inputs = Inputs()
    x = inputs(*shape)
    low, high, total = (op(name, x, axes=axes) for name in ("min", "max", "sum"))
    squares = op("sum", op("mul", x, x), axes=axes)
    distances = op("max", op("abs", op("sub", x, inputs(*shape))), axes=axes)
    plan = plan_of(inputs, op("sub", high, low), total, squares, distances)
    assert kinds(plan) == [kind]
    assert len(plan.kernels[0].inputs) == 2


def test_a_reduction_that_waits_for_another_takes_a_pass_of_its_own() -> None:
    inputs = Inputs()
    x = inputs(40, 50)
    centred = op("sub", x, rows(op("sum", x, axes=(0,)), 40))
    squares = op("sum", op("mul", centred, centred), axes=(0,))
    plan = plan_of(inputs, squares, op("max", x, axes=(0,)))
    assert [len(kernel.outputs) for kernel in plan.kernels] == [2, 1]
    assert kinds(plan) == ["reduction", "reduction"]


def test_rows_that_are_written_and_reduced_are_read_once() -> None:
    """The sum of the squares is in the loops that write them, and so is that of the elements."""
    inputs = Inputs()
    x = inputs(40, 50)
    total, squares = op("sum", x, axes=(1,)), op("mul", x, x)
    plan = plan_of(inputs, total, squares, op("sum", squares, axes=(1,)))
    assert kinds(plan) == ["rowwise"]


def test_reductions_of_other_arrays_or_axes_do_not_share_a_pass() -> None:
    inputs = Inputs()
    x, y = inputs(40, 40), inputs(40, 40)
    totals = op("sum", x, axes=(0,)), op("sum", y, axes=(0,)), op("sum", x, axes=(0, 1))
    assert kinds(plan_of(inputs, *totals)) == ["reduction", "reduction", "rowwise"]


def test_a_reshape_that_needs_divisions_is_a_kernel_of_its_own() -> None:
    """Heads are merged over the axes of the transpose, not by a division for every element."""
    inputs = Inputs()
    x, b = inputs(2, 3, 4, 5), inputs(15)
    merged = build.reshape(build.transpose(x, (0, 2, 1, 3)), (8, 15))
    plan = plan_of(inputs, op("add", merged, rows(b, 8)))
    assert [k.outputs[0] is merged for k in plan.kernels] == [True, False]


def test_a_reshape_of_a_pointwise_value_is_free() -> None:
    inputs = Inputs()
    y = build.reshape(op("exp", inputs(4, 6)), (24,))
    assert kinds(plan_of(inputs, op("neg", y))) == ["pointwise"]


def test_kernels_merge_only_where_no_region_runs_in_between() -> None:
    inputs = Inputs()
    x, y, z = inputs(5), inputs(5), inputs(5)
    difference = op("sub", x, y)
    chosen = op("sort", op("lt", difference, y), descending=False)
    plan = plan_of(inputs, op("where", chosen, difference, op("neg", z)), difference)
    assert [type(step).__name__ for step in plan.steps] == ["Kernel", "Region", "Kernel"]


def test_deep_graphs_need_no_recursion() -> None:
    inputs = Inputs()
    x = inputs(10)
    for _ in range(sys.getrecursionlimit()):
        x = op("neg", x)
    y = inputs(10)
    for _ in range(200):
        y = op("add", op("flip", y, axes=(0,)), y)
    plan_of(inputs, x, y)


def test_plans_are_deterministic() -> None:
    def build_plan() -> list[tuple[str, list[str]]]:
        inputs = Inputs()
        x, w = inputs(16, 12), inputs(12, 12)
        y = softmax(op("tanh", matmul(x, w)))
        plan = plan_of(inputs, y, op("sum", y, axes=(0,)), op("exp", x), op("sin", w))
        return [(k.kind.value, [n.op.name for n in k.nodes]) for k in plan.kernels]

    assert build_plan() == build_plan()


def test_outputs_without_work() -> None:
    """A constant, a copy, and movement alone are written too."""
    inputs = Inputs()
    x = inputs(3, 4)
    outputs = (full(2.0, (3,)), op("identity", x), build.transpose(x, (1, 0)))
    assert kinds(plan_of(inputs, *outputs)) == ["pointwise"]
    assert TABLE["identity"].name == "identity"
