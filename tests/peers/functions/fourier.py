"""Fourier transforms, in torch's signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import weft as wf

Function = Callable[..., Any]


def one(function: Function) -> Function:
    """A transform along one axis."""
    return lambda x, n=None, dim=-1, norm=None: function(x, n, dim, norm)


def two(function: Function) -> Function:
    """A transform along two axes."""
    return lambda x, s=None, dim=(-2, -1), norm=None: function(x, many(s), many(dim), norm)


def several(function: Function) -> Function:
    """A transform along all axes, or those named."""
    return lambda x, s=None, dim=None, norm=None: function(x, many(s), many(dim), norm)


def many(sizes: Any) -> Any:
    """torch takes a number where there is one axis."""
    return (sizes,) if isinstance(sizes, int) else sizes


TABLE: dict[str, Function] = {
    "fft.fft": one(wf.fft.fft),
    "fft.fft2": two(wf.fft.fft2),
    "fft.fftn": several(wf.fft.fftn),
    "fft.fftshift": lambda x, dim=None: wf.fft.fftshift(x, axes=dim),
    "fft.hfft": one(wf.fft.hfft),
    "fft.ifft": one(wf.fft.ifft),
    "fft.ifft2": two(wf.fft.ifft2),
    "fft.ifftn": several(wf.fft.ifftn),
    "fft.ifftshift": lambda x, dim=None: wf.fft.ifftshift(x, axes=dim),
    "fft.ihfft": one(wf.fft.ihfft),
    "fft.irfft": one(wf.fft.irfft),
    "fft.irfft2": two(wf.fft.irfft2),
    "fft.irfftn": several(wf.fft.irfftn),
    "fft.rfft": one(wf.fft.rfft),
    "fft.rfft2": two(wf.fft.rfft2),
    "fft.rfftn": several(wf.fft.rfftn),
}
