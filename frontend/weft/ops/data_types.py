"""Functions about dtypes: promotion, limits, kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from weft import diagnostics
from weft.ops import core
from weft.promotion import dtype_of, promote_dtypes
from weft.tracing import Tracer, array_dtype
from weftrt import dtypes
from weftrt.array import Array
from weftrt.dtypes import DType, Kind
from weftrt.errors import DTypeError, ShapeError, UsageError

_KINDS: dict[str, tuple[Kind, ...]] = {
    "bool": (Kind.BOOL,),
    "signed integer": (Kind.SIGNED,),
    "unsigned integer": (Kind.UNSIGNED,),
    "integral": (Kind.SIGNED, Kind.UNSIGNED),
    "real floating": (Kind.FLOAT,),
    "complex floating": (Kind.COMPLEX,),
    "numeric": (Kind.SIGNED, Kind.UNSIGNED, Kind.FLOAT, Kind.COMPLEX),
}


@dataclass(frozen=True)
class FloatInfo:
    """Limits of a float dtype."""

    dtype: DType
    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float


@dataclass(frozen=True)
class IntegerInfo:
    """Limits of an integer dtype."""

    dtype: DType
    bits: int
    max: int
    min: int


def _of(item: Any) -> DType:
    """The dtype of an array, or the dtype itself."""
    if isinstance(item, (Tracer, Array)):
        return item.dtype
    return array_dtype(item, "the array") if isinstance(item, np.ndarray) else dtype_of(item)


def finfo(type: Any, /) -> FloatInfo:
    """The limits of a float dtype, or of an array's."""
    dtype = _of(type)
    if not dtype.is_inexact:
        raise diagnostics.located(DTypeError, f"finfo takes a float dtype, not {dtype}")
    info: Any = np.finfo(dtype.name)
    limits = (info.eps, info.max, info.min, info.smallest_normal)
    return FloatInfo(dtype.part, dtype.part.bits, *(float(x) for x in limits))


def iinfo(type: Any, /) -> IntegerInfo:
    """The limits of an integer dtype, or of an array's."""
    dtype = _of(type)
    if not dtype.is_integer:
        raise diagnostics.located(DTypeError, f"iinfo takes an integer dtype, not {dtype}")
    info: Any = np.iinfo(dtype.name)
    return IntegerInfo(dtype, dtype.bits, int(info.max), int(info.min))


def isdtype(dtype: DType, kind: Any) -> bool:
    """Whether a dtype is of a kind: a dtype, a name such as "real floating", or a tuple of both."""
    own = dtype_of(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(own, k) for k in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return own.kind in _KINDS[kind]
    if not isinstance(kind, DType):
        problem = f"there is no kind of dtypes {kind!r:.40}; there are {', '.join(_KINDS)}"
        raise diagnostics.located(UsageError, problem)
    return own is kind


def can_cast(from_: Any, to: DType, /) -> bool:
    """Whether promotion may take one dtype to another."""
    wanted = dtype_of(to)
    return promote_dtypes(_of(from_), wanted) is wanted


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype in which arrays, dtypes, and Python and NumPy scalars meet; scalars are weak."""
    scalars = (bool, int, float, complex, np.generic)
    strong = [_of(item) for item in arrays_and_dtypes if not isinstance(item, scalars)]
    if not strong:
        raise diagnostics.located(UsageError, "result_type takes an array or dtype at least")
    result = strong[0]
    for dtype in strong[1:]:
        met = promote_dtypes(result, dtype)
        if met is None:
            raise diagnostics.located(DTypeError, f"{result} and {dtype} have no common dtype")
        result = met
    weak = [item for item in arrays_and_dtypes if isinstance(item, scalars)]
    kinds = {type(w.item() if isinstance(w, np.generic) else w) for w in weak}
    if complex in kinds and not result.is_complex:
        return dtypes.complex_of(result) if result.is_float else dtypes.DEFAULT_COMPLEX
    if float in kinds and not result.is_inexact:
        return dtypes.DEFAULT_FLOAT
    return dtypes.DEFAULT_INT if int in kinds and result.kind is Kind.BOOL else result


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to."""
    sizes = [core.fixed(core.shape_of("broadcast_shapes", shape)) for shape in shapes]
    try:
        return np.broadcast_shapes(*sizes)
    except ValueError:
        problem = f"the shapes {', '.join(map(str, shapes))} do not broadcast"
        raise diagnostics.located(ShapeError, problem) from None
