"""Pointwise ops: equal shapes in, the same shape out, one scalar term per element.

`unary`, `binary` and `ternary` make the records; weftc.ops.elementary uses them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import DTypeError

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, Infer, OpDef, Reference, Vjp
from weftc.ir.types import TensorType
from weftc.loop.ir import Expr
from weftc.ops import check
from weftc.ops.check import FLOATS, Kinds

Array: TypeAlias = "np.ndarray[Any, Any]"


def pointwise(name: str, count: int, kinds: Kinds, result: DType | None = None) -> Infer:
    """The type rule of a pointwise op: `count` inputs of one type, its dtype of `kinds`; the result
    has that type, or the dtype `result`."""

    def infer(types: tuple[TensorType, ...], attrs: Attrs) -> TensorType:
        check.arity(name, types, count)
        first = types[0]
        check.same_dtype(name, types)
        check.kind(name, first, kinds)
        check.same_shape(name, types)
        return first if result is None else first.with_dtype(result)

    return infer


def pointwise_float(name: str, count: int = 1) -> Infer:
    """The type rule of a pointwise op on floats."""
    return pointwise(name, count, FLOATS)


def by_numpy(function: Callable[..., Any]) -> Reference:
    """A reference that calls `function` on the arrays, without warnings."""

    def reference(arrays: Any, attrs: Attrs, type_: TensorType) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays), dtype=type_.dtype.dtype)

    return reference


def _define(
    name: str,
    count: int,
    lower: Callable[..., Expr],
    reference: Callable[..., Any],
    *,
    kinds: Kinds = FLOATS,
    result: DType | None = None,
    **fields: Any,
) -> OpDef:
    def lower_all(scalars: tuple[Expr, ...], dtype: DType, attrs: Attrs) -> Expr:
        return lower(*scalars)

    return TABLE.add(
        OpDef(
            name,
            Family.POINTWISE,
            infer=pointwise(name, count, kinds, result),
            reference=by_numpy(reference),
            lower=lower_all,
            **fields,
        )
    )


def unary(
    name: str, lower: Callable[[Expr], Expr], reference: Callable[[Array], Any], **fields: Any
) -> OpDef:
    """Define a pointwise op of one input (floats unless `kinds` says otherwise). `lower` and
    `reference` take the operand itself; the dtype is `x.type.dtype` and `x.dtype` there."""
    return _define(name, 1, lower, reference, **fields)


def binary(
    name: str,
    lower: Callable[[Expr, Expr], Expr],
    reference: Callable[[Array, Array], Any],
    **fields: Any,
) -> OpDef:
    """Define a pointwise op of two inputs of one type."""
    return _define(name, 2, lower, reference, **fields)


def ternary(
    name: str,
    lower: Callable[[Expr, Expr, Expr], Expr],
    reference: Callable[[Array, Array, Array], Any],
    **fields: Any,
) -> OpDef:
    """Define a pointwise op of three inputs of one type."""
    return _define(name, 3, lower, reference, **fields)
