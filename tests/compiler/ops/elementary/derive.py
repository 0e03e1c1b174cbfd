"""How the polynomials of weftc.ops.elementary were found: minimax fits by Remez exchange.

`python tests/compiler/ops/elementary/derive.py` prints the coefficients and their errors, relative
to the function that each is a part of. Coefficients are rounded one by one, lowest power first,
and the rest fitted again (all of them in float32, the first three in float64).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

Real = Any
Function = Callable[[Real], Real]


def _nodes(low: Real, high: Real, count: int) -> list[Real]:
    angles = [mpmath.pi * (2 * i + 1) / (2 * count) for i in range(count)]
    return [(low + high) / 2 - (high - low) / 2 * mpmath.cos(a) for a in angles]


def _extrema(errors: list[Real], wanted: int) -> list[int]:
    """The places of the largest errors between changes of sign, `wanted` of them."""
    runs = [[0]]
    for place in range(1, len(errors)):
        if (errors[place] > 0) == (errors[runs[-1][-1]] > 0):
            runs[-1].append(place)
        else:
            runs.append([place])
    places = [max(run, key=lambda p: abs(errors[p])) for run in runs]
    while len(places) > wanted:
        places.pop(0 if abs(errors[places[0]]) < abs(errors[places[-1]]) else -1)
    return places


def remez(f: Function, weight: Function, powers: list[int], low: Real, high: Real) -> list[Real]:
    """The coefficients c that minimize the largest |weight(x) (f(x) - sum of c[i] x^powers[i])|."""
    unknowns = len(powers)
    x = _nodes(mpmath.mpf(low), mpmath.mpf(high), max(400, 40 * unknowns))
    values, weights = [f(v) for v in x], [weight(v) for v in x]
    chosen = [round(i * (len(x) - 1) / unknowns) for i in range(unknowns + 1)]
    for _ in range(30):
        system, right = mpmath.matrix(unknowns + 1), mpmath.matrix(unknowns + 1, 1)
        for row, place in enumerate(chosen):
            for column, power in enumerate(powers):
                system[row, column] = x[place] ** power
            system[row, unknowns] = (-1) ** row / weights[place]
            right[row] = values[place]
        found = list(mpmath.lu_solve(system, right))[:unknowns]
        errors = [
            w * (v - sum(c * p**power for c, power in zip(found, powers, strict=True)))
            for p, v, w in zip(x, values, weights, strict=True)
        ]
        places = _extrema(errors, unknowns + 1)
        if len(places) <= unknowns or places == chosen:
            break
        chosen = places
    return found


def fit(f: Function, weight: Function, degree: int, low: Real, high: Real, dtype: Any) -> None:
    """Print the coefficients of `dtype` and the largest weighted error."""
    done: list[Real] = []
    for power in range(degree + 1 if dtype is np.float32 else 3):
        fixed = list(done)
        rest = remez(
            lambda x, fixed=fixed: f(x) - mpmath.polyval(fixed[::-1] or [0], x),  # type: ignore[misc]
            weight,
            list(range(power, degree + 1)),
            low,
            high,
        )
        done.append(mpmath.mpf(float(dtype(float(rest[0])))))
    done += [mpmath.mpf(float(c)) for c in rest[1:]]
    points = _nodes(mpmath.mpf(low), mpmath.mpf(high), 1000)
    error = max(abs(weight(x) * (f(x) - mpmath.polyval(done[::-1], x))) for x in points)
    print(f"  degree {degree} {dtype.__name__}: error 2^{float(mpmath.log(error, 2)):.1f}")
    print("  ", ", ".join(repr(dtype(float(c)).item()) for c in done))


def _part(whole: Function, first: Function, power: int, root: bool) -> tuple[Function, Function]:
    """((whole - first) / x^power, the weight that makes its error relative to `whole`), functions
    of x, or of x^2 where `root`."""

    def argument(z: Real) -> Real:
        return mpmath.sqrt(z) if root else z

    def f(z: Real) -> Real:
        x = argument(z)
        return (whole(x) - first(x)) / x**power

    def weight(z: Real) -> Real:
        x = argument(z)
        return abs(x**power / whole(x))

    return f, weight


def main() -> None:
    """Every fit whose coefficients the definitions hold."""
    mpmath.mp.prec = 200
    r, s = mpmath.log(2) / 2, mpmath.sqrt(mpmath.mpf(1) / 2)
    octant, wide = (mpmath.pi / 4 * 1.0001) ** 2, (mpmath.pi / 2 * 0.5626) ** 2
    one_plus, itself = (lambda x: 1 + x), (lambda x: x)
    fits = {
        "exp": (mpmath.exp, one_plus, 2, False, -r, r, (4, 9)),
        "expm1": (mpmath.expm1, itself, 2, False, -r, r, (4, 10)),
        "log": (mpmath.log1p, itself, 2, False, s - 1, 2 * s - 1, (7, 18)),
        "sin": (mpmath.sin, itself, 3, True, 0, (wide, octant), (2, 5)),
        "cos": (mpmath.cos, lambda x: 1 - x * x / 2, 4, True, 0, (wide, octant), (2, 5)),
        "asin": (mpmath.asin, itself, 3, True, 0, 0.25, (4, 11)),
        "atan": (mpmath.atan, itself, 3, True, 0, 1, (7, 19)),
        "erf near 0": (mpmath.erf, itself, 1, True, 0, (0.93**2, 1), (5, 11)),
    }
    for name, (whole, first, power, root, low, high, degrees) in fits.items():
        print(name)
        f, weight = _part(whole, first, power, root)
        highs = high if isinstance(high, tuple) else (high, high)
        for dtype, degree, top in zip((np.float32, np.float64), degrees, highs, strict=True):
            fit(f, weight, degree, low, top, dtype)
    direct: list[tuple[str, Function, Function, int, Real, Real]] = [
        ("log erfc, weighted by erfc / erf", _log_erfc, _erfc_by_erf, 6, 0.92, 4),
        ("log erfc, weighted by erfc / erf", _log_erfc, _erfc_by_erf, 17, 1, 6),
        ("log2(1+f) / f", _log2_slope, lambda f: 1 / _log2_slope(f), 12, s - 1, 2 * s - 1),
        ("2^r", lambda r: mpmath.mpf(2) ** r, lambda r: mpmath.mpf(2) ** -r, 6, -0.5, 0.5),
        ("the tail of 2 log2(e) atanh s", _atanh_tail, _atanh_weight, 7, 0, 0.17158**2),
    ]
    for name, f, weight, degree, low, high in direct:
        print(name)
        print(
            "  ",
            ", ".join(map(repr, map(float, remez(f, weight, list(range(degree + 1)), low, high)))),
        )


def _log_erfc(x: Real) -> Real:
    return mpmath.log(mpmath.erfc(x))


def _erfc_by_erf(x: Real) -> Real:
    return mpmath.erfc(x) / mpmath.erf(x)


def _log2_slope(f: Real) -> Real:
    return mpmath.log1p(f) / f / mpmath.log(2)


def _atanh_tail(z: Real) -> Real:
    s = mpmath.sqrt(z)
    return (mpmath.atanh(s) - s - s**3 / 3) / s**5 * 2 / mpmath.log(2)


def _atanh_weight(z: Real) -> Real:
    s = mpmath.sqrt(z)
    return s**5 / mpmath.atanh(s)


if __name__ == "__main__":
    main()
