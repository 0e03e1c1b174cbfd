"""Activations: functions of one element.

Where a derivative jumps, the gradient is 0 if that of one side is (as relu's at 0), else that of
the side below. What is smooth is so at 0 too, for derivatives of any order. Nothing overflows on
the way to a value that does not.
"""

from __future__ import annotations

import math
from typing import Any

from weft import diagnostics
from weft.nn.operands import real
from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import like
from weft.promotion import as_float, as_strong
from weft.symbolic import value_of
from weft.tracing import Tracer, apply, lift
from weftrt.errors import ShapeError, UsageError

# -- gates: x, or nothing -------------------------------------------------------------------------


@operation()
def relu(x: Any, /) -> Tracer:
    """max(x, 0); NaN stays NaN. Its gradient at 0 is 0."""
    value = as_strong(lift(x))
    zero = like(0, value)
    return apply("where", apply("le", value, zero), zero, value, name="relu")


@operation()
def relu6(x: Any, /) -> Tracer:
    """min(max(x, 0), 6); NaN stays NaN. Its gradient at 0 and at 6 is 0."""
    return _limited("relu6", as_strong(lift(x)), 0, 6)


@operation()
def leaky_relu(x: Any, /, negative_slope: Any = 0.01) -> Tracer:
    """x where it is above 0, else x times `negative_slope`, a number or an array: with one that is
    learned (of each channel, say) this is PReLU. Its gradient at 0 is the slope."""
    value, slope = core.matched("leaky_relu", real("leaky_relu", x), lift(negative_slope))
    return apply("where", _is_above(value), value, apply("mul", value, slope))


@operation()
def silu(x: Any, /) -> Tracer:
    """x * sigmoid(x)."""
    value = as_float(lift(x))
    return apply("mul", value, apply("sigmoid", value))


@operation("approximate")
def gelu(x: Any, /, *, approximate: bool = True) -> Tracer:
    """x times the normal distribution function at x: by tanh, or by erf if not approximate."""
    if not isinstance(approximate, bool):
        problem = f"gelu: approximate is True (by tanh) or False (by erf), not {approximate!r:.40}"
        raise diagnostics.located(UsageError, problem)
    value = as_float(lift(x))
    if approximate:
        cube = apply("mul", apply("mul", value, value), value)
        inner = apply("add", value, apply("mul", like(0.044715, value), cube))
        curve = apply("tanh", apply("mul", like(math.sqrt(2 / math.pi), value), inner))
    else:
        curve = apply("erf", apply("mul", like(math.sqrt(0.5), value), value))
    half = apply("mul", like(0.5, value), value)
    return apply("mul", half, apply("add", like(1.0, value), curve))


@operation()
def mish(x: Any, /) -> Tracer:
    """x * tanh(softplus(x)) (Misra, 2019)."""
    value = real("mish", x)
    return apply("mul", value, apply("tanh", _log_of_one_plus_exp(value)))


@operation()
def hard_silu(x: Any, /) -> Tracer:
    """x * hard_sigmoid(x) (Howard et al., Searching for MobileNetV3, 2019): 0 up to -3, x from 3
    on."""
    value = real("hard_silu", x)
    floor = apply("le", value, like(-3.0, value))
    inside = apply("where", floor, like(0.0, value), value)  # also where x is -inf
    return apply("mul", inside, _hard_sigmoid(inside))


@operation("axis")
def glu(x: Any, /, axis: Any = -1) -> Tracer:
    """The first half of x along `axis` times the sigmoid of the second (Dauphin et al., Language
    Modeling with Gated Convolutional Networks, 2016). ShapeError where the size is odd."""
    value = real("glu", x)
    place = core.axis_of("glu", value, axis)
    size = value_of(value.type.shape[place])
    if size % 2:
        problem = f"axis {place} of {{0}} has no two halves: its size {size} is odd"
        diagnostics.fail(ShapeError, "glu", [value], problem)
    kept, gates = (_part(value, place, start, size // 2) for start in (0, size // 2))
    return apply("mul", kept, apply("sigmoid", gates))


def _part(x: Tracer, axis: int, start: int, length: int) -> Tracer:
    starts, stops = [0] * x.ndim, list(x.type.shape)
    starts[axis], stops[axis] = start, start + length
    steps = (1,) * x.ndim
    return apply("slice", x, start=tuple(starts), stop=tuple(stops), step=steps, name="glu")


# -- exponential below 0 --------------------------------------------------------------------------


@operation()
def elu(x: Any, /, alpha: Any = 1.0) -> Tracer:
    """x where it is above 0, else alpha * (exp(x) - 1) (Clevert et al., 2015)."""
    value, factor = core.matched("elu", real("elu", x), lift(alpha))
    curve = apply("mul", factor, apply("expm1", _up_to_zero(value)))
    return apply("where", _is_above(value), value, curve)


@operation()
def celu(x: Any, /, alpha: Any = 1.0) -> Tracer:
    """x where it is above 0, else alpha * (exp(x / alpha) - 1) (Barron, 2017): its derivative has
    no jump, whatever `alpha`, which is not 0."""
    value, factor = core.matched("celu", real("celu", x), lift(alpha))
    curve = apply("mul", factor, apply("expm1", apply("div", _up_to_zero(value), factor)))
    return apply("where", _is_above(value), value, curve)


@operation()
def selu(x: Any, /) -> Tracer:
    """1.0507 * elu(x, 1.6733), whose constants keep mean 0 and variance 1 from layer to layer
    (Klambauer et al., Self-Normalizing Neural Networks, 2017)."""
    value = real("selu", x)
    curve = apply("mul", like(_SELU_ALPHA, value), apply("expm1", _up_to_zero(value)))
    chosen = apply("where", _is_above(value), value, curve)
    return apply("mul", like(_SELU_SCALE, value), chosen)


_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def _is_above(x: Tracer) -> Tracer:
    return apply("gt", x, like(0.0, x))


def _up_to_zero(x: Tracer) -> Tracer:
    """x where it is not above 0: what is not chosen has a derivative too, which must not
    overflow."""
    return apply("where", _is_above(x), like(0.0, x), x)


# -- softplus and what is made of it --------------------------------------------------------------


@operation()
def softplus(x: Any, /) -> Tracer:
    """log(1 + exp(x)): a smooth relu, whose derivative is sigmoid(x)."""
    return _log_of_one_plus_exp(real("softplus", x))


@operation()
def log_sigmoid(x: Any, /) -> Tracer:
    """log(sigmoid(x)), which is -softplus(-x): about x where sigmoid(x) is 0 in its dtype."""
    return apply("neg", _log_of_one_plus_exp(apply("neg", real("log_sigmoid", x))))


def _log_of_one_plus_exp(x: Tracer) -> Tracer:
    """log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), both by a choice of sides: each is smooth,
    so that derivatives of any order are right at 0."""
    above = _is_above(x)
    return apply("add", apply("where", above, x, like(0.0, x)), tail(x, above))


def tail(x: Tracer, above: Tracer) -> Tracer:
    """log(1 + exp(-|x|)); `above`: where x is above 0."""
    return apply("log1p", apply("exp", apply("where", above, apply("neg", x), x)))


# -- bounded on both sides ------------------------------------------------------------------------


@operation()
def softsign(x: Any, /) -> Tracer:
    """x / (1 + |x|), from -1 to 1, which it is at infinity."""
    # Either side of |x| = 1 in the form that neither cancels nor overflows, derivatives too.
    value = real("softsign", x)
    size, one = apply("abs", value), like(1.0, value)
    near, rest = apply("lt", size, one), apply("div", one, apply("add", one, size))
    small = apply("mul", apply("where", near, value, like(0.0, value)), rest)
    large = apply("mul", apply("sign", value), apply("sub", one, rest))
    return apply("where", near, small, large)


@operation()
def hard_tanh(x: Any, /) -> Tracer:
    """min(max(x, -1), 1); NaN stays NaN. Its gradient at -1 and at 1 is 0."""
    return _limited("hard_tanh", real("hard_tanh", x), -1, 1)


@operation()
def hard_sigmoid(x: Any, /) -> Tracer:
    """min(max(x + 3, 0), 6) / 6; NaN stays NaN. Its gradient at -3 and at 3 is 0."""
    return _hard_sigmoid(real("hard_sigmoid", x))


def _hard_sigmoid(x: Tracer) -> Tracer:
    raised = apply("add", x, like(3.0, x))
    return apply("div", _limited("hard_sigmoid", raised, 0, 6), like(6.0, x))


def _limited(name: str, x: Tracer, low: int, high: int) -> Tracer:
    """x within two limits, at which its gradient is 0."""
    floor, top = like(low, x), like(high, x)
    lower = apply("where", apply("le", x, floor, name=name), floor, x)
    return apply("where", apply("ge", x, top), top, lower, name=name)
