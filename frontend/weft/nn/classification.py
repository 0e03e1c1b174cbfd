"""Losses of scores of classes, of which a row has one, or a share of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weft import diagnostics
from weft.nn.losses import REDUCTIONS, reduced
from weft.nn.operands import choice, number, real
from weft.nn.probabilities import below_largest
from weft.ops import core, elementwise
from weft.ops.core import operation
from weft.ops.elementwise import binary, like
from weft.ops.reductions import reduce
from weft.promotion import as_float, as_strong, convert
from weft.tracing import Tracer, apply, lift
from weftc.ops.check import same_sizes
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError, UsageError


@operation("axis", "label_smoothing", "ignore_index", "reduction")
def cross_entropy(
    logits: Any,
    labels: Any,
    /,
    *,
    axis: int = -1,
    weights: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: str = "none",
) -> Tracer:
    """-log_softmax(logits)[label] for each row of `logits`, whose classes are along `axis`.

    `labels` are integers, in the shape of `logits` without that axis; one that is negative, or not
    below the number of classes, raises IndexError when the function runs. Or they are floats in the
    shape of `logits`: probabilities p, whose loss is the sum of -p * log_softmax(logits).

    `weights`, of shape (classes,), are what classes count. `label_smoothing`, from 0 to 1, is how
    much of each label all classes share (Szegedy et al., Rethinking the Inception Architecture,
    2015). Rows whose label is `ignore_index` do not count: their loss is 0. `reduction` is "none"
    (a loss for each row), "sum", or "mean": the sum divided by the number of rows, or for integer
    labels by the sum of the weights of those that count, which is NaN where none does.

    DTypeError for labels of another kind; ShapeError for other shapes, and for no classes.
    """
    choice("cross_entropy", "reduction", reduction, REDUCTIONS)
    smoothing = number("cross_entropy", "label_smoothing", label_smoothing, 0.0, 1.0)
    value, label = as_float(lift(logits)), lift(labels)
    if _are_probabilities(value, label):
        if ignore_index is not None:
            problem = "cross_entropy: ignore_index is for labels that are integers"
            raise diagnostics.located(UsageError, problem)
        value, shares = core.matched("cross_entropy", value, label)
        place = core.axis_of("cross_entropy", value, axis)
        losses = _shared_out(value, shares, place, smoothing, weights)
        return reduced("cross_entropy", losses, reduction)
    rows = _Rows.of("cross_entropy", value, label, axis, weights, ignore_index)
    if smoothing:
        shares = convert(rows.is_label, value.dtype)
        losses = _shared_out(value, shares, rows.axis, smoothing, weights)
    else:
        shifted, axes = below_largest("cross_entropy", value, rows.axis)
        total = reduce("sum", "cross_entropy", apply("exp", shifted), axes, False)
        chosen = rows.chosen("cross_entropy", shifted)
        losses = rows.weighted(binary("sub", "cross_entropy", apply("log", total), chosen))
    return rows.reduced("cross_entropy", losses, reduction)


@operation("axis", "ignore_index", "reduction")
def negative_log_likelihood(
    log_probabilities: Any,
    labels: Any,
    /,
    *,
    axis: int = -1,
    weights: Any = None,
    ignore_index: int | None = None,
    reduction: str = "none",
) -> Tracer:
    """-log_probabilities[label] for each row, whose classes are along `axis`; labels are integers.
    With log_softmax(logits), this is cross_entropy, whose other arguments these are too."""
    name = "negative_log_likelihood"
    choice(name, "reduction", reduction, REDUCTIONS)
    value = real(name, log_probabilities)
    rows = _Rows.of(name, value, lift(labels), axis, weights, ignore_index)
    losses = rows.weighted(apply("neg", rows.chosen(name, value)))
    return rows.reduced(name, losses, reduction)


@dataclass(frozen=True)
class _Rows:
    """Rows of scores with a label each."""

    axis: int
    is_label: Tracer  # bools in the shape of the scores
    weight: Tracer | None  # of each row; None for 1
    ignored: Tracer | None  # bools, of each row

    @staticmethod
    def of(name: str, x: Tracer, label: Tracer, axis: Any, weights: Any, ignore: Any) -> _Rows:
        """From what a user gives; errors where it does not fit."""
        place = _check(name, x, label, axis)
        ignored = None
        if ignore is not None:
            index = core.integer(name, "ignore_index", ignore, UsageError)
            ignored = lift(elementwise.equal(label, index))
            label = lift(elementwise.where(ignored, 0, label))
        unsigned = apply("convert", as_strong(label), dtype=dtypes.uint64)  # none is negative
        weight = None
        if weights is not None:
            weight = apply("take", _class_weights(name, x, weights, place), unsigned, axis=0)
        return _Rows(place, _is_label(name, x, unsigned, place), weight, ignored)

    def chosen(self, name: str, x: Tracer) -> Tracer:
        """The element of each row that its label tells."""
        there = apply("where", self.is_label, x, like(0.0, x))
        return reduce("sum", name, there, self.axis, False)

    def weighted(self, losses: Tracer) -> Tracer:
        """Losses times what their rows count."""
        return losses if self.weight is None else binary("mul", "weights", losses, self.weight)

    def reduced(self, name: str, losses: Tracer, reduction: str) -> Tracer:
        """What `reduction` says of losses, without those of rows that are ignored."""
        losses, counts = self._without_ignored(losses), self.weight
        if counts is None and self.ignored is not None:
            counts = like(1.0, losses)
        if counts is None or reduction != "mean":
            return reduced(name, losses, reduction)
        total = reduce("sum", name, self._without_ignored(counts), None, False)
        return reduced(name, losses, reduction, total)

    def _without_ignored(self, x: Tracer) -> Tracer:
        return x if self.ignored is None else apply("where", self.ignored, like(0.0, x), x)


def _check(name: str, x: Tracer, label: Tracer, axis: Any) -> int:
    """The axis of the classes, whose other axes are those of the labels."""
    if not label.dtype.is_integer:
        problem = "labels must be integers"
        if name == "cross_entropy" and label.dtype.is_float:
            problem += ", or probabilities in the shape of {0}"
        diagnostics.fail(DTypeError, name, [x, label], problem)
    place = core.axis_of(name, x, axis) if x.ndim else 0
    rest = (*x.type.shape[:place], *x.type.shape[place + 1 :])
    if not x.ndim or not same_sizes(rest, label.type.shape):
        which = "the last axis" if place == x.ndim - 1 or not x.ndim else f"axis {place}"
        problem = f"{{1}} must have the shape of {{0}} without {which}"
        diagnostics.fail(ShapeError, name, [x, label], problem)
    if x.type.shape[place] == 0:
        diagnostics.fail(ShapeError, name, [x, label], "{0} has no classes")
    return place


def _class_weights(name: str, x: Tracer, weights: Any, axis: int) -> Tracer:
    """`weights`, in the dtype of `x`; ShapeError unless there is one for each class."""
    value = real(name, weights)
    if not same_sizes(value.type.shape, x.type.shape[axis : axis + 1]):
        sizes = tuple(map(str, x.type.shape[axis : axis + 1]))
        problem = f"weights have shape ({sizes[0]},), one for each class of {{0}}"
        diagnostics.fail(ShapeError, name, [x], f"{problem}, not {value.type.shape}")
    return value


def _is_label(name: str, x: Tracer, labels: Tracer, axis: int) -> Tracer:
    """Whether each place along the axis of the classes is the label of its row."""
    place = apply("iota", shape=x.type.shape, axis=axis, dtype=dtypes.int64)
    classes = apply("iota", shape=x.type.shape[axis : axis + 1], axis=0, dtype=dtypes.int64)
    label = apply("take", classes, labels, axis=0)
    shape = tuple(1 if a == axis else size for a, size in enumerate(x.type.shape))
    return binary("eq", name, place, apply("reshape", label, shape=shape))


# -- labels that are probabilities ----------------------------------------------------------------


def _are_probabilities(logits: Tracer, labels: Tracer) -> bool:
    shapes = (logits.type.shape, labels.type.shape)
    return labels.dtype.is_float and labels.ndim > 0 and same_sizes(*shapes)


def _shared_out(x: Tracer, shares: Tracer, axis: int, smoothing: float, weights: Any) -> Tracer:
    """The sum along `axis` of -log_softmax(x), times the shares of classes, times their weights."""
    name = "cross_entropy"
    if x.type.shape[axis] == 0:
        diagnostics.fail(ShapeError, name, [x, shares], "{0} has no classes")
    if smoothing:
        each = binary("div", name, like(smoothing, x), lift(x.type.shape[axis]))
        shares = apply("add", apply("mul", like(1.0 - smoothing, x), shares), each)
    if weights is not None:
        weight = _class_weights(name, x, weights, axis)
        whole = apply("broadcast", weight, shape=x.type.shape, axes=(axis,))
        shares = binary("mul", name, whole, shares)
    shifted, axes = below_largest(name, x, axis)
    total = reduce("sum", name, apply("exp", shifted), axes, True)
    bits = binary("sub", name, apply("log", total), shifted)
    return reduce("sum", name, _expected(shares, bits), axes, False)


def _expected(shares: Tracer, x: Tracer) -> Tracer:
    """shares * x, and 0 where no share of something infinite is left."""
    shares, x = core.matched("cross_entropy", shares, x)
    nothing = apply("eq", shares, like(0.0, shares))
    infinite = apply("eq", apply("abs", x), like(float("inf"), x))
    gone = apply("bitwise_and", nothing, infinite)
    return apply("mul", shares, apply("where", gone, like(0.0, x), x))
