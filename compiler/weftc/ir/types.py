"""Tensor types: `f32[n,4*m+1]` is one."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from weftc.ir.sizes import Shape, Size, product, static_shape
from weftrt.dtypes import DType
from weftrt.errors import OutOfMemoryError
from weftrt.lazy import lazy
from weftrt.sizes import MOST_BYTES, amount

LARGE_BYTES = 1 << 30
"""A value of as many bytes may not be had: it is told by which line it is made."""


@dataclass(frozen=True)
class TensorType:
    """A dtype and a shape."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return product(self.shape)

    @property
    def is_static(self) -> bool:
        return all(isinstance(s, int) for s in self.shape)

    @lazy
    def is_large(self) -> bool:
        """Whether a value of this type is known to take so much memory that there may be none."""
        total = self.dtype.itemsize
        for size in self.shape:
            if not isinstance(size, int):
                return False
            total *= size
        return total >= LARGE_BYTES

    @property
    def bytes(self) -> int:
        """Bytes of a value of fixed size."""
        return self.dtype.itemsize * prod(static_shape(self.shape))

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def with_shape(self, shape: Shape) -> TensorType:
        return TensorType(self.dtype, shape)

    def __str__(self) -> str:
        return f"{self.dtype.short}[{','.join(map(str, self.shape))}]"

    __repr__ = __str__


@dataclass(frozen=True)
class TokenType:
    """The type of a value without data, which orders effects."""

    def __str__(self) -> str:
        return "token"

    __repr__ = __str__


TOKEN = TokenType()


@dataclass(frozen=True)
class TupleType:
    """The types of an op's several results; `project` nodes are the results themselves."""

    items: tuple[TensorType | TokenType, ...]

    def __str__(self) -> str:
        inside = ", ".join(map(str, self.items))
        return f"({inside},)" if len(self.items) == 1 else f"({inside})"

    __repr__ = __str__


ValueType: TypeAlias = "TensorType | TupleType | TokenType"


def check_size(type_: TensorType) -> None:
    """OutOfMemoryError for a value with more bytes than any array can have. Axes of no elements
    count as 1; a symbolic size as its largest coefficient, since it may be as small as that."""
    total = type_.dtype.itemsize
    for size in type_.shape:
        if isinstance(size, int):
            total *= size or 1
        else:
            total *= max(abs(coefficient) for _, coefficient in size.terms)
    if total >= MOST_BYTES:
        least = "" if type_.is_static else "at least "
        raise OutOfMemoryError(
            f"an array {type_} would take {least}{amount(total)}; "
            f"the largest takes less than {amount(MOST_BYTES)}"
        )
