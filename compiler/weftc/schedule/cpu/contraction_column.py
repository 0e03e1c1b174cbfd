"""A product with one column, where that is the sum of its rounded products.

    parallel for element of the result
      let total = reduce add over k of A[batch, m, k] * B[batch, k, n]
      the epilogue of C[batch, m, n], stored

B may have any number of columns: these loops run where it turns out to have one.
"""

from __future__ import annotations

from weftc.fusion.kernel import Kernel
from weftc.ir.constraints import symbols_of
from weftc.ir.size_functions import ceil_div, substitute
from weftc.ir.sizes import Dim, Size, product
from weftc.loop import ir
from weftc.loop.build import load
from weftc.loop.ir import Expr, LoopKind, Scalar, const
from weftc.ops.contraction import sums_column
from weftc.schedule.cpu.contraction_address import count_if
from weftc.schedule.cpu.contraction_problem import Operand, Problem, Strided
from weftc.schedule.cpu.contraction_tiling import assumed
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
        if problem.b.strided is None:
            right = _element(puller, problem.b, (batch, free_b), reduction.var)
        else:
            right = _of_column(puller, problem.b, problem.b.strided, batch, reduction.var)
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


def _of_column(
    puller: Puller, operand: Operand, strided: Strided, batch: tuple[Expr, ...], k: Expr
) -> Expr:
    """Element k of the only column. Rows as long as there are columns then follow each other."""
    size = puller.indices.size
    at = size(strided.offset)
    for index, stride in zip(batch, strided.batch, strict=True):
        at = ir.add(at, ir.mul(index, size(stride)))
    ones: dict[str, Size] = {
        n: 1 for s in operand.sizes(1) for n in symbols_of(s) if s == Dim.symbol(n)
    }
    step = size(substitute(strided.contracted, ones))
    at = ir.add(puller.name("column_at", at), ir.mul(k, step))
    return load(puller.buffers[strided.source], at)
