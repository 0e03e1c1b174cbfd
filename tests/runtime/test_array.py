"""The Array type and the memory pool."""

from __future__ import annotations

import operator
import sys
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from weftrt import array, dtypes
from weftrt.errors import DTypeError, ShapeError

NAMES = [d.name for d in dtypes.REAL]
shapes = numpy_strategies.array_shapes(min_dims=0, max_dims=8, min_side=0, max_side=4)
arrays = st.sampled_from(NAMES).flatmap(lambda name: numpy_strategies.arrays(name, shapes))


def bits(a):
    return np.ascontiguousarray(a).tobytes()


@given(arrays, st.booleans())
def test_round_trip(source, copy):
    result = array.from_numpy(source, copy)
    assert result.shape == source.shape
    assert result.dtype is dtypes.by_name(source.dtype.name)
    assert (result.ndim, result.size, result.nbytes) == (source.ndim, source.size, source.nbytes)
    back = array.to_numpy(result)
    assert back.dtype == source.dtype and back.shape == source.shape
    assert bits(back) == bits(source)
    assert back.flags.c_contiguous and not back.flags.writeable


@given(arrays)
def test_strided_and_swapped_sources_are_converted(source):
    for odd in (source.T, source[..., ::-1] if source.ndim else source):
        assert bits(array.to_numpy(array.from_numpy(odd, False))) == bits(odd)
    swapped = source.astype(source.dtype.newbyteorder())
    assert bits(array.to_numpy(array.from_numpy(swapped, False))) == bits(source)


def test_special_values_keep_their_bits():
    source = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1.7e308])
    assert bits(array.to_numpy(array.from_numpy(source))) == source.tobytes()


def test_a_copy_is_a_copy_and_a_loan_is_a_loan():
    source = np.zeros(3, "f4")
    copied, shared = array.from_numpy(source), array.from_numpy(source, copy=False)
    source[0] = 7
    assert array.to_numpy(copied)[0] == 0
    assert array.to_numpy(shared)[0] == 7
    source.flags.writeable = False  # but its owner may change its mind
    assert not np.shares_memory(array.to_numpy(array.from_numpy(source)), source)
    immutable = np.frombuffer(bytes(12), "f4")
    assert np.shares_memory(array.to_numpy(array.from_numpy(immutable)), immutable)


def test_views_share_and_keep_their_memory():
    first = array.from_numpy(np.arange(6, dtype="f4"))
    second = array.view(array.view(first, (2, 3)), (3, 1, 2))
    assert np.shares_memory(array.to_numpy(first), array.to_numpy(second))
    gone = weakref.ref(first)
    del first
    assert gone() is not None
    assert array.to_numpy(second).tolist() == [[[0, 1]], [[2, 3]], [[4, 5]]]
    del second
    assert gone() is None
    with pytest.raises(ValueError, match="as many elements"):
        array.view(array.from_numpy(np.zeros(4)), (5,))


def test_numpy_keeps_the_array_alive():
    used = array.pool_stats()["used_blocks"]
    back = array.to_numpy(array.from_numpy(np.arange(1000)))
    assert array.pool_stats()["used_blocks"] == used + 1
    assert back[999] == 999
    del back
    assert array.pool_stats()["used_blocks"] == used


def test_unsupported_dtypes_are_named():
    for name in ("complex256", "float16", "int8", "U3", "object"):
        with pytest.raises(DTypeError, match="is not supported; supported are bool, uint8"):
            array.from_numpy(np.zeros(2, name))


def test_rank_is_at_most_eight():
    with pytest.raises(ShapeError, match="at most 8 axes, not 9"):
        array.from_numpy(np.zeros((1,) * 9))
    with pytest.raises(ShapeError):
        array.new(dtypes.float32, (1,) * 9)


@pytest.mark.parametrize("shape", [(-1,), ("a",), (1.0,), (2**70,)])
def test_silly_shapes_are_refused(shape):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        array.new(dtypes.float32, shape)


@pytest.mark.parametrize(
    "shape", [(2**50,), (2**40, 2**40), (2**62, 2**62, 4), (3,) + (2**60,) * 7]
)
def test_out_of_memory(shape):
    stats = array.pool_stats()
    with pytest.raises(MemoryError):
        array.new(dtypes.float64, shape)
    assert array.pool_stats()["used_blocks"] == stats["used_blocks"]


def test_empty_arrays_have_sizes_that_can_be_counted():
    assert array.new(dtypes.float64, (0, 2**50)).size == 0
    with pytest.raises(MemoryError):
        array.new(dtypes.float64, (0, 2**40, 2**40))


def test_arrays_are_immutable_and_made_by_functions_only():
    item = array.from_numpy(np.zeros(3))
    for name in ("shape", "dtype", "anything"):
        with pytest.raises(AttributeError):
            setattr(item, name, 1)
    with pytest.raises(TypeError):
        type(item)()
    with pytest.raises(TypeError):
        memoryview(item)[0] = 1.0
    with pytest.raises((ValueError, BufferError)):
        np.frombuffer(item, "f8").flags.writeable = True


def test_the_buffer_protocol():
    item = array.from_numpy(np.arange(6, dtype="i4").reshape(2, 3))
    view = memoryview(item)
    assert (view.format, view.shape, view.strides, view.readonly) == ("i", (2, 3), (12, 4), True)
    assert view.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert memoryview(array.from_numpy(np.float64(2.5).reshape(()))).tolist() == 2.5
    assert bytes(array.from_numpy(np.uint8([1, 2]))) == b"\1\2"


def test_operators_can_be_added():
    kind = array.Array
    saved = {name: kind.__dict__.get(name) for name in ("__add__", "__getitem__", "__matmul__")}
    kind.__add__ = lambda a, b: ("add", a, b)
    kind.__getitem__ = lambda a, key: ("item", key)
    kind.__matmul__ = lambda a, b: ("matmul", b)
    item = array.from_numpy(np.zeros(3))
    assert item + 1 == ("add", item, 1)
    assert operator.add(item, None) == ("add", item, None)
    assert item[1:2] == ("item", slice(1, 2))
    assert item @ 3 == ("matmul", 3)
    for name, value in saved.items():
        if value is None:
            delattr(kind, name)
        else:
            setattr(kind, name, value)


def test_references_are_exact():
    source = np.arange(8.0)
    source.flags.writeable = False
    watched = (source, source.dtype, dtypes.float64, array.Array)
    before = [sys.getrefcount(item) for item in watched]
    for _ in range(10_000):
        item = array.from_numpy(source)
        item.shape, item.dtype, item.ndim, array.view(item, (2, 4)), array.to_numpy(item)
    del item
    after = [sys.getrefcount(item) for item in watched]
    assert all(abs(a - b) <= 2 for a, b in zip(before, after, strict=True))


@given(st.integers(0, 1 << 22))
def test_blocks_are_aligned_and_waste_little(size):
    stats = array.pool_stats()
    item = array.new(dtypes.uint8, (size,))
    taken = array.pool_stats()["used_bytes"] - stats["used_bytes"]
    assert size <= taken <= max(64, 1.25 * (size + 64))
    assert np.asarray(memoryview(item)).ctypes.data % 64 == 0 or size == 0


def test_blocks_are_recycled():
    array.new(dtypes.uint8, (5_000_000,))
    fresh = array.pool_stats()["fresh_blocks"]
    for _ in range(20):
        array.new(dtypes.uint8, (5_000_001,))
    assert array.pool_stats()["fresh_blocks"] == fresh


def test_what_is_held_is_bounded():
    limit = array.pool_stats()["limit"]
    items = [array.new(dtypes.uint8, (1 << k,)) for k in range(24)]
    del items
    for bound in (1 << 23, 1 << 20, 1000, 0):
        array.limit_pool(bound)
        assert array.pool_stats()["held_bytes"] <= bound
        array.new(dtypes.uint8, (1 << 21,))
        assert array.pool_stats()["held_bytes"] <= bound
    assert array.pool_stats()["held_blocks"] == 0
    array.limit_pool(limit)
    array.new(dtypes.uint8, (100,))
    assert array.pool_stats()["held_blocks"] == 1
