"""fft, rfft and irfft by the graph interpreter: their sums, what they refuse, symbolic sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weftc.ir.constraints import Assumptions, assuming
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim, Size
from weftc.ops import TABLE
from weftc.ops.fourier import half
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError

RANDOM = np.random.default_rng(3)


def _input(shape: tuple[Size, ...], dtype: Any = dtypes.float64) -> Node:
    return TABLE["input"](index=0, name="x", dtype=dtype, shape=shape)


def _run(name: str, array: Any, **attrs: Any) -> Any:
    x = _input(array.shape)
    (found,) = interpret(Graph(name, (x,), (TABLE[name](x, **attrs),)), [array])
    return found


def _matrix(n: int, sign: int) -> Any:
    """What a transform multiplies by."""
    return np.exp(sign * 2j * np.pi * np.outer(range(n), range(n)) / n)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_transforms_are_sums(n: int) -> None:
    x = RANDOM.standard_normal((n, 2))
    z = x[:, 0] + 1j * x[:, 1]
    for inverse, sign in ((False, -1), (True, 1)):
        found = _run("fft", x, axis=0, inverse=inverse)
        np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], _matrix(n, sign) @ z)
    found = _run("rfft", x[:, 0].copy(), axis=0)
    whole = _matrix(n, -1) @ x[:, 0]
    np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], whole[: half(n)], atol=1e-12)
    np.testing.assert_allclose(_run("irfft", found, axis=0, n=n), n * x[:, 0], atol=1e-12)


def test_what_cannot_be_transformed() -> None:
    fft, rfft, irfft = TABLE["fft"], TABLE["rfft"], TABLE["irfft"]
    with pytest.raises(ShapeError, match=r"float64\[4\] has no last axis of two"):
        fft(_input((4,)), axis=0, inverse=False)
    with pytest.raises(ShapeError, match="has no axis 1"):
        fft(_input((4, 2)), axis=1, inverse=False)
    with pytest.raises(ShapeError, match="there is no transform of length 0"):
        rfft(_input((3, 0)), axis=1)
    with pytest.raises(ShapeError, match="there is no transform of length 0"):
        irfft(_input((1, 2)), axis=0, n=0)
    with pytest.raises(ShapeError, match="is no half of a spectrum of length 5"):
        irfft(_input((4, 2)), axis=0, n=5)
    with pytest.raises(ShapeError, match=r"rfft is not scaled by float32\[\]"):
        rfft(_input((4,)), _input((), dtypes.float32), axis=0)
    with pytest.raises(DTypeError, match="rfft takes floats"):
        rfft(_input((4,), dtypes.int64), axis=0)


def test_symbolic_sizes() -> None:
    n = Dim.symbol("n")
    with assuming(Assumptions(values={"n": 6})):
        node = TABLE["rfft"](_input((3, n, 4)), axis=1)
        back = TABLE["irfft"](node, axis=1, n=n)
    assert node.type.shape == (3, half(n), 4, 2)
    assert back.type.shape == (3, n, 4)
    calls = [item.op.extern(item) for item in (node, back) if item.op.extern is not None]
    assert calls[0].sizes == (3, 4, n, half(n), n, 0)
    assert calls[1].sizes == (3, 4, half(n), n, n, 0)
