"""Programs that people write around slices, elements, borders and small axes: jit has the bits of
the graph interpreter, and the values of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged

import weft as wf
from weftrt import knobs

Array = np.ndarray[Any, Any]


def ramp(*shape: int) -> Array:
    return np.arange(1, 1 + int(np.prod(shape)), dtype=np.float64).reshape(shape)


def results(found: Any) -> list[Array]:
    return [np.asarray(a) for a in (found if isinstance(found, (tuple, list)) else [found])]


def check(function: Callable[..., Any], *arrays: Array) -> list[Array]:
    """What jit gives, which has the bits of the graph interpreter."""
    found = results(wf.jit(function)(*arrays))
    for one, expected in zip(found, results(staged.run(function, *arrays)), strict=True):
        assert_same_bits(one, expected)
    return found


def product(shape: tuple[int, ...], *at: tuple[int, ...]) -> Callable[[Any], Any]:
    """The product of the elements `at`."""

    def function(x: Any) -> Any:
        value = x[at[0]]
        for index in at[1:]:
            value = value * x[index]
        return value

    return function


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    "stack of computed columns": (
        lambda y: wf.stack([y[:, 0] * 2, y[:, 1] * 3], axis=1),
        (ramp(10, 2),),
    ),
    "stack of computed elements": (
        lambda x: wf.stack([x[0] * 2, x[1] * 3, x[2] * 4]),
        (ramp(6),),
    ),
    "pad of a scalar plus an element": (
        lambda s, x: wf.pad(wf.reshape(s, (1, 1)), ((1, 1), (1, 1))) + x[0, 0],
        (np.array(1.0), ramp(2, 2)),
    ),
    "stack of elements from both ends": (
        lambda x: wf.stack([x[-1, 0] + x[0, -1], x[1, 1] - x[0, 0]]),
        (ramp(3, 4),),
    ),
    "concat of rows of one": (
        lambda x: wf.concat([x[:1] * 2, x[2:3] + x[:1], x[1:]], axis=0),
        (ramp(3, 4),),
    ),
    "rows of one, flipped and joined by columns": (
        lambda x: wf.concat([wf.flip(x[:, :1], axis=0), x[:, 1:2].T.reshape(3, 1)], axis=1),
        (ramp(3, 2),),
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    function, arrays = PROGRAMS[name]
    (found,) = check(function, *arrays)
    np.testing.assert_allclose(found, np.asarray(function(*arrays)), rtol=1e-12)


GRADIENTS: dict[str, tuple[Callable[[Any], Any], Array, Any]] = {
    "product of elements": (
        lambda x: x[0] * x[1] * x[2],
        np.array([2.0, 3, 5]),
        [15, 10, 6],
    ),
    "determinant": (
        lambda x: x[0, 0] * x[1, 1] - x[0, 1] * x[1, 0],
        np.array([[2, 0.5], [7, 3]]),
        [[3, -7], [-0.5, 2]],
    ),
    "rosenbrock": (
        lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2,
        np.array([-1.2, 1.0]),
        [-215.6, -88.0],
    ),
    "an element of an outer update": (
        lambda x: (x - wf.outer(x[:, 0] / x[0, 0], x[:, 0]))[1, 1],
        np.array([[2.0, 0.5], [7.0, 3.0]]),
        [[12.25, 0.0], [-7.0, 1.0]],
    ),
    "a sum over a batch of one": (
        lambda v: wf.sum(wf.sum(v[None], axis=-1)) ** 2,
        np.array([1.0, 2, 3]),
        [12, 12, 12],
    ),
    "a mean over a batch of one": (
        lambda v: wf.mean(wf.mean(v[None], axis=1)) ** 2,
        np.array([1.0, 2, 3]),
        [4 / 3] * 3,
    ),
    "columns of a batch of one": (
        lambda x: wf.sum(wf.sum(x[None], axis=1) ** 2),
        ramp(2, 3),
        [[10, 14, 18]] * 2,
    ),
    "rows of a batch of one": (
        lambda x: wf.sum(wf.sum(x[:, None], axis=2) ** 2),
        ramp(2, 3),
        [[12] * 3, [30] * 3],
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient(name: str) -> None:
    function, point, expected = GRADIENTS[name]
    (found,) = check(wf.grad(function), point)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("target", ["native", "x86-64-v3"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_division_reaches_no_further_than_its_lanes(dtype: type, target: str) -> None:
    def total(x: Any, y: Any) -> Any:
        return wf.sum(x / y)

    with knobs.scope(target=target):
        for length in (*range(1, 40), 65, 73, 129, 139):
            ones = np.ones(length, dtype)
            assert float(wf.jit(total)(ones, ones)) == length
