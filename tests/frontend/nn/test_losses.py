"""Losses of elements, and of probabilities, against formulas in NumPy and against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.frontend.nn.checks import Function, check, check_peer, compiled

import weft as wf

nn = wf.nn
RNG = np.random.default_rng(8)
X, Y = RNG.standard_normal((2, 4, 5)) * 2
SIGNS = np.where(RNG.random((4, 5)) < 0.5, -1.0, 1.0)
SHARES = RNG.random((4, 5))
ROWS = SHARES / SHARES.sum(-1, keepdims=True)
LOGS = np.log(ROWS[::-1])


def huber(x: Any, y: Any, delta: float = 1.0) -> Any:
    far = np.abs(x - y)
    return np.where(far <= delta, far**2 / 2, delta * (far - delta / 2))


def crossed(x: Any, y: Any, positive: Any = 1.0) -> Any:
    return positive * y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x)


def diverged(x: Any, p: Any) -> Any:
    return np.sum(p * (np.log(p) - x), axis=-1)


LOSSES: dict[str, tuple[Function, Function, Any]] = {
    "squared": (nn.squared_error, lambda x, y: (x - y) ** 2, Y),
    "absolute": (nn.absolute_error, lambda x, y: np.abs(x - y), Y),
    "huber": (nn.huber_loss, huber, Y),
    "huber 0.3": (lambda x, y, **o: nn.huber_loss(x, y, delta=0.3, **o),
                  lambda x, y: huber(x, y, 0.3), Y),
    "huber 0": (lambda x, y, **o: nn.huber_loss(x, y, delta=0, **o), lambda x, y: 0 * x, Y),
    "smooth l1": (lambda x, y, **o: nn.smooth_l1_loss(x, y, beta=2, **o),
                  lambda x, y: huber(x, y, 2.0) / 2, Y),
    "smooth l1 0": (lambda x, y, **o: nn.smooth_l1_loss(x, y, beta=0.0, **o),
                    lambda x, y: np.abs(x - y), Y),
    "hinge": (nn.hinge_loss, lambda x, y: np.maximum(0, 1 - x * y), SIGNS),
    "binary": (nn.binary_cross_entropy_with_logits, crossed, SHARES),
    "kl": (nn.kl_divergence, diverged, ROWS),
    "kl of logs": (lambda x, p, **o: nn.kl_divergence(x, p, log_target=True, **o),
                   lambda x, p: diverged(x, np.exp(p)), np.log(ROWS)),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_formulas(name: str) -> None:
    function, reference, target = LOSSES[name]
    x = LOGS if name[0] == "k" else X
    check(function, reference, x, target, tolerance=1e-5)
    for reduction, reduce in (("mean", np.mean), ("sum", np.sum), ("none", np.array)):

        def reduced(x: Any, y: Any, reduction: str = reduction) -> Any:
            return function(x, y, reduction=reduction)

        def wanted(x: Any, y: Any, reduce: Any = reduce) -> Any:
            return reduce(reference(x, y))

        check(reduced, wanted, x, target, tolerance=1e-5)


@pytest.mark.parametrize(
    ("ours", "theirs", "target"),
    [
        (nn.squared_error, "mse_loss", Y),
        (nn.absolute_error, "l1_loss", Y),
        (nn.huber_loss, "huber_loss", Y),
        (nn.smooth_l1_loss, "smooth_l1_loss", Y),
        (nn.binary_cross_entropy_with_logits, "binary_cross_entropy_with_logits", SHARES),
    ],
)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_peers(ours: Function, theirs: str, target: Any, reduction: str) -> None:
    torch = pytest.importorskip("torch")
    peer = getattr(torch.nn.functional, theirs)
    for x in (X, 40 * X, np.zeros_like(X), target):
        check_peer(
            lambda x, y: ours(x, y, reduction=reduction),
            lambda x, y: peer(x, y, reduction=reduction),
            x,
            target,
        )


@pytest.mark.parametrize("is_log", [False, True])
def test_kl_divergence_is_that_of_pytorch_summed_over_rows(is_log: bool) -> None:
    torch = pytest.importorskip("torch")
    peer = torch.nn.functional.kl_div
    target = np.log(ROWS) if is_log else ROWS
    for ours, theirs in (("sum", "sum"), ("mean", "batchmean")):
        check_peer(
            partial(nn.kl_divergence, log_target=is_log, reduction=ours),
            partial(peer, log_target=is_log, reduction=theirs),
            LOGS,
            target,
        )


def test_kl_divergence_along_another_axis_and_of_what_is_not_held() -> None:
    found = compiled(lambda x, p: nn.kl_divergence(x, p, axis=0), LOGS.T, ROWS.T)
    np.testing.assert_allclose(found, diverged(LOGS, ROWS))
    prediction, target = np.log([[0.5, 0.5, 1e-300]]), np.array([[0.25, 0.75, 0.0]])
    prediction[0, 2] = -np.inf
    both = wf.jit(wf.value_and_grad(lambda x, p: wf.sum(nn.kl_divergence(x, p))))
    value, slopes = both(prediction, target)
    assert float(value) == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5))
    assert np.asarray(slopes).tolist() == [[-0.25, -0.75, 0]]
    with np.errstate(divide="ignore"):
        logs = np.log(target)
    found = compiled(lambda x, p: nn.kl_divergence(x, p, log_target=True), prediction, logs)
    assert found[0] == pytest.approx(float(value))


def test_positive_weight() -> None:
    weight = np.array([0.5, 1.0, 2.0, 3.0, 10.0])

    def function(x: Any, y: Any, w: Any) -> Any:
        return nn.binary_cross_entropy_with_logits(x, y, positive_weight=w)

    check(function, crossed, X, SHARES, weight, tolerance=1e-5)
    torch = pytest.importorskip("torch")
    peer = torch.nn.functional.binary_cross_entropy_with_logits
    check_peer(
        lambda x, y: function(x, y, weight),
        lambda x, y: peer(x, y, pos_weight=torch.tensor(weight), reduction="none"),
        X,
        SHARES,
    )


def test_binary_cross_entropy_is_accurate_where_it_is_small() -> None:
    """Values and gradients of logits that are right, and sure of it, do not cancel."""
    x, y = np.array([60.0, -60.0, 0.0], "f4"), np.array([True, False, True])
    both = wf.jit(wf.value_and_grad(nn.binary_cross_entropy_with_logits))
    for logit, label in zip(x, y):
        value, slope = both(logit, np.asarray(label))
        right = np.log1p(np.exp(-abs(float(logit))))
        assert float(value) == pytest.approx(right, rel=1e-5)
        sign = -1 if label else 1
        assert float(slope) == pytest.approx(sign * -np.expm1(-right), rel=1e-5)
    assert compiled(nn.binary_cross_entropy_with_logits, x, y).dtype == np.float32


def test_gradients_at_corners() -> None:
    def slope(function: Function, x: float) -> float:
        return float(wf.grad(lambda x: function(x, 0.0))(x))

    for function in (nn.squared_error, nn.absolute_error, nn.huber_loss, nn.smooth_l1_loss):
        assert slope(function, 0.0) == 0
    for x in (-1.0, 1.0):
        assert slope(nn.huber_loss, x) == slope(nn.smooth_l1_loss, x) == x
    assert float(wf.grad(nn.hinge_loss)(1.0, 1.0)) == 0
    assert slope(nn.huber_loss, 1e30) == 1
    assert float(nn.huber_loss(np.float32(1e30), 0.0)) == pytest.approx(1e30)


def test_a_target_may_be_one_number_and_integers_are_floats() -> None:
    x = np.array([[1, 2], [3, 4]])
    assert compiled(lambda x: nn.squared_error(x, 1), x).tolist() == [[0, 1], [4, 9]]
    found = compiled(lambda x: nn.binary_cross_entropy_with_logits(x, 1.0), x)
    np.testing.assert_allclose(found, np.log1p(np.exp(-x)), rtol=1e-6)
    assert nn.squared_error(wf.asarray(x), np.asarray(x, "f8")).dtype is wf.float64
    assert nn.squared_error(np.float32(2), 0.5).dtype is wf.float32


def test_a_mean_is_one_kernel_and_that_of_nothing_is_nan() -> None:
    def loss(x: Any, y: Any) -> Any:
        return nn.huber_loss(x, y, reduction="mean")

    assert str(wf.jit(loss).explain(X, Y)).startswith("loss: 1 kernel\n")
    nothing = np.zeros((0, 3), "f4")
    with np.errstate(all="ignore"):
        assert np.isnan(compiled(loss, nothing, nothing))


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.squared_error(X, Y[:, :1]), wf.errors.ShapeError,
     r"X and Y\[:, :1\] must have one shape"),
    (lambda: nn.squared_error(1.0, X), wf.errors.ShapeError, "must have one shape"),
    (lambda: nn.squared_error(X[:, 0], X[:, :1]), wf.errors.ShapeError,
     r"shape \(4,\) and .* \(4, 1\)"),
    (lambda: nn.squared_error(X, Y, reduction="average"), wf.errors.UsageError,
     r'reduction is "none", "mean" or "sum", not \'average\''),
    (lambda: nn.squared_error(X, Y, reduction=None), wf.errors.UsageError, "reduction is"),
    (lambda: nn.huber_loss(X, Y, delta=-1.0), wf.errors.UsageError,
     r"delta is a number of at least 0, not -1.0"),
    (lambda: nn.huber_loss(X, Y, delta=float("nan")), wf.errors.UsageError, "delta is a number"),
    (lambda: nn.smooth_l1_loss(X, Y, beta="a"), wf.errors.UsageError, "beta is a number"),
    (lambda: nn.hinge_loss(X.astype("c16"), Y), wf.errors.DTypeError, "must be real"),
    (lambda: nn.binary_cross_entropy_with_logits(X, Y, positive_weight=X[0, :2]),
     wf.errors.ShapeError, "do not broadcast"),
    (lambda: nn.binary_cross_entropy_with_logits(X[0], Y[0], positive_weight=X),
     wf.errors.ShapeError, r"positive_weight has shape .* must broadcast to the shape of X\[0\]"),
    (lambda: nn.kl_divergence(X, Y, log_target=1), wf.errors.UsageError, "log_target is True or"),
    (lambda: nn.kl_divergence(X, Y, axis=2), wf.errors.ShapeError, "no axis 2"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "words"), BAD)
def test_bad_calls(run: Function, kind: type[Exception], words: str) -> None:
    for call in (run, wf.jit(run)):
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "test_losses.py:" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("binary_cross_entropy", "binary_cross_entropy_with_logits"), ("kl_div", "kl_divergence"),
     ("nll_loss", "negative_log_likelihood"), ("sparse_categorical_crossentropy", "cross_entropy")],
)  # fmt: skip
def test_names_of_other_libraries(name: str, meant: str) -> None:
    for module in (wf, nn):
        with pytest.raises(AttributeError, match=rf"did you mean wf\.nn\.{meant}\?"):
            getattr(module, name)
