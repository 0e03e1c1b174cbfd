"""Cross entropy and likelihoods of labels: every option, against NumPy and against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.nn.checks import Function, check, check_peer, check_slopes, compiled

import weft as wf

nn = wf.nn
RNG = np.random.default_rng(12)
X = RNG.standard_normal((6, 5)) * 2
LABELS = np.array([0, 4, 2, 2, 1, 3])
SOFT = RNG.random((6, 5)) + 0.1
SOFT /= SOFT.sum(-1, keepdims=True)
WEIGHTS = np.array([0.5, 1.0, 2.0, 0.0, 3.0])


def logs(x: Any, axis: int = -1) -> Any:
    high = x.max(axis, keepdims=True)
    return x - high - np.log(np.exp(x - high).sum(axis, keepdims=True))


def reference(
    x: Any, labels: Any, weights: Any = None, smoothing: float = 0.0, ignore: int | None = None,
    reduction: str = "none",
) -> Any:  # fmt: skip
    """Row by row."""
    classes = x.shape[-1]
    counts = np.ones(classes) if weights is None else weights
    losses, rows = [], []
    for scores, label in zip(logs(x), labels):
        if np.ndim(label) == 0 and label == ignore:
            losses.append(0.0)
            continue
        target = label if np.ndim(label) else np.eye(classes)[label]
        target = (1 - smoothing) * target + smoothing / classes
        losses.append(-(target * counts * scores).sum())
        rows.append(1.0 if np.ndim(label) else counts[label])
    if reduction == "none":
        return np.array(losses)
    return np.sum(losses) / (np.sum(rows) if reduction == "mean" else 1)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"weights": WEIGHTS},
    {"label_smoothing": 0.1},
    {"label_smoothing": 1.0},
    {"ignore_index": 2},
    {"ignore_index": -100},
    {"weights": WEIGHTS, "ignore_index": 4},
    {"weights": WEIGHTS, "label_smoothing": 0.3, "ignore_index": 2},
]
SHORT = {"weights": "weights", "label_smoothing": "smoothing", "ignore_index": "ignore"}


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_integer_labels(options: dict[str, Any], reduction: str) -> None:
    short = {SHORT[name]: value for name, value in options.items()}
    labels = np.where(np.arange(6) == 3, options.get("ignore_index", 2), LABELS)
    check(
        lambda x: nn.cross_entropy(x, labels, reduction=reduction, **options),
        lambda x: reference(x, labels, reduction=reduction, **short),
        X,
        tolerance=1e-5,
    )
    torch = pytest.importorskip("torch")
    theirs = {name: torch.tensor(v) if name == "weights" else v for name, v in options.items()}
    theirs = {"weight" if name == "weights" else name: v for name, v in theirs.items()}
    check_peer(
        partial(nn.cross_entropy, reduction=reduction, **options),
        partial(torch.nn.functional.cross_entropy, reduction=reduction, **theirs),
        X,
        labels,
    )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("options", [o for o in OPTIONS if "ignore_index" not in o], ids=str)
def test_labels_that_are_probabilities(options: dict[str, Any], reduction: str) -> None:
    short = {SHORT[name]: value for name, value in options.items()}
    check(
        lambda x, p: nn.cross_entropy(x, p, reduction=reduction, **options),
        lambda x, p: reference(x, p, reduction=reduction, **short),
        X,
        SOFT,
        tolerance=1e-5,
    )
    torch = pytest.importorskip("torch")
    theirs = {name: torch.tensor(v) if name == "weights" else v for name, v in options.items()}
    theirs = {"weight" if name == "weights" else name: v for name, v in theirs.items()}
    check_peer(
        partial(nn.cross_entropy, reduction=reduction, **options),
        partial(torch.nn.functional.cross_entropy, reduction=reduction, **theirs),
        X,
        SOFT,
    )


@pytest.mark.parametrize("options", [o for o in OPTIONS if "label_smoothing" not in o], ids=str)
def test_likelihoods_are_cross_entropy_of_logarithms(options: dict[str, Any]) -> None:
    options, short = {**options}, {SHORT[name]: value for name, value in options.items()}
    for reduction in ("none", "mean"):
        options["reduction"] = short["reduction"] = reduction
        loss = partial(
            lambda x, **o: nn.negative_log_likelihood(nn.log_softmax(x), LABELS, **o), **options
        )
        check(loss, partial(reference, labels=LABELS, **short), X, tolerance=1e-5)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_classes_along_any_axis(axis: int) -> None:
    x = RNG.standard_normal((3, 4, 2))
    labels = RNG.integers(0, x.shape[axis], np.delete(x.shape, axis))
    place = np.expand_dims(labels, axis)
    wanted = -np.take_along_axis(logs(x, axis), place, axis).squeeze(axis)
    found = compiled(lambda x: nn.cross_entropy(x, labels, axis=axis), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    share = np.moveaxis(np.eye(x.shape[axis])[labels], -1, axis)
    found = compiled(lambda x: nn.cross_entropy(x, share, axis=axis), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    weights = np.arange(1.0, 1 + x.shape[axis])
    found = compiled(lambda x: nn.cross_entropy(x, share, axis=axis, weights=weights), x)
    np.testing.assert_allclose(found, wanted * weights[labels], rtol=1e-12)
    check_slopes(lambda x, w: nn.cross_entropy(x, labels, axis=axis, weights=w), x, weights)


def test_the_plain_loss_has_the_bits_of_its_composition() -> None:
    x = X.astype("f4")

    def composed(x: Any) -> Any:
        shifted = x - wf.max(x, axis=-1, keepdims=True)
        return wf.log(wf.sum(wf.exp(shifted), axis=-1)) - shifted[np.arange(6), LABELS]

    assert_same_bits(compiled(lambda x: nn.cross_entropy(x, LABELS), x), compiled(composed, x))


def test_classes_that_are_ruled_out() -> None:
    """Logits of -inf cost nothing where no label has a share of them."""
    x = np.array([[0.0, -np.inf, 1.0]])
    wanted = -logs(x[:, [0, 2]])[0, 0]
    for labels in (np.array([0]), np.array([[1.0, 0.0, 0.0]])):
        both = wf.jit(wf.value_and_grad(lambda x, y: wf.sum(nn.cross_entropy(x, y))))
        value, slopes = both(x, labels)
        assert float(value) == pytest.approx(wanted)
        right = np.exp(logs(x)) - [1, 0, 0]
        np.testing.assert_allclose(np.asarray(slopes), right)


def test_large_logits_neither_overflow_nor_cancel() -> None:
    x = np.array([[1e30, 0, -1e30], [100, 0, 0]], "f4")
    assert compiled(lambda x: nn.cross_entropy(x, np.array([0, 0])), x).tolist() == [0, 0]
    assert compiled(lambda x: nn.cross_entropy(x, np.array([2, 1])), x).tolist() == [
        np.float32(2e30),
        100,
    ]


def test_a_mean_of_rows_that_are_all_ignored_is_nan() -> None:
    loss = partial(nn.cross_entropy, ignore_index=7, reduction="mean")
    labels = np.full(6, 7)
    with np.errstate(all="ignore"):
        assert np.isnan(compiled(loss, X, labels))
    assert compiled(partial(nn.cross_entropy, ignore_index=7), X, labels).tolist() == [0] * 6


@pytest.mark.parametrize("dtype", ["u1", "u4", "u8", "i4", "i8"])
def test_labels_of_every_dtype(dtype: str) -> None:
    labels = LABELS.astype(dtype)
    for index in (-1, 4, 255, 300, 2**40):
        wanted = reference(X, LABELS, ignore=index)
        found = compiled(lambda x, y: nn.cross_entropy(x, y, ignore_index=index), X, labels)  # noqa: B023
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("label", [5, -1, 2**40])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_labels_that_are_no_class(label: int, options: dict[str, Any]) -> None:
    labels = np.array([0, label, 1, 1, 1, 1])
    loss = lambda x, y: wf.sum(nn.cross_entropy(x, y, **options))  # noqa: E731
    for function in (loss, wf.jit(loss), wf.jit(wf.grad(loss))):
        with pytest.raises(IndexError, match=r"index.* is out of bounds .* size 5"):
            function(X, labels)


def test_kernels() -> None:
    """One for the losses, in which they are smoothed and weighed too; before it one that looks at
    labels, row by row; after it what makes a mean of them."""

    def plain(x: Any, y: Any) -> Any:
        return nn.cross_entropy(x, y)

    def soft(x: Any, p: Any) -> Any:
        return nn.cross_entropy(x, p, weights=np.ones(5), label_smoothing=0.1)

    def mean(x: Any, y: Any) -> Any:
        return nn.cross_entropy(x, y, label_smoothing=0.1, reduction="mean")

    for function, labels, count in ((plain, LABELS, "2"), (soft, SOFT, "1"), (mean, LABELS, "3")):
        text = str(wf.jit(function).explain(X, labels))
        assert text.startswith(f"{function.__name__}: {count} kernel")


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.cross_entropy(X, X[:, :2]), wf.errors.DTypeError,
     "labels must be integers, or probabilities in the shape of X"),
    (lambda: nn.cross_entropy(X, LABELS > 1), wf.errors.DTypeError, "labels must be integers$"),
    (lambda: nn.negative_log_likelihood(X, X), wf.errors.DTypeError, "labels must be integers$"),
    (lambda: nn.cross_entropy(X, LABELS[:5]), wf.errors.ShapeError,
     "must have the shape of X without the last axis"),
    (lambda: nn.cross_entropy(X, LABELS, axis=0), wf.errors.ShapeError, "without axis 0"),
    (lambda: nn.cross_entropy(1.0, 1), wf.errors.ShapeError, "without the last axis"),
    (lambda: nn.cross_entropy(X, LABELS, axis=2), wf.errors.ShapeError, "no axis 2"),
    (lambda: nn.cross_entropy(X[:, :0], SOFT[:, :0]), wf.errors.ShapeError, "has no classes"),
    (lambda: nn.cross_entropy(X, SOFT, ignore_index=1), wf.errors.UsageError,
     "ignore_index is for labels that are integers"),
    (lambda: nn.cross_entropy(X, LABELS, ignore_index=1.5), wf.errors.UsageError,
     "ignore_index is an integer, not 1.5"),
    (lambda: nn.cross_entropy(X, LABELS, label_smoothing=1.5), wf.errors.UsageError,
     "label_smoothing is a number from 0 to 1, not 1.5"),
    (lambda: nn.cross_entropy(X, LABELS, label_smoothing=True), wf.errors.UsageError,
     "label_smoothing is a number"),
    (lambda: nn.cross_entropy(X, LABELS, reduction="avg"), wf.errors.UsageError, "not 'avg'"),
    (lambda: nn.cross_entropy(X, LABELS, weights=WEIGHTS[:3]), wf.errors.ShapeError,
     r"weights have shape \(5,\), one for each class of X, not \(3,\)"),
    (lambda: nn.cross_entropy(X, SOFT, weights=2.0), wf.errors.ShapeError, r"not \(\)"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "words"), BAD)
def test_bad_calls(run: Function, kind: type[Exception], words: str) -> None:
    for call in (run, wf.jit(run)):
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "test_cross_entropy.py:" in str(caught.value)
