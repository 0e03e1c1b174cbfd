"""erf: x (1 + p(x^2)) near 0, and sign(x) (1 - e^g(|x|)) beyond, where g = log erfc is a polynomial
whose error matters less and less as erfc falls."""

from __future__ import annotations

from dataclasses import dataclass

from weftc.ops.elementary.exponential import exp_parts
from weftc.ops.elementary.terms import Term, at_most, copysign, fma, horner, ldexp, select
from weftrt import dtypes


@dataclass(frozen=True)
class _Constants:
    border: float
    top: float
    """erf rounds to 1 above it."""
    near: tuple[float, ...]
    log_erfc: tuple[float, ...]


# p(z) = erf(x)/x - 1 for z = x^2 below border^2, relative errors of erf 2^-25 and 2^-55;
# log erfc on [border, top], weighted by erfc/erf, relative errors of erf 2^-29 and 2^-57.
_CONSTANTS = {
    dtypes.float32: _Constants(
        0.92,
        4.0,
        (
            0.128379151,
            -0.376124889,
            0.112817302,
            -0.0267629158,
            0.00498725241,
            -0.000595897087,
        ),
        (
            -0.000195713656,
            -1.12767541,
            -0.637182534,
            -0.103931323,
            0.0222267788,
            -0.0030431801,
            0.000195933244,
        ),
    ),
    dtypes.float64: _Constants(
        1.0,
        6.0,
        (
            0.12837916709551256,
            -0.37612638903183343,
            0.1128379167093694,
            -0.02686617064195554,
            0.005223977596685449,
            -0.0008548325481342869,
            0.00012055280341613208,
            -1.4924461596283052e-05,
            1.6444084956087703e-06,
            -1.6183347925998237e-07,
            1.3613221826822506e-08,
            -7.599873032803525e-10,
        ),
        (
            -5.028406530801646e-07,
            -1.128374089574169,
            -0.6366436276066062,
            -0.10270344095520612,
            0.018990181769968972,
            0.00041062365421868,
            -0.0019159387598531533,
            0.0007706394861266079,
            -0.00013504804778866902,
            -2.026778528889957e-05,
            2.2822929412187656e-05,
            -8.667290515597829e-06,
            2.1357060589399625e-06,
            -3.733076753175803e-07,
            4.642345825969483e-08,
            -3.934305913682782e-09,
            2.0449856940377132e-10,
            -4.928675881731613e-12,
        ),
    ),
}


def erf(x: Term) -> Term:
    """The error function."""
    k = _CONSTANTS[x.dtype]
    a = at_most(abs(x), k.top)
    n, v = exp_parts(horner(a, k.log_erfc))
    far = 1.0 - ldexp(v, n)
    near = fma(a, horner(a * a, k.near), a)
    return copysign(select(a < k.border, near, far), x)
