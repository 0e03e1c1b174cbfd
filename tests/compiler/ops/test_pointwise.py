"""Pointwise ops where NumPy is not the definition, or is one that is easy to get wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bits import assert_same_bits

from weftc.ir.types import TensorType
from weftc.ops import get
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError

FLOATS = [dtypes.float32, dtypes.float64]
SIGNED = [dtypes.int32, dtypes.int64]


def run(name: str, *arrays: Any, **attrs: Any) -> Any:
    types = []
    for array in arrays:
        dtype = dtypes.from_numpy(array.dtype)
        assert dtype is not None
        types.append(TensorType(dtype, array.shape))
    op = get(name)
    return op.reference(list(arrays), attrs, op.infer(tuple(types), attrs))


def floats(dtype: dtypes.DType) -> st.SearchStrategy[Any]:
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 5e-324, 0.1, -0.1, 1.0, -1.0, 3.0]
    ordinary = st.floats(-1e6, 1e6, width=32) | st.sampled_from(edges)
    return ordinary.map(lambda v: np.array([v], dtype.dtype))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@given(data=st.data())
def test_float_division_is_numpys(dtype: dtypes.DType, data: st.DataObject) -> None:
    x, y = data.draw(floats(dtype)), data.draw(floats(dtype))
    with np.errstate(all="ignore"):
        assert_same_bits(run("remainder", x, y), np.remainder(x, y))
        assert_same_bits(run("floor_divide", x, y), np.floor_divide(x, y))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_float_division_by_special_values(dtype: dtypes.DType) -> None:
    values = np.array([0.0, -0.0, 1, -1, 2.5, -7, np.inf, -np.inf, np.nan], dtype.dtype)
    x, y = (g.reshape(-1) for g in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        assert_same_bits(run("remainder", x, y), np.remainder(x, y))
        assert_same_bits(run("floor_divide", x, y), np.floor_divide(x, y))


@pytest.mark.parametrize("dtype", SIGNED, ids=str)
def test_integer_division(dtype: dtypes.DType) -> None:
    low = np.iinfo(dtype.dtype).min
    x = np.array([7, -7, 7, -7, 5, low, low], dtype.dtype)
    y = np.array([2, 2, -2, -2, 0, -1, 0], dtype.dtype)
    np.testing.assert_array_equal(run("floor_divide", x, y), [3, -4, -4, 3, 0, low, 0])
    np.testing.assert_array_equal(run("remainder", x, y), [1, 1, -1, -1, 0, 0, 0])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_extrema_order_zeros_and_keep_nan(dtype: dtypes.DType) -> None:
    x = np.array([0.0, -0.0, -0.0, np.nan, 1.0], dtype.dtype)
    y = np.array([-0.0, 0.0, -0.0, 1.0, np.nan], dtype.dtype)
    low, high = run("minimum", x, y), run("maximum", x, y)
    assert np.signbit(low[:3]).tolist() == [True, True, True]
    assert np.signbit(high[:3]).tolist() == [False, False, True]
    assert np.isnan(low[3:]).all() and np.isnan(high[3:]).all()


def test_sign_and_round() -> None:
    x = np.array([-0.0, 0.0, -3.0, np.inf, np.nan], np.float32)
    assert_same_bits(run("sign", x), np.array([0, 0, -1, 1, np.nan], np.float32))
    half = np.array([0.5, 1.5, -0.5, 2.5], np.float32)
    assert_same_bits(run("round", half), np.array([0, 2, -0.0, 2], np.float32))


def test_shifts_past_the_width() -> None:
    x = np.array([5, 5, -5, -5, -5], np.int32)
    count = np.array([32, -1, 32, 31, 1], np.int32)
    np.testing.assert_array_equal(run("shift_left", x, count)[:3], [0, 0, 0])
    np.testing.assert_array_equal(run("shift_right", x, count), [0, 0, -1, -1, -3])


@pytest.mark.parametrize("dtype", [dtypes.uint8, *SIGNED], ids=str)
def test_convert_saturates(dtype: dtypes.DType) -> None:
    info = np.iinfo(dtype.dtype)
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.9, 0.9], np.float64)
    expected = [0, info.max, info.min, info.max, info.min, 2, 0]
    np.testing.assert_array_equal(run("convert", x, dtype=dtype), expected)


def test_mistakes_are_told_in_the_users_words() -> None:
    f = TensorType(dtypes.float32, (3, 4))
    other = f.with_shape((3, 5))
    with pytest.raises(ShapeError, match=r"add: float32\[3,4\] and float32\[3,5\] do not have"):
        get("add").infer((f, other), {})
    with pytest.raises(DTypeError, match=r"float32\[3,4\] and int64\[3,4\] do not have the same d"):
        get("add").infer((f, f.with_dtype(dtypes.int64)), {})
    flag = f.with_dtype(dtypes.bool_)
    with pytest.raises(DTypeError, match=r"add takes integers or floats.*bool\[3,4\].*&"):
        get("add").infer((flag, flag), {})
    with pytest.raises(DTypeError, match=r"floor takes floats.*int64"):
        get("floor").infer((f.with_dtype(dtypes.int64),), {})
    with pytest.raises(DTypeError, match="condition is a bool"):
        get("where").infer((f, f, f), {})


def test_integer_powers_wrap_and_negative_ones_are_units_or_zero() -> None:
    x = np.array([3, 2, -2, 0, 1, -1, -1, 7, 0], np.int32)
    y = np.array([4, 31, 31, 0, -5, -5, -4, -1, -1], np.int32)
    found = run("pow", x, y)
    np.testing.assert_array_equal(found, [81, -(2**31), -(2**31), 1, 1, -1, 1, 0, 0])
