"""Pools: against loops over the places of windows, and torch; gradients, bits, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.nn.test_convolution import last, slopes, ways

import weft as wf
from weft.errors import DTypeError, ShapeError, UsageError

Pairs = tuple[tuple[int, int], ...]
NONE = (0, 0)


def options(size: Any, stride: Any, padding: Any, dilation: Any) -> dict[str, Any]:
    return {"size": size, "stride": stride, "padding": padding, "dilation": dilation}


CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "1-d": ((2, 3, 9), options((3,), (2,), ((1, 0),), (1,))),
    "halves": ((2, 3, 8, 6), options((2, 2), None, (NONE, NONE), (1, 1))),
    "overlapping": ((2, 2, 7, 9), options((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))),
    "dilated": ((1, 2, 8, 9), options((3, 2), (1, 2), ((0, 1), NONE), (2, 3))),
    "3-d": ((2, 1, 4, 5, 4), options((2, 3, 2), (2, 1, 2), (NONE, (1, 1), NONE), (1, 1, 1))),
    "no batch": ((0, 2, 4, 4), options((2, 2), (1, 1), (NONE, NONE), (1, 1))),
    "one place": ((2, 2, 3, 3), options((3, 3), (5, 5), (NONE, NONE), (1, 1))),
}


def by_loops(
    x: Any, reduce: Callable[[Any, Any], Any], fill: float, options: dict[str, Any]
) -> Any:
    """`reduce(values, is_inside)` of each window, whose elements are the last axis."""
    size, dilation = options["size"], options["dilation"]
    stride, pairs = options["stride"] or size, [NONE, NONE, *options["padding"]]
    inside = np.pad(np.ones(x.shape, bool), pairs)
    x = np.pad(x, pairs, constant_values=fill)
    spans = [(k - 1) * d + 1 for k, d in zip(size, dilation)]
    places = [(n - s) // t + 1 for n, s, t in zip(x.shape[2:], spans, stride)]
    result = np.zeros((*x.shape[:2], *places))
    for place in np.ndindex(*places):
        starts = [at * step for at, step in zip(place, stride)]
        window = tuple(slice(a, a + s, d) for a, s, d in zip(starts, spans, dilation))
        found = (part[(..., *window)].reshape(*x.shape[:2], np.prod(size)) for part in (x, inside))
        result[(..., *place)] = reduce(*found)
    return result


POOLS: dict[str, tuple[Any, Callable[[Any, Any], Any], float, dict[str, Any]]] = {
    "max": (wf.nn.max_pool, lambda v, _: v.max(-1), -np.inf, {}),
    "avg": (wf.nn.avg_pool, lambda v, _: v.mean(-1), 0, {}),
    "avg inside": (
        wf.nn.avg_pool,
        lambda v, inside: v.sum(-1) / inside.sum(-1),
        0,
        {"count_include_pad": False},
    ),
    "l2": (wf.nn.l2_pool, lambda v, _: np.sqrt((v * v).sum(-1)), 0, {}),
}


def draw(shape: tuple[int, ...]) -> Any:
    """All elements differ, and are far apart."""
    values = np.random.default_rng(7).permutation(int(np.prod(shape))) - 11.5
    return values.reshape(shape).astype("f8")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("pool", POOLS)
def test_against_loops_in_both_layouts(pool: str, name: str) -> None:
    function, reduce, fill, more = POOLS[pool]
    shape, options = CASES[name]
    x = draw(shape)
    wanted = by_loops(x, reduce, fill, options)
    found = ways(lambda x: function(x, **options, **more), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    more = {"data_format": "NHWC", **more}
    found = ways(lambda x: function(x, **options, **more), last(x))
    np.testing.assert_allclose(found, last(wanted), rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in CASES if n != "no batch"])
@pytest.mark.parametrize("pool", POOLS)
def test_gradients_against_differences(pool: str, name: str) -> None:
    function, reduce, fill, more = POOLS[pool]
    shape, options = CASES[name]
    x = draw(shape)
    seed = np.random.default_rng(2).standard_normal(by_loops(x, reduce, fill, options).shape)
    gradient = wf.grad(lambda x, s: (function(x, **options, **more) * s).sum())
    wanted = slopes(lambda x: (by_loops(x, reduce, fill, options) * seed).sum(), x)
    np.testing.assert_allclose(ways(gradient, x, seed), wanted, rtol=1e-6, atol=1e-7)


def test_padding_is_never_the_largest_and_a_nan_is() -> None:
    for dtype in ("f4", "i4", "u1"):
        x = np.asarray([[[-3, -1, -2]]]).astype(dtype)
        found = np.asarray(wf.nn.max_pool(x, 3, stride=1, padding=1))
        np.testing.assert_array_equal(found, np.max(x))
    x = np.asarray([[[1.0, np.nan, 2.0, 3.0]]], "f4")
    np.testing.assert_array_equal(np.asarray(wf.nn.max_pool(x, 2)), [[[np.nan, 3]]])


def test_ties_share_the_gradient() -> None:
    found = wf.grad(lambda x: wf.nn.max_pool(x, 2).sum())(np.ones((1, 1, 2, 2)))
    np.testing.assert_array_equal(np.asarray(found), np.full((1, 1, 2, 2), 0.25))


@pytest.mark.parametrize("size", [1, 2, (3, 2), (5, 4), (7, 6), (7, 5)])
def test_adaptive_and_global_pools(size: Any) -> None:
    x = draw((2, 3, 7, 6))
    rows, columns = size if isinstance(size, tuple) else (size, size)

    def parts(n: int, count: int) -> list[slice]:
        return [slice(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]

    for function, reduce in (
        (wf.nn.adaptive_avg_pool, np.mean),
        (wf.nn.adaptive_max_pool, np.max),
    ):
        cells = [
            [reduce(x[:, :, r, c], axis=(2, 3)) for c in parts(6, columns)] for r in parts(7, rows)
        ]
        wanted = np.moveaxis(np.asarray(cells), (0, 1), (2, 3))
        found = ways(lambda x, f=function: f(x, size), x)
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
        found = function(last(x), size, data_format="NHWC")
        np.testing.assert_allclose(np.asarray(found), last(wanted), rtol=1e-13)
    if size == 1:
        for kept in (False, True):
            mean = wf.nn.global_avg_pool(x, keepdims=kept)
            np.testing.assert_allclose(np.asarray(mean), x.mean((2, 3), keepdims=kept), rtol=1e-14)
            most = wf.nn.global_max_pool(last(x), data_format="NHWC", keepdims=kept)
            np.testing.assert_array_equal(np.asarray(most), last(x).max((1, 2), keepdims=kept))


@pytest.mark.parametrize("name", ["1-d", "halves", "overlapping", "3-d"])
def test_against_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    shape, options = CASES[name]
    rank, x = len(shape) - 2, draw(shape)
    padding = tuple(low for low, _ in options["padding"])
    theirs = {"kernel_size": options["size"], "stride": options["stride"], "padding": padding}
    options = {**options, "padding": padding}
    for pool, function, more in (
        ("max", wf.nn.max_pool, {}),
        ("avg", wf.nn.avg_pool, {}),
        ("avg", wf.nn.avg_pool, {"count_include_pad": False}),
    ):
        their_pool = getattr(torch.nn.functional, f"{pool}_pool{rank}d")
        given = torch.tensor(x, requires_grad=True)
        wanted = their_pool(given, **theirs, **more)
        found = np.asarray(function(x, **options, **more))
        np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=1e-12)
        seed = np.random.default_rng(2).standard_normal(found.shape)
        (wanted * torch.tensor(seed)).sum().backward()
        found = wf.grad(lambda x, f=function, m=more, s=seed: (f(x, **options, **m) * s).sum())(x)
        np.testing.assert_allclose(np.asarray(found), given.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_windows_are_those_of_numpy() -> None:
    x = np.arange(60.0, dtype="f4").reshape(3, 4, 5)
    for axes in ((1, 2), (0, 2), (-1,)):
        size = (2,) * len(axes)
        wanted = np.lib.stride_tricks.sliding_window_view(x, size, axes)
        assert_same_bits(ways(lambda x, s=size, a=axes: wf.nn.windows(x, s, axes=a), x), wanted)
    found = ways(lambda x: wf.nn.windows(x, 2, stride=2, dilation=3), x)
    assert_same_bits(found, np.lib.stride_tricks.sliding_window_view(x, 4, 2)[:, :, ::2, ::3])
    gradient = wf.grad(lambda x: (wf.nn.windows(x, 3) * wf.asarray([1.0, 2.0, 4.0])).sum())
    wanted = np.broadcast_to(np.asarray([1, 3, 7, 6, 4], "f4"), x.shape)
    assert_same_bits(ways(gradient, x), np.ascontiguousarray(wanted))


def test_refused_in_words() -> None:
    x = wf.ones((2, 3, 4, 4))
    refused: list[tuple[Callable[[], Any], type, str]] = [
        (lambda: wf.nn.max_pool(x, 5), ShapeError, "the window spans 5 elements"),
        (lambda: wf.nn.max_pool(x > 0, 2), DTypeError, "max_pool takes integers or floats"),
        (lambda: wf.nn.max_pool(x * 1j, 2), DTypeError, "complex numbers have no order"),
        (lambda: wf.nn.max_pool(x, 0), ShapeError, "size is 1 or more"),
        (lambda: wf.nn.max_pool(x, (2, 2, 2)), ShapeError, "size has 3 numbers"),
        (lambda: wf.nn.avg_pool(x, 2, stride=0), ShapeError, "stride is 1 or more"),
        (lambda: wf.nn.avg_pool(x, 2, padding=-1), ShapeError, "padding is 0 or more"),
        (lambda: wf.nn.avg_pool(x, 2, count_include_pad=1), UsageError, "True or False"),
        (lambda: wf.nn.avg_pool(wf.ones((2, 3)), 2), ShapeError, "1, 2 or 3 axes"),
        (lambda: wf.nn.l2_pool(x, 2, data_format="HWC"), UsageError, "NCHW or NHWC"),
        (lambda: wf.nn.adaptive_avg_pool(x, (2, 0)), ShapeError, "size is 1 or more"),
        (lambda: wf.nn.adaptive_max_pool(wf.ones((1, 1, 0)), 2), ShapeError, "no elements"),
        (lambda: wf.nn.windows(x, 5), ShapeError, "the window spans 5 elements"),
        (lambda: wf.nn.windows(x, (2, 2), axes=(3, 2)), ShapeError, "do not ascend"),
        (lambda: wf.nn.windows(x, 2, axes=7), ShapeError, "no axis 7"),
        (lambda: wf.nn.windows(x, "a"), UsageError, "size is an integer"),
    ]
    for call, kind, problem in refused:
        with pytest.raises(kind, match=problem):
            call()
