"""The C functions that sort rows, against NumPy's of keys."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from tests.threads import thread_limit

from weftrt import dtypes
from weftrt.cpu import sorts
from weftrt.dtypes import DType
from weftrt.orders import ASCENDING, DESCENDING, LARGEST, PLACES, VALUES

SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
Array = np.ndarray[Any, Any]


def _call(name: str, arrays: list[Array], *sizes: int) -> int:
    buffers = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
    numbers = (ctypes.c_int64 * len(sizes))(*sizes)
    function = SIGNATURE(sorts.address(name))
    return int(function(ctypes.addressof(buffers), ctypes.addressof(numbers), None))


def _top(x: Array, kept: int, order: int) -> tuple[Array, Array]:
    """The values and the places; written together or alone they have to be the same."""
    rows, length = x.shape
    name = f"weft_sort_{'f' if x.dtype.kind == 'f' else 'i'}{x.itemsize * 8}".replace("i8", "u8")
    sizes = rows, length, kept
    values, places = np.zeros((rows, kept), x.dtype), np.zeros((rows, kept), np.int64)
    values_alone, places_alone = values.copy(), places.copy()
    signed = int(x.dtype.kind != "u" and x.dtype != bool)
    sort = name + "_values" if x.itemsize == 8 else name
    assert _call(sort, [x, values_alone], *sizes, VALUES, signed, order) == -1
    assert _call(name, [x, places_alone], *sizes, PLACES, signed, order) == -1
    assert _call(name, [x, values, places], *sizes, 3, signed, order) == -1
    assert values.tobytes() == values_alone.tobytes()
    assert places.tobytes() == places_alone.tobytes()
    return values, places


def _wanted(x: Array, order: int) -> Array:
    """The places by NumPy's stable sort of integers in the order of the elements."""
    keys = x.view(np.uint8) if x.dtype == bool else x
    if x.dtype.kind == "f":
        bits = x.view(f"i{x.itemsize}")
        keys = np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)
    ranks = np.unique(keys, return_inverse=True)[1].reshape(x.shape)
    ranks = ranks if order == ASCENDING else -ranks
    if x.dtype.kind == "f":
        ranks[np.isnan(x)] = -x.size - 1 if order == LARGEST else x.size + 1
    return np.argsort(ranks, axis=-1, kind="stable")


def _draw(rng: np.random.Generator, dtype: DType, shape: tuple[int, int], few: bool) -> Array:
    """Elements of all kinds, many of them equal if they are `few`."""
    if dtype.is_float:
        special = np.array([np.nan, -np.nan, 0.0, -0.0, np.inf, -np.inf, 1e-310, -1e-45])
        x = rng.standard_normal(shape) * 10.0 ** rng.integers(-30, 30, shape)
        x = np.where(rng.random(shape) < 0.3, rng.choice(special, shape), x)
        return np.asarray(np.round(x) if few else x).astype(dtype.dtype)
    if dtype is dtypes.bool_:
        return rng.random(shape) < 0.5
    limits = np.iinfo(dtype.dtype)
    low, high = (max(limits.min, -3), 3) if few else (limits.min, limits.max)
    return rng.integers(low, high, shape, dtype.dtype, endpoint=True)


@pytest.mark.parametrize("order", [ASCENDING, DESCENDING, LARGEST])
@pytest.mark.parametrize("dtype", dtypes.REAL, ids=lambda d: d.name)
def test_sorts_agree_with_numpy_to_the_bit(dtype: DType, order: int) -> None:
    rng = np.random.default_rng(dtype.code)
    for length in (0, 1, 2, 33, 64, 65, 500, 3000):
        for rows, few in ((1, False), (3, True), (0, False)):
            x = _draw(rng, dtype, (rows, length), few)
            wanted = _wanted(x, order)
            for kept in {length, length // 2, min(length, 10), 0}:
                values, places = _top(x, kept, order)
                np.testing.assert_array_equal(places, wanted[:, :kept])
                taken = np.take_along_axis(x, places, -1)
                np.testing.assert_array_equal(values, taken)
                if dtype.is_float:
                    numbers = ~np.isnan(values)
                    signs = np.signbit(values[numbers]), np.signbit(taken[numbers])
                    np.testing.assert_array_equal(*signs)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_rows_are_sorted_alike_on_any_number_of_threads(count: int) -> None:
    x = np.random.default_rng(0).standard_normal((300, 200)).astype(np.float32)
    with thread_limit(count):
        values, places = _top(x, 200, DESCENDING)
    np.testing.assert_array_equal(values, -np.sort(-x))
    np.testing.assert_array_equal(places, np.argsort(-x, kind="stable"))


def test_a_row_that_no_memory_holds_is_told() -> None:
    x = np.zeros((1, 1), np.float64)
    places = np.zeros((1, 1), np.int64)
    assert _call("weft_sort_f64", [x, places], 1, 1 << 50, 1 << 49, 2, 1, 0) == 0
    assert places[0, 0] == 0


def test_a_narrow_row_whose_places_need_more_than_half_a_word_is_told() -> None:
    x = np.zeros((1, 1), np.float32)
    places = np.zeros((1, 1), np.int64)
    assert _call("weft_sort_f32", [x, places], 1, 1 << 33, 1, 2, 1, 0) == 0


def test_a_long_row_is_sorted_in_parts() -> None:
    x = np.random.default_rng(1).integers(0, 1000, (1, 3_000_000)).astype(np.float64)
    places = np.argsort(-x, kind="stable")
    for kept in (x.size, 1000, 5):
        values, found = _top(x, kept, LARGEST)
        np.testing.assert_array_equal(found, places[:, :kept])
        np.testing.assert_array_equal(values, np.take_along_axis(x, places, -1)[:, :kept])
