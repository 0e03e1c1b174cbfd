"""Products with one column are written out with the bits that they have."""

from __future__ import annotations

import numpy as np
import pytest
from tests.bits import assert_same_bits

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.types import TensorType
from weftc.ops import TABLE, build
from weftc.passes.columns import write_columns
from weftrt import dtypes

SHAPES = [
    ((40, 70), (70,), ((), ()), ((1,), (0,))),
    ((70, 40), (70, 1), ((), ()), ((0,), (0,))),
    ((5000,), (5000,), ((), ()), ((0,), (0,))),
    ((4, 3, 70), (4, 70, 1), ((0,), (0,)), ((2,), (1,))),
    ((4, 3, 70), (1, 70, 3), ((1,), (2,)), ((2,), (1,))),
    ((4, 3, 5), (5, 4), ((), ()), ((0, 2), (1, 0))),
    ((4, 3, 5), (5, 3), ((), ()), ((2, 1), (0, 1))),
]
RNG = np.random.default_rng(3)


def product(shapes: tuple[tuple[int, ...], ...], **attrs: object) -> tuple[Graph, list[np.ndarray]]:
    inputs: list[Node] = [
        build.argument(place, f"x{place}", TensorType(dtypes.float32, shape))
        for place, shape in enumerate(shapes)
    ]
    arrays = [RNG.standard_normal(shape).astype(np.float32) for shape in shapes]
    return Graph("f", tuple(inputs), (TABLE["contract"](*inputs, **attrs),)), arrays


@pytest.mark.parametrize(("a", "b", "batch", "contracted"), SHAPES)
def test_column_is_written_out(a: tuple, b: tuple, batch: tuple, contracted: tuple) -> None:
    graph, arrays = product((a, b), batch=batch, contracted=contracted, column_sum=True)
    written = write_columns(graph)
    assert "contract" not in [node.op.name for node in written.nodes()]
    assert_same_bits(interpret(written, arrays)[0], interpret(graph, arrays)[0])


@pytest.mark.parametrize(("columns", "more"), [(2, {"column_sum": True}), (1, {})])
def test_other_products_stay(columns: int, more: dict[str, bool]) -> None:
    graph, _ = product(((3, 4), (4, columns)), batch=((), ()), contracted=((1,), (0,)), **more)
    assert write_columns(graph).outputs == graph.outputs
