"""Running sums, products and extremes, and differences: axes, order, gradients, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged
from tests.threads import thread_limit

import weft as wf
from weft.errors import ShapeError, UsageError

SHAPES: list[tuple[int, ...]] = [(0,), (1,), (7,), (3, 0, 2), (2, 1, 3), (7, 300), (600, 3), (9, 2)]
RUNNING = {
    "cumsum": (wf.cumsum, np.cumsum),
    "cumprod": (wf.cumprod, np.cumprod),
    "cummax": (wf.cummax, np.maximum.accumulate),
    "cummin": (wf.cummin, np.minimum.accumulate),
}


def draw(shape: tuple[int, ...], dtype: str) -> Any:
    rng = np.random.default_rng(len(shape))
    if dtype[0] == "f":
        return (rng.standard_normal(shape) * 2).astype(dtype)
    return rng.integers(0 if dtype[0] == "u" else -9, 9, shape).astype(dtype)


def backward(x: Any, axis: int, reverse: bool) -> Any:
    return np.flip(x, axis) if reverse else x


def ways(function: Any, *args: Any) -> Any:
    """What a function gives eager, compiled and interpreted, which has to be the same bits."""
    eager = np.asarray(function(*map(wf.asarray, args)))
    for other in (wf.jit(function)(*args), staged.run(function, *args)):
        assert_same_bits(eager, np.asarray(other))
    return eager


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u1"])
@pytest.mark.parametrize("name", RUNNING)
def test_along_every_axis_to_the_bits_of_numpy(name: str, dtype: str) -> None:
    ours, numpys = RUNNING[name]
    for shape in SHAPES:
        x = draw(shape, dtype)
        for axis in range(-len(shape), len(shape)):
            for reverse in (False, True):

                def f(x: Any, axis: int = axis, reverse: bool = reverse) -> Any:
                    return ours(x, axis, reverse=reverse)

                with np.errstate(all="ignore"):
                    wanted = backward(numpys(backward(x, axis, reverse), axis), axis, reverse)
                np.testing.assert_array_equal(ways(f, x), wanted)


def test_without_an_axis_of_the_flat_array() -> None:
    x = draw((3, 4), "f4")
    np.testing.assert_array_equal(np.asarray(wf.cumsum(x)), np.cumsum(x))
    assert np.asarray(wf.cumprod(2.0)).tolist() == [2.0]


def test_the_first_element_is_itself_and_nan_wins() -> None:
    x = np.array([-0.0, -0.0, 0.0, np.nan, 1.0], np.float32)
    assert np.signbit(np.asarray(wf.cumsum(x))[:3]).tolist() == [True, True, False]
    assert np.signbit(np.asarray(wf.cummax(x))[:3]).tolist() == [True, True, False]
    assert np.isnan(np.asarray(wf.cummin(x))[3:]).all()


def test_what_is_fused_before_and_after_changes_no_bit() -> None:
    for shape, axis in (((5, 700), 1), ((700, 5), 0), ((40, 70), 0)):
        x = draw(shape, "f4")

        def fused(x: Any, axis: int = axis) -> Any:
            return wf.exp(wf.cumsum(wf.sin(x) * 0.1, axis)) - x

        before = wf.sin(x) * 0.1
        apart = wf.exp(wf.asarray(np.cumsum(np.asarray(before), axis))) - x
        assert_same_bits(ways(fused, x), np.asarray(apart))


def test_any_number_of_threads() -> None:
    for shape, axis in (((999, 500), 1), ((500, 999), 0), ((30, 50, 300), 1)):
        x = draw(shape, "f4")
        f = wf.jit(lambda x, axis=axis: wf.cumsum(x * 2, axis))
        first = np.asarray(f(x))
        for threads in (1, 2, 3):
            with thread_limit(threads):
                assert_same_bits(first, np.asarray(f(x)))


def test_log_of_sums_of_exponentials() -> None:
    x = draw((4, 50), "f8") * 100
    for axis in (0, 1):
        found = ways(lambda x, axis=axis: wf.logcumsumexp(x, axis), x)
        np.testing.assert_allclose(found, np.logaddexp.accumulate(x, axis), rtol=1e-13)
        found = ways(lambda x, axis=axis: wf.logcumsumexp(x, axis, reverse=True), x)
        wanted = np.flip(np.logaddexp.accumulate(np.flip(x, axis), axis), axis)
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    edges = np.array([-np.inf, -np.inf, -1000.0, 1000.0, -1000.0, np.inf, 3.0, np.nan, 1.0])
    wanted = [-np.inf, -np.inf, -1000, 1000, 1000, np.inf, np.inf, np.nan, np.nan]
    np.testing.assert_array_equal(np.asarray(wf.logcumsumexp(edges)), wanted)


def test_array_api_names() -> None:
    x = draw((3, 4), "f4")
    found = np.asarray(wf.cumulative_sum(x, axis=1, include_initial=True))
    np.testing.assert_array_equal(found, np.pad(np.cumsum(x, 1), ((0, 0), (1, 0))))
    found = np.asarray(wf.cumulative_prod(x, axis=-2, include_initial=True))
    wanted = np.pad(np.cumprod(x, 0), ((1, 0), (0, 0)), constant_values=1)
    np.testing.assert_array_equal(found, wanted)
    assert wf.cumulative_sum(x[0]).shape == (4,)
    assert wf.cumulative_sum(np.zeros(0, np.int32), include_initial=True).tolist() == [0]
    assert wf.cumulative_sum(np.ones(3, np.uint8)).dtype == wf.uint64
    assert wf.cumulative_sum(np.ones(3, np.uint8), dtype=wf.float32).dtype == wf.float32


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_differences(n: int) -> None:
    x = draw((4, 5), "f8")
    for axis in (0, 1, -1):
        np.testing.assert_array_equal(np.asarray(wf.diff(x, n, axis)), np.diff(x, n, axis))
    found = np.asarray(wf.diff(x, n, 0, prepend=x, append=2.0))
    np.testing.assert_array_equal(found, np.diff(x, n, 0, prepend=x, append=2.0))
    np.testing.assert_array_equal(np.asarray(wf.diff(x > 0, n)), np.diff(x > 0, n))


# -- gradients ------------------------------------------------------------------------------------


def check_slopes(f: Callable[[Any], Any], x: Any) -> None:
    """First derivatives against central differences, and second ones too."""
    rng = np.random.default_rng(0)
    g, h = wf.jit(wf.grad(f)), rng.standard_normal(x.shape)
    slope = (np.asarray(f(x + 1e-6 * h)) - np.asarray(f(x - 1e-6 * h))) / 2e-6
    np.testing.assert_allclose(np.sum(np.asarray(g(x)) * h), slope, rtol=1e-6, atol=1e-6)
    slopes = (np.asarray(g(x + 1e-6 * h)) - np.asarray(g(x - 1e-6 * h))) / 2e-6
    np.testing.assert_allclose(np.asarray(wf.hvp(f, (x,), (h,))[0]), slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"])
def test_derivatives(name: str, axis: int, reverse: bool) -> None:
    weights = draw((5, 4), "f8")

    def f(x: Any) -> Any:
        return wf.sum(wf.sin(getattr(wf, name)(x, axis, reverse=reverse)) * weights)

    check_slopes(f, np.random.default_rng(3).standard_normal((5, 4)))


@pytest.mark.parametrize("zeros", [[2], [0], [4], [1, 3], [0, 1, 2, 3, 4]])
def test_products_of_zeros(zeros: list[int]) -> None:
    x = np.array([0.5, -1.5, 2.0, 1.5, 3.0])
    x[zeros] = 0.0
    check_slopes(lambda x: wf.sum(wf.cumprod(x) * np.arange(1.0, 6.0)), x)
    check_slopes(lambda x: wf.sum(wf.cumprod(x, reverse=True) ** 2), x)


def test_ties_have_equal_shares() -> None:
    x = np.array([1.0, 2.0, 2.0, 1.0, 2.0, 3.0, np.nan, 0.0, np.nan])
    g = np.array([1.0, 6.0, 12.0, 24.0, 30.0, 5.0, 7.0, 1.0, 2.0])
    _, pull = wf.vjp(wf.cummax, x)
    (found,) = pull(g)
    attained = (1.0, 6 + 18 + 10, 18 + 10, 0.0, 10.0, 5.0, 7 + 1 + 1, 0.0, 1.0)
    np.testing.assert_allclose(np.asarray(found), attained)


def test_mapped() -> None:
    x = draw((6, 5, 4), "f4")
    for axis in (0, 1):
        found = wf.vmap(lambda x, axis=axis: wf.cumprod(x, axis, reverse=True))(x)
        assert_same_bits(np.asarray(found), np.asarray(wf.cumprod(x, axis + 1, reverse=True)))


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 7), (7, 1)])
def test_an_axis_of_one_is_read_at_its_only_element(shape: tuple[int, ...]) -> None:
    """What follows in the kernel may read the result through an index that is known."""
    x = wf.asarray(draw(shape, "f4"))

    def program(x: wf.Array) -> wf.Array:
        y = wf.cummax(x, 0)
        return y[0] + y

    assert_same_bits(np.asarray(wf.jit(program)(x)), np.asarray(program(x)))


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: wf.cumsum(x, 2), ShapeError, "there is no axis 2; x has 2 axes"),
        (lambda x: wf.cummax(x, -3), ShapeError, "there is no axis -3"),
        (lambda x: wf.cumsum(x, 0, reverse=1), UsageError, "reverse is True or False, not 1"),
        (lambda x: wf.cummin(x > 0, 0), TypeError, "takes integers or floats"),
        (lambda x: wf.cumulative_sum(x), ShapeError, "needs an axis"),
        (lambda x: wf.cumulative_prod(x[0, 0]), ShapeError, "needs an axis"),
        (lambda x: wf.diff(x, -1), ShapeError, "n is 0 or more, not -1"),
        (lambda x: wf.diff(x, 1.5), UsageError, "n is an integer"),
        (lambda x: wf.diff(x[0, 0]), ShapeError, "there is no axis -1"),
    ],
)
def test_mistakes_name_the_line(call: Any, kind: type[Exception], words: str) -> None:
    for function in (call, wf.jit(call)):
        with pytest.raises(kind) as error:
            function(wf.ones((2, 3)))
        assert words in str(error.value) and "test_cumulative.py" in str(error.value)
