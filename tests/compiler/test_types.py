"""Symbolic sizes: normal form, arithmetic against concrete evaluation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weftc.ir.types import Dim, Size, TensorType, product, same, static_shape, substitute, unifying
from weftrt import dtypes
from weftrt.errors import ShapeError

N, M = Dim.symbol("n"), Dim.symbol("m")
VALUES = {"n": 5, "m": 7}


def _value(size: Size) -> int:
    return size.evaluate(VALUES) if isinstance(size, Dim) else size


SIZES = st.recursive(
    st.sampled_from([N, M]) | st.integers(-3, 3),
    lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner).map(
        lambda t: {"+": t[1] + t[2], "-": t[1] - t[2], "*": t[1] * t[2]}[t[0]]
    ),
    max_leaves=8,
)


@given(SIZES, SIZES)
def test_arithmetic_commutes_with_evaluation(a: Size, b: Size) -> None:
    assert _value(a + b) == _value(a) + _value(b)
    assert _value(a - b) == _value(a) - _value(b)
    assert _value(a * b) == _value(a) * _value(b)
    assert a - a == 0


def test_normal_form_makes_equal_sizes_equal() -> None:
    assert (N + 1) * M == M * N + M
    assert hash((N + 1) * M) == hash(M + N * M)
    assert str(N * N * 2 - M + 3) == "2*n*n-m+3"
    assert product((N, 3, M)) == 3 * N * M
    assert substitute(N * M + 1, {"n": 2}) == 2 * M + 1


def test_a_symbolic_size_has_no_truth_value() -> None:
    with pytest.raises(ShapeError, match="symbolic"):
        bool(N)
    with pytest.raises(ShapeError, match="symbolic"):
        static_shape((3, N))


def test_unifying_records_equalities() -> None:
    asked: list[tuple[Size, Size]] = []

    def unifier(a: Size, b: Size) -> bool:
        asked.append((a, b))
        return True

    assert not same(N, M)
    with unifying(unifier):
        assert same(N, M)
        assert same(3, 3)
    assert asked == [(N, M)]


def test_types_print_as_users_write_them() -> None:
    assert str(TensorType(dtypes.float32, (N, 4))) == "f32[n,4]"
    assert str(TensorType(dtypes.bool_, ())) == "bool[]"
