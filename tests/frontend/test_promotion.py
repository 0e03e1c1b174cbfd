"""Dtypes of results: the Array API's table, weak scalars, weak arithmetic."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from tests.frontend.staged import run

import weft as wf
from weft.promotion import promote_dtypes
from weftrt import dtypes


@pytest.mark.parametrize(("a", "b"), list(product(dtypes.REAL, dtypes.REAL)), ids=str)
def test_table(a: Any, b: Any) -> None:
    found = promote_dtypes(a, b)
    assert found is promote_dtypes(b, a)
    if a.is_float != b.is_float and not (a.is_float and b.is_float):
        assert found is (a if a.is_float else b)
    elif {a, b} & {dtypes.uint64} and {a, b} & {dtypes.int32, dtypes.int64}:
        assert found is None
    else:
        assert found is not None and found.dtype == np.promote_types(a.dtype, b.dtype)


def test_no_common_dtype_names_both() -> None:
    a, b = np.ones(2, "i8"), np.ones(2, "u8")
    with pytest.raises(wf.errors.DTypeError, match="int64 and uint64 have no common dtype"):
        run(lambda x, y: x + y, a, b)


@pytest.mark.parametrize(
    ("dtype", "scalar", "expected"),
    [
        ("f4", 2.5, "f4"), ("f8", 2.5, "f8"), ("f4", 2, "f4"), ("i4", 2, "i4"), ("u1", 2, "u1"),
        ("i4", 2.5, "f4"), ("?", 2, "i8"), ("?", 2.5, "f4"), ("f4", True, "f4"), ("?", True, "?"),
    ],
)  # fmt: skip
def test_scalars_are_weak(dtype: str, scalar: Any, expected: str) -> None:
    x = np.ones(3, dtype)
    literal = run(lambda x: wf.where(x > 0, x, scalar), x)
    argument = run(lambda x, s: wf.where(x > 0, x, s), x, scalar)
    assert literal.dtype == argument.dtype == np.dtype(expected)
    np.testing.assert_array_equal(literal, argument)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u1"])
def test_scalars_among_joined_arrays_are_weak(dtype: str) -> None:
    x, scalar = np.array([2, 3], dtype), 0.1 if dtype[0] == "f" else 7
    exact = np.asarray(scalar, dtype)
    for joined, wanted in (
        (lambda x, s: wf.stack([x[0], s]), np.stack([x[0], exact])),
        (lambda x, s: wf.stack([s, s, x[1]]), np.stack([exact, exact, x[1]])),
        (lambda x, s: wf.concat([s, x], axis=None), np.concatenate([exact[None], x])),
        (lambda x, s: wf.tensordot(x, s, 0), x * exact),
        (lambda x, s: wf.einsum("i,->i", x, s), x * exact),
    ):
        for found in (run(joined, x, scalar), run(lambda x, f=joined: f(x, scalar), x)):
            assert found.dtype == x.dtype
            np.testing.assert_array_equal(found, wanted)


def test_integers_among_joined_arrays_must_fit() -> None:
    with pytest.raises(wf.errors.RangeError, match="the integer 300 does not fit uint8"):
        run(lambda x: wf.stack([x[0], 300]), np.ones(1, "u1"))


def test_scalars_meet_as_python_scalars() -> None:
    x = np.full(3, 3, "f4")
    third = run(lambda a, b, x: a / b * x, 1, 3, x)
    np.testing.assert_array_equal(third, np.float32(1 / 3) * x)
    assert third.dtype == np.float32
    exact = run(lambda a, x: (a + 1) * x, 2**53, np.ones(1, "i8"))
    assert exact[0] == 2**53 + 1


def test_lone_scalars_become_default_dtypes() -> None:
    result = run(lambda a: {"float": a + 0.5, "int": a, "bool": a > 1, "literal": 3.0}, 2)
    assert {k: v.dtype.name for k, v in result.items()} == {
        "float": "float32", "int": "int64", "bool": "bool", "literal": "float32",
    }  # fmt: skip
    assert run(wf.exp, 1).dtype == np.float32


def test_divide_of_integers_is_a_float() -> None:
    assert run(wf.divide, np.ones(2, "i4"), np.ones(2, "i4")).dtype == np.float32
    assert run(lambda x: x / 2, np.ones(2, "i8")).dtype == np.float32


def test_functions_about_dtypes() -> None:
    assert wf.result_type(wf.int32, wf.uint32) is wf.int64
    assert wf.result_type(wf.int32, 1.0) is wf.float32
    assert wf.can_cast(wf.int32, wf.int64) and not wf.can_cast(wf.int64, wf.int32)
    assert wf.isdtype(wf.float32, "real floating") and wf.isdtype(wf.uint8, ("bool", "integral"))
    assert wf.finfo(wf.float32).eps == np.finfo("f4").eps
    assert wf.iinfo(wf.uint8).max == 255
    with pytest.raises(wf.errors.UsageError, match="no kind of dtypes"):
        wf.isdtype(wf.uint8, "text")
