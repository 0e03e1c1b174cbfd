"""Functions of neural networks on bounded values."""

from __future__ import annotations

import math

import numpy as np
from tests.fuzz.reference import elementwise, reductions
from tests.fuzz.reference.elementwise import monotone
from tests.fuzz.reference.values import (
    INTEGERS,
    Array,
    Bounded,
    Invalid,
    as_float,
    exactly,
    moved,
)


def relu(x: Bounded) -> Bounded:
    if x.dtype == "bool":
        raise Invalid("bools have no arithmetic")
    return Bounded(np.where(x.value <= 0, 0, x.value), x.error, x.dtype)


def silu(x: Bounded) -> Bounded:
    x = as_float(x)
    return elementwise.multiply(x, elementwise.sigmoid(x))


def gelu(x: Bounded, approximate: bool = True) -> Bounded:
    x = as_float(x)

    def scaled(factor: float, y: Bounded) -> Bounded:
        return elementwise.multiply(exactly(factor, x.dtype), y)

    if approximate:
        cube = elementwise.multiply(elementwise.multiply(x, x), x)
        inner = elementwise.add(x, scaled(0.044715, cube))
        curve = elementwise.tanh(scaled(math.sqrt(2 / math.pi), inner))
    else:
        curve = elementwise.erf(scaled(math.sqrt(0.5), x))
    return elementwise.multiply(scaled(0.5, x), elementwise.add(exactly(1.0, x.dtype), curve))


def cross_entropy(logits: Bounded, labels: Bounded) -> Bounded:
    """The label's part, of the losses of every label."""
    if logits.ndim != labels.ndim + 1 or labels.dtype not in INTEGERS:
        raise Invalid("no label for each row")
    value = as_float(logits)
    if not labels.exact.all() or ((labels.value < 0) | (labels.value >= value.shape[-1])).any():
        raise Invalid("no such label")
    losses = elementwise.negative(reductions.log_softmax(value))
    place = labels.value[..., None].astype("int64")
    return moved(lambda v: np.take_along_axis(v, place, -1)[..., 0], losses)


def relu6(x: Bounded) -> Bounded:
    if x.dtype == "bool":
        raise Invalid("bools have no arithmetic")
    return Bounded(np.clip(x.value, 0, 6), x.error, x.dtype)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


softplus = monotone(lambda x: np.logaddexp(x, 0))
log_sigmoid = monotone(lambda x: -np.logaddexp(-x, 0))
elu = monotone(_elu)
selu = monotone(lambda x: 1.0507009873554805 * _elu(x, 1.6732632423543772))
softsign = monotone(lambda x: np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(x))))
hard_tanh = monotone(lambda x: np.clip(x, -1, 1))
hard_sigmoid = monotone(_hard_sigmoid)


def mish(x: Bounded) -> Bounded:
    return elementwise.multiply(as_float(x), elementwise.tanh(softplus(x)))


def hard_silu(x: Bounded) -> Bounded:
    x = as_float(x)
    inside = Bounded(np.where(x.value <= -3, 0, x.value), x.error, x.dtype)
    return elementwise.multiply(inside, hard_sigmoid(x))
