"""Values without elements become constants; what they feed keeps its value and its errors."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged

import weft as wf

SHAPES = [shape for rank in range(5) for shape in product((0, 2), repeat=rank) if 0 in shape]


def _softmax(x: Any) -> Any:
    return [wf.nn.softmax(x, axis=axis) for axis, size in enumerate(x.shape) if size]


def _normalized(x: Any) -> Any:
    width = x.shape[-1]
    return wf.nn.layer_norm(x, wf.ones((width,)), wf.zeros((width,)))


def _sums(x: Any) -> Any:
    axes = [(a,) for a in range(x.ndim)] + [tuple(range(x.ndim))]
    kept = [wf.sum(x, axis=a, keepdims=keepdims) for a in axes for keepdims in (False, True)]
    return kept + [wf.prod(x + 1, axis=a) for a in axes]


def _gradient(x: Any) -> Any:
    return wf.grad(lambda x: wf.sum(wf.exp(x)) + wf.sum(wf.sum(x, axis=0) ** 2))(x)


def _moved(x: Any) -> Any:
    bordered = wf.pad(x, ((1, 1),) * x.ndim)
    return [wf.concat([x, x * 2], axis=0), wf.stack([x, x + 1]), bordered, wf.flip(x, axis=0)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("function", [_softmax, _sums, _gradient, _moved])
def test_empty_arrays_of_any_rank(function: Any, shape: tuple[int, ...]) -> None:
    x = np.ones(shape, np.float32)
    found, expected = wf.jit(function)(x), staged.run(function, x)
    if not isinstance(expected, list):
        found, expected = [found], [expected]
    for one, other in zip(found, expected, strict=True):
        assert_same_bits(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("shape", [s for s in SHAPES if len(s) > 1], ids=str)
def test_products_without_elements(shape: tuple[int, ...]) -> None:
    a, length = np.ones(shape, np.float32), shape[-1]
    for b in (np.ones((length, 1), np.float32), np.ones((length, 3), np.float32)):
        assert_same_bits(np.asarray(wf.jit(lambda a, b: a @ b)(a, b)), a @ b)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0, 4), (0, 0, 4)])
def test_layers_without_rows(shape: tuple[int, ...]) -> None:
    assert np.asarray(wf.jit(_normalized)(np.ones(shape, np.float32))).shape == shape


def test_extrema_of_nothing_along_an_axis_with_elements() -> None:
    x = np.ones((0, 2, 3), np.float32)
    for function in (wf.max, wf.min, wf.argmax):
        found = wf.jit(lambda x, function=function: function(x, axis=-1))(x)
        assert np.asarray(found).shape == (0, 2)


def test_an_index_into_nothing_is_still_an_error() -> None:
    with pytest.raises(IndexError):
        wf.jit(lambda x, i: wf.take(x, i, axis=0))(np.ones((0,), np.float32), np.array([0]))
