"""Errors of the elementary functions against mpmath. `pytest -s` prints the table of maxima.

The limits are those of docs/elementary.md; the contract is 4 ULP.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from tests.compiler.ops.elementary import oracle

LIMITS = {
    "sqrt": 0.5,
    "rsqrt": 1.5,
    "exp": 0.9,
    "expm1": 1.9,
    "sigmoid": 2.4,
    "log": 1.3,
    "log1p": 1.9,
    "log2": 1.7,
    "sin": 2.7,
    "cos": 2.7,
    "tan": 3.7,
    "asin": 2.2,
    "acos": 1.4,
    "atan": 1.6,
    "sinh": 2.6,
    "cosh": 1.5,
    "tanh": 3.0,
    "erf": 1.4,
}
DTYPES = [np.float32, np.float64]


def test_every_function_has_a_limit():
    assert set(LIMITS) == set(oracle.FUNCTIONS) and max(LIMITS.values()) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", oracle.FUNCTIONS)
def test_error_is_within_the_limit(name, dtype):
    error, where = oracle.worst(name, dtype, 400)
    print(f"\n{name} {dtype.__name__}: {error:.3f} ULP at {where!r}", end="")
    assert error <= LIMITS[name], where


def _atan2_samples(rng, dtype, count):
    pieces = [rng.integers(0, 256, (2, count * dtype().itemsize), dtype=np.uint8).view(dtype)]
    pieces.append(rng.uniform(-3, 3, (2, count)).astype(dtype))
    pieces.append(np.exp2(rng.uniform(-140, 120, (2, count))).astype(dtype))
    return pieces


def _pow_samples(rng, dtype, count):
    """Any bits; results over the whole range of exponents; bases near 1 with large exponents."""
    top = float(np.finfo(dtype).maxexp)
    pieces = [rng.integers(0, 256, (2, count * dtype().itemsize), dtype=np.uint8).view(dtype)]
    for base in (
        np.exp2(rng.uniform(-top, top, count)),
        rng.uniform(0, 10, count),
        1 + rng.normal(0, 1, count) * 2.0 ** -rng.uniform(0, 20, count),
    ):
        base = np.abs(base).astype(dtype)
        exponent = rng.uniform(-top - 30, top + 4, count) / np.log2(base.astype(np.float64))
        pieces.append(np.stack([base, exponent.astype(dtype)]))
        pieces.append(np.stack([-base, rng.choice([-9, -5, -2, 9, 11], count).astype(dtype)]))
    return pieces


def _small_powers(rng, dtype, count):
    """The exponents that mean multiplications, a root or a division, of bases of both signs."""
    exponents = rng.choice([1, 2, 3, 4, 5, 6, 7, 8, -1, 0.5, -0.5], 4 * count)
    base = np.exp2(rng.uniform(-9, 9, exponents.size))
    base = np.where((exponents % 1 == 0) & (rng.random(exponents.size) < 0.5), -base, base)
    return [np.stack([base, exponents]).astype(dtype)]


def _power(x, y):
    with mpmath.extraprec(1100):
        if x < 0 and y != mpmath.floor(y):
            return mpmath.nan
        sign = -1 if x < 0 and y % 2 == 1 else 1
        log = y * mpmath.log(abs(x)) if x else mpmath.mpf(0)
        return sign * mpmath.exp(min(max(log, -2000), 2000))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name, samples, exact, limit",
    [
        ("atan2", _atan2_samples, mpmath.atan2, 1.8),
        ("pow", _pow_samples, _power, 1.1),
        ("pow", _small_powers, _power, 3.5),
    ],
)
def test_error_of_two_operands(name, samples, exact, limit, dtype):
    with np.errstate(all="ignore"):
        x, y = np.concatenate(samples(np.random.default_rng(2), dtype, 200), axis=1)
    usable = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    x, y = x[usable], y[usable]
    errors = oracle.ulp_errors(oracle.value(name, x, y), oracle.exact_values(exact, x, y))
    place = int(np.argmax(errors))
    print(f"\n{name} {dtype.__name__}: {errors[place]:.3f} ULP", end="")
    assert errors[place] <= limit, (x[place], y[place])


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_near_multiples_of_half_pi_at_every_exponent(name):
    """The float64 nearest to a random multiple of pi/2, and the hardest one known."""
    rng = np.random.default_rng(8)
    with mpmath.workprec(1200):
        multiples = [mpmath.mpf(int(rng.integers(1, 2**53))) for _ in range(1024)]
        wholes = [mpmath.floor(mpmath.ldexp(m, e - 53)) for e, m in enumerate(multiples)]
        numbers = [float(k * mpmath.pi / 2) for k in wholes if k]
    x = np.array([*numbers, 6381956970095103 * 2.0**797, *(2.0 ** np.arange(-30, 1024))])
    errors = oracle.ulp_errors(
        oracle.value(name, x), oracle.exact_values(oracle.FUNCTIONS[name].exact, x)
    )
    assert np.max(errors) <= LIMITS[name], x[np.argmax(errors)]


def test_float32_waves_at_every_exponent():
    x = np.array([2.0**e * m for e in range(-30, 128) for m in (1, 1.25, 1.7, 1.9999999)], "f4")
    for name in ("sin", "cos", "tan"):
        errors = oracle.ulp_errors(
            oracle.value(name, x), oracle.exact_values(oracle.FUNCTIONS[name].exact, x)
        )
        assert np.max(errors) <= LIMITS[name], (name, x[np.argmax(errors)])
