"""Random programs, optimized, fused, lowered and run by the loop interpreter, written and widened,
against the graph interpreter, by bits."""

from __future__ import annotations

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.schedule.kernels import check_plan, run
from tests.frontend.staged import stage
from tests.fuzz.draw import draw_gradients, draw_values
from tests.fuzz.program import Program

from weftc.fusion.clusters import fuse
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph
from weftc.ir.opdef import ON_TENSORS
from weftc.pipeline import optimize

LARGEST = 400
"""Elements of a value above which the loop interpreter, one element at a time, takes too long."""


def _is_fit(graph: Graph) -> bool:
    """Whether it is small, and kernels compute all of it."""
    return all(n.op.family in ON_TENSORS and n.type.size <= LARGEST for n in graph.nodes())


def _compare(program: Program) -> bool:
    """Whether the program was fit to compare."""
    staged = stage(program.module()["run"], *program.arguments())
    assert staged is not None
    arrays = staged.inputs(tuple(program.arguments()))
    graph = optimize(staged.traced.graph)
    if not _is_fit(graph):
        return False
    with np.errstate(all="ignore"):
        check_plan(fuse(graph))
        expected = interpret(staged.traced.graph, arrays)
        for wide in (False, True):
            for found, wanted in zip(run(graph, arrays, {}, wide), expected, strict=True):
                assert_same_bits(found, wanted)
    return True


@pytest.mark.parametrize("chunk", range(4))
@pytest.mark.parametrize("draw", [draw_values, draw_gradients], ids=["values", "gradients"])
def test_random_graphs(draw: object, chunk: int) -> None:
    numbers = range(10_000 + 40 * chunk, 10_040 + 40 * chunk)
    assert sum(_compare(draw(n)) for n in numbers) >= 15  # type: ignore[operator]
