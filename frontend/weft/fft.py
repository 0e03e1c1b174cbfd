"""Fourier transforms: the functions of the Array API's `fft` extension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weft import diagnostics
from weft.ops import core, creation, elementwise, movement
from weft.ops.core import operation
from weft.promotion import as_strong, convert, dtype_of
from weft.symbolic import known
from weft.tracing import Tracer, apply, lift
from weftc.ir.constraints import AtLeast, assume
from weftc.ir.size_functions import floor_div
from weftc.ir.sizes import Size
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, UsageError

__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]


# ---------------------------------------------------------------------------------------------
# Frequencies, and the order they stand in
# ---------------------------------------------------------------------------------------------


def fftfreq(n: int, /, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of a transform of length n, of samples that are `d` apart, in its order: 0,
    the positive ones, the negative ones. They are computed in float64, and float32 unless `dtype`
    says float64. ShapeError unless n is at least 1."""
    size, chosen = _sampled("fftfreq", n, d, dtype, device)
    return _signed(creation.iota((size,), 0, dtypes.int64), n, d, chosen)


def rfftfreq(n: int, /, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of the transform of a real array of length n, none of which is negative; see
    fftfreq."""
    size, chosen = _sampled("rfftfreq", n, d, dtype, device)
    return _spaced(creation.iota((floor_div(size, 2) + 1,), 0, dtypes.int64), n, d, chosen)


def _sampled(name: str, n: Any, d: Any, dtype: Any, device: Any) -> tuple[Size, DType]:
    """The length and the dtype, after a look at all that is given."""
    chosen = dtypes.DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
    if not chosen.is_float:
        problem = f"{name}: frequencies are float32 or float64, not {chosen.name}"
        raise diagnostics.located(DTypeError, problem)
    if device not in (None, "cpu"):
        raise diagnostics.located(UsageError, f"{name}: there is no device {device!r:.40}")
    if isinstance(d, (int, float)) and d == 0:
        raise diagnostics.located(UsageError, f"{name}: d, the distance of samples, is 0")
    (size,) = core.shape_of(name, (n,))
    if not assume(AtLeast(size, 1)):
        problem = f"{name}: there is no transform of length {known(n)}"
        raise diagnostics.located(ShapeError, problem)
    return size, chosen


@operation("dtype")
def _signed(places: Any, n: Any, d: Any, /, dtype: DType) -> Any:
    """Frequencies of which the upper half is negative."""
    middle = elementwise.floor_divide(elementwise.add(n, 1), 2)
    negative = elementwise.subtract(places, n)
    places = elementwise.where(elementwise.less(places, middle), places, negative)
    return _spaced(places, n, d, dtype)


@operation("dtype")
def _spaced(places: Any, n: Any, d: Any, /, dtype: DType) -> Any:
    """places / (n d), in float64, as `dtype`."""
    length = convert(lift(n), dtypes.float64)
    step = elementwise.divide(1.0, elementwise.multiply(length, d))
    return convert(elementwise.multiply(convert(lift(places), dtypes.float64), step), dtype)


@operation("axes")
def fftshift(x: Any, /, axes: Any = None) -> Tracer:
    """A spectrum, along `axes` (all by default), in ascending order of frequencies: frequency 0
    comes to the place n // 2."""
    return _turned("fftshift", x, axes, lambda n: n - floor_div(n, 2))


@operation("axes")
def ifftshift(x: Any, /, axes: Any = None) -> Tracer:
    """The inverse of fftshift: frequency 0 comes from the place n // 2 to the first."""
    return _turned("ifftshift", x, axes, lambda n: floor_div(n, 2))


def _turned(name: str, x: Any, axes: Any, first: Callable[[Size], Size]) -> Tracer:
    """x, along axes, from the place `first`(n) on, then what is before it."""
    value = as_strong(lift(x))
    for axis in core.axes_of(name, value, axes):
        shape = value.type.shape
        cut = first(shape[axis])
        value = movement.concat(
            [_part(value, axis, cut, shape[axis]), _part(value, axis, 0, cut)], axis=axis
        )
    return apply("identity", value) if value.node is lift(x).node else value


def _part(x: Tracer, axis: int, start: Size, stop: Size) -> Tracer:
    """The elements of an axis from start to stop."""
    before, shape = (0,) * axis, x.type.shape
    starts = (*before, start, *(0,) * (x.ndim - axis - 1))
    stops = (*shape[:axis], stop, *shape[axis + 1 :])
    return apply("slice", x, start=starts, stop=stops, step=(1,) * x.ndim)
