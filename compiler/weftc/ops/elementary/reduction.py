"""x modulo pi/2, for sin, cos and tan: the quadrant and the rest, for every finite x.

After Payne and Hanek (1983): of the product x * 2/pi only the bits around the binary point are
needed, so the high bits of 2/pi, which give multiples of 4, are left out where x is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from weftc.ops.elementary.terms import (
    Pair,
    Term,
    bits,
    cast,
    fast_two_sum,
    fma,
    rint,
    select,
    two_product,
    two_sum,
)
from weftrt import dtypes

_TWO_OVER_PI = Fraction(
    int(
        "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e0"
        "06492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f4"
        "9c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d"
        "7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6babf0cfbc209af4361d",
        16,
    ),
    2**1280,
)
_ROUNDER = 1.5 * 2.0**52
_PI_OVER_2 = (1.5707963267948966, 6.123233995736766e-17)


def _window(shift: int) -> tuple[float, float]:
    """2**shift * 2/pi modulo 4, near 0, as a sum of two float64."""
    turns = (_TWO_OVER_PI * 2**shift) % 4
    turns -= 4 if turns > 2 else 0
    high = float(turns)
    return high, float(turns - Fraction(high))


# From |x| >= 2**50 on, x is taken as an integer times 2**shift, so that 2**shift * 2/pi can be
# reduced modulo 4 beforehand: (lowest |x|, shift). The integer stays below 2**49.
_RANGES = ((2.0**50, 27), (2.0**76, 53), (2.0**102, 79))


def reduce32(x: Term) -> Pair:
    """(r, q) with |x| = (q + 4 k) pi/2 + r and |r| <= 0.884, k an integer: r float32, rounded from
    float64, and q int32 of which the two low bits count. The quadrant is rounded from a product
    below 2**50, known to 1/16: hence |r| up to 9/16 pi/2."""
    a = abs(x)
    high, low = (cast(a, dtypes.float64).like(part) for part in _window(0))
    scale = a.like(1.0)
    for bound, shift in _RANGES:
        beyond = a >= bound
        window = _window(shift)
        high, low = select(beyond, window[0], high), select(beyond, window[1], low)
        scale = select(beyond, a.like(2.0**-shift), scale)
    m = cast(a * scale, dtypes.float64)
    product = m * high
    shifted = product + _ROUNDER  # rounds to an integer, which ends up in the low bits
    rest = (product - (shifted - _ROUNDER)) + fma(m, low, fma(m, high, -product))
    return cast(rest * _PI_OVER_2[0], dtypes.float32), cast(bits(shifted), dtypes.int32)


# ---------------------------------------------------------------------------------------------
# float64
# ---------------------------------------------------------------------------------------------


_DIGIT = 53
"""Bits of a digit of 2/pi."""


def _digits() -> tuple[float, ...]:
    """2/pi as the sum of digits[j] * 2**-(52 + 53 j), balanced: |digit| <= 2**52."""
    found = []
    rest = _TWO_OVER_PI * 2 ** (_DIGIT - 1)
    for _ in range(23):
        digit = round(rest)
        found.append(float(digit))
        rest = (rest - digit) * 2**_DIGIT
    return tuple(found)


def _digits_for(a: Term) -> tuple[Term, list[Term]]:
    """(a', d) with a' < 2**106 such that a' * (d[0] 2**-52 + d[1] 2**-105 + ...) is a * 2/pi modulo
    4. From |a| = 2**(53 + 53 k) on, the first k digits give multiples of 4 and are dropped; k is
    found bit by bit, as in a barrel shifter."""
    window = [a.like(d) for d in _digits()]
    for step in (16, 8, 4, 2, 1):
        beyond = a >= 2.0 ** (53 + _DIGIT * step)
        a = select(beyond, a * 2.0 ** (-_DIGIT * step), a)
        window = [
            select(beyond, window[i + step], window[i]) if i + step < len(window) else window[i]
            for i in range(4 + step)
        ]
    return a, window


def _parts(a: Term, window: Sequence[Term]) -> list[Term]:
    """a times the number that the digits stand for, as a sum of five numbers. No bit is lost before
    the last: the rounding error of a product and that of the sum with the next fit one float64."""
    products = [
        two_product(a * 2.0 ** (1 - _DIGIT * (i + 1)), digit) for i, digit in enumerate(window)
    ]
    first, carry = products[0]
    parts = [first]
    for high, low in products[1:]:
        part, error = two_sum(high, carry)
        parts.append(part)
        carry = low + error
    return parts


def _whole_and_rest(x: Term) -> Pair:
    whole = rint(x)
    return whole, x - whole


def _modulo_4(x: Term) -> Term:
    return fma(rint(x * 0.25), -4.0, x)


def reduce64(x: Term) -> Pair:
    """(r, q) with |x| = (q + 4 k) pi/2 + r and |r| <= pi/4, k an integer; q is int64 of which the
    two low bits count. For |x| >= 2**-500: below, r loses digits.

    Each part of the product lies below the last places of the one before. Integers are taken away
    part by part and rounding errors kept, for x may lie within 2**-60 of a multiple of pi/2 and r
    still needs 53 bits.
    """
    a, window = _digits_for(abs(x))
    parts = _parts(a, window)
    q0, rest = _whole_and_rest(_modulo_4(parts[0]))
    high, error1 = two_sum(rest, _modulo_4(parts[1]))
    q1, rest = _whole_and_rest(high)
    high, error2 = two_sum(rest, parts[2])
    q2, rest = _whole_and_rest(high)
    high, error3 = two_sum(rest, parts[3])
    errors, error4 = two_sum(error1, error2)
    high, error5 = two_sum(high, errors)
    high, low = fast_two_sum(high, error5 + (error3 + (error4 + parts[4])))
    r = fma(high, _PI_OVER_2[0], fma(high, _PI_OVER_2[1], low * _PI_OVER_2[0]))
    return r, bits(q0 + q1 + q2 + _ROUNDER)
