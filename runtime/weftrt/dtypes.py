"""Element types: one row per dtype, shared by every room.

To add a dtype, add a row here; the tables of the compiler and the backends are keyed by `DType`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from weftrt.lazy import lazy


class Kind(Enum):
    """The arithmetic family of an element type."""

    BOOL = "bool"
    UNSIGNED = "unsigned"
    SIGNED = "signed"
    FLOAT = "float"
    COMPLEX = "complex"

    __hash__ = object.__hash__  # Enum's own is a Python function, and tables are keyed by these


@dataclass(frozen=True, eq=False)
class DType:
    """An element type, equal to NumPy's dtype of the same elements, its scalar type and its name;
    `np.dtype(weft.float32)` works."""

    name: str
    short: str
    code: int
    kind: Kind
    bits: int
    dtype: np.dtype[np.generic]

    @lazy
    def itemsize(self) -> int:
        """Bytes an element takes in memory (a bool takes one)."""
        return self.dtype.itemsize

    @lazy
    def is_float(self) -> bool:
        return self.kind is Kind.FLOAT

    @lazy
    def is_complex(self) -> bool:
        return self.kind is Kind.COMPLEX

    @lazy
    def is_inexact(self) -> bool:
        """Whether this is a float or complex dtype."""
        return self.kind in (Kind.FLOAT, Kind.COMPLEX)

    @property
    def part(self) -> DType:
        """The dtype of the real and the imaginary part of a complex one; else the dtype itself."""
        return _PARTS.get(self, self)

    @lazy
    def is_integer(self) -> bool:
        return self.kind in (Kind.SIGNED, Kind.UNSIGNED)

    @lazy
    def is_signed(self) -> bool:
        return self.kind in (Kind.SIGNED, Kind.FLOAT)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType):
            return self is other
        if isinstance(other, str):
            return other == self.name
        if isinstance(other, type) and issubclass(other, np.generic):
            return other is self.dtype.type
        return NotImplemented  # a dtype of NumPy's compares itself

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[object, ...]:
        return (by_name, (self.name,))


def _row(name: str, short: str, code: int, kind: Kind, bits: int) -> DType:
    return DType(name, short, code, kind, bits, np.dtype(name))


bool_ = _row("bool", "bool", 0, Kind.BOOL, 8)
uint8 = _row("uint8", "u8", 1, Kind.UNSIGNED, 8)
uint32 = _row("uint32", "u32", 2, Kind.UNSIGNED, 32)
uint64 = _row("uint64", "u64", 3, Kind.UNSIGNED, 64)
int32 = _row("int32", "i32", 4, Kind.SIGNED, 32)
int64 = _row("int64", "i64", 5, Kind.SIGNED, 64)
float32 = _row("float32", "f32", 6, Kind.FLOAT, 32)
float64 = _row("float64", "f64", 7, Kind.FLOAT, 64)
complex64 = _row("complex64", "c64", 8, Kind.COMPLEX, 64)
complex128 = _row("complex128", "c128", 9, Kind.COMPLEX, 128)

REAL: tuple[DType, ...] = (bool_, uint8, uint32, uint64, int32, int64, float32, float64)
"""What kernels compute in: of a complex number they see its parts."""
COMPLEX: tuple[DType, ...] = (complex64, complex128)
ALL: tuple[DType, ...] = (*REAL, *COMPLEX)
_PARTS = {complex64: float32, complex128: float64}
_WITH_PARTS = {part: whole for whole, part in _PARTS.items()}
BY_NAME = {d.name: d for d in ALL}
BY_SHORT = {d.short: d for d in ALL}
_BY_NUMPY = {d.dtype: d for d in ALL}

DEFAULT_FLOAT = float32
DEFAULT_COMPLEX = complex64
DEFAULT_INT = int64


def by_name(name: str) -> DType:
    """The dtype called `name` ("float32"); KeyError if there is none."""
    return BY_NAME[name]


def complex_of(part: DType) -> DType:
    """The complex dtype whose parts are of a float dtype."""
    return _WITH_PARTS[part]


def from_numpy(dtype: object) -> DType | None:
    """The DType of a NumPy dtype (or what np.dtype accepts), None where Weft has none such."""
    return _BY_NUMPY.get(np.dtype(dtype).newbyteorder("="))  # type: ignore[call-overload]
