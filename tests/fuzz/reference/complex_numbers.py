"""A part of a complex number that is made of two arrays, after some steps: in NumPy's complex128,
with a bound of the distance in the plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tests.fuzz.reference.control import MOST_TURNS
from tests.fuzz.reference.elementwise import floats
from tests.fuzz.reference.values import Array, Bounded, Invalid, tiny, unit

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


# -- through transforms and along an axis -------------------------------------------------------


def _rows(z: Plane) -> int:
    """How many there are, for a function that is called for each."""
    if not z.value.ndim or not 0 < z.value.shape[0] <= MOST_TURNS:
        raise Invalid("no rows, or too many")
    return z.value.shape[0]


def _row(z: Plane, place: int) -> Plane:
    return Plane(z.value[place], z.error[place], z.dtype)


def _stacked(rows: Sequence[Plane]) -> Plane:
    values, errors = [row.value for row in rows], [row.error for row in rows]
    return Plane(np.array(values), np.array(errors), rows[0].dtype)


def _mapped(z: Plane, w: Plane) -> Plane:
    _rows(z)
    return _multiply(z, w)


def _conjugated(z: Plane, w: Plane) -> Plane:
    _rows(z)
    return _subtract(w, _exactly(np.conj)(z, w))


def _branched(z: Plane, w: Plane) -> Plane:
    """By whether all is finite, of which nobody knows where an element may be anything."""
    if not np.isfinite(z.error).all() and np.isfinite(z.value).all():
        return Plane(z.value * w.value, np.full((z.value * w.value).shape, np.inf), z.dtype)
    return (_multiply if np.isfinite(z.value).all() else _subtract)(z, w)


def _scanned(z: Plane, w: Plane) -> Plane:
    """The state before each turn."""
    count, state, rows = _rows(z), _row(w, 0), []
    for place in range(count):
        rows.append(state)
        state = _add(_multiply(state, _constant(0.5j, z)), _row(z, place))
    return _stacked(rows)


def _summed(z: Plane, w: Plane) -> Plane:
    size = np.abs(z.value).cumsum(0) if _rows(z) else z.value
    error = z.error.cumsum(0) + 8 * MOST_TURNS * unit(z.dtype) * size
    return z.stepped(z.value.cumsum(0), error)


def _repeated(z: Plane, w: Plane) -> Plane:
    for _ in range(3):
        z = _add(_multiply(z, _constant(0.5j, z)), w)
    return z


def _transformed(z: Plane, w: Plane) -> Plane:
    length = _rows(z)
    size = (np.abs(z.value) + z.error).sum(0, keepdims=True)
    error = z.error.sum(0, keepdims=True) + 64 * (1 + np.log2(length)) * unit(z.dtype) * size
    value = np.fft.fft(z.value, axis=0)
    return z.stepped(value, np.broadcast_to(error, value.shape))


def _constant(value: complex, like: Plane) -> Plane:
    return Plane(np.array(value), np.zeros(()), like.dtype)


STEPS: dict[str, Callable[[Plane, Plane], Plane]] = {
    "{z} + {w}": _add,
    "{z} - {w}": _subtract,
    "{z} * {w}": _multiply,
    "{w} * {z}.conj()": lambda z, w: _multiply(w, _exactly(np.conj)(z, w)),
    "{z} / {w}": _divide,
    "{z} ** 2": lambda z, w: _multiply(z, z),
    "{z} * (0.5-1j)": lambda z, w: _multiply(z, _constant(FACTOR, z)),
    "-{z}": _exactly(np.negative),
    "wf.conj({z})": _exactly(np.conj),
    "wf.exp({z})": _exp,
    "wf.log({z})": _log,
    "wf.sqrt({z})": _sqrt,
    "wf.sin({z})": _wave(np.sin, -1j),
    "wf.cos({z})": _wave(np.cos, -1j),
    "wf.sinh({z})": _wave(np.sinh, 1),
    "wf.cosh({z})": _wave(np.cosh, 1),
    "wf.jit(lambda z, w: z + w)({z}, {w})": _add,
    "wf.checkpoint(lambda z, w: wf.exp(z) * w)({z}, {w})": lambda z, w: _multiply(_exp(z, w), w),
    "wf.vmap(lambda z, w: z * w, in_axes=(0, 0), out_axes=0)({z}, {w})": _mapped,
    "wf.vmap(lambda w, z: w - wf.conj(z), in_axes=(0, 0), out_axes=0)({w}, {z})": _conjugated,
    "wf.jvp(lambda z: z * z, ({z},), ({w},))[1]": lambda z, w: _multiply(_add(z, z), w),
    "wf.vjp(lambda z: z * z, {z})[1]({w})[0]": lambda z, w: _multiply(
        _exactly(np.conj)(_add(z, z), w), w
    ),
    "wf.linearize(wf.exp, {z})[1]({w})": lambda z, w: _multiply(_exp(z, w), w),
    "branched({z}, {w})": _branched,
    "scanned({z}, {w})": _scanned,
    "repeated({z}, {w})": _repeated,
    "wf.cumsum({z}, axis=0)": _summed,
    "wf.fft.fft({z}, axis=0)": _transformed,
}
"""Steps by how they are written, where z is the number so far."""
TEXT = [
    "def branched(z, w):",
    "    finite = wf.all(wf.isfinite(z))",
    "    return wf.cond(finite, lambda: z * w, lambda: z - w)",
    "",
    "",
    "def scanned(z, w):",
    "    return wf.scan(lambda state, row: (state * 0.5j + row, state), w[0], z)[1]",
    "",
    "",
    "def repeated(z, w):",
    "    return wf.fori_loop(0, 3, lambda i, state: state * 0.5j + w, z)",
    "",
    "",
]
"""The functions of those that are written with several calls."""
CUT = ("wf.log({z})", "wf.sqrt({z})", "{z} / {w}")
"""Those with places where they have no derivative."""
_ALONG = (_mapped, _conjugated, _scanned, _summed, _transformed)
BY_ROWS = tuple(step for step, reference in STEPS.items() if reference in _ALONG)
"""Those along the first axis."""
