"""One LLVM rule per scalar operation: a table for each kind of element.

A rule gets the function being written, the operation and its operands' names, and returns the name
of the result. Nothing here may contract, reassociate or assume: no fast-math flag, no nsw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from weftc.codegen.llvm import text
from weftc.codegen.llvm.bounds import bounds, is_whole
from weftc.codegen.llvm.remainder import exact_remainder
from weftc.loop.ir import Const, Expr, Op, Scalar, Var
from weftrt import dtypes
from weftrt.dtypes import DType, Kind

if TYPE_CHECKING:
    from weftc.codegen.llvm.function import FunctionWriter

Rule: TypeAlias = "Callable[[FunctionWriter, Op, list[str]], str]"


def _binary(opcode: str) -> Rule:
    def rule(out: FunctionWriter, op: Op, args: list[str]) -> str:
        return out.value(f"{opcode} {text.of(op.type)} {args[0]}, {args[1]}")

    return rule


def _compare(predicate: str) -> Rule:
    def rule(out: FunctionWriter, op: Op, args: list[str]) -> str:
        return out.value(f"{predicate} {text.of(op.args[0].type)} {args[0]}, {args[1]}")

    return rule


def _intrinsic(name: str) -> Rule:
    def rule(out: FunctionWriter, op: Op, args: list[str]) -> str:
        type_ = text.of(op.type)
        return out.intrinsic(name, type_, [(type_, arg) for arg in args], op.type)

    return rule


def _same(out: FunctionWriter, op: Op, args: list[str]) -> str:
    return args[0]


def _select(out: FunctionWriter, op: Op, args: list[str]) -> str:
    type_ = text.of(op.type)
    condition = text.of(op.args[0].type)
    return out.value(f"select {condition} {args[0]}, {type_} {args[1]}, {type_} {args[2]}")


def _bitcast(out: FunctionWriter, op: Op, args: list[str]) -> str:
    source, target = text.of(op.args[0].type), text.of(op.type)
    return args[0] if source == target else out.value(f"bitcast {source} {args[0]} to {target}")


def _divide(out: FunctionWriter, op: Op, args: list[str]) -> str:
    """LLVM 22 takes a lane in which both operands are known to be 0 (masked loads off) for 0, and
    drops the select that leaves its NaN out. The fence, no instruction, hides the divisor."""
    type_, divisor = text.of(op.type), args[1]
    if op.type.lanes > 1 and not isinstance(op.args[1], Const):
        divisor = out.intrinsic("llvm.arithmetic.fence", type_, [(type_, divisor)], op.type)
    return out.value(f"fdiv {type_} {args[0]}, {divisor}")


def _negate_float(out: FunctionWriter, op: Op, args: list[str]) -> str:
    return out.value(f"fneg {text.of(op.type)} {args[0]}")


def _negate_integer(out: FunctionWriter, op: Op, args: list[str]) -> str:
    zero = text.splat(0, op.type.dtype, op.type.lanes)
    return out.value(f"sub {text.of(op.type)} {zero}, {args[0]}")


def _absolute_integer(out: FunctionWriter, op: Op, args: list[str]) -> str:
    type_ = text.of(op.type)
    return out.intrinsic("llvm.abs", type_, [(type_, args[0]), ("i1", "false")], op.type)


def _not(out: FunctionWriter, op: Op, args: list[str]) -> str:
    ones = text.splat(True if op.type.dtype is dtypes.bool_ else -1, op.type.dtype, op.type.lanes)
    return out.value(f"xor {text.of(op.type)} {args[0]}, {ones}")


# ---------------------------------------------------------------------------------------------
# Machine vectors: operations that x86 does in fewer instructions than LLVM's expansion
# ---------------------------------------------------------------------------------------------


def _machine_lanes(dtype: DType, lanes: int) -> int:
    """Lanes of the widest AVX-512 register that `lanes` fill; 0 where they fill none."""
    widest = min(lanes, 512 // dtype.bits)
    return widest if widest * dtype.bits >= 128 and lanes % widest == 0 else 0


_RANGE = {  # vrange's immediate: 0 takes the smaller, 1 the larger, + 4 with the sign of the result
    Scalar.MINIMUM: 4,
    Scalar.MAXIMUM: 5,
}


def _extremum(out: FunctionWriter, op: Op, args: list[str]) -> str:
    """LLVM spends 6 instructions on an exact vector minimum, vrange and a NaN fix-up 3."""
    name = "llvm.minimum" if op.op is Scalar.MINIMUM else "llvm.maximum"
    dtype, lanes = op.type.dtype, op.type.lanes
    width = _machine_lanes(dtype, lanes) if out.target.has("avx512dq") else 0
    if not width:
        return _intrinsic(name)(out, op, args)
    scalar, type_ = text.REGISTER[dtype], text.of(op.type)
    part = text.lanes_of(scalar, width)

    def piece(pieces: list[str]) -> str:
        operands = [(part, pieces[0]), (part, pieces[1]), ("i32", str(_RANGE[op.op]))]
        operands += [(part, "zeroinitializer"), *_all_lanes(dtype, width)]
        name = f"llvm.x86.avx512.mask.range.{_vector_suffix(dtype, width)}"
        return out.call(name, part, operands)

    result = out.by_pieces(scalar, scalar, lanes, width, args, piece)
    unordered = out.value(f"fcmp uno {type_} {args[0]}, {args[1]}")
    nan = out.value(f"fadd {type_} {args[0]}, {args[1]}")
    condition = text.lanes_of("i1", lanes)
    return out.value(f"select {condition} {unordered}, {type_} {nan}, {type_} {result}")


def scale_exponent(op: Op, out: FunctionWriter) -> Expr | None:
    """The float that the exponent of this LDEXP was rounded from, where it serves as well: x86
    scales by floats, and integers would be made from one for nothing."""
    exponent, dtype = op.args[1], op.type.dtype
    if isinstance(exponent, Var):
        exponent = out.definition(exponent) or exponent
        kept = isinstance(exponent, Op) and isinstance(exponent.args[0], Var)
    else:
        kept = True
    if not kept or not isinstance(exponent, Op) or exponent.op is not Scalar.CAST:
        return None
    rounded = exponent.args[0]
    if rounded.type.dtype is not dtype or not out.target.has("avx512f"):
        return None
    if not _machine_lanes(dtype, op.type.lanes) or not is_whole(rounded, out.definition):
        return None
    low, high = bounds(rounded, out.definition)
    return rounded if low > -_SCALES and high < _SCALES else None


_SCALES = 2.0**20  # a float this large is an exact int32


def _scale_by_float(out: FunctionWriter, op: Op, args: list[str]) -> str:
    """vscalef; a NaN exponent scales by 1, as the integer it would become."""
    dtype, lanes = op.type.dtype, op.type.lanes
    width = _machine_lanes(dtype, lanes)
    part = text.lanes_of(text.REGISTER[dtype], width)
    intrinsic = f"llvm.x86.avx512.mask.scalef.{_vector_suffix(dtype, width)}"

    def piece(pieces: list[str]) -> str:
        operands = [(part, pieces[0]), (part, pieces[1]), (part, "zeroinitializer")]
        return out.call(intrinsic, part, [*operands, *_all_lanes(dtype, width)])

    scalar, type_ = text.REGISTER[dtype], text.of(op.type)
    result = out.by_pieces(scalar, scalar, lanes, width, args, piece)
    ordered = out.value(f"fcmp ord {type_} {args[1]}, {args[1]}")
    condition = text.lanes_of("i1", lanes)
    return out.value(f"select {condition} {ordered}, {type_} {result}, {type_} {args[0]}")


def _vector_suffix(dtype: DType, width: int) -> str:
    return f"{'ps' if dtype.bits == 32 else 'pd'}.{width * dtype.bits}"


def _all_lanes(dtype: DType, width: int) -> list[tuple[str, str]]:
    """The last operands of a masked intrinsic: no lane off, and the rounding in force."""
    mask = [("i16" if width == 16 else "i8", "-1")]
    return [*mask, ("i32", "4")] if width * dtype.bits == 512 else mask


def _ldexp(out: FunctionWriter, op: Op, args: list[str]) -> str:
    """vscalef where the machine has it; else two multiplications, of which the first is exact."""
    if scale_exponent(op, out) is not None:
        return _scale_by_float(out, op, args)
    type_, exponent = text.of(op.type), op.args[1].type
    if out.target.has("avx512f"):
        operands = [(type_, args[0]), (text.of(exponent), args[1])]
        return out.intrinsic("llvm.ldexp", type_, operands, op.type, exponent)
    mantissa, bias = (23, 127) if op.type.dtype.bits == 32 else (52, 1023)
    n = _resize(out, args[1], exponent.dtype, op.type.dtype.bits, op.type.lanes, 4 * bias)
    integer = dtypes.int32 if op.type.dtype.bits == 32 else dtypes.int64
    int_type = text.register_type(integer, op.type.lanes)

    def splat(value: int) -> str:
        return text.splat(value, integer, op.type.lanes)

    def power(amount: str) -> str:
        biased = out.value(f"add {int_type} {amount}, {splat(bias)}")
        bits = out.value(f"shl {int_type} {biased}, {splat(mantissa)}")
        return out.value(f"bitcast {int_type} {bits} to {type_}")

    n = _clamp(out, n, int_type, splat(-2 * (bias - 1)), splat(2 * bias))
    half = out.value(f"ashr {int_type} {n}, {splat(1)}")
    rest = out.value(f"sub {int_type} {n}, {half}")
    first = out.value(f"fmul {type_} {args[0]}, {power(half)}")
    return out.value(f"fmul {type_} {first}, {power(rest)}")


def _clamp(out: FunctionWriter, value: str, type_: str, low: str, high: str) -> str:
    lanes = int(type_[1:].split(" ")[0]) if type_.startswith("<") else 1
    condition = text.lanes_of("i1", lanes)
    above = out.value(f"icmp sgt {type_} {value}, {high}")
    value = out.value(f"select {condition} {above}, {type_} {high}, {type_} {value}")
    below = out.value(f"icmp slt {type_} {value}, {low}")
    return out.value(f"select {condition} {below}, {type_} {low}, {type_} {value}")


def _resize(
    out: FunctionWriter, value: str, source: DType, bits: int, lanes: int, limit: int
) -> str:
    """A signed integer in `bits` bits; one that does not fit is first clamped to +-limit."""
    if source.bits == bits:
        return value
    wide = text.register_type(source, lanes)
    narrow = text.lanes_of(f"i{bits}", lanes)
    if source.bits < bits:
        return out.value(f"sext {wide} {value} to {narrow}")
    low, high = text.splat(-limit, source, lanes), text.splat(limit, source, lanes)
    value = _clamp(out, value, wide, low, high)
    return out.value(f"trunc {wide} {value} to {narrow}")


# ---------------------------------------------------------------------------------------------
# Casts
# ---------------------------------------------------------------------------------------------


def _convert(opcode: str) -> Rule:
    def rule(out: FunctionWriter, op: Op, args: list[str]) -> str:
        return out.value(f"{opcode} {text.of(op.args[0].type)} {args[0]} to {text.of(op.type)}")

    return rule


def _to_bool(predicate: str) -> Rule:
    def rule(out: FunctionWriter, op: Op, args: list[str]) -> str:
        source = op.args[0].type
        zero = text.splat(0, source.dtype, source.lanes)
        return out.value(f"{predicate} {text.of(source)} {args[0]}, {zero}")

    return rule


def _float_to_integer(out: FunctionWriter, op: Op, args: list[str]) -> str:
    """Truncate; saturate; NaN to 0. llvm.fptosi.sat is scalar code on x86."""
    source, target = op.args[0].type, op.type
    lanes = target.lanes
    if lanes == 1:
        name = "llvm.fptosi.sat" if target.dtype.kind is Kind.SIGNED else "llvm.fptoui.sat"
        operands = [(text.of(source), args[0])]
        return out.intrinsic(name, text.of(target), operands, target, source)
    if out.target.has("avx512dq") and target.dtype.kind is Kind.SIGNED:
        width = _machine_lanes(source.dtype, lanes)
        if width and source.dtype.bits == target.dtype.bits:
            return _indefinite_to_integer(out, op, args, width)
    signed = target.dtype.kind is Kind.SIGNED
    low = -(1 << (target.dtype.bits - 1)) if signed else 0
    high = 1 << (target.dtype.bits - 1 if signed else target.dtype.bits)
    from_type, to_type = text.of(source), text.of(target)
    condition = text.lanes_of("i1", lanes)
    zero = text.splat(0, source.dtype, lanes)
    bounds = [text.splat(float(limit), source.dtype, lanes) for limit in (low, high)]
    not_low = out.value(f"fcmp oge {from_type} {args[0]}, {bounds[0]}")
    not_high = out.value(f"fcmp olt {from_type} {args[0]}, {bounds[1]}")
    inside = out.value(f"and {condition} {not_low}, {not_high}")
    safe = out.value(f"select {condition} {inside}, {from_type} {args[0]}, {from_type} {zero}")
    opcode = "fptosi" if signed else "fptoui"
    result = out.value(f"{opcode} {from_type} {safe} to {to_type}")
    for predicate, bound, limit in (("olt", bounds[0], low), ("oge", bounds[1], high - 1)):
        if limit == 0:
            continue
        outside = out.value(f"fcmp {predicate} {from_type} {args[0]}, {bound}")
        extreme = text.splat(limit, target.dtype, lanes)
        result = out.value(f"select {condition} {outside}, {to_type} {extreme}, {to_type} {result}")
    return result


def _indefinite_to_integer(out: FunctionWriter, op: Op, args: list[str], width: int) -> str:
    """x86 gives the least integer for whatever does not fit: mend what is too large, and NaN."""
    source, target, lanes = op.args[0].type, op.type, op.type.lanes
    bits = target.dtype.bits
    names = {32: "cvttps2dq", 64: "cvttpd2qq"}
    from_part = text.lanes_of(text.REGISTER[source.dtype], width)
    to_part = text.lanes_of(f"i{bits}", width)
    vector = width * bits
    legacy = {128: "llvm.x86.sse2.cvttps2dq", 256: "llvm.x86.avx.cvtt.ps2dq.256"}
    masked = [(to_part, "zeroinitializer"), *_all_lanes(target.dtype, width)]

    def piece(pieces: list[str]) -> str:
        if bits == 32 and vector < 512:
            return out.call(legacy[vector], to_part, [(from_part, pieces[0])])
        name = f"llvm.x86.avx512.mask.{names[bits]}.{vector}"
        return out.call(name, to_part, [(from_part, pieces[0]), *masked])

    from_type, to_type = text.of(source), text.of(target)
    condition = text.lanes_of("i1", lanes)
    result = out.by_pieces(text.REGISTER[source.dtype], f"i{bits}", lanes, width, args, piece)
    if bounds(op.args[0], out.definition)[1] >= 2.0 ** (bits - 2):
        bound = text.splat(float(1 << (bits - 1)), source.dtype, lanes)
        large = out.value(f"fcmp oge {from_type} {args[0]}, {bound}")
        most = text.splat((1 << (bits - 1)) - 1, target.dtype, lanes)
        result = out.value(f"select {condition} {large}, {to_type} {most}, {to_type} {result}")
    nan = out.value(f"fcmp uno {from_type} {args[0]}, {args[0]}")
    return out.value(f"select {condition} {nan}, {to_type} zeroinitializer, {to_type} {result}")


_CAST: dict[tuple[Kind, Kind], Rule] = {
    (Kind.BOOL, Kind.SIGNED): _convert("zext"),
    (Kind.BOOL, Kind.UNSIGNED): _convert("zext"),
    (Kind.BOOL, Kind.FLOAT): _convert("uitofp"),
    (Kind.SIGNED, Kind.BOOL): _to_bool("icmp ne"),
    (Kind.UNSIGNED, Kind.BOOL): _to_bool("icmp ne"),
    (Kind.FLOAT, Kind.BOOL): _to_bool("fcmp une"),
    (Kind.SIGNED, Kind.FLOAT): _convert("sitofp"),
    (Kind.UNSIGNED, Kind.FLOAT): _convert("uitofp"),
    (Kind.FLOAT, Kind.SIGNED): _float_to_integer,
    (Kind.FLOAT, Kind.UNSIGNED): _float_to_integer,
}


def _cast(out: FunctionWriter, op: Op, args: list[str]) -> str:
    source, target = op.args[0].type.dtype, op.type.dtype
    rule = _CAST.get((source.kind, target.kind))
    if rule is None:  # within integers, or within floats: a matter of width
        if source.bits == target.bits:
            rule = _same
        elif target.is_float:
            rule = _convert("fpext" if target.bits > source.bits else "fptrunc")
        elif target.bits < source.bits:
            rule = _convert("trunc")
        else:
            rule = _convert("sext" if source.kind is Kind.SIGNED else "zext")
    return rule(out, op, args)


# ---------------------------------------------------------------------------------------------
# The tables
# ---------------------------------------------------------------------------------------------

_ANY: dict[Scalar, Rule] = {
    Scalar.SELECT: _select,
    Scalar.CAST: _cast,
    Scalar.BITCAST: _bitcast,
}

_FLOAT: dict[Scalar, Rule] = {
    **_ANY,
    Scalar.ADD: _binary("fadd"),
    Scalar.SUB: _binary("fsub"),
    Scalar.MUL: _binary("fmul"),
    Scalar.DIV: _divide,
    Scalar.FMOD: exact_remainder,
    Scalar.FMA: _intrinsic("llvm.fma"),
    Scalar.NEG: _negate_float,
    Scalar.ABS: _intrinsic("llvm.fabs"),
    Scalar.SQRT: _intrinsic("llvm.sqrt"),
    Scalar.MINIMUM: _extremum,
    Scalar.MAXIMUM: _extremum,
    Scalar.FLOOR: _intrinsic("llvm.floor"),
    Scalar.CEIL: _intrinsic("llvm.ceil"),
    Scalar.TRUNC: _intrinsic("llvm.trunc"),
    Scalar.RINT: _intrinsic("llvm.roundeven"),
    Scalar.COPYSIGN: _intrinsic("llvm.copysign"),
    Scalar.LDEXP: _ldexp,
    Scalar.EQ: _compare("fcmp oeq"),
    Scalar.NE: _compare("fcmp une"),
    Scalar.LT: _compare("fcmp olt"),
    Scalar.LE: _compare("fcmp ole"),
    Scalar.GT: _compare("fcmp ogt"),
    Scalar.GE: _compare("fcmp oge"),
}

_INTEGER: dict[Scalar, Rule] = {
    **_ANY,
    Scalar.ADD: _binary("add"),
    Scalar.SUB: _binary("sub"),
    Scalar.MUL: _binary("mul"),
    Scalar.NEG: _negate_integer,
    Scalar.AND: _binary("and"),
    Scalar.OR: _binary("or"),
    Scalar.XOR: _binary("xor"),
    Scalar.NOT: _not,
    Scalar.SHL: _binary("shl"),
    Scalar.EQ: _compare("icmp eq"),
    Scalar.NE: _compare("icmp ne"),
}

_SIGNED: dict[Scalar, Rule] = {
    **_INTEGER,
    Scalar.TDIV: _binary("sdiv"),
    Scalar.TREM: _binary("srem"),
    Scalar.ABS: _absolute_integer,
    Scalar.MINIMUM: _intrinsic("llvm.smin"),
    Scalar.MAXIMUM: _intrinsic("llvm.smax"),
    Scalar.SHR: _binary("ashr"),
    Scalar.LT: _compare("icmp slt"),
    Scalar.LE: _compare("icmp sle"),
    Scalar.GT: _compare("icmp sgt"),
    Scalar.GE: _compare("icmp sge"),
}

_UNSIGNED: dict[Scalar, Rule] = {
    **_INTEGER,
    Scalar.TDIV: _binary("udiv"),
    Scalar.TREM: _binary("urem"),
    Scalar.ABS: _same,
    Scalar.MINIMUM: _intrinsic("llvm.umin"),
    Scalar.MAXIMUM: _intrinsic("llvm.umax"),
    Scalar.SHR: _binary("lshr"),
    Scalar.LT: _compare("icmp ult"),
    Scalar.LE: _compare("icmp ule"),
    Scalar.GT: _compare("icmp ugt"),
    Scalar.GE: _compare("icmp uge"),
}

_BOOL: dict[Scalar, Rule] = {
    **_ANY,
    Scalar.AND: _binary("and"),
    Scalar.OR: _binary("or"),
    Scalar.XOR: _binary("xor"),
    Scalar.NOT: _not,
    Scalar.MINIMUM: _binary("and"),
    Scalar.MAXIMUM: _binary("or"),
    Scalar.EQ: _compare("icmp eq"),
    Scalar.NE: _compare("icmp ne"),
    Scalar.LT: _compare("icmp ult"),
    Scalar.LE: _compare("icmp ule"),
    Scalar.GT: _compare("icmp ugt"),
    Scalar.GE: _compare("icmp uge"),
}

RULES: dict[Kind, dict[Scalar, Rule]] = {
    Kind.FLOAT: _FLOAT,
    Kind.SIGNED: _SIGNED,
    Kind.UNSIGNED: _UNSIGNED,
    Kind.BOOL: _BOOL,
}
"""By the kind of the first operand (a selection is in every table)."""
