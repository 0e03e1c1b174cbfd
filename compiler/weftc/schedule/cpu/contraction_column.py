"""A product with one column, where that is the sum of its rounded products.

    parallel for element of the result
      let total = reduce add over k of A[batch, m, k] * B[batch, k, n]
      the epilogue of C[batch, m, n], stored

B may have any number of columns: these loops run where it turns out to have one.
"""

from __future__ import annotations

from weftc.fusion.kernel import Kernel
from weftc.ir.sizes import product
from weftc.loop import ir
from weftc.loop.ir import Expr, LoopKind, Scalar, const
from weftc.ops.contraction import sums_column
from weftc.schedule.cpu.contraction_address import count_if
from weftc.schedule.cpu.contraction_problem import Operand, Problem
from weftc.schedule.cpu.contraction_tiling import assumed, ceil_div
from weftc.schedule.pull import Puller

_PRODUCTS = 1 << 16
"""The fewest products worth a thread."""


def may_sum(problem: Problem) -> bool:
    """Whether the contraction is a sum of products, for some sizes or for all."""
    return sums_column(problem.node.attrs) and (problem.n == 1 or not isinstance(problem.n, int))


def write_sums(kernel: Kernel, problem: Problem, puller: Puller) -> Expr:
    """The loops over the elements, which run where there is one column; whether there is."""
    shape, size = problem.node.type.shape, puller.indices.size
    is_column = puller.name("is_column", ir.apply(Scalar.EQ, size(problem.n), const(1)))
    count = puller.name("elements", count_if(is_column, size(product(shape))))
    grain = ceil_div(_PRODUCTS, max(1, assumed(problem.k)))
    opened = puller.builder.for_("element", 0, count, LoopKind.PARALLEL, grain=grain)
    with puller.loop(opened) as element:
        index = puller.indices.split(element, shape)
        puller.provide(problem.node, index, _sum(problem, puller, index))
        for output in kernel.outputs:
            puller.store(output, index, puller.pull(output, index))
    return is_column


def _sum(problem: Problem, puller: Puller, index: tuple[Expr, ...]) -> Expr:
    batches, rows = len(problem.batch), len(problem.a.axes[1])
    batch, free_a, free_b = index[:batches], index[batches:][:rows], index[batches + rows :]
    with puller.reduce(puller.indices.size(problem.k)) as reduction:
        left = _element(puller, problem.a, (batch, free_a), reduction.var)
        right = _element(puller, problem.b, (batch, free_b), reduction.var)
        return reduction.term(Scalar.ADD, ir.apply(Scalar.MUL, left, right), "total")


def _element(
    puller: Puller, operand: Operand, outer: tuple[tuple[Expr, ...], tuple[Expr, ...]], k: Expr
) -> Expr:
    """The element of an operand at its (batch, free) indices and position k."""
    index: list[Expr] = [const(0)] * operand.node.type.rank
    inner = puller.indices.split(puller.indices.intern(k), operand.sizes(2))
    for axes, parts in zip(operand.axes, (*outer, inner), strict=True):
        for axis, part in zip(axes, parts, strict=True):
            index[axis] = part
    return puller.pull(operand.node, tuple(index))
