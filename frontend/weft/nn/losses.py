"""Losses: how far each element of a prediction is from what was wanted.

`reduction` says what is returned: "none", the loss of each element; "mean" or "sum", that of all.
"""

from __future__ import annotations

from typing import Any

from weft import diagnostics
from weft.nn.operands import choice, number, real
from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import binary, like
from weft.ops.reductions import average, reduce
from weft.tracing import Tracer, apply
from weftc.ops.check import same_sizes
from weftrt.errors import ShapeError

REDUCTIONS = ("none", "mean", "sum")


@operation("reduction")
def squared_error(prediction: Any, target: Any, /, *, reduction: str = "none") -> Tracer:
    """(prediction - target) ** 2: with reduction="mean", the mean squared error. ShapeError unless
    both have one shape, or the target is one number."""
    difference = _difference("squared_error", prediction, target)
    return reduced("squared_error", apply("mul", difference, difference), reduction)


@operation("reduction")
def absolute_error(prediction: Any, target: Any, /, *, reduction: str = "none") -> Tracer:
    """|prediction - target|, whose gradient is 0 where they are equal; with reduction="mean", the
    mean absolute error. Shapes are as for squared_error."""
    size = apply("abs", _difference("absolute_error", prediction, target))
    return reduced("absolute_error", size, reduction)


@operation("delta", "reduction")
def huber_loss(
    prediction: Any, target: Any, /, *, delta: float = 1.0, reduction: str = "none"
) -> Tracer:
    """Half the square of the difference d where |d| <= delta, else delta * (|d| - delta / 2), which
    goes on as a line (Huber, 1964). Shapes are as for squared_error."""
    limit = number("huber_loss", "delta", delta)
    size = apply("abs", _difference("huber_loss", prediction, target))
    return reduced("huber_loss", _bent(size, limit), reduction)


@operation("beta", "reduction")
def smooth_l1_loss(
    prediction: Any, target: Any, /, *, beta: float = 1.0, reduction: str = "none"
) -> Tracer:
    """huber_loss with delta=beta, divided by beta: |d| - beta / 2 where |d| > beta (Girshick, Fast
    R-CNN, 2015), and |d| for a beta of 0. Shapes are as for squared_error."""
    limit = number("smooth_l1_loss", "beta", beta)
    size = apply("abs", _difference("smooth_l1_loss", prediction, target))
    if limit:
        size = apply("div", _bent(size, limit), like(limit, size))
    return reduced("smooth_l1_loss", size, reduction)


def _bent(size: Tracer, limit: float) -> Tracer:
    """q * (size - q / 2) for q = min(size, limit)."""
    near = apply("minimum", size, like(limit, size))
    rest = apply("sub", size, apply("mul", like(0.5, size), near))
    return apply("mul", near, rest)


@operation("reduction")
def hinge_loss(scores: Any, labels: Any, /, *, reduction: str = "none") -> Tracer:
    """max(0, 1 - labels * scores), for labels that are 1 or -1. Its gradient is 0 from the margin
    on. Shapes are as for squared_error."""
    score, label = matching("hinge_loss", scores, labels)
    missing = apply("sub", like(1.0, score), apply("mul", label, score))
    zero = like(0.0, missing)
    loss = apply("where", apply("le", missing, zero), zero, missing)
    return reduced("hinge_loss", loss, reduction)


def _difference(name: str, prediction: Any, target: Any) -> Tracer:
    return apply("sub", *matching(name, prediction, target))


def matching(name: str, prediction: Any, target: Any) -> list[Tracer]:
    """Both as floats of one dtype and shape. Only a single number is repeated: (n, 1) beside (n,)
    would make n * n losses of what was meant to be n."""
    left, right = real(name, prediction), real(name, target)
    if right.ndim and not same_sizes(left.type.shape, right.type.shape):
        problem = "{0} and {1} must have one shape"
        diagnostics.fail(ShapeError, name, [left, right], problem)
    return core.matched(name, left, right)


def reduced(name: str, losses: Tracer, reduction: Any, count: Tracer | None = None) -> Tracer:
    """What `reduction` says of losses; the mean divides by `count` where that is given."""
    kind = choice(name, "reduction", reduction, REDUCTIONS)
    if kind == "none":
        return losses
    if kind == "mean" and count is None:
        return average(name, losses, None, False)
    total = reduce("sum", name, losses, None, False)
    return total if kind == "sum" else binary("div", name, total, count)
