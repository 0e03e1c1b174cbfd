"""Which dtype an operation computes in: the Array API's table, weak scalars, default dtypes.

Python integers are exact. Beside an array of integers they must fit its dtype, or RangeError is
raised; a comparison with one that does not fit has one answer for all elements. Beside floats any
integer is rounded to the nearest. A trace depends on what was found so about an argument: it notes
the range of integers for which it holds (Trace.narrow), and calls outside of it trace again. What
arithmetic makes of integer arguments is an int64 that wraps, and so does its conversion.

A NumPy scalar is the Python number that it holds, as an operand and as an argument; only asarray
keeps its dtype, as it keeps an array's.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from weft import diagnostics
from weft.symbolic import value_of
from weft.tracing import INT64, Tracer, active, apply, constant, is_literal
from weftc.ir.constraints import AtLeast, AtMost, assume
from weftc.ir.sizes import Size
from weftc.loop import scalar
from weftc.loop.ir import Scalar
from weftc.ops import TABLE
from weftrt import dtypes
from weftrt.dtypes import DType, Kind
from weftrt.errors import DTypeError, RangeError

_SIGNED_BY_BITS = {32: dtypes.int32, 64: dtypes.int64}
_DEFAULT = {
    Kind.BOOL: dtypes.bool_,
    Kind.SIGNED: dtypes.DEFAULT_INT,
    Kind.FLOAT: dtypes.DEFAULT_FLOAT,
    Kind.COMPLEX: dtypes.DEFAULT_COMPLEX,
}
_PYTHON = (
    (complex, dtypes.DEFAULT_COMPLEX),
    (float, dtypes.DEFAULT_FLOAT),
    (int, dtypes.DEFAULT_INT),
    (bool, dtypes.bool_),
)
_WEAK_ORDER = (Kind.BOOL, Kind.SIGNED, Kind.FLOAT, Kind.COMPLEX)


def dtype_of(dtype: Any) -> DType:
    """A Weft dtype from a NumPy one, a name or a Python scalar type."""
    if isinstance(dtype, DType):
        return dtype
    found = next((ours for kind, ours in _PYTHON if dtype is kind), None)
    if found is None and isinstance(dtype, (str, np.dtype, type)):
        try:
            found = dtypes.from_numpy(dtype)
        except (TypeError, ValueError):
            found = None
    if found is None:
        known = ", ".join(d.name for d in dtypes.ALL)
        raise diagnostics.located(DTypeError, f"{dtype!r:.40} is no dtype of Weft's: {known}")
    return found


def promote_dtypes(a: DType, b: DType) -> DType | None:
    """The dtype that holds both, by the Array API's table; None where it has none."""
    if a is b or b.kind is Kind.BOOL:
        return a
    if a.kind is Kind.BOOL:
        return b
    if a.kind is b.kind:
        return a if a.bits >= b.bits else b
    if a.is_complex or b.is_complex:
        whole, other = (a, b) if a.is_complex else (b, a)
        wide = other.is_float and other.bits > whole.part.bits
        return dtypes.complex_of(other) if wide else whole
    if a.is_float or b.is_float:
        return a if a.is_float else b
    unsigned, signed = (a, b) if a.kind is Kind.UNSIGNED else (b, a)
    return signed if signed.bits > unsigned.bits else _SIGNED_BY_BITS.get(2 * unsigned.bits)


def default_dtype(weak: DType) -> DType:
    """The dtype that a lone Python scalar becomes as an array."""
    return _DEFAULT[weak.kind]


def common_dtype(name: str, operands: Sequence[Tracer]) -> DType:
    """The dtype in which these operands meet."""
    strong = [o for o in operands if not o.weak]
    weak = [o.dtype.kind for o in operands if o.weak]
    loosest = max(weak, key=_WEAK_ORDER.index) if weak else Kind.BOOL
    if not strong:
        return _DEFAULT[loosest]
    result = strong[0].dtype
    for operand in strong[1:]:
        met = promote_dtypes(result, operand.dtype)
        if met is None:
            diagnostics.fail(
                DTypeError, name, operands, f"{result} and {operand.dtype} have no common dtype; "
                "convert one with astype",
            )  # fmt: skip
        result = met
    if loosest is Kind.COMPLEX and not result.is_complex:
        return dtypes.complex_of(result) if result.is_float else dtypes.DEFAULT_COMPLEX
    if loosest is Kind.FLOAT and not result.is_inexact:
        return dtypes.DEFAULT_FLOAT
    if loosest is Kind.SIGNED and result.kind is Kind.BOOL:
        return dtypes.DEFAULT_INT
    return result


def convert(x: Tracer, dtype: DType) -> Tracer:
    """`x` in `dtype`, strong. A constant is converted here, so that it prints as one."""
    node = x.node
    if x.value is not None and is_literal(node) and not _loses_part(x.dtype, dtype):
        return Tracer(constant(number(x.value, dtype), dtype), active())
    if type(x.value) is int and dtype.is_integer and _side(x, dtype):
        raise _does_not_fit(x.value, dtype)
    if node.op is TABLE["size"] and dtype.is_integer:
        _check_size(node["size"], dtype)
    if node.type.dtype is dtype:
        return Tracer(node, active()) if x.weak else x
    return apply("convert", x, dtype=dtype, name="astype")


def _loses_part(dtype: DType, wanted: DType) -> bool:
    """Whether a conversion would drop imaginary parts, which is refused."""
    return dtype.is_complex and not wanted.is_complex and wanted.kind is not Kind.BOOL


def _check_size(size: Size, dtype: DType) -> None:
    """RangeError if a size, a Python integer in this trace, does not fit `dtype`; that it does is
    assumed."""
    low, high = limits(dtype)
    for end, fits in ((low, AtLeast(size, low)), (high, AtMost(size, high))):
        if abs(end) < INT64[1] and not assume(fits):
            raise _does_not_fit(value_of(size), dtype)


def number(value: Any, dtype: DType) -> Any:
    """A Python number as `dtype` holds it: an integer as it is, or RangeError; floats as by astype;
    rounded to the nearest float."""
    if type(value) is int and dtype.is_integer:
        low, high = limits(dtype)
        if not low <= value <= high:
            raise _does_not_fit(value, dtype)
        return value
    if dtype.is_float:
        exact = type(value) is not int or -_EXACT <= value <= _EXACT
        return _C_FLOATS[dtype.bits](value).value if exact else rounded(value, dtype)
    if dtype.kind is Kind.BOOL:
        return value != 0
    if dtype.is_complex:
        return complex(*(number(part, dtype.part) for part in _parts(value)))
    return cast(np.asarray(value), dtype).item()


def _parts(value: Any) -> tuple[Any, Any]:
    """The parts of a Python number."""
    return (value.real, value.imag) if type(value) is complex else (value, 0.0)


_EXACT = 1 << 53
"""Up to here float64 holds every integer, so that it is rounded once."""
_C_FLOATS = {32: ctypes.c_float, 64: ctypes.c_double}


def cast(source: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """An ndarray in another dtype, by the meaning that kernels give to it."""
    found = dtypes.from_numpy(source.dtype)
    assert found is not None
    if _loses_part(found, dtype):
        problem = f"a conversion takes real numbers to {dtype}, but was given {found}"
        instead = "take wf.real(z), wf.imag(z) or wf.abs(z) first"
        raise diagnostics.located(DTypeError, f"{problem}; {instead}")
    if found.is_complex:
        return source.astype(dtype.dtype)
    if dtype.is_complex:
        return scalar.evaluate(Scalar.CAST, [source], dtype.part).astype(dtype.dtype)
    return scalar.evaluate(Scalar.CAST, [source], dtype)


def rounded(value: int, dtype: DType) -> float:
    """The float of `dtype` nearest to an integer; beyond all of them it is infinite."""
    excess = max(value.bit_length() - 62, 0)
    odd = (value >> excess) | (value & ((1 << excess) - 1) != 0)  # what is cut off decides a tie
    with np.errstate(over="ignore"):
        nearest = np.asarray(odd, np.int64).astype(dtype.dtype)
        return float(np.ldexp(nearest, min(excess, 1 << 14)))


@functools.cache
def limits(dtype: DType) -> tuple[int, int]:
    """The smallest and the largest integer of an integer dtype."""
    top = 1 << (dtype.bits - dtype.is_signed)
    return (-top if dtype.is_signed else 0), top - 1


def _side(x: Tracer, dtype: DType) -> int:
    """-1, 0 or 1: whether a Python integer is below, in or above the range of `dtype`.

    If it is an argument, the trace holds for integers on this side only.
    """
    assert type(x.value) is int
    low, high = limits(dtype)
    side = (x.value > high) - (x.value < low)
    if x.node.op is not TABLE["constant"]:
        span = {-1: (INT64[0], low - 1), 0: (low, high), 1: (high + 1, INT64[1])}[side]
        x.narrow(*span)
    return side


def _does_not_fit(value: int, dtype: DType) -> Exception:
    low, high = limits(dtype)
    problem = f"the integer {value} does not fit {dtype}, which holds {low} to {high}"
    return diagnostics.located(RangeError, problem)


HOLDS = {-1: ("gt", "ge", "ne"), 1: ("lt", "le", "ne")}
"""Comparisons that hold if the right operand is below, or above, all that the left one can be."""


def decided(op: str, left: Tracer, right: Tracer) -> bool | None:
    """The answer of a comparison that is the same for all elements, because a Python integer is
    outside the other operand's dtype; None where there is none."""
    for x, other, sign in ((right, left, 1), (left, right, -1)):
        dtype = dtypes.DEFAULT_INT if other.dtype is dtypes.bool_ else other.dtype
        if type(x.value) is int and dtype.is_integer:
            side = _side(x, dtype)
            if side:
                return op in HOLDS[side * sign]
    return None


def promoted(name: str, *operands: Tracer) -> list[Tracer]:
    """The operands in their common dtype."""
    dtype = common_dtype(name, operands)
    return [convert(o, dtype) for o in operands]


def as_float(x: Tracer) -> Tracer:
    """`x` in a float or complex dtype: its own, or the default."""
    if x.dtype.is_complex:
        return as_strong(x)
    return x if x.dtype.is_float and not x.weak else convert(x, dtypes.DEFAULT_FLOAT)


def as_strong(x: Tracer) -> Tracer:
    """`x` as an array: a weak scalar takes its default dtype."""
    return convert(x, default_dtype(x.dtype)) if x.weak else x
