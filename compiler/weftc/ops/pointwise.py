"""Pointwise ops: equal shapes in, the same shape out, one scalar term per element.

`unary`, `binary` and `ternary` make the records; weftc.ops.elementary uses them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, Infer, OpDef, Reference
from weftc.ir.types import TensorType, ValueType
from weftc.loop import scalar
from weftc.loop.ir import Expr, LoopType, Scalar, Var, apply, cast, const
from weftc.ops import build, check, complex_rules
from weftc.ops.check import ANY, BITS, FLOATS, INTEGERS, NUMBERS, Kinds
from weftc.ops.division import lower_floor_divide, lower_remainder
from weftrt import dtypes
from weftrt.dtypes import DType, Kind
from weftrt.errors import DTypeError

Array: TypeAlias = "np.ndarray[Any, Any]"
Cotangents: TypeAlias = "tuple[Node | None, ...]"


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


def _size(name: str, count: int, kinds: Kinds, result: DType | None) -> Infer:
    """The type rule of an op whose result is real where its operand is complex."""
    same = pointwise(name, count, kinds, result)

    def infer(types: tuple[TensorType, ...], attrs: Attrs) -> ValueType:
        type_ = same(types, attrs)
        assert isinstance(type_, TensorType)
        return type_.with_dtype(type_.dtype.part)

    return infer


def by_numpy(function: Callable[..., Any]) -> Reference:
    """A reference that calls `function` on the arrays, without warnings."""

    def reference(arrays: Any, attrs: Attrs, type_: TensorType) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays), dtype=type_.dtype.dtype)

    return reference


def by_term(lower: Callable[..., Expr]) -> Callable[..., Array]:
    """The value of a scalar term over arrays of Weft's dtypes, for references that are the term."""

    def evaluate(*arrays: Array) -> Array:
        operands = []
        for number, array in enumerate(arrays):
            dtype = dtypes.from_numpy(array.dtype)
            assert dtype is not None
            operands.append(Var(f"x{number}", LoopType(dtype)))
        return scalar.evaluate_expr(lower(*operands), dict(zip(operands, arrays)))

    return evaluate


def term(op: Scalar) -> Callable[..., Expr]:
    """The term that applies one scalar operation."""
    return lambda *scalars: apply(op, *scalars)


def _define(
    name: str,
    count: int,
    lower: Callable[..., Expr],
    reference: Callable[..., Any] | None,
    *,
    kinds: Kinds = FLOATS,
    result: DType | None = None,
    infer: Callable[..., Infer] = pointwise,
    **fields: Any,
) -> OpDef:
    if "pairs" in fields:
        kinds |= check.COMPLEX

    def lower_all(scalars: tuple[Expr, ...], dtype: DType, attrs: Attrs) -> Expr:
        return lower(*scalars)

    return TABLE.add(
        OpDef(
            name,
            Family.POINTWISE,
            infer=infer(name, count, kinds, result),
            reference=by_numpy(reference or by_term(lower)),
            lower=lower_all,
            **fields,
        )
    )


def unary(
    name: str,
    lower: Callable[[Expr], Expr],
    reference: Callable[[Array], Any] | None = None,
    **fields: Any,
) -> OpDef:
    """Define a pointwise op of one input (floats unless `kinds` says otherwise). `lower` and
    `reference` take the operand itself; the dtype is `x.type.dtype` and `x.dtype` there. Without a
    reference, the op means its scalar term."""
    return _define(name, 1, lower, reference, **fields)


def binary(
    name: str,
    lower: Callable[[Expr, Expr], Expr],
    reference: Callable[[Array, Array], Any] | None = None,
    **fields: Any,
) -> OpDef:
    """Define a pointwise op of two inputs of one type."""
    return _define(name, 2, lower, reference, **fields)


def ternary(
    name: str,
    lower: Callable[[Expr, Expr, Expr], Expr],
    reference: Callable[[Array, Array, Array], Any] | None = None,
    **fields: Any,
) -> OpDef:
    """Define a pointwise op of three inputs of one type."""
    return _define(name, 3, lower, reference, **fields)


# ---------------------------------------------------------------------------------------------
# Gradients shared by several ops
# ---------------------------------------------------------------------------------------------


def no_gradient(node: Node, g: Node) -> Cotangents:
    """Piecewise constant: nothing flows back."""
    return (None,) * len(node.inputs)


def _pass_on(node: Node, g: Node) -> Cotangents:
    return (g,)


# ---------------------------------------------------------------------------------------------
# Arithmetic
# ---------------------------------------------------------------------------------------------


def _vjp_mul(node: Node, g: Node) -> Cotangents:
    x, y = node.inputs
    return mul(g, y), mul(g, x)


def _vjp_div(node: Node, g: Node) -> Cotangents:
    part = div(g, node.inputs[1])
    return part, neg(mul(part, node))


def _vjp_remainder(node: Node, g: Node) -> Cotangents:
    return g, neg(mul(g, floor_divide(*node.inputs)))


def _vjp_fma(node: Node, g: Node) -> Cotangents:
    x, y, _ = node.inputs
    return mul(g, y), mul(g, x), g


def _vjp_abs(node: Node, g: Node) -> Cotangents:
    return (mul(g, sign(node.inputs[0])),)


def _vjp_extremum(node: Node, g: Node) -> Cotangents:
    """None to the operand that loses; half to each where they are equal; all to both where one is
    NaN, as in PyTorch."""
    x, y = node.inputs
    zero, half = build.like(0.0, g), mul(g, build.like(0.5, g))
    share = where(eq(x, y), half, g)
    loses = lt if node.op is maximum else gt
    return where(loses(x, y), zero, share), where(loses(y, x), zero, share)


def _lower_abs(x: Expr) -> Expr:
    return apply(Scalar.ABS, x) if x.type.dtype.is_signed else x


def _lower_sign(x: Expr) -> Expr:
    dtype = x.type.dtype
    zero, one = const(dtype.dtype.type(0).item(), dtype), const(dtype.dtype.type(1).item(), dtype)
    size: Expr = one
    if dtype.is_float:
        size = apply(Scalar.COPYSIGN, one, x)
        size = apply(Scalar.SELECT, apply(Scalar.NE, x, x), x, size)
    elif dtype.is_signed:
        size = apply(Scalar.SELECT, apply(Scalar.LT, x, zero), const(-1, dtype), one)
    return apply(Scalar.SELECT, apply(Scalar.EQ, x, zero), zero, size)


def _extremum(op: Scalar) -> Callable[[Array, Array], Array]:
    """IEEE 754-2019: a NaN wins, -0 < +0 (np.maximum leaves the zeros open)."""

    def reference(x: Array, y: Array) -> Array:
        dtype = dtypes.from_numpy(x.dtype)
        assert dtype is not None
        return scalar.evaluate(op, (x, y), dtype)

    return reference


def _float_or_integer(
    lower: Callable[..., Expr], integers: Callable[..., Any]
) -> Callable[[Array, Array], Any]:
    """Floats are what the term says; integers are NumPy's."""
    floats = by_term(lower)
    return lambda x, y: floats(x, y) if x.dtype.kind == "f" else integers(x, y)


add = binary(
    "add",
    term(Scalar.ADD),
    np.add,
    kinds=NUMBERS,
    vjp=lambda node, g: (g, g),
    pairs=complex_rules.each,
    exact=True,
)
sub = binary(
    "sub",
    term(Scalar.SUB),
    np.subtract,
    kinds=NUMBERS,
    vjp=lambda node, g: (g, neg(g)),
    pairs=complex_rules.each,
    exact=True,
)
mul = binary(
    "mul",
    term(Scalar.MUL),
    np.multiply,
    kinds=NUMBERS,
    vjp=_vjp_mul,
    pairs=complex_rules.multiply,
    exact=True,
)
div = binary(
    "div",
    term(Scalar.DIV),
    np.divide,
    vjp=_vjp_div,
    pairs=complex_rules.divide,
    cost=5,
    exact=True,
    domain=(0.5, 3.0),
)
floor_divide = binary(
    "floor_divide",
    lower_floor_divide,
    _float_or_integer(lower_floor_divide, np.floor_divide),
    kinds=NUMBERS,
    vjp=no_gradient,
    cost=25,
    domain=(0.5, 3.0),
)
remainder = binary(
    "remainder",
    lower_remainder,
    _float_or_integer(lower_remainder, np.remainder),
    kinds=NUMBERS,
    vjp=_vjp_remainder,
    cost=25,
    domain=(0.5, 3.0),
)
neg: OpDef = unary(
    "neg",
    term(Scalar.NEG),
    np.negative,
    kinds=NUMBERS,
    vjp=lambda node, g: (neg(g),),
    pairs=complex_rules.each,
    exact=True,
)
abs = unary(
    "abs",
    _lower_abs,
    np.abs,
    kinds=NUMBERS,
    infer=_size,
    vjp=_vjp_abs,
    pairs=complex_rules.absolute,
    exact=True,
)
sign = unary(
    "sign",
    _lower_sign,
    np.sign,
    kinds=NUMBERS,
    vjp=no_gradient,
    pairs=complex_rules.sign,
    cost=3,
    exact=True,
)
minimum = binary(
    "minimum",
    term(Scalar.MINIMUM),
    _extremum(Scalar.MINIMUM),
    kinds=NUMBERS,
    vjp=_vjp_extremum,
    exact=True,
)
maximum = binary(
    "maximum",
    term(Scalar.MAXIMUM),
    _extremum(Scalar.MAXIMUM),
    kinds=NUMBERS,
    vjp=_vjp_extremum,
    exact=True,
)
fma = ternary("fma", term(Scalar.FMA), scalar.fma, vjp=_vjp_fma, exact=True)
floor = unary("floor", term(Scalar.FLOOR), np.floor, vjp=no_gradient, exact=True)
ceil = unary("ceil", term(Scalar.CEIL), np.ceil, vjp=no_gradient, exact=True)
round = unary(  # half to even
    "round", term(Scalar.RINT), np.rint, vjp=no_gradient, exact=True
)
trunc = unary("trunc", term(Scalar.TRUNC), np.trunc, vjp=no_gradient, exact=True)


# ---------------------------------------------------------------------------------------------
# Comparison
# ---------------------------------------------------------------------------------------------


def _comparison(name: str, op: Scalar, reference: Any, kinds: Kinds, **fields: Any) -> OpDef:
    return binary(name, term(op), reference, kinds=kinds, result=dtypes.bool_, exact=True, **fields)


eq = _comparison("eq", Scalar.EQ, np.equal, ANY, pairs=complex_rules.equal)
ne = _comparison("ne", Scalar.NE, np.not_equal, ANY, pairs=complex_rules.unequal)
lt = _comparison("lt", Scalar.LT, np.less, NUMBERS)
le = _comparison("le", Scalar.LE, np.less_equal, NUMBERS)
gt = _comparison("gt", Scalar.GT, np.greater, NUMBERS)
ge = _comparison("ge", Scalar.GE, np.greater_equal, NUMBERS)


# ---------------------------------------------------------------------------------------------
# Bits
# ---------------------------------------------------------------------------------------------


def _lower_shift(op: Scalar) -> Callable[[Expr, Expr], Expr]:
    """A count that is negative or at least the width shifts everything out: 0, or -1 for the right
    shift of a negative number."""

    def lower(x: Expr, count: Expr) -> Expr:
        dtype = x.type.dtype
        zero, last = const(0, dtype), const(dtype.bits - 1, dtype)
        fits = apply(Scalar.LE, count, last)
        if dtype.is_signed:
            fits = apply(Scalar.AND, fits, apply(Scalar.GE, count, zero))
        if op is Scalar.SHR and dtype.is_signed:
            return apply(op, x, apply(Scalar.SELECT, fits, count, last))
        shifted = apply(op, x, apply(Scalar.SELECT, fits, count, zero))
        return apply(Scalar.SELECT, fits, shifted, zero)

    return lower


def _bits(name: str, op: Scalar, reference: Any) -> OpDef:
    return binary(name, term(op), reference, kinds=BITS, exact=True)


bitwise_and = _bits("bitwise_and", Scalar.AND, np.bitwise_and)
bitwise_or = _bits("bitwise_or", Scalar.OR, np.bitwise_or)
bitwise_xor = _bits("bitwise_xor", Scalar.XOR, np.bitwise_xor)
bitwise_not = unary("bitwise_not", term(Scalar.NOT), np.invert, kinds=BITS, exact=True)
shift_left = binary(
    "shift_left", _lower_shift(Scalar.SHL), np.left_shift, kinds=INTEGERS, exact=True
)
shift_right = binary(
    "shift_right", _lower_shift(Scalar.SHR), np.right_shift, kinds=INTEGERS, exact=True
)


# ---------------------------------------------------------------------------------------------
# where, convert, identity, stop_gradient
# ---------------------------------------------------------------------------------------------


def _infer_where(types: tuple[TensorType, ...], attrs: Attrs) -> TensorType:
    check.arity("where", types, 3)
    if types[0].dtype is not dtypes.bool_:
        raise DTypeError(f"where: the condition is a bool, but was {check.describe(types[0])}")
    check.same_dtype("where", types[1:])
    check.same_shape("where", types)
    return types[1]


def _vjp_where(node: Node, g: Node) -> Cotangents:
    condition, zero = node.inputs[0], build.like(0.0, g)
    return None, where(condition, g, zero), where(condition, zero, g)


def _samples_where() -> list[tuple[tuple[TensorType, ...], Attrs]]:
    condition = TensorType(dtypes.bool_, (2, 3))
    return [((condition, t, t), {}) for t in map(condition.with_dtype, dtypes.REAL)]


where = TABLE.add(
    OpDef(
        "where",
        Family.POINTWISE,
        infer=_infer_where,
        reference=by_numpy(np.where),
        lower=lambda scalars, dtype, attrs: apply(Scalar.SELECT, *scalars),
        vjp=_vjp_where,
        pairs=complex_rules.each,
        exact=True,
        samples=_samples_where,
    )
)


def _infer_convert(types: tuple[TensorType, ...], attrs: Attrs) -> TensorType:
    check.arity("convert", types, 1)
    if types[0].dtype.is_complex and attrs["dtype"].kind not in (Kind.COMPLEX, Kind.BOOL):
        given = f"convert takes real numbers to {attrs['dtype']}, but was given"
        instead = "take wf.real(z), wf.imag(z) or wf.abs(z) first"
        raise DTypeError(f"{given} {check.describe(types[0])}; {instead}")
    return types[0].with_dtype(attrs["dtype"])


def _reference_convert(arrays: Any, attrs: Attrs, type_: TensorType) -> Array:
    """Floats to integers truncate and saturate, NaN to 0 (undefined in NumPy); to bool: != 0."""
    return scalar.evaluate(Scalar.CAST, tuple(arrays), type_.dtype)


def _vjp_convert(node: Node, g: Node) -> Cotangents:
    before = node.inputs[0].type.dtype
    return (build.convert(g, before) if before.is_float else None,)


def _samples_convert() -> list[tuple[tuple[TensorType, ...], Attrs]]:
    pairs = [(a, b) for a in dtypes.REAL for b in dtypes.REAL]
    return [((TensorType(a, (2, 3)),), {"dtype": b}) for a, b in pairs]


convert = TABLE.add(
    OpDef(
        "convert",
        Family.POINTWISE,
        infer=_infer_convert,
        reference=_reference_convert,
        lower=lambda scalars, dtype, attrs: cast(scalars[0], attrs["dtype"]),
        vjp=_vjp_convert,
        jvp=build.along,
        pairs=complex_rules.convert,
        exact=True,
        samples=_samples_convert,
    )
)
identity = unary(
    "identity",
    lambda x: x,
    np.array,
    kinds=ANY,
    vjp=_pass_on,
    pairs=complex_rules.each,
    cost=0,
    exact=True,
)
stop_gradient = unary(
    "stop_gradient",
    lambda x: x,
    np.array,
    kinds=ANY,
    vjp=no_gradient,
    pairs=complex_rules.each,
    cost=0,
    exact=True,
)
