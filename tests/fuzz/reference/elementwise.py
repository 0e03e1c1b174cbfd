"""Elementwise functions on bounded values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.fuzz.reference.values import (
    FLOATS,
    INTEGERS,
    Array,
    Bounded,
    Invalid,
    as_float,
    bounded,
    cast,
    discrete,
    meet,
    promote,
    rounded,
    spread,
)

ELEMENTARY_ULPS = 10.0
"""Roundings allowed for an elementary function: 4 ULP are promised, and NumPy has its own."""


def _numbers(*operands: Bounded) -> list[Bounded]:
    met = meet(*operands)
    if met[0].dtype == "bool":
        raise Invalid("bools have no arithmetic")
    return met


def floats(*operands: Bounded) -> list[Bounded]:
    """The operands in their common float dtype and shape."""
    dtype = promote(*operands)
    dtype = dtype if dtype in FLOATS else "float32"
    return meet(*(cast(o, dtype) for o in operands))


def _propagated(error: Array, *operands: Bounded) -> Array:
    """`error`, where it is a number; exact operands propagate none."""
    exact = np.logical_and.reduce([o.exact for o in operands])
    return np.where(exact, 0.0, np.where(np.isnan(error), np.inf, error))


def _known(*operands: Bounded) -> Array:
    return np.logical_and.reduce([o.exact for o in operands])


def _arithmetic(
    function: Callable[..., Array], error: Callable[[Bounded, Bounded], Array]
) -> Callable[[Bounded, Bounded], Bounded]:
    def apply(x: Bounded, y: Bounded) -> Bounded:
        a, b = _numbers(x, y)
        value = function(a.value, b.value)
        if not a.is_float:
            return discrete(value, _known(a, b), a.dtype)
        return rounded(value, _propagated(error(a, b), a, b), a.dtype)

    return apply


add = _arithmetic(np.add, lambda a, b: a.error + b.error)
subtract = _arithmetic(np.subtract, lambda a, b: a.error + b.error)
multiply = _arithmetic(
    np.multiply,
    lambda a, b: np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error,
)


def larger(a: Array, b: Array) -> Array:
    """np.maximum, but the larger of -0.0 and 0.0 is 0.0, of which NumPy gives either."""
    return np.where((a == 0) & (b == 0), a + b, np.maximum(a, b))


def smaller(a: Array, b: Array) -> Array:
    """np.minimum, but the smaller of -0.0 and 0.0 is -0.0."""
    return np.where((a == 0) & (b == 0), -((-a) + (-b)), np.minimum(a, b))


maximum = _arithmetic(larger, lambda a, b: np.maximum(a.error, b.error))
minimum = _arithmetic(smaller, lambda a, b: np.maximum(a.error, b.error))


def divide(x: Bounded, y: Bounded) -> Bounded:
    a, b = floats(x, y)
    value = a.value / b.value
    gap = np.abs(b.value) - b.error
    error = np.where(gap > 0, (a.error + np.abs(value) * b.error) / gap, np.inf)
    return rounded(value, _propagated(error, a, b), a.dtype)


def floor_divide(x: Bounded, y: Bounded) -> Bounded:
    a, b = _numbers(x, y)
    if not a.is_float:
        return discrete(np.floor_divide(a.value, b.value), _known(a, b), a.dtype)
    value = np.floor_divide(a.value, b.value)
    moderate = np.isfinite(value) & (np.abs(value) < 2**20) & (b.value != 0)
    return bounded(value, np.where(_known(a, b) & moderate, 0.0, np.inf), a.dtype, 2)


def remainder(x: Bounded, y: Bounded) -> Bounded:
    a, b = _numbers(x, y)
    value = np.remainder(a.value, b.value)
    if not a.is_float:
        return discrete(value, _known(a, b), a.dtype)
    moderate = np.abs(a.value / b.value) < 2**20
    # A tiny operand of the other sign may round up to b itself: allow one rounding of b.
    error = np.where(_known(a, b) & moderate, np.spacing(np.abs(b.value).astype(a.dtype)), np.inf)
    return bounded(value, error.astype("float64"), a.dtype, 2)


def atan2(x: Bounded, y: Bounded) -> Bounded:
    a, b = floats(x, y)
    error, radius = a.error + b.error, np.hypot(a.value, b.value)
    smooth = (radius > 2 * error) & ~((b.value - b.error <= 0) & (np.abs(a.value) <= a.error))
    error = np.where(smooth, 2 * error / radius, np.inf)
    return bounded(np.arctan2(a.value, b.value), _propagated(error, a, b), a.dtype, ELEMENTARY_ULPS)


def pow(x: Bounded, y: Bounded) -> Bounded:
    a, b = _numbers(x, y)
    if not a.is_float:
        if (b.value < 0).any() or (y.weak and (y.value < 0).any()):
            raise Invalid("integers have no negative powers")
        return discrete(np.power(a.value, b.value), _known(a, b), a.dtype)
    value = np.float_power(
        a.value, b.value
    )  # np.power takes roots of -0.0 and -inf otherwise than C
    corners = [
        np.float_power(np.maximum(a.value + i * a.error, 0), b.value + j * b.error)
        for i in (-1, 1)
        for j in (-1, 1)
    ]
    error = np.max([np.abs(c - value) for c in corners], axis=0)
    error = np.where(a.value - a.error > 0, error, np.inf)
    return bounded(value, _propagated(error, a, b), a.dtype, ELEMENTARY_ULPS)


def literal_power(x: Bounded, exponent: float) -> Bounded:
    """x ** exponent, with the error of how it is written out: by multiplications or a division."""
    x = cast(x, promote(x, _literal(exponent)))
    if x.dtype == "bool" or (not x.is_float and exponent < 0):
        raise Invalid("no such power")
    if exponent == -1:
        return reciprocal(x)
    if exponent not in range(9):
        return pow(x, _literal(exponent))
    number = int(exponent)
    if not x.is_float:
        return discrete(x.value**number, x.exact, x.dtype)
    if number == 0:
        return Bounded(np.ones(x.shape), np.zeros(x.shape), x.dtype)
    slope = number * (np.abs(x.value) + x.error) ** (number - 1)
    return bounded(x.value**number, _propagated(slope * x.error, x), x.dtype, 8)


def _literal(value: float) -> Bounded:
    dtype = "int64" if isinstance(value, int) else "float64"
    return Bounded(np.asarray(value, dtype), np.zeros(()), dtype, weak=True)


# -- functions of one operand -------------------------------------------------------------------

Ends = Callable[[Array], Array]


def monotone(function: Ends, low: float = -np.inf, high: float = np.inf) -> Any:
    """A function of floats that is monotone over (low, high): its values at the ends of the
    operand's interval bound the error."""

    def apply(x: Bounded) -> Bounded:
        x = as_float(x)
        value = function(x.value)
        ends = [function(x.value + sign * x.error) for sign in (-1, 1)]
        error = np.max([np.abs(end - value) for end in ends], axis=0)
        inside = (x.value - x.error > low) & (x.value + x.error < high)
        error = np.where(inside, error * 1.001, np.inf)
        return bounded(value, _propagated(error, x), x.dtype, ELEMENTARY_ULPS)

    return apply


def _by_slope(function: Ends, slope: Callable[[Array], Array]) -> Any:
    """A function of floats whose slope over [|x| - e, |x| + e] is at most slope(|x| + e)."""

    def apply(x: Bounded) -> Bounded:
        x = as_float(x)
        error = slope(np.abs(x.value) + x.error) * x.error
        return bounded(function(x.value), _propagated(error, x), x.dtype, ELEMENTARY_ULPS)

    return apply


def _sigmoid(x: Array) -> Array:
    return np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x)))


_erf = np.vectorize(math.erf, otypes=["float64"])

exp = monotone(np.exp)
expm1 = monotone(np.expm1)
log = monotone(np.log, 0)
log1p = monotone(np.log1p, -1)
log2 = monotone(np.log2, 0)
rsqrt = monotone(lambda x: 1 / np.sqrt(x), 0)
asin = monotone(np.arcsin, -1, 1)
acos = monotone(np.arccos, -1, 1)
atan = monotone(np.arctan)
sinh = monotone(np.sinh)
tanh = monotone(np.tanh)
sigmoid = monotone(_sigmoid)
erf = monotone(lambda x: _erf(x) if x.size else x)
sin = _by_slope(np.sin, np.ones_like)
cos = _by_slope(np.cos, np.ones_like)
cosh = _by_slope(np.cosh, np.sinh)
tan = _by_slope(np.tan, lambda x: np.where(x < 1.5, 1 + np.tan(np.minimum(x, 1.5)) ** 2, np.inf))


def sqrt(x: Bounded) -> Bounded:
    x = as_float(x)
    value = np.sqrt(x.value)
    low = np.sqrt(np.maximum(x.value - x.error, 0))
    error = np.where(x.value - x.error > 0, (value - low) * 1.001, np.inf)
    return rounded(value, _propagated(error, x), x.dtype)


def _keeps(function: Ends) -> Any:
    """A function that keeps the dtype and never enlarges an error."""

    def apply(x: Bounded) -> Bounded:
        if x.dtype == "bool":
            raise Invalid("bools have no arithmetic")
        return Bounded(function(x.value), x.error, x.dtype)

    return apply


abs = _keeps(np.abs)
negative = _keeps(np.negative)


def positive(x: Bounded) -> Bounded:
    return x


def square(x: Bounded) -> Bounded:
    return multiply(x, x)


def reciprocal(x: Bounded) -> Bounded:
    x = as_float(x)
    return divide(Bounded(np.ones(x.shape), np.zeros(x.shape), x.dtype), x)


def sign(x: Bounded) -> Bounded:
    if x.dtype == "bool":
        raise Invalid("bools have no sign")
    known = x.exact | (np.abs(x.value) > x.error)
    return Bounded(np.sign(x.value), np.where(known, 0.0, np.inf), x.dtype)


def _rounding(function: Ends) -> Any:
    def apply(x: Bounded) -> Bounded:
        if not x.is_float:
            return x
        ends = [function(x.value + sign * x.error) for sign in (-1, 1)]
        error = np.where(x.exact, 0.0, np.where(ends[0] == ends[1], 0.0, np.inf))
        return Bounded(function(x.value), error, x.dtype)

    return apply


floor, ceil, trunc, round = map(_rounding, (np.floor, np.ceil, np.trunc, np.round))


def _float_test(function: Callable[[Array], Array]) -> Any:
    return lambda x: discrete(function(x.value), x.known, "bool")


isnan, isinf, isfinite = map(_float_test, (np.isnan, np.isinf, np.isfinite))


# -- comparison, logic, bits, choice ------------------------------------------------------------


def _comparison(function: Callable[..., Array], numbers: bool = True) -> Any:
    def apply(x: Bounded, y: Bounded) -> Bounded:
        a, b = _numbers(x, y) if numbers else meet(x, y)
        known = _known(a, b)
        if a.is_float:
            known |= np.abs(a.value - b.value) > a.error + b.error
        return discrete(function(a.value, b.value), known, "bool")

    return apply


equal = _comparison(np.equal, numbers=False)
not_equal = _comparison(np.not_equal, numbers=False)
less, less_equal, greater, greater_equal = map(
    _comparison, (np.less, np.less_equal, np.greater, np.greater_equal)
)


def _logical(function: Callable[..., Array]) -> Any:
    def apply(x: Bounded, y: Bounded) -> Bounded:
        a, b = meet(cast(x, "bool"), cast(y, "bool"))
        return discrete(function(a.value, b.value), _known(a, b), "bool")

    return apply


logical_and, logical_or, logical_xor = map(
    _logical, (np.logical_and, np.logical_or, np.logical_xor)
)


def logical_not(x: Bounded) -> Bounded:
    x = cast(x, "bool")
    return discrete(~x.value, x.exact, "bool")


def _bits(function: Callable[..., Array], bools: bool = True) -> Any:
    def apply(x: Bounded, y: Bounded) -> Bounded:
        a, b = meet(x, y)
        if a.dtype not in INTEGERS and not (bools and a.dtype == "bool"):
            raise Invalid(f"{a.dtype} has no bits")
        return discrete(function(a.value, b.value), _known(a, b), a.dtype)

    return apply


bitwise_and, bitwise_or, bitwise_xor = map(_bits, (np.bitwise_and, np.bitwise_or, np.bitwise_xor))
bitwise_left_shift = _bits(np.left_shift, bools=False)
bitwise_right_shift = _bits(np.right_shift, bools=False)


def bitwise_invert(x: Bounded) -> Bounded:
    if x.is_float:
        raise Invalid("floats have no bits")
    return discrete(~x.value, x.exact, x.dtype)


def where(test: Bounded, x: Bounded, y: Bounded) -> Bounded:
    chosen = cast(test, "bool")
    a, b = meet(x, y)
    try:
        shape = np.broadcast_shapes(chosen.shape, a.shape)
    except ValueError as error:
        raise Invalid(str(error)) from None
    chosen, a, b = (spread(o, shape) for o in (chosen, a, b))
    error = np.where(chosen.exact, np.where(chosen.value, a.error, b.error), np.inf)
    return Bounded(np.where(chosen.value, a.value, b.value), error, a.dtype)


def clip(x: Bounded, low: Bounded | None, high: Bounded | None) -> Bounded:
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)
