"""Python integers at the edges of dtypes: exact comparisons, refused arithmetic, rounded floats.

Every case runs three ways, which must agree: outside a trace, compiled with the integer as an
argument, and compiled with it as a literal.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf

INTEGERS = [0, 1, -1, 5, 127, 128, 200, 255, 256, -56, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1]
INTEGERS += [
    2**32 - 1,
    2**32,
    2**40,
    2**63 - 1,
    2**63,
    -(2**63),
    2**64 - 1,
    2**64,
    2**100,
    -(2**90),
]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
INTEGER_DTYPES = ["u1", "u4", "u8", "i4", "i8"]


def three_ways(function: Callable[[Any, int], Any], x: Any, n: int) -> list[Callable[[], Any]]:
    return [
        lambda: function(wf.asarray(x), n),
        lambda: wf.jit(function)(x, n),
        lambda: wf.jit(lambda x: function(x, n))(x),
    ]


def elements(dtype: str) -> Any:
    limits = np.iinfo(dtype)
    return np.array([limits.min, 0, 1, 5, 127, limits.max - 1, limits.max], dtype)


@pytest.mark.parametrize("dtype", INTEGER_DTYPES)
@pytest.mark.parametrize("compare", COMPARISONS, ids=lambda f: f.__name__)
def test_comparisons_are_exact(dtype: str, compare: Any) -> None:
    x = elements(dtype)
    eager, compiled = wf.asarray(x), wf.jit(lambda x, n: (compare(x, n), compare(n, x)))
    for n in INTEGERS:
        wanted = [compare(int(e), n) for e in x], [compare(n, int(e)) for e in x]
        literal = wf.jit(lambda x, n=n: (compare(x, n), compare(n, x)))
        for found in ((compare(eager, n), compare(n, eager)), compiled(x, n), literal(x)):
            assert [r.tolist() for r in found] == list(wanted), n
            assert all(r.dtype is wf.bool for r in found)


@pytest.mark.parametrize("dtype", INTEGER_DTYPES)
def test_arithmetic_holds_or_is_refused(dtype: str) -> None:
    x = np.array([1, 2, 3], dtype)
    limits = np.iinfo(dtype)
    for n in INTEGERS:
        for run in three_ways(lambda x, n: wf.where(x > 1, x, n), x, n):
            if limits.min <= n <= limits.max:
                assert_same_bits(np.asarray(run()), np.array([n, 2, 3], dtype))
            else:
                with pytest.raises(OverflowError, match=f"{n} does not fit {x.dtype.name}"):
                    run()


@pytest.mark.parametrize(
    "function",
    [
        lambda x, n: x + n, lambda x, n: n - x, lambda x, n: x * n, lambda x, n: x // n,
        lambda x, n: x & n, lambda x, n: wf.clip(x, 0, n), lambda x, n: wf.maximum(x, n),
        lambda x, n: wf.full_like(x, n), lambda x, n: wf.pad(x, 1, constant_values=n),
    ],
)  # fmt: skip
def test_what_takes_a_number_refuses_one_outside_and_names_the_line(function: Any) -> None:
    x = np.array([1, 2], "u1")
    for run in three_ways(function, x, 300):
        with pytest.raises(wf.errors.RangeError, match=r"test_numbers\.py:\d+.*\n.*300 .* uint8"):
            run()


def test_one_compile_for_integers_of_one_side() -> None:
    add = wf.jit(lambda x, n: x + n)
    below = wf.jit(lambda x, n: x < n)
    x = np.array([1, 2], "u1")
    for n in (1, 2, 255):
        assert add(x, n).tolist() == [(1 + n) % 256, (2 + n) % 256]
    for n in (256, 300, 2**40, 2**63 - 1):
        assert below(x, n).tolist() == [True, True]
        with pytest.raises(OverflowError):
            add(x, n)
    assert below(x, 2).tolist() == [True, False] and below(x, -5).tolist() == [False, False]
    assert len(add.cache_report()) == 1 and len(below.cache_report()) == 3
    assert "n is 2, not from 256 to" in below.cache_report()[1].reason


@pytest.mark.parametrize(
    "n",
    [2**24 + 1, 2**62 + 2**38, 2**62 + 2**38 + 1, 2**100 + 2**76, 2**100 + 2**76 + 1,
     -(2**100) - 2**76 - 1, 2**127, 2**200, -(2**2000)],
)  # fmt: skip
def test_floats_take_any_integer_rounded_once(n: int) -> None:
    for dtype, digits in (("f4", 24), ("f8", 53)):
        shift = max(abs(n).bit_length() - digits, 0)
        whole, rest = divmod(abs(n), 1 << shift)
        half = (1 << shift) >> 1
        whole += rest > half or (rest == half and shift > 0 and whole % 2)
        big = whole << shift > int(np.finfo(dtype).max)
        wanted = np.array([np.inf if big else float(whole << shift)], dtype) * np.sign(n)
        for run in three_ways(lambda x, n: x * n, np.ones(1, dtype), n):
            assert_same_bits(np.asarray(run()), wanted.astype(dtype))


def test_integers_beyond_int64_anywhere_in_the_arguments() -> None:
    f = wf.jit(lambda tree: tree["x"] + tree["n"][0])
    zero = np.zeros(1, "u8")
    for n in (2**63, 2**64 - 1, 7, np.uint64(2**63 + 5)):
        assert f({"x": zero, "n": [n]}).tolist() == [int(n)]
    with pytest.raises(OverflowError, match="does not fit uint64"):
        f({"x": zero, "n": [2**64]})
    assert f({"x": np.ones(1, "f4"), "n": [2**64]}).tolist() == [2.0**64]


BIG = 2**63 + 1


def test_closed_over_integers() -> None:
    f = wf.jit(lambda x: x + BIG)
    assert f(np.zeros(1, "u8")).tolist() == [BIG]
    with pytest.raises(OverflowError, match="does not fit int64"):
        f(np.zeros(1, "i8"))
    with pytest.raises(OverflowError, match="does not fit int64"):
        wf.jit(lambda n: n + BIG)(1)
    assert wf.jit(lambda n: wf.where(n < BIG, 1, 0))(1) == 1


@pytest.mark.parametrize("dtype", INTEGER_DTYPES)
@pytest.mark.parametrize("compare", COMPARISONS, ids=lambda f: f.__name__)
def test_comparisons_with_computed_integers_are_exact(dtype: str, compare: Any) -> None:
    x = elements(dtype)
    f = wf.jit(lambda x, n: (compare(x, n - 1), compare(n - 1, x)))
    for n in (0, 1, 6, 256, 257, 2**31 + 1, -(2**31), 2**62, -(2**62)):
        wanted = [compare(int(e), n - 1) for e in x], [compare(n - 1, int(e)) for e in x]
        assert [r.tolist() for r in f(x, n)] == list(wanted), n
