"""Sums of products as contractions: of the same values, where something was repeated for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.types import TensorType
from weftc.ir.verify import verify
from weftc.ops import build, get
from weftc.transforms.products import by_element, with_products
from weftrt import dtypes

RNG = np.random.default_rng(5)
SHAPE = (2, 3, 4)


def of(index: int, *shape: int, dtype: dtypes.DType = dtypes.float64) -> Node:
    return build.argument(index, f"x{index}", TensorType(dtype, shape))


def summed(left: Node, right: Node, axes: tuple[int, ...], shape: Any = SHAPE) -> Graph:
    """The sum of the product of two inputs, each broadcast from its last axes."""
    inputs = left, right
    spread = [build.expand(x, shape, range(len(shape) - x.type.rank, len(shape))) for x in inputs]
    return Graph("sums", inputs, (get("sum")(get("mul")(*spread), axes=axes),))


def found_by(graph: Graph) -> Any:
    arrays = [np.asarray(RNG.standard_normal(i.type.shape)) for i in graph.inputs]
    changed = with_products(graph)
    verify(changed)
    np.testing.assert_allclose(interpret(changed, arrays), interpret(graph, arrays), rtol=1e-13)
    return [node.op.name for node in changed.nodes()]


@pytest.mark.parametrize("axes", [(2,), (1,), (1, 2)])
@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4), (2, 3, 1)])
def test_the_same_sums(axes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    names = found_by(summed(of(0, *SHAPE), of(1, *shape), axes))
    assert ("contract" in names) == (shape[-1] != 1 or axes == (1,))
    assert ("sum" in names) != ("contract" in names)
    found_by(summed(of(0, *shape), of(1, *SHAPE), axes))


def test_both_repeated_and_sizes_of_one() -> None:
    left, right = of(0, 3, 1, 5), of(1, 1, 4, 5)
    assert "contract" in found_by(summed(left, right, (2,), (3, 4, 5)))
    assert "contract" in found_by(summed(of(0, 3, 1, 5), of(1, 5), (1, 2), (3, 1, 5)))
    row = build.reshape(of(1, 5), (1, 5))
    product = get("mul")(of(0, 3, 5), build.expand(row, (3, 5), (0, 1)))
    graph = Graph("g", (product.inputs[0], row.inputs[0]), (get("sum")(product, axes=(1,)),))
    assert found_by(graph)[-1] == "contract"


def test_what_stays_a_sum() -> None:
    assert "contract" not in found_by(summed(of(0, 4), of(1, 4), (0,), (4,)))  # nothing repeated
    assert "contract" not in found_by(summed(of(0, 3, 4), of(1, 4), (0,), (3, 4)))
    assert "contract" not in found_by(summed(of(0, 4), of(1, 4), (1,), (3, 4)))  # 3 times the same
    x = of(0, 3, 4, dtype=dtypes.int64)
    integers = summed(x, of(1, 4, dtype=dtypes.int64), (1,), (3, 4))
    assert with_products(integers) is integers


@pytest.mark.parametrize("side", [0, 1])
def test_a_contraction_with_a_basis(side: int) -> None:
    given, other = of(0, 3, 2), of(1, 5, 2, 3)
    contracted = ((0, 1), (2, 1))
    inputs, pairs = (
        ((given, other), contracted) if side == 0 else ((other, given), contracted[::-1])
    )
    node = get("contract")(*inputs, batch=((), ()), contracted=pairs)
    known = by_element(node, given)
    assert known is not None
    array = RNG.standard_normal((5, 2, 3))
    (rows,) = interpret(Graph("rows", (other,), (known,)), [array])
    assert rows.shape == (6, 5)
    for row, unit in zip(rows, np.eye(6).reshape(6, 3, 2), strict=True):
        graph = Graph("node", (given, other), (node,))
        np.testing.assert_array_equal(interpret(graph, [unit, array])[0], row)


def test_other_contractions_have_no_rows() -> None:
    given, other = of(0, 3, 2), of(1, 3, 4)
    partial = get("contract")(given, other, batch=((), ()), contracted=((0,), (0,)))
    assert by_element(partial, given) is None and by_element(given, given) is None
    batched = get("contract")(given, of(1, 3, 2), batch=((0,), (0,)), contracted=((1,), (1,)))
    assert by_element(batched, given) is None
