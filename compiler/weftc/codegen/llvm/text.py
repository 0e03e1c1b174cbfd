"""Spelling of types and constants in LLVM IR."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from functools import cache

from weftc.loop.ir import Const, LoopType
from weftrt import dtypes
from weftrt.dtypes import DType

REGISTER = {
    dtypes.bool_: "i1",
    dtypes.uint8: "i8",
    dtypes.uint32: "i32",
    dtypes.uint64: "i64",
    dtypes.int32: "i32",
    dtypes.int64: "i64",
    dtypes.float32: "float",
    dtypes.float64: "double",
}
MEMORY = {**REGISTER, dtypes.bool_: "i8"}
_MANGLED = {"float": "f32", "double": "f64"}


def lanes_of(scalar: str, lanes: int) -> str:
    """The LLVM type of `lanes` of `scalar`; a plain scalar for one."""
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def mangled(scalar: str, lanes: int) -> str:
    """The suffix by which intrinsics name a type: v16f32."""
    name = _MANGLED.get(scalar, scalar)
    return name if lanes == 1 else f"v{lanes}{name}"


@cache
def register_type(dtype: DType, lanes: int) -> str:
    """The type of a value in a register."""
    return lanes_of(REGISTER[dtype], lanes)


def of(type_: LoopType) -> str:
    """The type of a value in a register."""
    return register_type(type_.dtype, type_.lanes)


def float_literal(value: float, dtype: DType) -> str:
    """Exact bits; LLVM wants a float constant in the hexadecimal form of the equal double."""
    if dtype is dtypes.float32 and not math.isnan(value):
        value = struct.unpack("f", struct.pack("f", value))[0]
    return f"0x{struct.unpack('Q', struct.pack('d', value))[0]:016X}"


def literal(value: bool | int | float, dtype: DType) -> str:
    """One element as LLVM writes it, without its type."""
    if dtype.is_float:
        return float_literal(float(value), dtype)
    if dtype is dtypes.bool_:
        return "true" if value else "false"
    return str(int(value))


def splat(value: bool | int | float, dtype: DType, lanes: int) -> str:
    """The same element in every lane."""
    one = literal(value, dtype)
    return one if lanes == 1 else f"splat ({REGISTER[dtype]} {one})"


def constant(const: Const) -> str:
    """A literal as LLVM writes it, in every lane."""
    return splat(const.value, const.type.dtype, const.type.lanes)


@cache
def ramp(scalar: str, lanes: int, step: int) -> str:
    """The vector constant 0, step, ..., (lanes - 1) * step."""
    return "<" + ", ".join(f"{scalar} {i * step}" for i in range(lanes)) + ">"


@cache
def reversal(lanes: int) -> str:
    """The shuffle mask that takes all lanes, the last one first."""
    return order_of(reversed(range(lanes)))


def order_of(places: Iterable[int]) -> str:
    """The shuffle mask that takes these lanes."""
    numbers = [f"i32 {place}" for place in places]
    return f"<{len(numbers)} x i32> <{', '.join(numbers)}>"


@cache
def shuffle_mask(start: int, count: int) -> str:
    """The shuffle mask that takes lanes start ... start + count - 1."""
    return order_of(range(start, start + count))
