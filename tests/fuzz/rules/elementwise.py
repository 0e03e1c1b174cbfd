"""Rules that append an elementwise call."""

from __future__ import annotations

from tests.fuzz.drawer import Drawer, broadcasts
from tests.fuzz.program import Literal, Operand
from tests.fuzz.reference import namespace
from tests.fuzz.reference.values import DTYPES, FLOATS, Invalid
from tests.fuzz.rules.operands import any_value, floating, number, required


def unary(d: Drawer) -> None:
    """An elementary function, of integers now and then."""
    value = floating(d) if d.chance(0.85) else any_value(d)
    names = namespace.FLOAT_UNARY
    name = d.rng.choice(names)
    if name in ("log", "sqrt", "rsqrt", "log1p", "log2") and d.chance(0.6):
        value = d.emit("abs", value) if d.chance(0.5) else d.emit("square", value)
        if d.chance(0.5):
            value = d.emit("add", value, Literal(d.rng.choice((1.0, 0.1, 1e-3))), form="operator")
    d.emit(name, value)


def simple_unary(d: Drawer) -> None:
    name = d.rng.choice(namespace.UNARY if not d.smooth else ("abs", "negative", "square"))
    value = any_value(d)
    written = name in ("negative", "positive", "bitwise_invert", "abs") and d.chance(0.7)
    d.emit(name, value, form="operator" if written else "function")


def activation(d: Drawer) -> None:
    name = f"nn.{d.rng.choice(namespace.ACTIVATIONS)}"
    options = {"approximate": False} if name == "nn.gelu" and d.chance(0.4) else {}
    d.emit(name, number(d), **options)


def _two(d: Drawer, names: tuple[str, ...], value: int) -> int:
    name, other = d.rng.choice(names), d.operand(value)
    left, right = (value, other) if d.chance(0.7) else (other, value)
    if not isinstance(left, int):
        left, right = (left, right) if d.chance(0.5) else (right, left)
    written = name not in ("maximum", "minimum", "atan2") and name not in namespace.LOGICAL
    literal_power = name == "pow" and isinstance(right, Literal)
    if literal_power:
        raise Invalid("powers of literals have a rule of their own")
    form = "operator" if written and d.chance(0.8) else "function"
    return d.emit(name, left, right, form=form)


def binary(d: Drawer) -> None:
    names = ("add", "subtract", "multiply", "add", "subtract", "multiply", "divide")
    if d.chance(0.3):
        names = namespace.ARITHMETIC if not d.smooth else ("atan2", "maximum", "minimum", "divide")
    _two(d, names, number(d))


def power(d: Drawer) -> None:
    exponents: tuple[float, ...] = (2, 3, 2, 0, 1, 4, 5, 8, 2.0, 3.0, 0.5, -1, -0.5, 1.5, -2, 9)
    value = required(d.pick(lambda v: v.dtype != "bool"))
    passed = [n for n, v in enumerate(d.values) if v.weak]
    if passed and d.chance(0.5):
        d.emit("pow", value, d.rng.choice(passed), form="operator")
    else:
        d.emit("literal_power", value, exponent=d.rng.choice(exponents))


def comparison(d: Drawer) -> None:
    _two(d, namespace.COMPARISONS, any_value(d))


def logic(d: Drawer) -> None:
    if d.chance(0.3):
        d.emit("logical_not", any_value(d))
    else:
        _two(d, namespace.LOGICAL, any_value(d))


def bits(d: Drawer) -> None:
    value = required(d.pick(lambda v: not v.is_float))
    if d.chance(0.3) and d.values[value].dtype != "bool":
        name = d.rng.choice(("bitwise_left_shift", "bitwise_right_shift"))
        d.emit(name, value, Literal(d.rng.choice((0, 1, 3, 7, 31))), form="operator")
    else:
        _two(d, namespace.BITWISE[:3], value)


def choice(d: Drawer) -> None:
    """where(test, x, y), with a test of one of the two or an earlier one."""
    value = any_value(d)
    shape = d.values[value].shape
    test = d.pick(lambda v: v.dtype == "bool" and broadcasts(v.shape, shape))
    if test is None or d.chance(0.5):
        name = d.rng.choice(("greater", "less", "greater_equal", "not_equal"))
        test = d.emit(name, value, d.operand(value), form="operator")
    branches: list[Operand] = [value, d.operand(value)]
    if d.chance(0.15):
        branches = [d.literal("float32"), d.literal("float32")]
    d.rng.shuffle(branches)
    d.emit("where", test, *branches)


def clip(d: Drawer) -> None:
    value = number(d)
    low, high = d.rng.choice(((-1, 1), (0, None), (None, 2), (0.0, 6.0), (-0.5, 0.5), (1, 3)))
    if d.values[value].dtype not in FLOATS and isinstance(low or high, float):
        raise Invalid("fractions limit floats")
    ends = [None if end is None else Literal(end) for end in (low, high)]
    d.emit("clip", value, *ends)


def cast(d: Drawer) -> None:
    dtypes = FLOATS if d.smooth else DTYPES
    form = "method" if d.chance(0.5) else "function"
    d.emit("astype", any_value(d), dtype=d.rng.choice(dtypes), form=form)
