"""Losses of probabilities: of one outcome, and of a distribution."""

from __future__ import annotations

from typing import Any

from weft.nn.activations import tail
from weft.nn.losses import matching, reduced
from weft.nn.operands import fitting, real
from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import like
from weft.ops.reductions import reduce
from weft.promotion import convert
from weft.tracing import Tracer, apply


@operation("reduction")
def binary_cross_entropy_with_logits(
    logits: Any, labels: Any, /, *, positive_weight: Any = None, reduction: str = "none"
) -> Tracer:
    """-y * log(sigmoid(x)) - (1 - y) * log(1 - sigmoid(x)) for each logit x and its label y, a
    probability (or 0 and 1, False and True); accurate where sigmoid(x) is about 0 or 1.

    `positive_weight`, a number or an array that fits `logits`, is what the first term counts.
    ShapeError unless labels are one number, or have the shape of the logits."""
    name = "binary_cross_entropy_with_logits"
    x, positive = matching(name, logits, labels)
    negative = apply("sub", like(1.0, x), positive)
    if positive_weight is not None:
        weight = fitting(name, "positive_weight", real(name, positive_weight), x)
        positive = apply("mul", *core.matched(name, weight, positive))
        x, negative = (convert(part, positive.dtype) for part in (x, negative))
    above = apply("gt", x, like(0.0, x))
    straight = apply("where", above, negative, apply("neg", positive))
    rest = tail(x, above)
    if positive_weight is not None:
        rest = apply("mul", apply("add", negative, positive), rest)
    return reduced(name, apply("add", apply("mul", straight, x), rest), reduction)


@operation("axis", "log_target", "reduction")
def kl_divergence(
    log_prediction: Any,
    target: Any,
    /,
    *,
    axis: int = -1,
    log_target: bool = False,
    reduction: str = "none",
) -> Tracer:
    """The sum along `axis` of target * (log(target) - log_prediction), for each row: how far a
    distribution is from the logarithms of another (Kullback and Leibler, 1951). What the target
    does not hold counts nothing, whatever was predicted. With `log_target` the target is given by
    its logarithm too. ShapeError unless both have one shape."""
    name = "kl_divergence"
    core.flag(name, "log_target", log_target)
    prediction, given = matching(name, log_prediction, target)
    share = apply("exp", given) if log_target else given
    held = apply("ne", share, like(0.0, share))
    logarithm = given if log_target else apply("log", apply("where", held, share, like(1.0, share)))
    far = apply("sub", logarithm, prediction)
    terms = apply("mul", share, apply("where", held, far, like(0.0, far)))
    rows = reduce("sum", name, terms, core.axis_of(name, terms, axis), False)
    return reduced(name, rows, reduction)
