"""The Array type: allocation, deallocation, attributes, the buffer protocol."""

from __future__ import annotations

from weftrt import dtypes
from weftrt.cpu.native.intrinsics import (
    address_of,
    cast,
    copy_bytes,
    product_overflows,
    stack,
)
from weftrt.cpu.native.pool import (
    LARGEST,
    POOL,
    pool_capacity,
    pool_give,
    pool_take,
    pool_trim,
)
from weftrt.cpu.native.python import (
    STATE,
    NumpyArray,
    Py_DecRef,
    Py_IncRef,
    PyLong_AsLongLong,
    PyLong_FromLongLong,
    PyObject_ClearWeakRefs,
    PyObject_Free,
    PyObject_New,
    SizedObject,
    has_dtype,
    integer_tuple,
    new_none,
    raise_by,
    raise_text,
    type_of,
)
from weftrt.cpu.native.types import (
    I32,
    I64,
    Bool,
    Pointer,
    Ptr,
    Struct,
    export,
    inline,
    native,
    rare,
)
from weftrt.sizes import MAXIMUM_RANK

CONTIGUOUS_ALIGNED = 0x101
DTYPES = len(dtypes.ALL)
WRITABLE, FORMAT, SHAPE, STRIDES = 0x1, 0x4, 0x8, 0x10


class ArrayObject(Struct):
    """An Array: C-contiguous data, of the pool (owner NULL) or of another object.

    `pins` counts who uses the memory beside the Array (views, exported buffers, calls), `exports`
    how often it was given to others. One that was donated has no data, and says so in `words`; if
    its memory was pinned, `owner` still holds it.
    """

    count: I64
    type: Ptr
    data: Ptr
    dtype: I32
    ndim: I32
    shape: Pointer[I64] = inline(MAXIMUM_RANK)
    strides: Pointer[I64] = inline(MAXIMUM_RANK)
    bytes: I64
    capacity: I64
    owner: Ptr
    weak: Ptr
    pins: I64
    words: Ptr
    exports: I64


class BufferView(Struct):
    """Py_buffer."""

    data: Ptr
    owner: Ptr
    bytes: I64
    item_size: I64
    readonly: I32
    ndim: I32
    format: Ptr
    shape: Ptr
    strides: Ptr
    suboffsets: Ptr
    internal: Ptr


@native
def array_header(dtype: I64, ndim: I64, shape: Pointer[I64]) -> ArrayObject:
    """An Array without data; its strides and bytes are set. The bytes of one that cannot be, even
    an empty one with sizes past all counting, are at least LARGEST."""
    array: ArrayObject = PyObject_New(STATE.array_type)
    if array is None:
        return array
    array.dtype = dtype
    array.ndim = ndim
    array.data = None
    array.owner = None
    array.weak = None
    array.pins = 0
    array.words = None
    array.exports = 0
    array.capacity = 0
    span = STATE.item_sizes[dtype]
    empty = False
    axis = ndim
    while axis > 0:
        axis -= 1
        extent = shape[axis]
        array.shape[axis] = extent
        array.strides[axis] = span
        if extent == 0:
            empty = True
        elif extent < 0 or product_overflows(span, extent):
            span = LARGEST
        else:
            span = span * extent
    array.bytes = 0 if empty and span < LARGEST else span
    return array


@native
def with_block(array: ArrayObject) -> ArrayObject:
    """An Array without data, given a block of the pool; NULL where there is no memory."""
    if array.bytes < LARGEST:
        array.capacity = pool_capacity(array.bytes)
        array.data = pool_take(array.capacity)
    if array.data is None:
        Py_DecRef(array)
        return None  # type: ignore[return-value]
    return array


@native
def array_new(dtype: I64, ndim: I64, shape: Pointer[I64]) -> ArrayObject:
    """An uninitialized Array with a block of the pool; NULL, without an exception, where there is
    no memory."""
    array = array_header(dtype, ndim, shape)
    return with_block(array) if array is not None else array


@native
def new_or_raise(dtype: I64, ndim: I64, shape: Pointer[I64]) -> ArrayObject:
    """array_new; NULL with MemoryError."""
    array = array_new(dtype, ndim, shape)
    if array is None:
        raise_by(STATE.raise_no_array, STATE.dtypes[dtype], ndim, cast(I64, shape))
    return array


@native
def pin(item: Ptr, change: I64) -> None:
    """Note that one more uses the memory of an object, or one fewer, if it is an Array."""
    if item is not None and type_of(item) == STATE.array_type:
        array: ArrayObject = item
        array.pins += change


@native
def is_whole(array: ArrayObject) -> Bool:
    """Whether an Array still has its memory; else with DonatedError."""
    if array.data is not None:
        return True
    raise_by(STATE.raise_donated, array.words, 0, 0)
    return False


@export
def weft_array_dealloc(array: ArrayObject) -> None:
    """Give the block back to the pool, or the owner its reference."""
    if array.weak is not None:
        PyObject_ClearWeakRefs(array)
    if array.owner is not None:
        pin(array.owner, -1)
        Py_DecRef(array.owner)
    elif array.data is not None:
        pool_give(array.data, array.capacity)
    Py_DecRef(array.words)
    kind = array.type
    PyObject_Free(array)
    Py_DecRef(kind)


@rare
@export
def weft_array_shape(array: ArrayObject, closure: Ptr) -> Ptr:
    """The getter of `shape`."""
    return integer_tuple(array.shape, cast(I64, array.ndim))


@rare
@export
def weft_array_dtype(array: ArrayObject, closure: Ptr) -> Ptr:
    """The getter of `dtype`."""
    dtype = STATE.dtypes[array.dtype]
    Py_IncRef(dtype)
    return dtype


@rare
@export
def weft_array_ndim(array: ArrayObject, closure: Ptr) -> Ptr:
    """The getter of `ndim`."""
    return PyLong_FromLongLong(array.ndim)


@rare
@export
def weft_array_size(array: ArrayObject, closure: Ptr) -> Ptr:
    """The getter of `size`."""
    return PyLong_FromLongLong(array.bytes // STATE.item_sizes[array.dtype])


@rare
@export
def weft_array_nbytes(array: ArrayObject, closure: Ptr) -> Ptr:
    """The getter of `nbytes`."""
    return PyLong_FromLongLong(array.bytes)


@rare
@export
def weft_array_getbuffer(array: ArrayObject, view: BufferView, flags: I32) -> I32:
    """The buffer protocol, read-only."""
    if flags & WRITABLE:
        view.owner = None
        raise_text(STATE.buffer_error, "a weft Array is immutable")
        return -1
    if not is_whole(array):
        view.owner = None
        return -1
    Py_IncRef(array)
    array.pins += 1
    array.exports += 1
    view.owner = array
    view.data = array.data
    view.bytes = array.bytes
    view.item_size = STATE.item_sizes[array.dtype]
    view.readonly = 1
    view.ndim = array.ndim
    view.format = STATE.formats[array.dtype] if flags & FORMAT else None
    view.shape = address_of(array.shape) if flags & SHAPE and array.ndim > 0 else None
    strided = flags & STRIDES == STRIDES and array.ndim > 0
    view.strides = address_of(array.strides) if strided else None
    view.suboffsets = None
    view.internal = None
    return 0


@rare
@export
def weft_array_releasebuffer(array: ArrayObject, view: BufferView) -> None:
    """The end of what the buffer protocol gave."""
    array.pins -= 1


@native
def read_shape(shape: SizedObject, extents: Pointer[I64]) -> I64:
    """The rank of a shape tuple whose sizes go to `extents`; -1 with an exception."""
    if type_of(shape) != STATE.tuple_type or shape.size > MAXIMUM_RANK:
        raise_text(STATE.value_error, "a shape is a tuple of at most 8 sizes")
        return -1
    for axis in range(shape.size):
        item = shape.items[axis]
        if type_of(item) != STATE.int_type:
            raise_text(STATE.type_error, "a size is an int")
            return -1
        extents[axis] = PyLong_AsLongLong(item)
        if extents[axis] < 0:
            raise_text(STATE.value_error, "a size is negative or too large")
            return -1
    return shape.size


@native
def dtype_of_numpy(source: NumpyArray) -> I64:
    """The dtype code of a NumPy array in native byte order; -1 where unknown."""
    for code in range(DTYPES):
        if has_dtype(source.descriptor, code):
            return code
    return -1


@native
def numpy_is_direct(source: NumpyArray) -> Bool:
    """Whether native code can read this object: an ndarray, contiguous and aligned, rank <= 8."""
    if type_of(source) != STATE.ndarray_type:
        return False
    contiguous = source.flags & CONTIGUOUS_ALIGNED == CONTIGUOUS_ALIGNED
    return contiguous and source.ndim <= MAXIMUM_RANK


@native
def array_over(dtype: I64, ndim: I64, shape: Pointer[I64], data: Ptr, owner: Ptr) -> ArrayObject:
    """An Array over data that `owner` keeps alive."""
    array = array_header(dtype, ndim, shape)
    if array is not None:
        Py_IncRef(owner)
        pin(owner, 1)
        array.owner = owner
        array.data = data
    return array


@rare
@export
def weft_new(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """new(dtype code, shape): uninitialized."""
    extents = stack(I64, MAXIMUM_RANK)
    ndim = read_shape(arguments[1], extents)
    if ndim < 0:
        return None
    return new_or_raise(PyLong_AsLongLong(arguments[0]), ndim, extents)


@rare
@export
def weft_copy(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """copy(ndarray): an Array with the same elements; None where the source is not direct."""
    source: NumpyArray = arguments[0]
    code = dtype_of_numpy(source) if numpy_is_direct(source) else -1
    if code < 0:
        return new_none()
    array = new_or_raise(code, cast(I64, source.ndim), source.dimensions)
    if array is not None:
        copy_bytes(array.data, source.data, array.bytes)
    return array


@rare
@export
def weft_borrow(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """borrow(ndarray): an Array that shares its memory; None where the source is not direct."""
    source: NumpyArray = arguments[0]
    code = dtype_of_numpy(source) if numpy_is_direct(source) else -1
    if code < 0:
        return new_none()
    return array_over(code, cast(I64, source.ndim), source.dimensions, source.data, source)


@rare
@export
def weft_view(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """view(array, shape): the same elements in another shape."""
    array: ArrayObject = arguments[0]
    if type_of(array) != STATE.array_type:
        return raise_text(STATE.type_error, "view takes an Array")
    if not is_whole(array):
        return None
    extents = stack(I64, MAXIMUM_RANK)
    ndim = read_shape(arguments[1], extents)
    if ndim < 0:
        return None
    owner = array.owner if array.owner is not None else cast(Ptr, array)
    result = array_over(cast(I64, array.dtype), ndim, extents, array.data, owner)
    if result is not None and result.bytes != array.bytes:
        Py_DecRef(result)
        return raise_text(STATE.value_error, "a view has as many elements as its array")
    return result


@rare
@export
def weft_words(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """words(item): where an Array was donated; None for one that was not, and for anything else."""
    item = arguments[0]
    if type_of(item) != STATE.array_type:
        return new_none()
    array: ArrayObject = item
    if array.words is None:
        return new_none()
    Py_IncRef(array.words)
    return array.words


@rare
@export
def weft_exports(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """exports(array): how often others were given its memory."""
    array: ArrayObject = arguments[0]
    if type_of(array) != STATE.array_type:
        return raise_text(STATE.type_error, "exports takes an Array")
    return PyLong_FromLongLong(array.exports)


@rare
@export
def weft_pool_stats(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """pool_stats(): used bytes and blocks, held bytes and blocks, limit, fresh blocks."""
    return integer_tuple(cast(Pointer[I64], address_of(POOL.used_bytes)), 6)


@rare
@export
def weft_pool_configure(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """pool_configure(limit, advice): hold at most `limit` unused bytes, now and later; `advice` is
    madvise's number for huge pages, 0 where there is none."""
    POOL.limit = PyLong_AsLongLong(arguments[0])
    POOL.huge_advice = PyLong_AsLongLong(arguments[1])
    pool_trim(POOL.limit)
    return new_none()
