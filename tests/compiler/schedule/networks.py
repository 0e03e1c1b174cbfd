"""Small networks from primitives, for tests of fusion and schedules."""

from __future__ import annotations

from typing import Any

from weftc.ir.node import Node
from weftc.ir.sizes import Shape, Size
from weftc.ops import build
from weftrt import dtypes


def op(name: str, *inputs: Node, **attrs: Any) -> Node:
    return build.call(name, *inputs, **attrs)


def full(value: float, shape: Shape) -> Node:
    return build.expand(build.constant(value, dtypes.float32), shape, ())


def rows(node: Node, count: Size) -> Node:
    """A vector as every row of a matrix."""
    return build.expand(node, (count, *node.type.shape), (1,))


def columns(node: Node, like: Node) -> Node:
    """A value for each row, repeated along the last axis of `like`."""
    return build.expand(node, like.type.shape, range(node.type.rank))


def matmul(a: Node, b: Node) -> Node:
    return op("contract", a, b, batch=((), ()), contracted=((1,), (0,)))


def last(node: Node) -> tuple[int]:
    return (node.type.rank - 1,)


def softmax(x: Node) -> Node:
    e = op("exp", op("sub", x, columns(op("max", x, axes=last(x)), x)))
    return op("div", e, columns(op("sum", e, axes=last(x)), x))


def mean(x: Node) -> Node:
    total = op("sum", x, axes=last(x))
    size = build.convert(op("size", size=x.type.shape[-1]), dtypes.float32)
    return op("div", total, build.expand(size, total.type.shape, ()))


def layer_norm(x: Node, scale: Node, shift: Node) -> Node:
    count = x.type.shape[0]
    centred = op("sub", x, columns(mean(x), x))
    variance = mean(op("mul", centred, centred))
    inverse = op("rsqrt", op("add", variance, full(1e-5, variance.type.shape)))
    normal = op("mul", centred, columns(inverse, x))
    return op("add", op("mul", normal, rows(scale, count)), rows(shift, count))


def cross_entropy(logits: Node, labels: Node) -> Node:
    top = op("stop_gradient", op("max", logits, axes=(1,)))
    shifted = op("sub", logits, columns(top, logits))
    log_sum = op("log", op("sum", op("exp", shifted), axes=(1,)))
    iota = op("iota", shape=logits.type.shape, axis=1, dtype=labels.type.dtype)
    chosen = op("eq", iota, columns(labels, logits))
    log_p = op("sub", shifted, columns(log_sum, logits))
    picked = op("where", chosen, log_p, full(0.0, logits.type.shape))
    return op("neg", mean(op("sum", picked, axes=(1,))))


def adam(p: Node, gradient: Node, m: Node, v: Node, rate: Node) -> tuple[Node, Node, Node]:
    def c(value: float) -> Node:
        return full(value, p.type.shape)

    m2 = op("add", op("mul", c(0.9), m), op("mul", c(0.1), gradient))
    square = op("mul", gradient, gradient)
    v2 = op("add", op("mul", c(0.999), v), op("mul", c(0.001), square))
    step = op("div", m2, op("add", op("sqrt", v2), c(1e-8)))
    scaled = op("mul", build.expand(rate, p.type.shape, ()), step)
    return op("sub", p, scaled), m2, v2
