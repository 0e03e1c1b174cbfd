"""Fourier transforms, in torch's signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import weft as wf

Function = Callable[..., Any]


def one(function: Function) -> Function:
    """A transform along one axis."""
    return lambda x, n=None, dim=-1, norm=None: function(x, n, dim, norm)


TABLE: dict[str, Function] = {
    "fft.fft": one(wf.fft.fft),
    "fft.fftshift": lambda x, dim=None: wf.fft.fftshift(x, axes=dim),
    "fft.hfft": one(wf.fft.hfft),
    "fft.ifft": one(wf.fft.ifft),
    "fft.ifftshift": lambda x, dim=None: wf.fft.ifftshift(x, axes=dim),
    "fft.ihfft": one(wf.fft.ihfft),
    "fft.irfft": one(wf.fft.irfft),
    "fft.rfft": one(wf.fft.rfft),
}
