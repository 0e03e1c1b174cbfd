"""Powers of matrices, and their exponential."""

from __future__ import annotations

import math
from typing import Any

from weft.control import cond
from weft.linalg.matrices import identity, matrices
from weft.linalg.systems import inverse, solve
from weft.loops import fori_loop
from weft.ops import core, elementwise, reductions
from weft.ops.core import operation
from weft.ops.linear_algebra import matmul
from weft.promotion import as_float, as_strong
from weft.tracing import apply, lift
from weftrt import dtypes
from weftrt.errors import UsageError

SQUARINGS = 24
"""Most squarings of expm: of matrices with larger norms it is NaN."""


@operation("n")
def matrix_power(x: Any, n: int, /) -> Any:
    """Each square matrix times itself, n times in all, by squaring; the power of its inverse if n
    is negative, the identity if it is 0. LinAlgError where an inverse does not exist."""
    value = matrices("matrix_power", as_strong(lift(x)), real=False)
    count = core.integer("matrix_power", "the exponent", n, UsageError)
    if count < 0:
        value, count = inverse(matrices("matrix_power", as_float(value))), -count
    if count == 0:
        return identity(value)
    result: Any = None
    while count:
        if count & 1:
            result = value if result is None else matmul(result, value)
        count >>= 1
        value = matmul(value, value) if count else value
    return apply("identity", result)


@operation()
def expm(x: Any, /) -> Any:
    """The exponential of each square matrix: a rational function of x / 2^s, squared s times (N.
    Higham, The scaling and squaring method for the matrix exponential revisited, 2005). NaN where
    its 1-norm is not finite or above 6e7."""
    value: Any = matrices("expm", as_float(lift(x)))
    degree = 13 if value.dtype is dtypes.float64 else 7
    squarings = _squarings(value, _RADII[degree])
    result = _rational(elementwise.multiply(value, elementwise.pow(2.0, -squarings)), degree)

    def turn(number: Any, result: Any) -> Any:
        more = elementwise.less(number, squarings)
        square = lambda y: elementwise.where(more, matmul(y, y), y)  # noqa: E731
        return cond(reductions.any(more), square, lambda y: y, result)

    result = fori_loop(0, SQUARINGS, turn, result)
    return elementwise.where(elementwise.less_equal(squarings, SQUARINGS), result, math.nan)


def _squarings(x: Any, radius: float) -> Any:
    """How often each matrix is halved for its 1-norm to be at most the radius, as floats."""
    sums = reductions.sum(elementwise.abs(apply("stop_gradient", x)), -2, keepdims=True)
    norm = reductions.reduce("max", "max", sums, -1, True, or_lowest=True)
    halvings = elementwise.ceil(elementwise.log2(elementwise.divide(norm, radius)))
    return elementwise.maximum(halvings, 0.0)


def _rational(x: Any, degree: int) -> Any:
    """The Padé approximant of exp: (V + U) / (V - U), where U has the odd powers, V the even."""
    b, one = _COEFFICIENTS[degree], identity(x)
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    odd = b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one
    even = b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    if degree == 13:
        odd = x6 @ (b[13] * x6 + b[11] * x4 + b[9] * x2) + odd
        even = x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2) + even
    odd = x @ odd
    return solve(even - odd, even + odd)


_RADII = {7: 3.925724783138660, 13: 5.371920351148152}
"""Up to which 1-norm an approximant of a degree is exact, to float32 and to float64 (Higham 2005,
table 2.3)."""


def _coefficients(degree: int) -> tuple[float, ...]:
    """Those of the numerator, times what makes all of them integers."""
    return tuple(
        float(math.factorial(2 * degree - k) // (math.factorial(degree - k) * math.factorial(k)))
        for k in range(degree + 1)
    )


_COEFFICIENTS = {degree: _coefficients(degree) for degree in _RADII}
