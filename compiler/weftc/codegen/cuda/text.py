"""Spelling of types, names, literals and scalar operations in CUDA C."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from weftc.codegen.cuda.prelude import PRELUDE
from weftc.loop.ir import Const, Op, Scalar
from weftrt import dtypes
from weftrt.dtypes import DType, Kind

REGISTER = {
    dtypes.bool_: "bool",
    dtypes.uint8: "u8",
    dtypes.uint32: "u32",
    dtypes.uint64: "u64",
    dtypes.int32: "i32",
    dtypes.int64: "i64",
    dtypes.float32: "float",
    dtypes.float64: "double",
}
MEMORY = {**REGISTER, dtypes.bool_: "u8"}

_KEYWORDS = """
    auto bool break case char class const continue default delete do double else enum extern false
    float for friend goto if inline int long namespace new operator private protected public
    register return short signed sizeof static struct switch template this throw true try typedef
    typename union unsigned using virtual void volatile while
    status blockIdx gridDim threadIdx fma fabs sqrt floor ceil trunc rint copysign
"""
_TYPES = ("u8", "i32", "u32", "i64", "u64")
RESERVED = frozenset((*_KEYWORDS.split(), *_TYPES, *re.findall(r"\b(\w+)(?=[(<])", PRELUDE)))
"""Keywords, and whatever the text of a kernel refers to."""


def identifier(name: str) -> str:
    """`name` as a C identifier that hides nothing."""
    plain = re.sub(r"\W", "_", name)
    if plain in RESERVED or not plain or plain[0].isdigit():
        return f"{plain}_v"
    return plain


_SUFFIX = {dtypes.uint32: "u", dtypes.uint64: "ull"}


def literal(value: bool | int | float, dtype: DType) -> str:
    """A constant, to the bit."""
    if dtype is dtypes.bool_:
        return "true" if value else "false"
    if not dtype.is_float:
        return _integer_literal(int(value), dtype)
    return _float_literal(float(value), dtype)


def _integer_literal(value: int, dtype: DType) -> str:
    """A small int64 is written as an int, to be read easily: no rule depends on its type."""
    long = dtype is dtypes.int64 and not -(1 << 31) < value < 1 << 31
    suffix = "ll" if long else _SUFFIX.get(dtype, "")
    if dtype.is_signed and value == -(1 << (dtype.bits - 1)):
        return f"({value + 1}{suffix} - 1)"  # C has no negative literals
    return f"{value}{suffix}"


def _float_literal(value: float, dtype: DType) -> str:
    """The shortest decimal that reads back the same."""
    single = dtype is dtypes.float32
    if math.isfinite(value):
        digits = str(np.float32(value)) if single else repr(value)
        if "e" not in digits and "." not in digits:
            digits += ".0"
        return digits + ("f" if single else "")
    if math.isnan(value):
        bits = "0x7fc00000" if single else "0x7ff8000000000000ll"
    elif single:
        bits = "0x7f800000" if value > 0 else "int(0xff800000u)"
    else:
        bits = "0x7ff0000000000000ll" if value > 0 else "i64(0xfff0000000000000ull)"
    return f"__int_as_float({bits})" if single else f"__longlong_as_double({bits})"


def constant(const: Const) -> str:
    """A literal of the loop IR in C."""
    return literal(const.value, const.type.dtype)


# ---------------------------------------------------------------------------------------------
# Operations. A rule gets the operation and its operands' text (parenthesized where needed).
# ---------------------------------------------------------------------------------------------

Rule: TypeAlias = Callable[[Op, Sequence[str]], str]


def _infix(symbol: str) -> Rule:
    return lambda op, args: f"{args[0]} {symbol} {args[1]}"


def _prefix(symbol: str) -> Rule:
    def rule(op: Op, args: Sequence[str]) -> str:
        return f"{symbol}({args[0]})" if args[0].startswith("-") else f"{symbol}{args[0]}"

    return rule


def _template(name: str) -> Rule:
    """A function of the prelude; its type is given, as literals may be of another."""
    return lambda op, args: f"{name}<{REGISTER[op.type.dtype]}>({', '.join(args)})"


def _function(name: str) -> Rule:
    return lambda op, args: f"{name}({', '.join(args)})"


def _float_function(name: str) -> Rule:
    """A function of the C library: fma, and fmaf for float."""

    def rule(op: Op, args: Sequence[str]) -> str:
        return f"{name}{'f' if op.type.dtype.bits == 32 else ''}({', '.join(args)})"

    return rule


def _narrow(symbol: str) -> Rule:
    """On types narrower than int, C computes in int: back to the type."""

    def rule(op: Op, args: Sequence[str]) -> str:
        text = f"{args[0]} {symbol} {args[1]}"
        return f"u8({text})" if op.type.dtype.bits == 8 else text

    return rule


def _wrapping(name: str, symbol: str) -> Rule:
    """Unsigned arithmetic wraps in C; signed arithmetic needs help."""

    def rule(op: Op, args: Sequence[str]) -> str:
        if op.type.dtype.kind is Kind.SIGNED:
            return _template(name)(op, args)
        return _narrow(symbol)(op, args)

    return rule


def _negate(op: Op, args: Sequence[str]) -> str:
    return f"wrap_sub<{REGISTER[op.type.dtype]}>(0, {args[0]})"


def _invert(op: Op, args: Sequence[str]) -> str:
    return f"u8(~{args[0]})" if op.type.dtype.bits == 8 else f"~{args[0]}"


def _select(op: Op, args: Sequence[str]) -> str:
    return f"{args[0]} ? {args[1]} : {args[2]}"


def _bitcast(op: Op, args: Sequence[str]) -> str:
    source, target = REGISTER[op.args[0].type.dtype], REGISTER[op.type.dtype]
    return f"bits_as<{target}, {source}>({args[0]})"


def _cast(op: Op, args: Sequence[str]) -> str:
    source, target = op.args[0].type.dtype, op.type.dtype
    if target is dtypes.bool_:
        return f"{args[0]} != 0"
    if not source.is_float or target.is_float:
        return f"{REGISTER[target]}({args[0]})"
    low = -(1 << (target.bits - 1)) if target.is_signed else 0
    high = 1 << (target.bits - target.is_signed)
    bounds = [literal(float(low), source), literal(float(high), source)]
    bounds += [literal(low, target), literal(high - 1, target)]
    types = f"{REGISTER[target]}, {REGISTER[source]}"
    return f"saturate<{types}>({args[0]}, {', '.join(bounds)})"


_COMMON: dict[Scalar, Rule] = {
    Scalar.SELECT: _select,
    Scalar.CAST: _cast,
    Scalar.BITCAST: _bitcast,
    Scalar.EQ: _infix("=="),
    Scalar.NE: _infix("!="),
    Scalar.LT: _infix("<"),
    Scalar.LE: _infix("<="),
    Scalar.GT: _infix(">"),
    Scalar.GE: _infix(">="),
}

_FLOAT: dict[Scalar, Rule] = {
    **_COMMON,
    Scalar.ADD: _infix("+"),
    Scalar.SUB: _infix("-"),
    Scalar.MUL: _infix("*"),
    Scalar.DIV: _infix("/"),
    Scalar.NEG: _prefix("-"),
    Scalar.FMOD: _float_function("fmod"),
    Scalar.FMA: _float_function("fma"),
    Scalar.ABS: _float_function("fabs"),
    Scalar.SQRT: _float_function("sqrt"),
    Scalar.FLOOR: _float_function("floor"),
    Scalar.CEIL: _float_function("ceil"),
    Scalar.TRUNC: _float_function("trunc"),
    Scalar.RINT: _float_function("rint"),
    Scalar.COPYSIGN: _float_function("copysign"),
    Scalar.MINIMUM: _template("minimum"),
    Scalar.MAXIMUM: _template("maximum"),
    Scalar.LDEXP: _function("scale"),
}

_INTEGER: dict[Scalar, Rule] = {
    **_COMMON,
    Scalar.ADD: _wrapping("wrap_add", "+"),
    Scalar.SUB: _wrapping("wrap_sub", "-"),
    Scalar.MUL: _wrapping("wrap_mul", "*"),
    Scalar.TDIV: _narrow("/"),
    Scalar.TREM: _narrow("%"),
    Scalar.NEG: _negate,
    Scalar.ABS: _template("absolute"),
    Scalar.MINIMUM: _template("least"),
    Scalar.MAXIMUM: _template("largest"),
    Scalar.AND: _narrow("&"),
    Scalar.OR: _narrow("|"),
    Scalar.XOR: _narrow("^"),
    Scalar.NOT: _invert,
    Scalar.SHL: _wrapping("wrap_shl", "<<"),
    Scalar.SHR: _narrow(">>"),
}

_BOOL: dict[Scalar, Rule] = {
    **_COMMON,
    Scalar.AND: _infix("&&"),
    Scalar.OR: _infix("||"),
    Scalar.XOR: _infix("!="),
    Scalar.NOT: _prefix("!"),
    Scalar.MINIMUM: _infix("&&"),
    Scalar.MAXIMUM: _infix("||"),
}

RULES: dict[Kind, dict[Scalar, Rule]] = {
    Kind.FLOAT: _FLOAT,
    Kind.SIGNED: _INTEGER,
    Kind.UNSIGNED: _INTEGER,
    Kind.BOOL: _BOOL,
}
"""By the kind of the first operand."""

INDEX_RULES: dict[Scalar, Rule] = {
    Scalar.ADD: _infix("+"),
    Scalar.SUB: _infix("-"),
    Scalar.MUL: _infix("*"),
}
"""Arithmetic on positions, which never overflows, reads better plain."""
