"""Rules that append a Fourier transform, or turn an axis as one does with spectra."""

from __future__ import annotations

from typing import Any

from tests.fuzz.drawer import Drawer
from tests.fuzz.rules.operands import an_axis, some_axes, with_axis

NORMS = ("backward", "ortho", "forward")


def fourier_transform(d: Drawer) -> None:
    """Of real numbers: to real ones, or a part of a spectrum."""
    value = with_axis(d)
    options: dict[str, Any] = {"axis": an_axis(d, value)} if d.chance(0.6) else {}
    if d.chance(0.4):
        options["n"] = d.rng.choice((1, 2, 3, 5, 8, 17, 40))
    if d.chance(0.4):
        options["norm"] = d.rng.choice(NORMS)
    if d.chance(0.3):
        d.emit(d.rng.choice(("fft.irfft", "fft.hfft")), value, **options)
        return
    name = d.rng.choice(("fft", "fft", "ifft", "rfft", "rfft", "ihfft"))
    d.emit("spectrum", value, transform=name, part=d.rng.choice(("real", "imag")), **options)


def spectrum_shift(d: Drawer) -> None:
    value = with_axis(d)
    axes = some_axes(d, value)
    options: dict[str, Any] = {} if axes is None else {"axes": axes}
    d.emit(d.rng.choice(("fft.fftshift", "fft.ifftshift")), value, **options)
