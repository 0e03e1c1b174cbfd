"""A part of a complex number that is made of two arrays, after some steps: in NumPy's complex128,
with a bound of the distance in the plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tests.fuzz.reference.elementwise import floats
from tests.fuzz.reference.values import Array, Bounded, tiny, unit

FACTOR = 0.5 - 1j
LARGE, SMALL = 1e12, 1e-12
"""Sizes beyond which a step says nothing: squares of float32 overflow, ratios lose their bits."""


@dataclass(frozen=True)
class Plane:
    """Points, and how far off each may be."""

    value: Array
    error: Array
    dtype: str

    def stepped(self, value: Array, error: Array, ulps: float = 8.0) -> Plane:
        """The points after a step that is off by some roundings of their sizes."""
        size = np.abs(value)
        own = ulps * (unit(self.dtype) + unit("float64")) * size + 16 * tiny(self.dtype)
        certain = np.isfinite(size) & (size < LARGE) & (np.abs(self.value) < LARGE)
        return Plane(value, np.where(certain & ~np.isnan(error), error + own, np.inf), self.dtype)


def complex_part(x: Bounded, y: Bounded, steps: Sequence[str], part: str) -> Bounded:
    """What `steps` make of x + iy; `other` is y + ix."""
    a, b = floats(x, y)
    error = a.error + b.error
    z = Plane(a.value + 1j * b.value, error, a.dtype).stepped(a.value + 1j * b.value, error)
    other = Plane(b.value + 1j * a.value, z.error, a.dtype)
    for step in steps:
        z = STEPS[step](z, other)
    found = {"real": np.real, "imag": np.imag, "abs": np.abs}[part](z.value)
    last = z.stepped(z.value, z.error)
    return Bounded(found, np.where(np.isfinite(found), last.error, np.inf), a.dtype)


def _add(z: Plane, w: Plane) -> Plane:
    return z.stepped(z.value + w.value, z.error + w.error)


def _subtract(z: Plane, w: Plane) -> Plane:
    return z.stepped(z.value - w.value, z.error + w.error)


def _multiply(z: Plane, w: Plane) -> Plane:
    error = np.abs(z.value) * w.error + np.abs(w.value) * z.error + z.error * w.error
    return z.stepped(z.value * w.value, error)


def _divide(z: Plane, w: Plane) -> Plane:
    value = z.value / w.value
    gap = np.abs(w.value) - w.error
    error = np.where(gap > SMALL, (z.error + np.abs(value) * w.error) / gap, np.inf)
    return z.stepped(value, error, 16)


def _exp(z: Plane, w: Plane) -> Plane:
    value = np.exp(z.value)
    return z.stepped(value, np.abs(value) * np.expm1(z.error), 16)


def _log(z: Plane, w: Plane) -> Plane:
    size = np.abs(z.value)
    sure = (size - z.error > SMALL) & ~_near_cut(z)
    error = np.where(sure, z.error / (size - z.error), np.inf)
    return z.stepped(np.log(z.value), error + 8 * unit(z.dtype), 16)


def _sqrt(z: Plane, w: Plane) -> Plane:
    size = np.abs(z.value)
    sure = (size - z.error > SMALL) & ~_near_cut(z)
    error = np.where(sure, z.error / (2 * np.sqrt(size - z.error)), np.inf)
    return z.stepped(np.sqrt(z.value), error, 16)


def _near_cut(z: Plane) -> Array:
    """Whether a point may lie on the negative real axis."""
    return np.asarray((np.abs(z.value.imag) <= z.error) & (z.value.real <= z.error))


def _wave(function: Callable[[Array], Array], turn: complex) -> Callable[[Plane, Plane], Plane]:
    """sin, cos (turn: -i) or sinh, cosh (1): slopes are at most cosh of what grows."""

    def step(z: Plane, w: Plane) -> Plane:
        growth = np.cosh(np.abs((z.value * turn).real) + z.error)
        return z.stepped(function(z.value), growth * (z.error + 16 * unit(z.dtype)), 16)

    return step


def _exactly(function: Callable[[Array], Array]) -> Callable[[Plane, Plane], Plane]:
    def step(z: Plane, w: Plane) -> Plane:
        return Plane(function(z.value), z.error, z.dtype)

    return step


STEPS: dict[str, Callable[[Plane, Plane], Plane]] = {
    "{z} + {w}": _add,
    "{z} - {w}": _subtract,
    "{z} * {w}": _multiply,
    "{w} * {z}.conj()": lambda z, w: _multiply(w, _exactly(np.conj)(z, w)),
    "{z} / {w}": _divide,
    "{z} ** 2": lambda z, w: _multiply(z, z),
    "{z} * (0.5-1j)": lambda z, w: _multiply(z, Plane(np.array(FACTOR), np.zeros(()), z.dtype)),
    "-{z}": _exactly(np.negative),
    "wf.conj({z})": _exactly(np.conj),
    "wf.exp({z})": _exp,
    "wf.log({z})": _log,
    "wf.sqrt({z})": _sqrt,
    "wf.sin({z})": _wave(np.sin, -1j),
    "wf.cos({z})": _wave(np.cos, -1j),
    "wf.sinh({z})": _wave(np.sinh, 1),
    "wf.cosh({z})": _wave(np.cosh, 1),
}
"""Steps by how they are written, where z is the number so far."""
CUT = ("wf.log({z})", "wf.sqrt({z})", "{z} / {w}")
"""Those with places where they have no derivative."""
