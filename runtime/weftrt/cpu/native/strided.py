"""Contiguous copies of ndarrays whose elements lie apart."""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject, array_new
from weftrt.cpu.native.intrinsics import cast, copy_bytes
from weftrt.cpu.native.python import STATE, NumpyArray
from weftrt.cpu.native.types import I64, Ptr, native


@native
def gather_row(target: Ptr, source: Ptr, count: I64, stride: I64, item: I64) -> None:
    """Copy `count` elements of `item` bytes that lie `stride` bytes apart."""
    if item == 8:
        for index in range(count):
            copy_bytes(target + index * 8, source + index * stride, 8)
    elif item == 4:
        for index in range(count):
            copy_bytes(target + index * 4, source + index * stride, 4)
    else:
        for index in range(count):
            copy_bytes(target + index * item, source + index * stride, item)


@native
def gather_axes(target: Ptr, source: Ptr, array: NumpyArray, axis: I64, item: I64) -> Ptr:
    """Copy what lies under one index of the axes before `axis`; where the copy ends."""
    rank = cast(I64, array.ndim)
    if axis == rank:
        copy_bytes(target, source, item)
        return target + item
    count = array.dimensions[axis]
    stride = array.strides[axis]
    if axis + 1 == rank:
        gather_row(target, source, count, stride, item)
        return target + count * item
    for index in range(count):
        target = gather_axes(target, source + index * stride, array, axis + 1, item)
    return target


@native
def gathered(dtype: I64, array: NumpyArray) -> ArrayObject:
    """An Array with the elements of an ndarray of this dtype; NULL with MemoryError."""
    result = array_new(dtype, cast(I64, array.ndim), array.dimensions)
    if result is not None:
        gather_axes(result.data, array.data, array, 0, STATE.item_sizes[dtype])
    return result
