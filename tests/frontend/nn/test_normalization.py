"""Normalization along axes and of channels, against formulas in NumPy and against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.frontend.nn.checks import Function, check, check_peer, compiled

import weft as wf

nn = wf.nn
RNG = np.random.default_rng(21)
X = RNG.standard_normal((3, 6, 4, 5)) * 2 + 1
ROWS = RNG.standard_normal((4, 7))
WEIGHT, BIAS = RNG.standard_normal((2, 6))
MEAN, VARIANCE = RNG.standard_normal(6), RNG.random(6) + 0.5


def whitened(x: Any, axes: Any, epsilon: float) -> Any:
    spread = x.var(axis=axes, keepdims=True) + epsilon
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(spread)


def channels(v: Any, rank: int = 4, axis: int = 1) -> Any:
    return np.reshape(v, [-1 if a == axis % rank else 1 for a in range(rank)])


def batch(x: Any, w: Any, b: Any, axis: int = 1, epsilon: float = 1e-5) -> Any:
    others = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    y = whitened(x, others, epsilon) * channels(w, x.ndim, axis) + channels(b, x.ndim, axis)
    return y, x.mean(others), x.var(others)


def instance(x: Any, w: Any, b: Any, epsilon: float = 1e-5) -> Any:
    return whitened(x, tuple(range(2, x.ndim)), epsilon) * channels(w, x.ndim) + channels(b, x.ndim)


def grouped(x: Any, groups: int, w: Any, b: Any, epsilon: float = 1e-5) -> Any:
    y = whitened(x.reshape(x.shape[0], groups, -1), -1, epsilon).reshape(x.shape)
    return y * channels(w, x.ndim) + channels(b, x.ndim)


def last(x: Any) -> Any:
    """NCHW as NHWC."""
    return np.moveaxis(x, 1, -1)


# -- along axes -----------------------------------------------------------------------------------


def test_rms_norm() -> None:
    def reference(x: Any, w: Any = 1.0, axis: Any = -1, epsilon: float = 1e-6) -> Any:
        return x / np.sqrt((x * x).mean(axis, keepdims=True) + epsilon) * w

    weight = RNG.standard_normal(7)
    check(nn.rms_norm, reference, ROWS, tolerance=1e-5)
    check(nn.rms_norm, reference, ROWS, weight, tolerance=1e-5)
    for axis in (0, (0, 1), (-2, 1)):
        options: dict[str, Any] = {"axis": axis, "epsilon": 0.5}
        check(partial(nn.rms_norm, **options), partial(reference, **options), X, tolerance=1e-5)
    assert not compiled(nn.rms_norm, np.zeros(4, "f4")).any()
    torch = pytest.importorskip("torch")
    check_peer(
        nn.rms_norm,
        lambda x, w: torch.nn.functional.rms_norm(x, (7,), w, eps=1e-6),
        ROWS,
        weight,
    )


def test_layer_norm_is_as_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    weight, bias = RNG.standard_normal((2, 4, 5))
    check_peer(
        partial(nn.layer_norm, axis=(-2, -1)),
        lambda x, w, b: torch.nn.functional.layer_norm(x, (4, 5), w, b),
        X,
        weight,
        bias,
    )


def test_l2_normalize() -> None:
    def reference(x: Any, axis: Any = -1) -> Any:
        return x / np.sqrt((x * x).sum(axis, keepdims=True))

    check(nn.l2_normalize, reference, ROWS)
    for axis in (0, (1, 2)):
        check(partial(nn.l2_normalize, axis=axis), partial(reference, axis=axis), X)
    torch = pytest.importorskip("torch")
    check_peer(nn.l2_normalize, torch.nn.functional.normalize, ROWS)
    short = np.array([[3e-13, 4e-13], [3e-7, 4e-7]])
    np.testing.assert_allclose(compiled(nn.l2_normalize, short), [[0.3, 0.4], [0.6, 0.8]])


def test_cosine_similarity() -> None:
    def reference(x: Any, y: Any, axis: int = -1) -> Any:
        lengths = np.linalg.norm(x, axis=axis) * np.linalg.norm(y, axis=axis)
        return (x * y).sum(axis) / lengths

    check(nn.cosine_similarity, reference, ROWS, ROWS[::-1] + 0.5)
    check(partial(nn.cosine_similarity, axis=0), partial(reference, axis=0), ROWS, ROWS**2)
    one = RNG.standard_normal(7)
    np.testing.assert_allclose(
        compiled(nn.cosine_similarity, ROWS, one), reference(ROWS, np.tile(one, (4, 1)))
    )
    torch = pytest.importorskip("torch")
    check_peer(nn.cosine_similarity, partial(torch.cosine_similarity, dim=-1), ROWS, ROWS[::-1] + 1)


@pytest.mark.parametrize(
    "function", [nn.l2_normalize, nn.rms_norm, lambda x: nn.cosine_similarity(x, x)]
)
def test_zeros_have_a_finite_gradient(function: Function) -> None:
    x = np.zeros((2, 3), "f4")
    assert not compiled(function, x).any()
    gradient = compiled(lambda x: wf.grad(lambda x: wf.sum(function(x)))(x), x)
    assert np.isfinite(gradient).all()


# -- of channels ----------------------------------------------------------------------------------


def test_batch_norm_by_known_statistics() -> None:
    def reference(x: Any, m: Any, v: Any, w: Any = 1.0, b: Any = 0.0, axis: int = 1) -> Any:
        parts = [channels(np.broadcast_to(p, 6), x.ndim, axis) for p in (m, v, w, b)]
        return (x - parts[0]) / np.sqrt(parts[1] + 1e-5) * parts[2] + parts[3]

    check(nn.batch_norm, reference, X, MEAN, VARIANCE, WEIGHT, BIAS, tolerance=1e-5)
    check(nn.batch_norm, reference, X[:, :, 0, 0], MEAN, VARIANCE, tolerance=1e-5)
    check(
        partial(nn.batch_norm, channel_axis=-1),
        partial(reference, axis=-1),
        last(X), MEAN, VARIANCE, WEIGHT, BIAS,
        tolerance=1e-5,
    )  # fmt: skip
    torch = pytest.importorskip("torch")
    peer = torch.nn.functional.batch_norm
    check_peer(nn.batch_norm, peer, X, MEAN, VARIANCE, WEIGHT, BIAS)


@pytest.mark.parametrize("axis", [1, -1, 0])
def test_batch_norm_by_its_own_statistics(axis: int) -> None:
    x = np.moveaxis(X, 1, axis)
    check(
        partial(nn.batch_norm_training, channel_axis=axis, epsilon=1e-3),
        partial(batch, axis=axis, epsilon=1e-3),
        x, WEIGHT, BIAS,
        tolerance=1e-5,
    )  # fmt: skip
    rows = np.moveaxis(X[:, :, 0, 0], 1, 1 if axis else 0)
    place = 1 if axis else 0
    check(
        partial(nn.batch_norm_training, channel_axis=place),
        lambda x: batch(x, np.ones(6), np.zeros(6), place),
        rows,
        tolerance=1e-4,
    )


def test_batch_norm_trains_as_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    peer = torch.nn.functional.batch_norm
    check_peer(
        lambda x, w, b: nn.batch_norm_training(x, w, b)[0],
        lambda x, w, b: peer(x, None, None, w, b, training=True),
        X, WEIGHT, BIAS,
    )  # fmt: skip
    running = [torch.tensor(MEAN), torch.tensor(VARIANCE)]
    peer(torch.tensor(X), *running, training=True, momentum=0.1)
    _, mean, variance = nn.batch_norm_training(X)
    n = X.size // 6
    np.testing.assert_allclose(running[0].numpy(), 0.9 * MEAN + 0.1 * np.asarray(mean))
    unbiased = np.asarray(variance) * n / (n - 1)
    np.testing.assert_allclose(running[1].numpy(), 0.9 * VARIANCE + 0.1 * unbiased)


def test_what_training_leaves_is_what_use_needs() -> None:
    y, mean, variance = nn.batch_norm_training(X, WEIGHT, BIAS)
    np.testing.assert_array_equal(
        np.asarray(nn.batch_norm(X, mean, variance, WEIGHT, BIAS)), np.asarray(y)
    )


@pytest.mark.parametrize("shape", [(3, 6, 4, 5), (3, 6, 20), (3, 6, 2, 2, 5)])
def test_instance_norm(shape: tuple[int, ...]) -> None:
    x = X.reshape(shape)
    check(nn.instance_norm, instance, x, WEIGHT, BIAS, tolerance=1e-5)
    wanted = last(instance(x, WEIGHT, BIAS))
    found = compiled(partial(nn.instance_norm, channel_axis=-1), last(x), WEIGHT, BIAS)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    torch = pytest.importorskip("torch")
    peer = torch.nn.functional.instance_norm
    check_peer(nn.instance_norm, lambda x, w, b: peer(x, weight=w, bias=b), x, WEIGHT, BIAS)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", [(3, 6, 4, 5), (3, 6), (12, 6, 5)])
def test_group_norm(groups: int, shape: tuple[int, ...]) -> None:
    x = (X if np.prod(shape) == X.size else X[..., 0, 0]).reshape(shape)
    if x.ndim == 2 and groups == 6:
        return  # of one element each

    def ours(x: Any, w: Any, b: Any, **named: Any) -> Any:
        return nn.group_norm(x, groups, w, b, **named)

    check(ours, lambda x, w, b: grouped(x, groups, w, b), x, WEIGHT, BIAS, tolerance=2e-5)
    found = compiled(partial(ours, channel_axis=-1), last(x), WEIGHT, BIAS)
    wanted = last(grouped(x, groups, WEIGHT, BIAS))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    torch = pytest.importorskip("torch")
    peer = torch.nn.functional.group_norm
    check_peer(ours, lambda x, w, b: peer(x, groups, w, b), x, WEIGHT, BIAS)


def test_groups_are_layers_and_instances() -> None:
    whole = partial(nn.layer_norm, axis=(1, 2, 3))
    np.testing.assert_allclose(np.asarray(nn.group_norm(X, 1)), np.asarray(whole(X)), rtol=1e-12)
    np.testing.assert_allclose(
        np.asarray(nn.group_norm(X, 6)), np.asarray(nn.instance_norm(X)), rtol=1e-12
    )


def test_means_that_are_large_do_not_cancel() -> None:
    x = (X + 1e4).astype("f4")
    for function in (nn.instance_norm, lambda x: nn.group_norm(x, 2), nn.layer_norm):
        wanted = np.asarray(function(x.astype("f8")))
        np.testing.assert_allclose(compiled(function, x), wanted, atol=2e-3)
    found = compiled(lambda x: nn.batch_norm_training(x)[0], x)
    np.testing.assert_allclose(found, batch(x.astype("f8"), np.ones(6), np.zeros(6))[0], atol=2e-3)


KERNELS: dict[str, tuple[Function, int]] = {
    "layer": (lambda x, w, b: nn.layer_norm(x, w[:4], b[:4]) * 2, 1),
    "rms": (lambda x, w, b: nn.rms_norm(x + 1, w[:4]), 1),
    "l2": (lambda x, w, b: nn.l2_normalize(x + 1), 1),
    "cosine": (lambda x, w, b: nn.cosine_similarity(x, 2 * x + 1), 1),
    "instance": (lambda x, w, b: nn.instance_norm(x, w, b) * 2, 1),
    "batch": (lambda x, w, b: nn.batch_norm(x + 1, b, w, w, b) * 2, 2),
    "batch, last, training": (
        lambda x, w, b: nn.batch_norm_training(x.reshape(-1, 64), w, b, channel_axis=-1), 3),
    "batch, training": (nn.batch_norm_training, 5),
    "group": (lambda x, w, b: nn.group_norm(x, 8, w, b) * 2, 3),
}  # fmt: skip
"""How many kernels each is: one where a row can be read again while it is near. batch_norm makes a
factor of each channel before; with own statistics it reads all of x for the mean, for the variance
and for the result (rows of NCHW first, then these over the batch); so does group_norm, which has
mean and variance at once and spreads them over channels."""


@pytest.mark.parametrize("name", KERNELS)
def test_kernels(name: str) -> None:
    function, count = KERNELS[name]
    x, w = np.ones((4, 64, 4, 4), "f4"), np.ones(64, "f4")

    def norm(x: Any, w: Any, b: Any) -> Any:
        return function(x, w, b)

    text = str(wf.jit(norm).explain(x, w, w))
    assert text.startswith(f"norm: {count} kernel"), text


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.group_norm(X, 4), wf.errors.ShapeError,
     "X has 6 channels, which are not 4 equal groups"),
    (lambda: nn.group_norm(X, 0), wf.errors.ShapeError, "not 0 equal groups"),
    (lambda: nn.group_norm(X, 2.5), wf.errors.UsageError, "the number of groups is an integer"),
    (lambda: nn.group_norm(X, 2, channel_axis=0), wf.errors.ShapeError, "axis 0 is of examples"),
    (lambda: nn.group_norm(X[:, 0, 0, 0], 2), wf.errors.ShapeError, "there is no axis 1"),
    (lambda: nn.group_norm(X, 2, WEIGHT[:3]), wf.errors.ShapeError,
     r"weight has shape \(3,\), not \(6,\): one for each channel of X"),
    (lambda: nn.instance_norm(X[..., 0, 0]), wf.errors.ShapeError, "needs an axis beside"),
    (lambda: nn.instance_norm(X, WEIGHT, 2.0), wf.errors.ShapeError, r"bias has shape \(\), not"),
    (lambda: nn.batch_norm(X, MEAN, WEIGHT[:2]), wf.errors.ShapeError,
     r"variance has shape \(2,\)"),
    (lambda: nn.batch_norm(X, MEAN[:, None], VARIANCE), wf.errors.ShapeError,
     r"mean has shape \(6, 1\), not \(6,\)"),
    (lambda: nn.batch_norm(X, MEAN, VARIANCE, channel_axis=4), wf.errors.ShapeError, "no axis 4"),
    (lambda: nn.batch_norm_training(1.0), wf.errors.ShapeError, "no axis 1"),
    (lambda: nn.batch_norm_training(X, epsilon=-1.0), wf.errors.UsageError,
     "epsilon is a number of at least 0, not -1.0"),
    (lambda: nn.rms_norm(X, epsilon="a"), wf.errors.UsageError, "epsilon is a number"),
    (lambda: nn.rms_norm(X, axis=7), wf.errors.ShapeError, "no axis 7"),
    (lambda: nn.l2_normalize(X.astype("c16")), wf.errors.DTypeError, "must be real"),
    (lambda: nn.cosine_similarity(ROWS, ROWS[:2]), wf.errors.ShapeError, "do not broadcast"),
    (lambda: nn.cosine_similarity(1.0, 2.0), wf.errors.ShapeError, "no axis -1"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "words"), BAD)
def test_bad_calls(run: Function, kind: type[Exception], words: str) -> None:
    for call in (run, wf.jit(run)):
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "test_normalization.py:" in str(caught.value)


def test_empty_batches_have_no_rows_and_no_statistics() -> None:
    nothing = np.zeros((0, 6, 4), "f4")
    with np.errstate(all="ignore"):
        for function in (nn.instance_norm, lambda x: nn.group_norm(x, 2), nn.rms_norm):
            assert compiled(function, nothing).shape == nothing.shape
        y, mean, _ = compiled(nn.batch_norm_training, nothing)
        assert y.shape == nothing.shape and np.isnan(mean).all()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("normalize", "l2_normalize"), ("standardize", "layer_norm"),
     ("batch_normalization", "batch_norm"), ("rms_normalization", "rms_norm")],
)  # fmt: skip
def test_names_of_other_libraries(name: str, meant: str) -> None:
    for module in (wf, nn):
        with pytest.raises(AttributeError, match=rf"did you mean wf\.nn\.{meant}\?"):
            getattr(module, name)
    with pytest.raises(TypeError, match=r"did you mean groups=\?"):
        nn.group_norm(X, num_groups=2)  # type: ignore[call-arg]
