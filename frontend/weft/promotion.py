"""Which dtype an operation computes in: the Array API's table, weak scalars, default dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft import diagnostics
from weft.tracing import Tracer, active, apply, constant
from weftc.ops import TABLE
from weftrt import dtypes
from weftrt.dtypes import DType, Kind
from weftrt.errors import DTypeError

_SIGNED_BY_BITS = {32: dtypes.int32, 64: dtypes.int64}
_DEFAULT = {
    Kind.BOOL: dtypes.bool_,
    Kind.SIGNED: dtypes.DEFAULT_INT,
    Kind.FLOAT: dtypes.DEFAULT_FLOAT,
}
_WEAK_ORDER = (Kind.BOOL, Kind.SIGNED, Kind.FLOAT)


def dtype_of(dtype: Any) -> DType:
    """A Weft dtype from a NumPy one, a name or a Python scalar type."""
    if isinstance(dtype, DType):
        return dtype
    python = {float: dtypes.DEFAULT_FLOAT, int: dtypes.DEFAULT_INT, bool: dtypes.bool_}
    try:
        found = python[dtype] if dtype in python else dtype and dtypes.from_numpy(dtype)
    except (TypeError, ValueError):
        found = None
    if found is None:
        known = ", ".join(d.name for d in dtypes.ALL)
        raise diagnostics.located(DTypeError, f"{dtype!r} is no dtype of Weft's: {known}")
    return found


def promote_dtypes(a: DType, b: DType) -> DType | None:
    """The dtype that holds both, by the Array API's table; None where it has none."""
    if a is b or b.kind is Kind.BOOL:
        return a
    if a.kind is Kind.BOOL:
        return b
    if a.kind is b.kind:
        return a if a.bits >= b.bits else b
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
    weak = [o.dtype for o in operands if o.weak]
    loosest = max((d.kind for d in weak), key=_WEAK_ORDER.index, default=Kind.BOOL)
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
    if loosest is Kind.FLOAT and not result.is_float:
        return dtypes.DEFAULT_FLOAT
    if loosest is Kind.SIGNED and result.kind is Kind.BOOL:
        return dtypes.DEFAULT_INT
    return result


def convert(x: Tracer, dtype: DType) -> Tracer:
    """`x` in `dtype`, strong. A constant is converted here, so that it prints as one."""
    node = x.node
    if node.type.dtype is dtype:
        return Tracer(node, active()) if x.weak else x
    if x.weak and node.op is TABLE["constant"]:
        return Tracer(constant(node["value"], dtype), active())
    return apply("convert", x, dtype=dtype)


def promoted(name: str, *operands: Tracer) -> list[Tracer]:
    """The operands in their common dtype."""
    dtype = common_dtype(name, operands)
    return [convert(o, dtype) for o in operands]


def as_float(x: Tracer) -> Tracer:
    """`x` in a float dtype: its own, or the default."""
    return x if x.dtype.is_float and not x.weak else convert(x, dtypes.DEFAULT_FLOAT)


def as_strong(x: Tracer) -> Tracer:
    """`x` as an array: a weak scalar takes its default dtype."""
    return convert(x, default_dtype(x.dtype)) if x.weak else x
