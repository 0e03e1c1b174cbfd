"""wf.fft against numpy.fft."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf
from weftrt.errors import DTypeError, ShapeError, UsageError


@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
@pytest.mark.parametrize("n", [1, 2, 5, 8, 9])
def test_frequencies_are_numpys(name: str, n: int) -> None:
    for d in (1.0, 0.1, 3):
        wanted = getattr(np.fft, name)(n, d)
        assert_same_bits(np.asarray(getattr(wf.fft, name)(n, d, dtype=wf.float64)), wanted)
        assert_same_bits(np.asarray(getattr(wf.fft, name)(n, d=d)), wanted.astype(np.float32))


@pytest.mark.parametrize("axes", [None, 0, 1, -1, (0, 1), (1,), ()])
@pytest.mark.parametrize("shape", [(5, 6), (1, 4), (0, 3)])
def test_shifts_are_numpys(shape: tuple[int, ...], axes: Any) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    for name in ("fftshift", "ifftshift"):
        found = np.asarray(getattr(wf.fft, name)(x, axes=axes))
        assert_same_bits(found, np.ascontiguousarray(getattr(np.fft, name)(x, axes)))


@wf.jit
def _shifted(x: Any) -> Any:
    return wf.fft.fftshift(x) * 2 + wf.fft.fftfreq(x.shape[0], 0.5)


def test_frequencies_and_shifts_of_any_size_are_traced() -> None:
    for n in (4, 5, 7, 1, 9):
        x = np.arange(n, dtype=np.float32)
        frequencies = np.fft.fftfreq(n, 0.5).astype(np.float32)
        assert_same_bits(np.asarray(_shifted(x)), np.fft.fftshift(x) * 2 + frequencies)


def test_mistakes_name_the_line() -> None:
    with pytest.raises(ShapeError, match=r"fftfreq\(0\)\n.*no transform of length 0"):
        wf.fft.fftfreq(0)
    with pytest.raises(ShapeError, match=r"a size is an integer, not 2\.5"):
        wf.fft.fftfreq(2.5)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="frequencies are float32 or float64, not int64"):
        wf.fft.rfftfreq(3, dtype=wf.int64)
    with pytest.raises(UsageError, match="the distance of samples, is 0"):
        wf.fft.rfftfreq(3, 0)
    with pytest.raises(UsageError, match="there is no device 'gpu'"):
        wf.fft.rfftfreq(3, device="gpu")
    with pytest.raises(ShapeError, match="there is no axis 2"):
        wf.fft.fftshift(np.ones(3), axes=2)
