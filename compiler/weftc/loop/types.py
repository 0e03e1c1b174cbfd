"""The type rules of loop expressions: what each node may be made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from weftc.loop.ir import INDEX, Const, Expr, Load, LoopType, Op, Ramp, Scalar, Splat, Tree, Var
from weftc.loop.reductions import REDUCING
from weftrt import dtypes
from weftrt.dtypes import DType, Kind

_FLOAT = frozenset({Kind.FLOAT})
_INTEGER = frozenset({Kind.SIGNED, Kind.UNSIGNED})
_NUMBER = _FLOAT | _INTEGER
_BITS = _INTEGER | {Kind.BOOL}
_ANY = _NUMBER | {Kind.BOOL}

_SAME: dict[Scalar, frozenset[Kind]] = {
    **dict.fromkeys((Scalar.ADD, Scalar.SUB, Scalar.MUL, Scalar.NEG, Scalar.ABS), _NUMBER),
    **dict.fromkeys((Scalar.MINIMUM, Scalar.MAXIMUM), _NUMBER),
    **dict.fromkeys((Scalar.DIV, Scalar.FMOD, Scalar.FMA), _FLOAT),
    **dict.fromkeys((Scalar.SQRT, Scalar.COPYSIGN), _FLOAT),
    **dict.fromkeys((Scalar.FLOOR, Scalar.CEIL, Scalar.TRUNC, Scalar.RINT), _FLOAT),
    **dict.fromkeys((Scalar.TDIV, Scalar.TREM, Scalar.SHL, Scalar.SHR), _INTEGER),
    **dict.fromkeys((Scalar.AND, Scalar.OR, Scalar.XOR, Scalar.NOT), _BITS),
}
"""Operations over operands of the result's own type, of these kinds."""

_COMPARES = (Scalar.EQ, Scalar.NE, Scalar.LT, Scalar.LE, Scalar.GT, Scalar.GE)


def mistake(node: Expr, scalar: bool) -> str | None:
    """What is wrong with a node over well-typed operands, or None. `scalar`: it stands where
    widening will give lanes, so it may have none yet."""
    lanes = node.type.lanes
    if lanes < 1 or lanes & (lanes - 1):
        return f"{lanes} lanes are not a power of two"
    if lanes > 1 and scalar:
        return f"what is to be widened has no {node.type}"
    return _RULES[type(node)](node)


def index_mistake(index: LoopType, lanes: int) -> str | None:
    """What is wrong with an index for a value of `lanes` lanes."""
    if index.dtype is not INDEX.dtype:
        return f"an index is i64, not {index}"
    if index.lanes not in (1, lanes):
        return f"an index of {index.lanes} lanes for {lanes}"
    return None


def mask_mistake(mask: Expr | None, lanes: int) -> str | None:
    """What is wrong with a mask for a value of `lanes` lanes."""
    if mask is not None and mask.type != LoopType(dtypes.bool_, lanes):
        return f"a mask of type {mask.type} for {lanes} lanes"
    return None


def _const(node: Const) -> str | None:
    dtype, value = node.type.dtype, node.value
    if dtype.is_float:
        return None if not isinstance(value, bool) else f"{value} is no {dtype}"
    if dtype is dtypes.bool_:
        return None if value in (0, 1) else f"{value} is no bool"
    fits = isinstance(value, int) and value in _range(dtype)
    return None if fits else f"{value} is no {dtype}"


@cache
def _range(dtype: DType) -> range:
    """The integers of a dtype."""
    limits = np.iinfo(dtype.name)
    return range(limits.min, limits.max + 1)


def _op(node: Op) -> str | None:
    types, lanes = [arg.type for arg in node.args], node.type.lanes
    if len(types) != node.op.arity:
        return f"{node.op!r} takes {node.op.arity} operands"
    if [t for t in types if t.lanes != lanes]:
        return f"{node.op!r} over {_list(types)} gives {node.type}: lanes differ"
    fits = _FITS.get(node.op, _fits_same)
    if not fits(node.op, [t.dtype for t in types], node.type.dtype):
        return f"{node.op!r} over {_list(types)} cannot give {node.type}"
    return None


def _list(types: list[LoopType]) -> str:
    return ", ".join(map(str, types))


def _fits_same(op: Scalar, args: list[DType], result: DType) -> bool:
    return result.kind in _SAME[op] and args == [result] * len(args)


def _fits_comparison(op: Scalar, args: list[DType], result: DType) -> bool:
    return result is dtypes.bool_ and args[0] is args[1]


def _fits_select(op: Scalar, args: list[DType], result: DType) -> bool:
    return args[0] is dtypes.bool_ and args[1] is result and args[2] is result


def _fits_ldexp(op: Scalar, args: list[DType], result: DType) -> bool:
    return result.is_float and args[0] is result and args[1] in (dtypes.int32, dtypes.int64)


def _fits_bitcast(op: Scalar, args: list[DType], result: DType) -> bool:
    return args[0].bits == result.bits and dtypes.bool_ not in (args[0], result)


_FITS: dict[Scalar, Callable[[Scalar, list[DType], DType], bool]] = {
    **dict.fromkeys(_COMPARES, _fits_comparison),
    Scalar.SELECT: _fits_select,
    Scalar.LDEXP: _fits_ldexp,
    Scalar.CAST: lambda op, args, result: True,
    Scalar.BITCAST: _fits_bitcast,
}


def _load(node: Load) -> str | None:
    if node.type.dtype is not node.buffer.dtype:
        return f"{node.buffer.name} holds {node.buffer.dtype}, not {node.type}"
    lanes = node.type.lanes
    return index_mistake(node.index.type, lanes) or mask_mistake(node.mask, lanes)


def _ramp(node: Ramp) -> str | None:
    fits = node.base.type == LoopType(node.type.dtype) and node.type.dtype.is_integer
    fits = fits and node.type.lanes > 1 and node.step != 0
    return None if fits else f"ramp of {node.base.type} to {node.type}"


def _splat(node: Splat) -> str | None:
    fits = node.value.type == LoopType(node.type.dtype) and node.type.lanes > 1
    return None if fits else f"splat of {node.value.type} to {node.type}"


def _tree(node: Tree) -> str | None:
    value = node.value.type
    fits = value.lanes > 1 and node.type == LoopType(value.dtype) and node.op in REDUCING
    return None if fits else f"tree of {value} by {node.op!r} to {node.type}"


_RULES: dict[type, Callable[[Any], str | None]] = {
    Const: _const,
    Var: lambda node: None,
    Op: _op,
    Load: _load,
    Ramp: _ramp,
    Splat: _splat,
    Tree: _tree,
}
