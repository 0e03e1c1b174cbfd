"""Elementwise functions: arithmetic, elementary functions, comparison, logic and bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weft import diagnostics
from weft.ops import core
from weft.ops.core import operation
from weft.promotion import HOLDS, as_float, as_strong, common_dtype, convert, decided, dtype_of
from weft.tracing import Tracer, apply, lift
from weftc.ops.elementary.power import PRODUCTS, ROOTS
from weftrt import dtypes
from weftrt.dtypes import Kind
from weftrt.errors import DTypeError

Function = Callable[..., Any]


def _named(body: Function, name: str, doc: str, *static: str) -> Function:
    body.__name__ = body.__qualname__ = name
    body.__doc__ = doc
    body.__module__ = __name__
    return operation(*static)(body)


def _float_unary(name: str, doc: str, op: str = "") -> Function:
    """A function of floats; integers and bools are converted to the default float."""

    def body(x: Any, /) -> Tracer:
        return apply(op or name, as_float(lift(x)), name=name)

    return _named(body, name, doc)


def _unary(name: str, doc: str, op: str = "") -> Function:
    """A function that keeps the dtype."""

    def body(x: Any, /) -> Tracer:
        return apply(op or name, as_strong(lift(x)), name=name)

    return _named(body, name, doc)


def _rounding(name: str, doc: str) -> Function:
    """A function that leaves integers alone."""

    def body(x: Any, /) -> Tracer:
        value = as_strong(lift(x))
        return apply(name, value) if value.dtype.is_inexact else apply("identity", value)

    return _named(body, name, doc)


def binary(op: str, name: str, x1: Any, x2: Any) -> Tracer:
    """The primitive `op` of two operands in their common dtype and shape."""
    left, right = core.matched(name, lift(x1), lift(x2))
    return apply(op, left, right, name=name)


def _binary(name: str, doc: str, op: str = "") -> Function:
    def body(x1: Any, x2: Any, /) -> Tracer:
        return binary(op or name, name, x1, x2)

    return _named(body, name, doc)


def _comparison(name: str, doc: str, op: str) -> Function:
    """A comparison, exact for Python integers."""

    def body(x1: Any, x2: Any, /) -> Tracer:
        left, right = lift(x1), lift(x2)
        answer = decided(op, left, right)
        if answer is None:
            return _compared(op, name, left, right)
        shape = core.broadcast_shapes(name, [left, right])
        return core.broadcast(convert(lift(answer), dtypes.bool_), shape)

    return _named(body, name, doc)


def _compared(op: str, name: str, left: Tracer, right: Tracer) -> Tracer:
    """A comparison in the common dtype; with an integer that Python arithmetic gave, in int64."""
    for computed, other, sign in ((right, left, 1), (left, right, -1)):
        if not _is_computed(computed) or other.weak or not other.dtype.is_integer:
            continue
        if other.dtype is not dtypes.uint64:
            wide = (convert(x, dtypes.int64) for x in (left, right))
            return binary(op, name, *wide)
        negative, inside = binary("lt", name, computed, 0), binary(op, name, left, right)
        outside = convert(lift(op in HOLDS[-sign]), dtypes.bool_)
        spread = (core.broadcast(x, inside.type.shape) for x in (negative, outside))
        return apply("where", *spread, inside)
    return binary(op, name, left, right)


def _is_computed(x: Tracer) -> bool:
    return x.weak and x.value is None and x.dtype.is_integer


def _float_binary(name: str, doc: str) -> Function:
    def body(x1: Any, x2: Any, /) -> Tracer:
        left, right = core.matched(name, *floats(name, lift(x1), lift(x2)))
        return apply(name, left, right, name=name)

    return _named(body, name, doc)


def _multiplied(x1: Any, x2: Any, /) -> Tracer:
    left, right = lift(x1), lift(x2)
    if left.dtype.is_complex == right.dtype.is_complex:
        return binary("mul", "multiply", left, right)
    z, x = (left, right) if left.dtype.is_complex else (right, left)
    return _part_by_part("mul", "multiply", z, x)


def _divided(x1: Any, x2: Any, /) -> Tracer:
    left, right = lift(x1), lift(x2)
    if left.dtype.is_complex and not right.dtype.is_complex:
        return _part_by_part("div", "divide", left, right)
    left, right = core.matched("divide", *floats("divide", left, right))
    return apply("div", left, right, name="divide")


def _part_by_part(op: str, name: str, z: Tracer, x: Tracer) -> Tracer:
    """`op` of each part of complex numbers and of real ones."""
    dtype, shape = common_dtype(name, [z, x]), core.broadcast_shapes(name, [z, x])
    whole = core.broadcast(convert(z, dtype), shape)
    factor = core.broadcast(convert(x, dtype.part), shape)
    return apply("complex", *(apply(op, apply(p, whole), factor) for p in ("real", "imag")))


def floats(name: str, *operands: Tracer) -> list[Tracer]:
    """The operands in their common float or complex dtype: the default if all are integers."""
    dtype = common_dtype(name, operands)
    return [convert(o, dtype if dtype.is_inexact else dtypes.DEFAULT_FLOAT) for o in operands]


add = _binary("add", "x1 + x2.")
subtract = _binary("subtract", "x1 - x2.", "sub")
multiply = _named(_multiplied, "multiply", "x1 * x2. A real factor multiplies each part.")
divide = _named(
    _divided, "divide", "x1 / x2; integers are divided as floats. A real divisor divides each part."
)
floor_divide = _binary("floor_divide", "The floor of x1 / x2; an integer over zero is 0.")
remainder = _binary("remainder", "What floor_divide leaves, with the sign of x2.")
maximum = _binary("maximum", "The larger of two values; a NaN wins, -0 < +0.")
minimum = _binary("minimum", "The smaller of two values; a NaN wins, -0 < +0.")
atan2 = _float_binary("atan2", "The angle of the point (x2, x1) in (-pi, pi].")
equal = _comparison("equal", "x1 == x2.", "eq")
not_equal = _comparison("not_equal", "x1 != x2.", "ne")
less = _comparison("less", "x1 < x2.", "lt")
less_equal = _comparison("less_equal", "x1 <= x2.", "le")
greater = _comparison("greater", "x1 > x2.", "gt")
greater_equal = _comparison("greater_equal", "x1 >= x2.", "ge")
bitwise_and = _binary("bitwise_and", "x1 & x2, of integers or bools.")
bitwise_or = _binary("bitwise_or", "x1 | x2, of integers or bools.")
bitwise_xor = _binary("bitwise_xor", "x1 ^ x2, of integers or bools.")
bitwise_left_shift = _binary("bitwise_left_shift", "x1 << x2, of integers.", "shift_left")
bitwise_right_shift = _binary("bitwise_right_shift", "x1 >> x2, of integers.", "shift_right")
bitwise_invert = _unary("bitwise_invert", "~x, of integers or bools.", "bitwise_not")

negative = _unary("negative", "-x.", "neg")
abs = _unary("abs", "The absolute value.")
sign = _unary("sign", "-1, 0 or 1 with the sign of x; NaN stays.")
positive = _unary("positive", "+x: x itself.", "identity")
floor = _rounding("floor", "The largest integer not above x.")
ceil = _rounding("ceil", "The smallest integer not below x.")
round = _rounding("round", "The nearest integer, halves to even.")
trunc = _rounding("trunc", "x without its fraction.")

exp = _float_unary("exp", "The exponential.")
expm1 = _float_unary("expm1", "exp(x) - 1, accurate near 0.")
log = _float_unary("log", "The natural logarithm.")
log1p = _float_unary("log1p", "log(1 + x), accurate near 0.")
log2 = _float_unary("log2", "The logarithm to base 2.")
sqrt = _float_unary("sqrt", "The square root.")
rsqrt = _float_unary("rsqrt", "1 / sqrt(x).")
sin = _float_unary("sin", "The sine.")
cos = _float_unary("cos", "The cosine.")
tan = _float_unary("tan", "The tangent.")
asin = _float_unary("asin", "The inverse sine.")
acos = _float_unary("acos", "The inverse cosine.")
atan = _float_unary("atan", "The inverse tangent.")
sinh = _float_unary("sinh", "The hyperbolic sine.")
cosh = _float_unary("cosh", "The hyperbolic cosine.")
tanh = _float_unary("tanh", "The hyperbolic tangent.")
sigmoid = _float_unary("sigmoid", "1 / (1 + exp(-x)).")
erf = _float_unary("erf", "The error function.")


@operation()
def square(x: Any, /) -> Tracer:
    """x * x."""
    value = as_strong(lift(x))
    return apply("mul", value, value, name="square")


def squares(x: Tracer) -> Tracer:
    """x * x; of complex numbers, the squares of their sizes."""
    if not x.dtype.is_complex:
        return apply("mul", x, x)
    real, imag = (apply(part, x) for part in ("real", "imag"))
    return apply("add", apply("mul", real, real), apply("mul", imag, imag))


@operation()
def reciprocal(x: Any, /) -> Tracer:
    """1 / x."""
    value = as_float(lift(x))
    return apply("div", like(1.0, value), value, name="reciprocal")


def like(value: float, x: Tracer) -> Tracer:
    """A constant of the dtype and shape of `x`."""
    return core.broadcast(convert(lift(value), x.dtype), x.type.shape)


def _float_test(
    name: str, doc: str, test: Callable[[Tracer], Tracer], both: str = "bitwise_or"
) -> Function:
    """A test on floats that no integer passes or fails unless `test` of zero does; a complex number
    does as `both` says of the parts."""

    def body(x: Any, /) -> Tracer:
        value = as_strong(lift(x))
        if value.dtype.is_complex:
            parts = (test(apply(part, value)) for part in ("real", "imag"))
            return apply(both, *parts)
        return test(value if value.dtype.is_float else like(0.0, convert(value, dtypes.float32)))

    return _named(body, name, doc)


isnan = _float_test("isnan", "Whether x is NaN.", lambda x: apply("ne", x, x))
isinf = _float_test(
    "isinf",
    "Whether x is infinite.",
    lambda x: apply("eq", apply("abs", x), like(float("inf"), x)),
)
isfinite = _float_test(
    "isfinite",
    "Whether x is neither infinite nor NaN.",
    lambda x: apply("lt", apply("abs", x), like(float("inf"), x)),
    "bitwise_and",
)


def truth(x: Any) -> Tracer:
    """`x` as bools: whether it is not zero."""
    return convert(lift(x), dtypes.bool_)


def _logical(name: str, doc: str, op: str) -> Function:
    def body(x1: Any, x2: Any, /) -> Tracer:
        return binary(op, name, truth(x1), truth(x2))

    return _named(body, name, doc)


logical_and = _logical("logical_and", "Whether both are true (not zero).", "bitwise_and")
logical_or = _logical("logical_or", "Whether either is true (not zero).", "bitwise_or")
logical_xor = _logical("logical_xor", "Whether one of the two is true (not zero).", "bitwise_xor")


@operation()
def logical_not(x: Any, /) -> Tracer:
    """Whether x is false (zero)."""
    return apply("bitwise_not", truth(x))


@operation()
def where(condition: Any, x1: Any, x2: Any, /) -> Tracer:
    """x1 where the condition holds, else x2, elementwise."""
    test, left, right = truth(condition), lift(x1), lift(x2)
    dtype = common_dtype("where", [test, left, right])
    shape = core.broadcast_shapes("where", [test, left, right])
    choices = [core.broadcast(convert(o, dtype), shape) for o in (left, right)]
    return apply("where", core.broadcast(test, shape), *choices)


@operation()
def clip(x: Any, /, min: Any = None, max: Any = None) -> Tracer:
    """x limited to [min, max]; a limit of None is none."""
    given = [("maximum", min)] * (min is not None) + [("minimum", max)] * (max is not None)
    value, *limits = core.matched("clip", as_strong(lift(x)), *(lift(v) for _, v in given))
    for (op, _), limit in zip(given, limits, strict=True):
        value = apply(op, value, limit, name="clip")
    return value if given else apply("identity", value)


@operation("dtype", "copy")
def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Tracer:
    """x in another dtype. Floats are truncated to integers; anything but zero is a true bool."""
    value, wanted = lift(x), dtype_of(dtype)
    return convert(value, wanted) if value.dtype is not wanted else apply("identity", value)


def _is_written_out(exponent: Any) -> bool:
    """Whether the compiler does `x ** exponent` by other operations if it knows the exponent, or
    may refuse it."""
    return type(exponent) in (int, float) and (
        exponent in PRODUCTS or exponent in ROOTS or exponent < 0
    )


def _any_power(x1: Any, x2: Any, /) -> Tracer:
    left, right = lift(x1), lift(x2)
    if common_dtype("pow", [left, right]).kind is Kind.BOOL:
        diagnostics.fail(DTypeError, "pow", [left, right], "bools have no powers")
    return binary("pow", "pow", left, right)


def _product(x: Tracer, exponent: int) -> Tracer:
    """x to a small whole power: the squares that the bits of the exponent choose."""
    result = like(1.0, x) if exponent == 0 else None
    square = x
    while exponent:
        if exponent & 1:
            result = square if result is None else apply("mul", result, square, name="pow")
        exponent >>= 1
        square = apply("mul", square, square, name="pow") if exponent else square
    assert result is not None
    return apply("identity", result) if result is x else result


def _known_power(x: Any, exponent: int | float, /) -> Tracer:
    value = lift(x)
    dtype = common_dtype("pow", [value, lift(exponent)])
    if dtype.is_complex and exponent in PRODUCTS:
        return _product(convert(value, dtype), int(exponent))
    if exponent < 0 and not dtype.is_inexact:
        diagnostics.fail(DTypeError, "pow", [value], "integers have no negative powers")
    return _any_power(value, exponent)


_power = _named(_any_power, "pow", "x1 ** x2.")
_power_of = _named(_known_power, "pow", "x ** exponent, for a known exponent.", "exponent")


def pow(x1: Any, x2: Any, /) -> Any:
    """x1 ** x2. Small whole exponents mean multiplications, 0.5, -0.5 and -1 a root or a division,
    whether the code knows them or is passed them."""
    return _power_of(x1, x2) if _is_written_out(x2) else _power(x1, x2)
