"""window: types for any sizes, what does not fit, and the gradient of products of windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim, Size
from weftc.ir.types import TensorType
from weftc.ops import TABLE
from weftc.transforms.vjp import vjp
from weftrt import dtypes
from weftrt.errors import ShapeError

N = Dim.symbol("n")


def slide(*each: tuple[int, int, int, int]) -> dict[str, Any]:
    """(axis, size, stride, dilation) of each axis, as attributes."""
    return dict(zip(("axes", "sizes", "strides", "dilation"), zip(*each)))


def inferred(shape: tuple[Size, ...], **attrs: Any) -> Any:
    return TABLE["window"].infer((TensorType(dtypes.float32, shape),), attrs).shape


def test_sizes_that_are_symbols() -> None:
    assert inferred((N + 2, 4), **slide((0, 3, 1, 1))) == (N, 4, 3)
    assert inferred((N * 2 + 2, 4), **slide((0, 4, 2, 1))) == (N, 4, 4)


@pytest.mark.parametrize(
    "attrs",
    [
        slide((0, 6, 1, 1)),
        slide((0, 3, 1, 3)),
        slide((0, 0, 1, 1)),
        slide((0, 1, 0, 1)),
        slide((0, 1, 1, 0)),
        slide((2, 1, 1, 1)),
        slide((1, 2, 1, 1), (0, 2, 1, 1)),
        slide((0, 2, 1, 1), (0, 2, 1, 1)),
        {**slide((0, 2, 1, 1)), "strides": (1, 1)},
    ],
)
def test_what_does_not_fit_is_refused(attrs: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match="window"):
        inferred((5, 4), **attrs)


def _input(index: int, *shape: int) -> Node:
    return TABLE["input"](index=index, name=f"x{index}", dtype=dtypes.float64, shape=shape)


def gradient(outputs: Node, inputs: tuple[Node, ...]) -> tuple[Graph, list[Any]]:
    """The graph of the gradient by the first input, and its value for random arrays."""
    g = _input(len(inputs), *outputs.type.shape)  # type: ignore[arg-type]
    (found,) = vjp([outputs], [g], [inputs[0]])
    assert found is not None
    graph = Graph("gradient", (*inputs, g), (found,))
    random = np.random.default_rng(0)
    return graph, [random.standard_normal(x.type.shape) for x in graph.inputs]  # type: ignore[arg-type]


PRODUCTS = {
    "weights first": (False, ((), ()), ((1, 2), (0, 2))),
    "windows first": (True, ((), ()), ((0, 2), (1, 2))),
    "batch": (False, ((1,), (0,)), ((2,), (2,))),
    "batch, windows first": (True, ((0,), (1,)), ((2,), (2,))),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_gradient_of_a_product_of_windows_is_one(name: str) -> None:
    """Of windows that something else was made of, it is the sum over the taps: the same numbers."""
    is_first, batch, contracted = PRODUCTS[name]
    x, weight = _input(0, 4, 9), _input(1, 5, 4, 3)
    windows = TABLE["window"](x, **slide((1, 3, 1, 2)))
    found: list[Any] = []
    for operand in (windows, TABLE["neg"](TABLE["neg"](windows))):
        pair = (operand, weight) if is_first else (weight, operand)
        product = TABLE["contract"](*pair, batch=batch, contracted=contracted)
        graph, arrays = gradient(product, (x, weight))
        names = [node.op.name for node in graph.nodes()]
        assert names.count("contract") == 1 and ("add" in names) == (operand is not windows)
        found += interpret(graph, arrays)
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_windows_with_strides_send_back_a_sum_over_their_taps() -> None:
    x, weight = _input(0, 4, 9), _input(1, 5, 4, 3)
    windows = TABLE["window"](x, **slide((1, 3, 2, 1)))
    pairs = {"batch": ((), ()), "contracted": ((1, 2), (0, 2))}
    graph, arrays = gradient(TABLE["contract"](weight, windows, **pairs), (x, weight))
    assert [node.op.name for node in graph.nodes()].count("pad") == 3
    _, weights, g = arrays
    wanted = np.zeros((4, 9))
    for place, tap in np.ndindex(4, 3):
        wanted[:, 2 * place + tap] += weights[:, :, tap].T @ g[:, place]
    np.testing.assert_allclose(interpret(graph, arrays)[0], wanted, rtol=1e-12)
