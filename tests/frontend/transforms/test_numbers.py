"""Derivatives by Python and NumPy numbers: a function computes what it does of them elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf

RATE = 0.1


def decay(x: Any, rate: Any) -> Any:
    return wf.sum(wf.exp(-rate * x) * rate)


def value_beside(name: str, x: Any) -> Any:
    if name == "value_and_grad":
        return wf.value_and_grad(decay, argnums=(0, 1))(x, RATE)[0]
    if name == "jvp":
        return wf.jvp(decay, (x, RATE), (np.ones_like(x), 1.0))[0]
    return getattr(wf, name)(decay, x, RATE)[0]


@pytest.mark.parametrize("name", ["value_and_grad", "vjp", "jvp", "linearize"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_value_is_that_of_the_function(name: str, dtype: str) -> None:
    x = np.linspace(0, 1, 5, dtype=dtype)
    assert_same_bits(np.asarray(value_beside(name, x)), np.asarray(decay(x, RATE)))


BY_RATE: list[tuple[str, Callable[[Any], Any]]] = [
    ("grad", lambda x: wf.grad(decay, argnums=1)(x, RATE)),
    ("vjp", lambda x: wf.vjp(decay, x, RATE)[1](np.ones((), x.dtype))[1]),
    ("jvp", lambda x: wf.jvp(lambda rate: decay(x, rate), (RATE,), (1.0,))[1]),
    ("a narrow tangent", lambda x: wf.jvp(lambda r: decay(x, r), (RATE,), (np.ones((), "f4"),))[1]),
    ("linearize", lambda x: wf.linearize(lambda rate: decay(x, rate), RATE)[1](1.0)),
    ("jacfwd", lambda x: wf.jacfwd(decay, argnums=1)(x, RATE)),
    ("jacrev", lambda x: wf.jacrev(decay, argnums=1)(x, RATE)),
]


@pytest.mark.parametrize("way", [way for _, way in BY_RATE], ids=[name for name, _ in BY_RATE])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_derivative_is_as_wide_as_the_value(way: Callable[[Any], Any], dtype: str) -> None:
    x = np.linspace(0, 1, 5, dtype=dtype)
    expected = np.sum(np.exp(-RATE * x) * (1 - RATE * x))
    found = way(x)
    assert found.dtype == x.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "f4" else 1e-14)


def test_of_numbers_alone_it_has_the_default_dtype() -> None:
    for way in (wf.grad, wf.jacfwd, wf.jacrev):
        assert way(lambda r: r**3)(2.0).dtype == np.float32
    second = wf.hessian(lambda r: r**3)(2.0)
    assert (float(second), second.dtype) == (12.0, np.float32)
    assert wf.grad(lambda r: 3.0)(1.0).dtype == np.float32
    assert wf.grad(lambda z: wf.real(z * z))(1j) == -2j


def test_numpy_scalars_in_trees_are_numbers() -> None:
    x = np.linspace(0, 1, 5)
    value, gradient = wf.value_and_grad(lambda p: decay(x, p["rate"]))({"rate": np.float64(RATE)})
    assert_same_bits(np.asarray(value), np.asarray(decay(x, RATE)))
    assert gradient["rate"].dtype == np.float64
