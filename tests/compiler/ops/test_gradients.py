"""Gradients where the derivative is a choice or a naive formula gives NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph
from weftc.ops import build, get
from weftc.transforms.vjp import vjp
from weftrt import dtypes


def gradients(name: str, *arrays: Any, **attrs: Any) -> list[Any]:
    """The gradients of the sum of the op's result."""
    values = [np.asarray(a, np.float64) for a in arrays]
    inputs = tuple(
        get("input")(index=i, name="x", dtype=dtypes.float64, shape=v.shape)
        for i, v in enumerate(values)
    )
    node = get(name)(*inputs, **attrs)
    found = vjp([node], [build.like(1.0, node)], inputs)
    return interpret(Graph("g", inputs, tuple(f for f in found if f is not None)), values)


def test_products_with_zeros() -> None:
    x = [[2, 3, 4], [2, 0, 4], [0, 0, 4]]
    (found,) = gradients("prod", x, axes=(1,))
    np.testing.assert_array_equal(found, [[12, 8, 6], [0, 8, 0], [0, 0, 0]])


def test_tied_extrema_share() -> None:
    (found,) = gradients("max", [[1, 3, 3], [2, 2, 2], [5, 1, 0]], axes=(1,))
    np.testing.assert_array_equal(found, [[0, 0.5, 0.5], [1 / 3] * 3, [1, 0, 0]])
    x, y = gradients("minimum", [1, 2, 3], [1, 5, 0])
    np.testing.assert_array_equal(x, [0.5, 1, 0])
    np.testing.assert_array_equal(y, [0.5, 0, 1])


def test_a_nan_among_extrema_takes_the_gradient() -> None:
    for name in ("max", "min"):
        (found,) = gradients(name, [[1, np.nan, 3], [np.nan, 2, np.nan]], axes=(1,))
        np.testing.assert_array_equal(found, [[0, 1, 0], [0.5, 0, 0.5]])
    for name in ("maximum", "minimum"):
        for found in gradients(name, [1, np.nan, np.nan], [np.nan, 1, np.nan]):
            np.testing.assert_array_equal(found, [1, 1, 1])


def test_atan2_far_out_and_at_the_origin() -> None:
    y, x = gradients("atan2", [0, 3e-200, 3e200, 1, 2], [0, 4e-200, 4e200, np.inf, -1])
    np.testing.assert_allclose(y, [0, 0.16 / 1e-200, 0.16e-200, np.nan, -0.2], rtol=1e-14)
    np.testing.assert_allclose(x, [0, -0.12 / 1e-200, -0.12e-200, 0, -0.4], rtol=1e-14)
    assert not np.any(np.isnan(np.stack([y, x])[:, [0, 1, 2, 4]]))


def test_where_functions_have_corners_and_poles() -> None:
    """As JAX and PyTorch: 0 at the corner of abs, inf at the pole of sqrt, log and their like."""
    edges = [0.0, -0.0, np.nan]
    expected = {
        "abs": [0, 0, np.nan],
        "sqrt": [np.inf, -np.inf, np.nan],
        "log": [np.inf, -np.inf, np.nan],
        "sign": None,
        "floor": None,
    }
    for name, wanted in expected.items():
        found = gradients(name, edges)
        assert found == [] if wanted is None else np.array_equal(found[0], wanted, equal_nan=True)


def test_powers_at_zero() -> None:
    x, y = gradients("pow", [0, 0, 2, 0], [2, 0, 0, 1])
    np.testing.assert_array_equal(x, [0, 0, 0, 1])
    np.testing.assert_allclose(y, [0, 0, np.log(2), 0], rtol=1e-15)
    _, y = gradients("pow", [0, -1, -2], [-1, 2, 2])
    np.testing.assert_array_equal(y, [-np.inf, np.nan, np.nan])


def test_where_blocks_what_was_not_chosen() -> None:
    condition = get("input")(index=0, name="c", dtype=dtypes.bool_, shape=(2,))
    x = get("input")(index=1, name="x", dtype=dtypes.float64, shape=(2,))
    node = get("where")(condition, get("div")(build.like(1.0, x), x), build.like(0.0, x))
    found = vjp([node], [build.like(1.0, node)], [condition, x])
    assert found[0] is None and found[1] is not None
    graph = Graph("g", (condition, x), (found[1],))
    (value,) = interpret(graph, [np.array([True, True]), np.array([2.0, 4.0])])
    np.testing.assert_array_equal(value, [-0.25, -0.0625])


def test_padding_values_have_a_gradient_unless_constant() -> None:
    x, value = gradients("pad", [1, 2], 5, low=(1,), high=(0,), interior=(2,))
    np.testing.assert_array_equal(x, [1, 1])
    assert value == 3
    operand = get("input")(index=0, name="x", dtype=dtypes.float64, shape=(2,))
    zero = build.constant(0.0, dtypes.float64)
    padded = get("pad")(operand, zero, low=(1,), high=(0,), interior=(0,))
    found = vjp([padded], [build.like(1.0, padded)], [operand, zero])
    assert found[0] is not None and found[1] is None


def test_broadcasts_sum_back_innermost_first() -> None:
    x = get("input")(index=0, name="x", dtype=dtypes.float64, shape=(1, 3))
    node = get("broadcast")(x, shape=(2, 4, 3, 5), axes=(0, 2))
    (found,) = vjp([node], [build.like(1.0, node)], [x])
    assert found is not None and found.type == x.type
    axes = [n["axes"] for n in Graph("g", (), (found,)).nodes() if n.op.name == "sum"]
    assert axes == [(3,), (0, 1)]
