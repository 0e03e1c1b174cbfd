"""Values in float64 with a bound of their error, which the reference functions work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FLOATS = ("float32", "float64")
SIGNED = ("int32", "int64")
UNSIGNED = ("uint8", "uint32", "uint64")
INTEGERS = UNSIGNED + SIGNED
DTYPES = ("bool", *INTEGERS, *FLOATS)
WEAK = ("bool", "int64", "float64")


LARGEST = 70_000
"""Elements above which a value is refused, so that programs stay fast."""


class Invalid(Exception):
    """These operands are none of this operation's: the program would be refused."""


@dataclass(frozen=True)
class Bounded:
    """What an array of `dtype` should hold: |actual - value| <= error, element by element.

    Floats are kept in float64. An error of 0 means that value (be it inf or NaN) is exact, and inf
    that nothing is known; integers and bools are either exact or unknown. `weak` marks a Python
    scalar.
    """

    value: Array
    error: Array
    dtype: str
    weak: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS

    @property
    def exact(self) -> Array:
        return self.error == 0

    @property
    def known(self) -> Array:
        return np.isfinite(self.error)


def carrier(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype in which values of `dtype` are kept."""
    return np.dtype("float64" if dtype in FLOATS else dtype)


def exactly(value: Any, dtype: str, weak: bool = False) -> Bounded:
    """A value that is known to the bit: `value` as the array of `dtype` holds it."""
    with np.errstate(all="ignore"):
        held = np.asarray(value).astype(dtype).astype(carrier(dtype))
    return Bounded(held, np.zeros(held.shape), dtype, weak)


def discrete(value: Array, known: Any, dtype: str) -> Bounded:
    """Integers or bools that are exact where `known` holds."""
    value = np.asarray(value)
    known = np.broadcast_to(known, value.shape)
    return Bounded(value.astype(dtype), np.where(known, 0.0, np.inf), dtype)


def unit(dtype: str) -> float:
    """The relative error of one rounding."""
    return 2.0**-24 if dtype == "float32" else 2.0**-53


def tiny(dtype: str) -> float:
    """The smallest number above zero: the absolute error of one rounding near zero."""
    return 2.0**-149 if dtype == "float32" else 5e-324


def largest(dtype: str) -> float:
    return float(np.finfo(dtype).max)


def rounded(value: Array, propagated: Array, dtype: str) -> Bounded:
    """A correctly rounded operation: exact operands have an exact result."""
    value, propagated = np.asarray(value), np.asarray(propagated)
    exact = propagated == 0
    held = np.where(exact, value.astype(dtype).astype("float64"), value)
    inexact = bounded(value, propagated, dtype, 1.0)
    return Bounded(held, np.where(exact, 0.0, inexact.error), dtype)


def bounded(value: Array, propagated: Array, dtype: str, ulps: float) -> Bounded:
    """A result that is off by `ulps` roundings beyond what its operands' errors make of it; the
    same is allowed for the float64 reference itself."""
    value = np.asarray(value, "float64")
    own = ulps * (unit(dtype) + unit("float64")) * np.abs(value) + (2 + ulps) * tiny(dtype)
    error = propagated + own
    error = np.where(np.abs(value) + error < largest(dtype) * 0.99, error, np.inf)
    exact_special = ~np.isfinite(value) & (propagated == 0)
    error = np.where(exact_special, 0.0, error)
    return Bounded(value, np.where(np.isnan(error), np.inf, error), dtype)


def promote(*operands: Bounded) -> str:
    """The dtype in which operands meet: the Array API's table, weak scalars, float32 by default."""
    strong = [o.dtype for o in operands if not o.weak]
    weak = [o.dtype for o in operands if o.weak]
    if not strong:
        kind = max(weak, key=WEAK.index)
        return "float32" if kind == "float64" else kind
    result = strong[0]
    for other in strong[1:]:
        result = _met(result, other)
    loosest = max(weak, key=WEAK.index, default="bool")
    if loosest == "float64" and result not in FLOATS:
        return "float32"
    return "int64" if loosest == "int64" and result == "bool" else result


def _met(a: str, b: str) -> str:
    floats = [d for d in (a, b) if d in FLOATS]
    if floats:
        return max(floats, key=FLOATS.index)
    result = np.result_type(a, b).name
    if result not in DTYPES or result in FLOATS:
        raise Invalid(f"{a} and {b} have no common dtype")
    return result


def cast(x: Bounded, dtype: str) -> Bounded:
    """`x` in another dtype: floats to integers truncate and saturate, NaN is 0."""
    if x.dtype == dtype:
        return Bounded(x.value, x.error, dtype)
    if dtype == "bool":
        return discrete(x.value != 0, x.exact | (np.abs(x.value) > x.error), "bool")
    if dtype in FLOATS:
        if not x.is_float:
            return Bounded(x.value.astype(dtype).astype("float64"), x.error, dtype)
        return rounded(x.value, x.error, dtype) if dtype == "float32" else _widened(x)
    if not x.is_float:
        return Bounded(x.value.astype(dtype), x.error, dtype)
    low, high = (_saturated(x.value + sign * x.error, dtype) for sign in (-1, 1))
    found = _saturated(x.value, dtype)
    known = x.exact | (x.known & np.isfinite(x.value) & (low == high))
    return discrete(found, known, dtype)


def _widened(x: Bounded) -> Bounded:
    return Bounded(x.value, x.error, "float64")


def _saturated(value: Array, dtype: str) -> Array:
    limits = np.iinfo(dtype)
    whole = np.trunc(np.where(np.isnan(value), 0, value))
    above, below = whole >= float(limits.max), whole <= float(limits.min)
    inside = np.where(above | below, 0, whole).astype(dtype)
    return np.where(above, limits.max, np.where(below, limits.min, inside)).astype(dtype)


def as_float(x: Bounded) -> Bounded:
    """`x` in a float dtype: its own, or the default one."""
    return x if x.is_float and not x.weak else cast(x, "float32")


def meet(*operands: Bounded) -> list[Bounded]:
    """The operands in their common dtype and shape."""
    dtype = promote(*operands)
    try:
        shape = np.broadcast_shapes(*(o.shape for o in operands))
        if np.prod(shape, dtype=np.float64) > LARGEST:
            raise Invalid("too large")
    except ValueError as error:
        raise Invalid(str(error)) from None
    return [spread(_in(o, dtype), shape) for o in operands]


def _in(x: Bounded, dtype: str) -> Bounded:
    if x.weak and x.dtype == "int64" and dtype in INTEGERS:
        limits = np.iinfo(dtype)
        if not limits.min <= int(x.value) <= limits.max:
            raise Invalid(f"{x.value} does not fit {dtype}")
    return cast(x, dtype)


def spread(x: Bounded, shape: tuple[int, ...]) -> Bounded:
    """`x` broadcast to `shape`."""
    if x.shape == shape:
        return x
    value, error = np.broadcast_to(x.value, shape), np.broadcast_to(x.error, shape)
    return Bounded(value, error, x.dtype)


def moved(function: Any, *operands: Bounded) -> Bounded:
    """A function that only moves elements, applied to values and errors alike."""
    value = function(*(o.value for o in operands))
    error = function(*(o.error for o in operands))
    return Bounded(np.asarray(value), np.asarray(error), operands[0].dtype)
