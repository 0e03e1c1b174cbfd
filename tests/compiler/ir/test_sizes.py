"""Symbolic sizes: normal form, arithmetic and functions against concrete evaluation."""

from __future__ import annotations

from itertools import product as pairs
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weftc.ir.size_functions import (
    ceil_div,
    exact_quotient,
    floor_div,
    maximum,
    minimum,
    mod,
    substitute,
    upper_bound,
)
from weftc.ir.size_order import never_negative
from weftc.ir.sizes import Dim, Size, lone_symbol, product, static_shape, value_of
from weftrt.errors import ShapeError
from weftrt.sizes import floor_quotient

N, M = Dim.symbol("n"), Dim.symbol("m")

_OPERATIONS: dict[str, tuple[Any, Any]] = {
    "+": (lambda a, b: a + b, lambda a, b: a + b),
    "-": (lambda a, b: a - b, lambda a, b: a - b),
    "*": (lambda a, b: a * b, lambda a, b: a * b),
    "//": (floor_div, floor_quotient),
    "%": (mod, lambda a, b: a - b * floor_quotient(a, b)),
    "min": (minimum, min),
    "max": (maximum, max),
}
SIZES = st.recursive(
    st.sampled_from([N, M]) | st.integers(-3, 5),
    lambda inner: st.tuples(st.sampled_from(sorted(_OPERATIONS)), inner, inner),
    max_leaves=8,
)
VALUES = st.fixed_dictionaries({"n": st.integers(0, 9), "m": st.integers(0, 9)})


def _size(tree: Any) -> Size:
    if not isinstance(tree, tuple):
        return tree  # type: ignore[no-any-return]
    return _OPERATIONS[tree[0]][0](*map(_size, tree[1:]))  # type: ignore[no-any-return]


def _value(tree: Any, sizes: dict[str, int]) -> int:
    if not isinstance(tree, tuple):
        return value_of(tree, sizes)
    arguments = [_value(part, sizes) for part in tree[1:]]
    return _OPERATIONS[tree[0]][1](*arguments)  # type: ignore[no-any-return]


@given(SIZES, VALUES)
def test_arithmetic_commutes_with_evaluation(tree: Any, sizes: dict[str, int]) -> None:
    assert value_of(_size(tree), sizes) == _value(tree, sizes)


@given(SIZES, VALUES, st.integers(0, 9))
def test_substitution_commutes_with_evaluation(
    tree: Any, sizes: dict[str, int], number: int
) -> None:
    size = _size(tree)
    assert value_of(substitute(size, {"n": number}), sizes) == value_of(size, sizes | {"n": number})
    doubled = substitute(size, {"n": M * 2})
    assert value_of(doubled, sizes) == value_of(size, sizes | {"n": 2 * sizes["m"]})


@given(SIZES, st.lists(SIZES, max_size=2), VALUES)
def test_what_is_shown_is_so(tree: Any, known: list[Any], sizes: dict[str, int]) -> None:
    size, facts = _size(tree), tuple(map(_size, known))
    if never_negative(size, facts) and all(value_of(fact, sizes) >= 0 for fact in facts):
        assert value_of(size, sizes) >= 0


@given(SIZES, SIZES)
def test_a_size_less_itself_is_nothing(a: Any, b: Any) -> None:
    left, right = _size(a), _size(b)
    assert left - left == 0
    assert minimum(left, right) + maximum(left, right) == left + right
    if isinstance(left, Dim):
        assert hash(left) == hash(_size(a))


def test_normal_form_makes_equal_sizes_equal() -> None:
    assert (N + 1) * M == M * N + M
    assert hash((N + 1) * M) == hash(M + N * M)
    assert product((N, 3, M)) == 3 * N * M
    assert lone_symbol(N + M - M) == "n"
    assert lone_symbol(N * 2) is None


def test_quotients() -> None:
    assert floor_div(N, 1) == N
    assert floor_div(N * 2, 2) == N
    assert floor_div(N * 4 + M + 9, 4) == N + floor_div(M + 1, 4) + 2
    assert floor_div(N * 2 + 1, 4) == floor_div(N, 2)
    assert floor_div(floor_div(N, 2) + 1, 3) == floor_div(N + 2, 6)
    assert ceil_div(N * 2 - 1, 2) == N
    assert mod(N, 1) == 0
    assert mod(N * 6 + 5, 3) == 2
    assert floor_div(mod(N, 4), 4) == 0
    assert [value_of(ceil_div(N, 3), {"n": n}) for n in range(9)] == [ceil(n / 3) for n in range(9)]


def test_minima() -> None:
    assert minimum(N, N) == N
    assert minimum(N, 0) == 0
    assert minimum(N + 1, N) == N
    assert minimum(N, N * 2 + 1) == N
    assert minimum(N + 4, 6) == 4 + minimum(N, 2)
    assert maximum(N - 1, 0) == N - minimum(N, 1)
    assert minimum(minimum(N, 6), 4) == minimum(N, 4)
    assert minimum(minimum(N, M), N) == minimum(N, M)
    assert minimum(floor_div(N, 2), N) == floor_div(N, 2)


def test_cutting_twice_is_cutting_once() -> None:
    """len(x[1:][1:]) is len(x[2:]), and so on, by form."""
    for first, second in pairs(range(5), repeat=2):
        once = N - minimum(N, first)
        assert once - minimum(once, second) == N - minimum(N, first + second)


def test_exact_quotients() -> None:
    assert exact_quotient(N * M, M) == N
    assert exact_quotient((N + 1) * (M + 2), M + 2) == N + 1
    assert exact_quotient(N * 6, 3) == N * 2
    assert exact_quotient(N, M) is None
    assert exact_quotient(N + 1, 2) is None
    assert exact_quotient(N, 0) is None
    assert exact_quotient(0, N) == 0


def test_what_can_be_shown() -> None:
    assert never_negative(N - minimum(N, 4))
    assert never_negative(N - floor_div(N, 2) * 2)
    assert never_negative(N * M - floor_div(N, 2) * M)
    assert not never_negative(N - 1)
    assert never_negative(N - 1, [N - 1])
    assert never_negative(N * 2 - 2, [N - 1])
    assert never_negative(N * M - M, [N - 1])


def test_text() -> None:
    assert str(N * N * 2 - M + 3) == "2*n*n-m+3"
    assert str(floor_div(N, 2)) == "n//2"
    assert str(floor_div(N + 1, 2) * 3 + 1) == "3*((n+1)//2)+1"
    assert str(floor_div(N, M * 2)) == "n//(2*m)"
    assert str(minimum(N, 4)) == "min(n,4)"
    assert str(floor_div(minimum(N, 4), 3)) == "min(n,4)//3"
    assert str(floor_div(N, floor_div(M, 2))) == "n//(m//2)"


def test_a_symbolic_size_has_no_truth_value() -> None:
    with pytest.raises(ShapeError, match="symbolic"):
        bool(N)
    with pytest.raises(ShapeError, match="symbolic"):
        static_shape((3, N))


def test_an_upper_bound_is_found_term_by_term() -> None:
    assert upper_bound([]) == 0
    assert upper_bound([3, 7]) == 7
    assert upper_bound([4 * N + 2, 5 * N, N * M - N]) == 5 * N + N * M + 2
    cut = maximum(N - 4, 0)
    for sizes in pairs((0, 1, 4, 9), (0, 1, 7)):
        values = dict(zip("nm", sizes))
        for some in ([cut, N], [cut, cut * M, 3], [floor_div(N, 2), N * M, cut]):
            bound = value_of(upper_bound(some), values)
            assert bound >= max(value_of(size, values) for size in some)
