"""sort, argsort and top_k by the graph interpreter: the order to the bit, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph
from weftc.ir.sizes import Dim
from weftc.ops import TABLE
from weftrt import dtypes
from weftrt.errors import ShapeError

X = np.array([2, np.nan, -0.0, np.inf, 0.0, -np.inf, -np.nan, 2, -1], np.float32)


def _run(name: str, array: Any, **attrs: Any) -> Any:
    dtype = next(d for d in dtypes.REAL if d.dtype == array.dtype)
    x = TABLE["input"](index=0, name="x", dtype=dtype, shape=array.shape)
    node = TABLE[name](x, **attrs)
    parts = [node]
    if name == "top_k":
        parts = [TABLE["project"](node, index=index) for index in range(2)]
    found = interpret(Graph(name, (x,), tuple(parts)), [array])
    return found[0] if len(found) == 1 else found


def _text(array: Any) -> str:
    return " ".join(map(str, np.where(np.isnan(array), np.nan, array)))


def test_zeros_are_told_apart_and_nan_is_last_in_both_directions() -> None:
    assert _text(_run("sort", X, descending=False)) == "-inf -1.0 -0.0 0.0 2.0 2.0 inf nan nan"
    assert _text(_run("sort", X, descending=True)) == "inf 2.0 2.0 0.0 -0.0 -1.0 -inf nan nan"


def test_equal_elements_keep_their_order_in_both_directions() -> None:
    assert _run("argsort", X, descending=False).tolist() == [5, 8, 2, 4, 0, 7, 3, 1, 6]
    assert _run("argsort", X, descending=True).tolist() == [3, 0, 7, 4, 2, 8, 5, 1, 6]


def test_nan_is_the_largest_of_top_k() -> None:
    values, places = _run("top_k", X, k=5)
    assert _text(values) == "nan nan inf 2.0 2.0" and places.tolist() == [1, 6, 3, 0, 7]


@pytest.mark.parametrize("dtype", ["bool", "u1", "u4", "u8", "i4", "i8"])
def test_integers_of_all_kinds(dtype: str) -> None:
    x = np.array([1, 0, 200, 3, 1], np.uint8).astype(dtype)
    np.testing.assert_array_equal(_run("sort", x, descending=False), np.sort(x))
    np.testing.assert_array_equal(_run("sort", x, descending=True), np.sort(x)[::-1])
    values, places = _run("top_k", x, k=2)
    np.testing.assert_array_equal(values, np.sort(x)[::-1][:2])
    np.testing.assert_array_equal(x[places], values)


def test_what_cannot_be_sorted() -> None:
    x = TABLE["input"](index=0, name="x", dtype=dtypes.float32, shape=(3,))
    scalar = TABLE["input"](index=0, name="x", dtype=dtypes.float32, shape=())
    with pytest.raises(ShapeError, match="sort takes an array of at least one axis"):
        TABLE["sort"](scalar, descending=False)
    with pytest.raises(ShapeError, match=r"top_k: float32\[3\] has no 4 elements along its last"):
        TABLE["top_k"](x, k=4)


def test_symbolic_rows() -> None:
    n = Dim.symbol("n")
    x = TABLE["input"](index=0, name="x", dtype=dtypes.float32, shape=(2, n))
    call = TABLE["sort"].extern
    assert call is not None
    assert call(TABLE["sort"](x, descending=True)).sizes == (2, n, n, 1, 0, 1)
