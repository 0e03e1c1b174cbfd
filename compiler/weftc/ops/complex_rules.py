"""What operations on complex numbers are, in terms of the parts: the `pairs` rules of ops.

A rule is given a `Pair` for each complex operand, and gives one for a complex result. Derivatives
are those of what stands here, so that a rule must have the right ones wherever the function has:
special values are chosen only where there is none.

Division is Smith's (1962); square root and hyperbolic tangent are Kahan's ("Branch cuts for complex
elementary functions, or much ado about nothing's sign bit", 1987).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Size
from weftc.ir.sizes import product as size_product
from weftc.ops import build
from weftc.ops.build import call


class Pair(NamedTuple):
    """The parts of a complex value: two real ones of one type."""

    real: Node
    imag: Node


Value: TypeAlias = "Node | Pair"
Inputs: TypeAlias = "tuple[Value, ...]"
Rule: TypeAlias = Callable[[Node, Inputs], Value]


def part_of(value: Value, index: int) -> Node:
    """A part of a complex value; a real one is itself."""
    return value[index] if isinstance(value, Pair) else value


def each(node: Node, inputs: Inputs) -> Pair:
    """The same op on real and on imaginary parts: what only moves, chooses or adds elements."""
    return Pair(
        *(node.op(*(part_of(value, index) for value in inputs), **node.attrs) for index in (0, 1))
    )


def unary(function: Callable[[Node, Node], Value]) -> Rule:
    """The rule of an op of one operand, a function of its parts."""

    def rule(node: Node, inputs: Inputs) -> Value:
        (x,) = inputs
        assert isinstance(x, Pair)
        return function(*x)

    return rule


def binary(function: Callable[[Pair, Pair], Value]) -> Rule:
    """The rule of an op of two complex operands."""

    def rule(node: Node, inputs: Inputs) -> Value:
        x, y = inputs
        assert isinstance(x, Pair)
        assert isinstance(y, Pair)
        return function(x, y)

    return rule


def _add(x: Node, y: Node) -> Node:
    return call("add", x, y)


def _sub(x: Node, y: Node) -> Node:
    return call("sub", x, y)


def _mul(x: Node, y: Node) -> Node:
    return call("mul", x, y)


def _div(x: Node, y: Node) -> Node:
    return call("div", x, y)


def _neg(x: Node) -> Node:
    return call("neg", x)


def _like(value: float, x: Node) -> Node:
    return build.like(value, x)


def _where(condition: Node, x: Node, y: Node) -> Node:
    return call("where", condition, x, y)


def _is(x: Node, value: float) -> Node:
    return call("eq", x, _like(value, x))


def _is_infinite(x: Node) -> Node:
    return _is(call("abs", x), float("inf"))


def _is_odd(x: Node) -> Node:
    """Whether x is infinite or NaN."""
    return call("ne", _sub(x, x), _like(0.0, x))


def _negative_bit(x: Node) -> Node:
    """Whether x has a minus sign, -0 too."""
    return call("lt", call("where", _is(x, 0.0), _div(_like(1.0, x), x), x), _like(0.0, x))


def _copysign(x: Node, sign: Node) -> Node:
    """x >= 0 with the sign of another number."""
    return _where(_negative_bit(sign), _neg(x), x)


# ---------------------------------------------------------------------------------------------
# Arithmetic
# ---------------------------------------------------------------------------------------------


def _multiply(x: Pair, y: Pair) -> Pair:
    (a, b), (c, d) = x, y
    return Pair(_sub(_mul(a, c), _mul(b, d)), _add(_mul(a, d), _mul(b, c)))


def _divide(x: Pair, y: Pair) -> Pair:
    """By the larger part of y: with r = d/c, (a + b r, b - a r) / (c + d r) where |c| >= |d|."""
    (a, b), (c, d) = x, y
    by_real = call("ge", call("abs", c), call("abs", d))
    large, small = _where(by_real, c, d), _where(by_real, d, c)
    first, second = _where(by_real, a, b), _where(by_real, b, a)
    zero = _is(large, 0.0)
    ratio = _div(small, _where(zero, _like(1.0, large), large))
    scale = _add(large, _mul(small, ratio))
    real = _div(_add(first, _mul(second, ratio)), scale)
    imag = _div(_sub(second, _mul(first, ratio)), scale)
    return Pair(real, _where(by_real, imag, _neg(imag)))


def _polar(a: Node, b: Node) -> tuple[Node, Node]:
    """(m, r): the absolute value of the larger part, and the other part as a fraction of the larger
    one. A choice between the parts has all derivatives where one is 0 or both are equal, as
    minimum, maximum and abs have not."""
    swapped = call("lt", call("abs", a), call("abs", b))
    large, small = _where(swapped, b, a), _where(swapped, a, b)
    safe = _where(_is(large, 0.0), _like(1.0, large), large)
    return call("abs", large), _div(small, safe)


def _root(ratio: Node) -> Node:
    """sqrt(1 + r^2)."""
    return call("sqrt", _add(_like(1.0, ratio), _mul(ratio, ratio)))


def _if_infinite(a: Node, b: Node, value: Node) -> Node:
    """Infinity where a part is infinite, whatever the other one; else `value`."""
    infinite = call("bitwise_or", _is_infinite(a), _is_infinite(b))
    return _where(infinite, _like(float("inf"), value), value)


def _absolute(a: Node, b: Node) -> Node:
    large, ratio = _polar(a, b)
    return _if_infinite(a, b, _mul(large, _root(ratio)))


def _sign(a: Node, b: Node) -> Pair:
    size = _absolute(a, b)
    safe = _where(_is(size, 0.0), _like(1.0, size), size)
    return Pair(_div(a, safe), _div(b, safe))


# ---------------------------------------------------------------------------------------------
# Elementary functions
# ---------------------------------------------------------------------------------------------


def _exp(a: Node, b: Node) -> Pair:
    """exp(a) (cos b + i sin b); a real number stays one, where exp(a) is infinite too."""
    size = call("exp", a)
    vanishes = call("bitwise_and", _is(a, float("-inf")), _is_odd(b))
    real, imag = _mul(size, call("cos", b)), _mul(size, call("sin", b))
    is_real = call("bitwise_and", _is_infinite(size), _is(b, 0.0))
    zero = _like(0.0, a)
    return Pair(_where(vanishes, zero, real), _where(vanishes, zero, _where(is_real, b, imag)))


def _log(a: Node, b: Node) -> Pair:
    """(log m + log1p(r^2) / 2, angle): no square over- or underflows."""
    large, ratio = _polar(a, b)
    rest = _mul(_like(0.5, ratio), call("log1p", _mul(ratio, ratio)))
    size = _add(call("log", large), rest)
    return Pair(_if_infinite(a, b, size), call("atan2", b, a))


def _sqrt(a: Node, b: Node) -> Pair:
    """With t = sqrt((|a| + |z|) / 2): (t, b/2t), or (|b|/2t, t with the sign of b) for a < 0."""
    large, ratio = _polar(a, b)
    negative = call("lt", a, _like(0.0, a))
    safe = _where(_is(large, 0.0), _like(1.0, large), large)
    size = _where(negative, _neg(a), a)
    inner = _mul(_like(0.5, a), _add(_div(size, safe), _root(ratio)))
    t = _mul(call("sqrt", large), call("sqrt", inner))
    signed = _where(negative, _copysign(t, b), t)
    other = _div(b, _where(_is(large, 0.0), _like(1.0, large), _add(signed, signed)))
    real, imag = _where(negative, other, t), _where(negative, signed, other)
    # an infinite part makes the fraction meaningless: what C99 gives there
    infinite_b, infinite_a = _is_infinite(b), _is_infinite(a)
    infinity = _like(float("inf"), a)
    real_of_a = _where(negative, _where(call("ne", b, b), b, _like(0.0, a)), infinity)
    imag_of_a = _where(negative, _copysign(infinity, b), _where(call("ne", b, b), b, _zero(b)))
    real = _where(infinite_b, infinity, _where(infinite_a, real_of_a, real))
    imag = _where(infinite_b, b, _where(infinite_a, imag_of_a, imag))
    return Pair(real, imag)


def _zero(sign: Node) -> Node:
    """0 with the sign of another number."""
    return _copysign(_like(0.0, sign), sign)


def _power(x: Pair, y: Pair) -> Pair:
    """exp(y log x); 1 where y is 0, and 0 where only x is."""
    a, b = x
    zero, one = _like(0.0, a), _like(1.0, a)
    base_zero = call("bitwise_and", _is(a, 0.0), _is(b, 0.0))
    no_power = call("bitwise_and", _is(y.real, 0.0), _is(y.imag, 0.0))
    log = _log(_where(base_zero, one, a), b)
    real, imag = _exp(*_multiply(y, log))
    positive = call("gt", y.real, zero)
    at_zero = _where(positive, zero, _like(float("nan"), a))
    real, imag = _where(base_zero, at_zero, real), _where(base_zero, at_zero, imag)
    return Pair(_where(no_power, one, real), _where(no_power, zero, imag))


def _sin(a: Node, b: Node) -> Pair:
    return Pair(_mul(call("sin", a), call("cosh", b)), _times(call("cos", a), call("sinh", b), b))


def _cos(a: Node, b: Node) -> Pair:
    return Pair(
        _mul(call("cos", a), call("cosh", b)), _neg(_times(call("sin", a), call("sinh", b), b))
    )


def _times(x: Node, y: Node, zero: Node) -> Node:
    """x * y; where y comes of a 0 and x is infinite or NaN, that 0."""
    return _where(call("bitwise_and", _is(zero, 0.0), _is_odd(x)), zero, _mul(x, y))


def _sinh(a: Node, b: Node) -> Pair:
    return Pair(
        _times(call("cos", b), call("sinh", a), a), _times(call("cosh", a), call("sin", b), b)
    )


def _cosh(a: Node, b: Node) -> Pair:
    return Pair(
        _mul(call("cosh", a), call("cos", b)),
        _times(call("sinh", a), call("sin", b), b),
    )


_FLAT = {32: 11.0, 64: 22.0}
"""From here on the hyperbolic tangent is 1 but for its imaginary part."""


def _tanh(a: Node, b: Node) -> Pair:
    limit = _FLAT[a.type.dtype.bits]
    is_flat = call("gt", call("abs", a), _like(limit, a))
    bounded = _where(is_flat, _like(limit, a), a)
    t, s = call("tan", b), call("sinh", bounded)
    beta = _add(_like(1.0, t), _mul(t, t))
    rho = call("sqrt", _add(_like(1.0, s), _mul(s, s)))
    whole = _add(_like(1.0, s), _mul(beta, _mul(s, s)))
    real, imag = _div(_mul(beta, _mul(rho, s)), whole), _div(t, whole)
    far = call("exp", _mul(_like(-2.0, a), call("abs", a)))
    far = _mul(_like(4.0, a), _mul(_mul(call("sin", b), call("cos", b)), far))
    far = _where(_is_infinite(a), _zero(b), far)
    return Pair(_where(is_flat, _copysign(_like(1.0, a), a), real), _where(is_flat, far, imag))


def _tan(a: Node, b: Node) -> Pair:
    real, imag = _tanh(_neg(b), a)  # tan z = -i tanh(i z)
    return Pair(imag, _neg(real))


# ---------------------------------------------------------------------------------------------
# Comparison, conversion, products of matrices
# ---------------------------------------------------------------------------------------------


def _equal(x: Pair, y: Pair) -> Node:
    return call("bitwise_and", call("eq", x.real, y.real), call("eq", x.imag, y.imag))


def _unequal(x: Pair, y: Pair) -> Node:
    return call("bitwise_or", call("ne", x.real, y.real), call("ne", x.imag, y.imag))


def convert(node: Node, inputs: Inputs) -> Value:
    """To a complex dtype: part by part, a real number has the imaginary part 0; to bool: not 0."""
    (x,), dtype = inputs, node["dtype"]
    if not dtype.is_complex:
        assert isinstance(x, Pair)
        return call("bitwise_or", *(build.convert(part, dtype) for part in x))
    if isinstance(x, Pair):
        return Pair(*(build.convert(part, dtype.part) for part in x))
    real = build.convert(x, dtype.part)
    return Pair(real, _like(0.0, real))


def contract(node: Node, inputs: Inputs) -> Value:
    """Four products of the parts."""
    x, y = inputs
    assert isinstance(x, Pair)
    assert isinstance(y, Pair)
    (a, b), (c, d) = x, y

    def of(left: Node, right: Node) -> Node:
        return node.op(left, right, **node.attrs)

    return Pair(_sub(of(a, c), of(b, d)), _add(of(a, d), of(b, c)))


# ---------------------------------------------------------------------------------------------
# Products of many
# ---------------------------------------------------------------------------------------------


def product(node: Node, inputs: Inputs) -> Value:
    """1 times each element, one after the other."""
    (x,), axes = inputs, node["axes"]
    assert isinstance(x, Pair)
    rest = [axis for axis in range(x.real.type.rank) if axis not in axes]
    kept = tuple(x.real.type.shape[axis] for axis in rest)
    length = size_product([x.real.type.shape[axis] for axis in axes])
    rows = [build.reshape(build.transpose(p, (*axes, *rest)), (length, *kept)) for p in x]
    real, imag, *_ = _products(Pair(*rows), length, reverse=False)
    return Pair(real, imag)


def cumulate(node: Node, inputs: Inputs) -> Value:
    """Sums are those of the parts; products are of 1 and each element, one after the other."""
    (x,), axis = inputs, node["axis"]
    assert isinstance(x, Pair)
    if node["kind"] == "sum":
        return each(node, inputs)
    rows = Pair(*(build.to_front(part, axis) for part in x))
    found = _products(rows, rows.real.type.shape[0], node["reverse"])
    return Pair(*(build.from_front(part, axis) for part in found[2:]))


def _products(rows: Pair, length: Size, reverse: bool) -> list[Node]:
    """The parts of the product of all rows, and those of the products of each and all before it."""
    type_ = rows.real.type.with_shape(rows.real.type.shape[1:])
    names = ("real", "imag", "row.real", "row.imag")
    given = tuple(build.argument(place, name, type_) for place, name in enumerate(names))
    result = _multiply(Pair(*given[:2]), Pair(*given[2:]))
    body = Graph("product", given, (*result, *result))
    one, zero = build.full(1.0, type_), build.full(0.0, type_)
    attrs = {"carried": 2, "scanned": 2, "length": length, "reverse": reverse}
    scan = call("scan", one, zero, *rows, body=body, **attrs)
    return [call("project", scan, index=index) for index in range(4)]


multiply, divide, power = binary(_multiply), binary(_divide), binary(_power)
equal, unequal = binary(_equal), binary(_unequal)
absolute, sign = unary(_absolute), unary(_sign)
exp, log, sqrt = unary(_exp), unary(_log), unary(_sqrt)
sin, cos, tan = unary(_sin), unary(_cos), unary(_tan)
sinh, cosh, tanh = unary(_sinh), unary(_cosh), unary(_tanh)
