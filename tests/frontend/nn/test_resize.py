"""Resampling against formulas in NumPy and against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.frontend.nn.checks import Function, check, check_peer, check_slopes, compiled

import weft as wf

nn = wf.nn
RNG = np.random.default_rng(41)
X = RNG.standard_normal((2, 3, 6, 5))
SHAPES = [(12, 10), (3, 5), (6, 15), (4, 7), (7, 3), (2, 1), (1, 1), (13, 11)]


def nearest(x: Any, axis: int, wanted: int) -> Any:
    places = np.floor((np.arange(wanted) + 0.5) * x.shape[axis] / wanted).astype(int)
    return np.take(x, places, axis)


def linear(x: Any, axis: int, wanted: int, corners: bool = False) -> Any:
    count = x.shape[axis]
    places = (np.arange(wanted) + 0.5) * count / wanted - 0.5
    if corners:
        places = np.linspace(0, count - 1, wanted)
    line = partial(np.interp, places, np.arange(count))
    return np.apply_along_axis(line, axis, x)


METHODS: dict[str, tuple[dict[str, Any], Function]] = {
    "nearest": ({"method": "nearest"}, nearest),
    "linear": ({"method": "linear"}, linear),
    "corners": ({"method": "linear", "align_corners": True}, partial(linear, corners=True)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_images(method: str, sizes: tuple[int, int]) -> None:
    options, along = METHODS[method]

    def reference(x: Any) -> Any:
        return along(along(x, 1, sizes[0]), 2, sizes[1])

    for x in X[0], np.moveaxis(X[0], 0, -1):
        shape = (3, *sizes) if x.shape[0] == 3 else (*sizes, 3)
        wanted = (
            reference if x.shape[0] == 3 else lambda x: along(along(x, 0, sizes[0]), 1, sizes[1])
        )
        check(lambda x: nn.resize(x, shape, **options), wanted, x, tolerance=1e-5)  # noqa: B023


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_peers(sizes: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    peer = torch.nn.functional.interpolate
    shape = (2, 3, *sizes)
    for options, theirs in (
        ({"method": "nearest"}, {"mode": "nearest-exact"}),
        ({"method": "linear"}, {"mode": "bilinear", "align_corners": False}),
        ({"method": "linear", "align_corners": True}, {"mode": "bilinear", "align_corners": True}),
    ):
        check_peer(
            lambda x, options=options: nn.resize(x, shape, **options),
            partial(peer, size=sizes, **theirs),
            X,
        )


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_any_rank(rank: int) -> None:
    x = RNG.standard_normal((3, 2, 4, 2, 3)[:rank])
    shape = tuple(size + 1 for size in x.shape)
    for options, along in METHODS.values():
        wanted = x
        for axis, size in enumerate(shape):
            wanted = along(wanted, axis, size)
        found = compiled(lambda x: nn.resize(x, shape, **options), x)  # noqa: B023
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
        check_slopes(lambda x: nn.resize(x, shape, **options), x)  # noqa: B023


def test_the_highest_rank() -> None:
    x = RNG.standard_normal((1, 1, 1, 1, 1, 1, 2, 3))
    found = compiled(lambda x: nn.resize(x, (*x.shape[:6], 4, 9), "nearest"), x)
    np.testing.assert_array_equal(found, nearest(nearest(x, 6, 4), 7, 9))


def test_what_stays_is_not_touched() -> None:
    for method in ("nearest", "linear"):
        np.testing.assert_array_equal(compiled(lambda x: nn.resize(x, X.shape, method), X), X)  # noqa: B023
    flat = np.full((2, 5), 0.1, "f4")
    assert (compiled(lambda x: nn.resize(x, (7, 13), "linear"), flat) == flat[0, 0]).all()
    up = compiled(lambda x: nn.resize(x, (12,), "nearest"), X[0, 0, :, 0])
    np.testing.assert_array_equal(up[::2], X[0, 0, :, 0])


def test_dtypes() -> None:
    for x in (np.arange(6), np.arange(6) > 2, np.arange(6, dtype="u1"), np.arange(6) * 1j):
        for size in (12, 3, 4):
            found = compiled(lambda x: nn.resize(x, (size,), "nearest"), x)  # noqa: B023
            assert found.dtype == x.astype(found.dtype).dtype
            np.testing.assert_array_equal(found, nearest(x, 0, size))
    assert nn.resize(np.arange(6), (4,), "linear").dtype is wf.float32
    assert nn.resize(np.arange(6.0), (4,), "linear").dtype is wf.float64


def test_sizes_of_zero_and_large_ones() -> None:
    for options, _ in METHODS.values():
        assert compiled(lambda x: nn.resize(x, (2, 0), **options), np.ones((3, 4), "f4")).size == 0  # noqa: B023
        assert compiled(lambda x: nn.resize(x, (0, 4), **options), np.ones((0, 3), "f4")).size == 0  # noqa: B023
    x = np.arange(100_003.0)
    for options, along in METHODS.values():
        found = compiled(lambda x: nn.resize(x, (70_001,), **options), x)  # noqa: B023
        np.testing.assert_allclose(found, along(x, 0, 70_001), rtol=1e-9)


def test_batches_of_any_size() -> None:
    """The sizes that stay may be those of the call."""

    @wf.jit
    def double(x: Any) -> Any:
        n, c, h, w = x.shape
        return nn.resize(x, (n, c, 2 * h, 2 * w), "linear")

    for n in (1, 2, 5, 3):
        x = np.resize(X, (n, 3, 6, 5))
        wanted = linear(linear(x, 2, 12), 3, 10)
        np.testing.assert_allclose(np.asarray(double(x)), wanted, rtol=1e-12, atol=1e-12)


KERNELS = {"repeated": ((12, 10), "nearest", 2), "left out": ((3, 1), "nearest", 1),
           "read": ((9, 8), "nearest", 3), "between": ((9, 8), "linear", 3)}  # fmt: skip
"""One for each axis, after one that makes the places along both where they are not whole multiples;
what is left out is never computed."""


@pytest.mark.parametrize("name", KERNELS)
def test_kernels(name: str) -> None:
    sizes, method, count = KERNELS[name]

    def resized(x: Any) -> Any:
        return nn.resize(x, (2, 3, *sizes), method)

    text = str(wf.jit(resized).explain(X))
    assert text.startswith(f"resized: {count} kernel"), text


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.resize(X, (12, 10), "linear"), wf.errors.ShapeError,
     r"the new shape \(12, 10\) needs one size for each axis of X"),
    (lambda: nn.resize(X, (2, 3, 12, 10), "bilinear"), wf.errors.UsageError,
     r'method is "nearest" or "linear", not \'bilinear\''),
    (lambda: nn.resize(X, (2, 3, 12, 10), None), wf.errors.UsageError, "method is"),
    (lambda: nn.resize(X, (2, 3, 12, -1), "linear"), wf.errors.ShapeError, "size -1 is negative"),
    (lambda: nn.resize(X, (2, 3, 12, 1.5), "linear"), wf.errors.ShapeError, "a size is an integer"),
    (lambda: nn.resize(X, (2, 3, 12, 10), "nearest", align_corners=True), wf.errors.UsageError,
     'align_corners is for method="linear"'),
    (lambda: nn.resize(X, (2, 3, 12, 10), "linear", align_corners=1), wf.errors.UsageError,
     "align_corners is True or False, not 1"),
    (lambda: nn.resize(X[:, :, :0], (2, 3, 12, 10), "linear"), wf.errors.ShapeError,
     "axis 2 of .* has no elements to make 12 of"),
    (lambda: nn.resize(X * 1j, (2, 3, 12, 10), "linear"), wf.errors.DTypeError, "must be real"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "words"), BAD)
def test_bad_calls(run: Function, kind: type[Exception], words: str) -> None:
    for call in (run, wf.jit(run)):
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "test_resize.py:" in str(caught.value)


@pytest.mark.parametrize("name", ["interpolate", "upsample"])
def test_names_of_other_libraries(name: str) -> None:
    for module in (wf, nn):
        with pytest.raises(AttributeError, match=r"did you mean wf\.nn\.resize\?"):
            getattr(module, name)
