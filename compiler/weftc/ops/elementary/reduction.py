"""x modulo pi/2, for sin, cos and tan: the quadrant and the rest, for every finite x.

After Payne and Hanek (1983): of the product x * 2/pi only the bits around the binary point are
needed, so the high bits of 2/pi, which give multiples of 4, are left out where x is large.
"""

from __future__ import annotations

from fractions import Fraction

from weftc.ops.elementary.terms import Term, bits, cast, fma, select
from weftrt import dtypes

_BITS = 1216
_TWO_OVER_PI = Fraction(
    int(
        "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424d"
        "d2e006492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639"
        "835339f49c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f46"
        "3f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6bab",
        16,
    ),
    2**_BITS,
)
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


def reduce32(x: Term) -> tuple[Term, Term]:
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
    shifted = product + 1.5 * 2.0**52  # rounds to an integer, which ends up in the low bits
    rest = (product - (shifted - 1.5 * 2.0**52)) + fma(m, low, fma(m, high, -product))
    return cast(rest * _PI_OVER_2[0], dtypes.float32), cast(bits(shifted), dtypes.int32)
