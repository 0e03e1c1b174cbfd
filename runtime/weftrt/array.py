"""The array object: `Array`, how it is made from NumPy and how NumPy sees it.

The type itself is native (weftrt.cpu.native.arrays); `weft` adds methods and operators to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weftrt import dtypes
from weftrt.cpu.native.library import huge_page_advice, library
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError
from weftrt.sizes import MAXIMUM_RANK, MOST_BYTES, byte_count, no_memory

if TYPE_CHECKING:

    class Array:
        """An immutable, C-contiguous tensor."""

        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def dtype(self) -> DType: ...
        @property
        def ndim(self) -> int: ...
        @property
        def size(self) -> int: ...
        @property
        def nbytes(self) -> int: ...

else:
    Array = library().Array


def new(dtype: DType, shape: tuple[int, ...]) -> Array:
    """An uninitialized Array from the pool."""
    _check_rank(len(shape))
    result: Array = library().new(dtype.code, shape)
    return result


def from_numpy(source: np.ndarray[Any, Any], copy: bool = True) -> Array:
    """An Array with the elements of `source`.

    The memory is shared if nobody can write to it or copy is False (the caller then promises that
    nobody does), it is contiguous and aligned, and its byte order is native; else it is copied.
    """
    native = library()
    share = not copy or (not source.flags.writeable and _is_immutable(source))
    result: Array | None = native.borrow(source) if share else native.copy(source)
    return native.copy(_plain(source)) if result is None else result


def _is_immutable(source: np.ndarray[Any, Any]) -> bool:
    """Whether the memory belongs to an object that never lets anybody write to it, such as bytes.

    An ndarray that owns its memory can be made writable again.
    """
    owner: Any = source
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    while isinstance(owner, memoryview) and owner.readonly:
        owner = owner.obj
    return isinstance(owner, (bytes, Array))


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """A read-only ndarray over the Array's memory, which it keeps alive."""
    return np.asarray(memoryview(array))  # type: ignore[arg-type]


def view(array: Array, shape: tuple[int, ...]) -> Array:
    """The same elements, in the same memory, in another shape."""
    _check_rank(len(shape))
    result: Array = library().view(array, shape)
    return result


def is_donated(array: Array) -> bool:
    """Whether a program has taken over what the Array held."""
    return library().words(array) is not None


def exports(array: Array) -> int:
    """How often others (NumPy, or whoever looked at elements) were given the Array's memory."""
    return library().exports(array)


def as_array(item: Array | np.ndarray[Any, Any] | float | int | bool) -> Array:
    """An Array of an input: shared with NumPy; a Python scalar is a 0-d float64, int64 or bool."""
    if isinstance(item, Array):
        return item
    if isinstance(item, np.ndarray):
        return from_numpy(item, copy=False)
    scalar = {bool: np.bool_, int: np.int64, float: np.float64}.get(type(item))
    if scalar is None:
        raise DTypeError(f"not an array or a Python scalar: {type(item).__name__}")
    return from_numpy(np.asarray(item, scalar))


def _plain(source: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The source as an exact, contiguous, aligned ndarray of native byte order and known dtype."""
    dtype = dtypes.from_numpy(source.dtype)
    if dtype is None:
        supported = ", ".join(d.name for d in dtypes.ALL)
        raise DTypeError(f"NumPy's {source.dtype} is not supported; supported are {supported}")
    _check_rank(source.ndim)
    if byte_count(dtype, source.shape) >= MOST_BYTES:
        raise no_memory("a copy", dtype, source.shape)
    try:
        result = np.empty(source.shape, dtype.name)
    except MemoryError:
        raise no_memory("a copy", dtype, source.shape) from None
    result[...] = source
    return result


def _check_rank(rank: int) -> None:
    if rank > MAXIMUM_RANK:
        raise ShapeError(f"an array has at most {MAXIMUM_RANK} axes, not {rank}")


def pool_stats() -> dict[str, int]:
    """The memory pool's accounts: what arrays use, and what is held for the next ones."""
    names = ("used_bytes", "used_blocks", "held_bytes", "held_blocks", "limit", "fresh_blocks")
    return dict(zip(names, library().pool_stats()))


def limit_pool(bytes: int) -> None:
    """Hold at most this many unused bytes; frees what is over it."""
    library().pool_configure(bytes, huge_page_advice())
