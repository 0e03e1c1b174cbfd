"""Exact values by mpmath, errors in units in the last place, and the sample points of the tests."""

from __future__ import annotations

from dataclasses import dataclass

import mpmath
import numpy as np

from weftc.ir.types import TensorType
from weftc.ops import get
from weftrt import dtypes

PRECISION = 130


def value(name, *arrays):
    """The op's own value, through its reference."""
    dtype = dtypes.from_numpy(arrays[0].dtype)
    return get(name).reference(arrays, {}, TensorType(dtype, arrays[0].shape))


@dataclass(frozen=True)
class Function:
    """How an op is sampled: `ranges` evenly, and the neighbourhood of every one of `points`."""

    exact: object
    ranges: tuple = ((-3, 3),)
    points: tuple = (0.5, 1.0, 2.0)


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def _log1p(x):
    return mpmath.log1p(x) if x > -1 else mpmath.nan


def _real(function, low=None, high=None):
    """`function` on low <= x <= high, NaN outside."""

    def exact(x):
        inside = (low is None or x >= low) and (high is None or x <= high)
        return function(x) if inside else mpmath.nan

    return exact


_HALF_PI = tuple(float(k * mpmath.pi / 2) for k in (1, 2, 3, 5, 22, 355, 52174, 2**20 + 1))
_WAVE = ((-10, 10), (-1e4, 1e4), (-0.01, 0.01))
_BORDERS = (88.7, -87.3, -103.9, 709.78, -708.4, -745.1)  # overflow, denormals, zero
_ROOT_HALF = 0.7071067811865476

FUNCTIONS = {
    "sqrt": Function(_real(mpmath.sqrt, 0), ((0, 4),)),
    "rsqrt": Function(_real(lambda x: 1 / mpmath.sqrt(x), 0), ((0, 4),)),
    "exp": Function(mpmath.exp, ((-1, 1), (-104, 89), (-746, 710)), _BORDERS),
    "expm1": Function(mpmath.expm1, ((-1, 1), (-40, 89), (-0.01, 0.01), (0, 710)), _BORDERS),
    "sigmoid": Function(_sigmoid, ((-10, 10), (-104, 40), (-746, 0)), _BORDERS),
    "log": Function(
        _real(mpmath.log, 0), ((0.5, 2), (0.99, 1.01), (0, 100)), (1.0, _ROOT_HALF, 2 * _ROOT_HALF)
    ),
    "log1p": Function(_log1p, ((-1, 1), (-0.01, 0.01), (0, 9)), (-_ROOT_HALF, 2**0.5 - 1, -0.2929)),
    "log2": Function(
        _real(lambda x: mpmath.log(x) / mpmath.log(2), 0),
        ((0.5, 2), (0.99, 1.01), (0, 100)),
        (1.0, _ROOT_HALF, 2 * _ROOT_HALF),
    ),
    "sin": Function(mpmath.sin, _WAVE, _HALF_PI),
    "cos": Function(mpmath.cos, _WAVE, _HALF_PI),
    "tan": Function(mpmath.tan, _WAVE, _HALF_PI),
    "asin": Function(_real(mpmath.asin, -1, 1), ((-1, 1), (0.45, 0.55), (0.99, 1)), (0.5, 1.0)),
    "acos": Function(_real(mpmath.acos, -1, 1), ((-1, 1), (0.45, 0.55), (0.99, 1)), (0.5, 1.0)),
    "atan": Function(mpmath.atan, ((-1, 1), (-10, 10)), (1.0,)),
    "sinh": Function(mpmath.sinh, ((-1, 1), (-89.5, 89.5), (-710.5, 710.5)), (89.41, 710.47)),
    "cosh": Function(mpmath.cosh, ((-1, 1), (-89.5, 89.5), (-710.5, 710.5)), (89.41, 710.47)),
    "tanh": Function(mpmath.tanh, ((-1, 1), (-10, 10), (-20, 20), (-0.01, 0.01)), (0.1733, 9.01)),
    "erf": Function(mpmath.erf, ((-1.1, 1.1), (-6, 6), (0.9, 1.05)), (0.92, 1.0, 3.92, 5.92)),
}


def points(function, dtype, count, seed=0):
    """Any bits (all exponents, denormals), the ranges, and the neighbours of the points."""
    rng = np.random.default_rng(seed)
    pieces = [rng.integers(0, 256, count * dtype().itemsize, dtype=np.uint8).view(dtype)]
    pieces += [rng.uniform(low, high, count).astype(dtype) for low, high in function.ranges]
    for point in function.points:
        near = np.asarray(point, dtype)
        offsets = rng.integers(-40, 41, max(count // 20, 10))
        whole = near.view(f"i{near.itemsize}") + offsets.astype(f"i{near.itemsize}")
        pieces += [whole.view(dtype), -whole.view(dtype)]
    tiny = np.finfo(dtype).smallest_subnormal
    pieces.append(rng.integers(-999, 999, max(count // 10, 10)).astype(dtype) * tiny)
    samples = np.concatenate(pieces)
    return samples[np.isfinite(samples)]


def ulp_errors(got, exact):
    """|got - exact| in units of the last place of the exact value, which counts as 2**emax (the
    next number after the largest) where it overflows."""
    info = np.finfo(got.dtype)
    bound = mpmath.mpf(2) ** int(info.maxexp)
    errors = []
    for result, wanted in zip(got.tolist(), exact, strict=True):
        if mpmath.isnan(wanted) or result != result:
            errors.append(0.0 if mpmath.isnan(wanted) and result != result else np.inf)
            continue
        wanted = min(max(wanted, -bound), bound)
        rounded = min(max(mpmath.mpf(result), -bound), bound)
        exponent = mpmath.frexp(wanted)[1] - 1 if wanted else int(info.minexp)
        unit = max(exponent, int(info.minexp)) - info.nmant
        errors.append(float(mpmath.ldexp(abs(rounded - wanted), -unit)))
    return np.array(errors)


def exact_values(function, *arrays):
    """`function` of every element, exact to far beyond float64, for arguments of any size."""
    results = []
    for numbers in zip(*(a.tolist() for a in arrays), strict=True):
        largest = max(int(np.frexp(n)[1]) for n in numbers)
        with mpmath.workprec(PRECISION + max(largest, 0)):
            value = function(*map(mpmath.mpf, numbers))
            results.append(mpmath.nan if isinstance(value, mpmath.mpc) else +value)
    return results


def worst(name, dtype, count):
    """(largest error in ULP, where)."""
    function = FUNCTIONS[name]
    x = points(function, dtype, count)
    errors = ulp_errors(value(name, x), exact_values(function.exact, x))
    place = int(np.argmax(errors))
    return errors[place], x[place].item()
