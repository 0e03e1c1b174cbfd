"""sort, argsort and top_k: axes, directions, gradients, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged

import weft as wf
from weft.errors import ShapeError, UsageError

SHAPES: list[tuple[int, ...]] = [(0,), (1,), (7,), (3, 0, 2), (2, 1, 3), (4, 33), (2, 300)]
DTYPES = ["?", "u1", "u4", "u8", "i4", "i8", "f4", "f8"]


def draw(shape: tuple[int, ...], dtype: str) -> Any:
    rng = np.random.default_rng(len(shape))
    if dtype == "?":
        return rng.random(shape) < 0.5
    if dtype[0] == "f":
        x = np.round(rng.standard_normal(shape) * 3, 1)
        return np.where(rng.random(shape) < 0.1, np.nan, x).astype(dtype)
    return rng.integers(0 if dtype[0] == "u" else -9, 9, shape).astype(dtype)


def ways(function: Any, *args: Any) -> list[Any]:
    """What a function gives eager, compiled and interpreted, which has to be the same bits."""
    eager = function(*map(wf.asarray, args))
    for other in (wf.jit(function)(*args), staged.run(function, *args)):
        for one, two in zip(wf.tree.leaves(eager), wf.tree.leaves(other), strict=True):
            assert_same_bits(np.asarray(one), np.asarray(two))
    return [np.asarray(leaf) for leaf in wf.tree.leaves(eager)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_along_every_axis_as_numpy_does(dtype: str) -> None:
    for shape in SHAPES:
        x = draw(shape, dtype)
        for axis in range(-len(shape), len(shape)):

            def both(x: Any, axis: int = axis) -> Any:
                return wf.sort(x, axis=axis), wf.argsort(x, axis=axis)

            values, places = ways(both, x)
            np.testing.assert_array_equal(values, np.sort(x, axis))
            assert values.dtype == x.dtype and places.dtype == np.int64
            np.testing.assert_array_equal(places, np.argsort(x, axis, kind="stable"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_and_descending_order(dtype: str) -> None:
    for shape in SHAPES:
        x = draw(shape, dtype)
        for axis in range(len(shape)):
            k = min(shape[axis], 3)

            def some(x: Any, axis: int = axis, k: int = k) -> Any:
                down = wf.argsort(x, axis=axis, descending=True)
                return *wf.top_k(x, k, axis=axis), wf.sort(x, axis=axis, descending=True), down

            values, places, falling, down = ways(some, x)
            np.testing.assert_array_equal(falling, np.take_along_axis(x, down, axis))
            np.testing.assert_array_equal(values, np.take_along_axis(x, places, axis))
            if not np.isnan(x).any():
                np.testing.assert_array_equal(falling, np.flip(np.sort(x, axis), axis))
                first = np.take(falling, range(k), axis)
                np.testing.assert_array_equal(values, first)
                np.testing.assert_array_equal(places, np.take(down, range(k), axis))


def test_nan_is_the_largest_of_top_k_and_last_of_a_sort() -> None:
    x = np.array([1, np.nan, np.inf, -np.inf], np.float32)
    values, places = wf.top_k(x, 2)
    assert np.isnan(values[0]) and values[1] == np.inf and places.tolist() == [1, 2]
    for descending, finite in ((False, [-np.inf, 1, np.inf]), (True, [np.inf, 1, -np.inf])):
        found = np.asarray(wf.sort(x, descending=descending))
        assert found[:3].tolist() == finite and np.isnan(found[3])


def test_zeros_are_in_order_of_their_sign() -> None:
    x = np.array([0.0, -0.0, 0.0, -0.0])
    assert np.signbit(wf.sort(x)).tolist() == [True, True, False, False]
    assert wf.argsort(x).tolist() == [1, 3, 0, 2]
    assert wf.argsort(x, descending=True).tolist() == [0, 2, 1, 3]


def test_one_program_sorts_rows_of_any_length() -> None:
    for size in (2, 5, 70, 1000):
        x = np.random.default_rng(size).standard_normal((3, size))
        np.testing.assert_array_equal(wf.sort(x), np.sort(x))
        np.testing.assert_array_equal(wf.sort(x, axis=0), np.sort(x, 0))


def test_gradients_go_where_the_elements_came_from() -> None:
    x = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 4.0]])
    weights = np.array([1.0, 10.0, 100.0])

    def total(x: Any) -> Any:
        return wf.sum(wf.sort(x) * weights)

    np.testing.assert_array_equal(wf.grad(total)(x), [[100, 1, 10], [10, 100, 1]])
    np.testing.assert_array_equal(
        wf.grad(lambda x: wf.sum(wf.sort(x, axis=0, descending=True)[0]))(x), [[0, 0, 0], [1, 1, 1]]
    )

    def best(x: Any) -> Any:
        values, places = wf.top_k(x, 2)
        return wf.sum(values * weights[:2] + places)

    np.testing.assert_array_equal(wf.grad(best)(x), [[1, 0, 10], [1, 10, 0]])
    assert not np.any(wf.grad(lambda x: wf.sum(x * 0 + wf.argsort(x)))(x))


def test_sorting_meets_the_code_around_it() -> None:
    @wf.jit
    def median(x: Any) -> Any:
        rows = wf.sort(wf.exp(x) - 1)
        return (rows[..., 1] + rows[..., 2]) / 2

    x = np.random.default_rng(0).standard_normal((5, 4)).astype("f4")
    np.testing.assert_allclose(median(x), np.median(np.exp(x) - 1, -1), rtol=1e-6)


def test_what_is_refused() -> None:
    x = wf.asarray(np.arange(6.0).reshape(2, 3))
    with pytest.raises(ShapeError, match=r"sort: .*there is no axis 2; x has 2 axes"):
        wf.sort(x, axis=2)
    with pytest.raises(ShapeError, match="there is no axis -1"):
        wf.sort(wf.asarray(1.0))
    with pytest.raises(ShapeError, match="axis 1 of x has 3 elements, of which 4 are asked for"):
        wf.top_k(x, 4)
    with pytest.raises(ShapeError, match="the size -1 is negative"):
        wf.top_k(x, -1)
    with pytest.raises(UsageError, match="descending is True or False, not 1"):
        wf.sort(x, descending=1)
    with pytest.raises(TypeError, match=r"did you mean stable=\?"):
        wf.sort(x, kind="stable")
    with pytest.raises(TypeError, match=r"did you mean descending=\?"):
        wf.sort(x, reverse=True)
    with pytest.raises(TypeError, match="by keyword it takes axis="):
        wf.sort(x, 0)
    with pytest.raises(AttributeError, match=r"did you mean wf\.top_k\?"):
        wf.topk  # noqa: B018
