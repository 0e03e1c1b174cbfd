"""Ndarrays whose elements lie apart: contiguous copies, and comparison with one."""

from __future__ import annotations

from weftrt.cpu.native.arrays import ArrayObject, array_new
from weftrt.cpu.native.intrinsics import cast, copy_bytes
from weftrt.cpu.native.python import STATE, NumpyArray, memcmp
from weftrt.cpu.native.types import I32, I64, Bool, Ptr, native


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


@native
def same_row(source: Ptr, copy: Ptr, count: I64, stride: I64, item: I64) -> Bool:
    """Whether `count` elements that lie `stride` bytes apart have the bits of a copy."""
    if stride == item:
        whole: I32 = memcmp(source, copy, count * item)
        return whole == 0
    for index in range(count):
        part: I32 = memcmp(source + index * stride, copy + index * item, item)
        if part != 0:
            return False
    return True


@native
def compare_axes(copy: Ptr, source: Ptr, array: NumpyArray, axis: I64, item: I64) -> Ptr:
    """Where the copy of what lies under one index of the axes before `axis` ends; NULL where an
    element differs."""
    rank = cast(I64, array.ndim)
    if axis >= rank - 1:
        count = array.dimensions[axis] if rank > 0 else 1
        stride = array.strides[axis] if rank > 0 else item
        return copy + count * item if same_row(source, copy, count, stride, item) else None
    stride = array.strides[axis]
    for index in range(array.dimensions[axis]):
        copy = compare_axes(copy, source + index * stride, array, axis + 1, item)
        if copy is None:
            return None
    return copy


@native
def has_elements(array: NumpyArray, copy: NumpyArray, item: I64) -> Bool:
    """Whether an ndarray has the dtype, the shape and, to the bit, the elements of its copy."""
    if array.descriptor != copy.descriptor or array.ndim != copy.ndim:
        return False
    for axis in range(cast(I64, array.ndim)):
        if array.dimensions[axis] != copy.dimensions[axis]:
            return False
    return compare_axes(copy.data, array.data, array, 0, item) is not None
