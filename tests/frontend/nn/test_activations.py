"""Activations against formulas in NumPy and against PyTorch; corners, infinities, derivatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.frontend.nn.checks import Function, check, check_peer, compiled

import weft as wf

nn = wf.nn
RNG = np.random.default_rng(5)
X = np.round(RNG.standard_normal((4, 6)) * 3, 2) + 0.003
"""No corner of any function is among them."""
SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772

sigmoid: Function = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
softplus: Function = lambda x: np.logaddexp(x, 0)  # noqa: E731
elu: Function = lambda x, a=1.0: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0)))  # noqa: E731

FORMULAS: dict[str, Function] = {
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.maximum(x, 0) + 0.01 * np.minimum(x, 0),
    "elu": elu,
    "celu": elu,
    "selu": lambda x: SCALE * elu(x, ALPHA),
    "softplus": softplus,
    "log_sigmoid": lambda x: np.log(sigmoid(x)),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "hard_sigmoid": lambda x: np.interp(x, [-3, 3], [0, 1]),
    "hard_silu": lambda x: x * np.interp(x, [-3, 3], [0, 1]),
    "hard_tanh": lambda x: np.interp(x, [-1, 1], [-1, 1]),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "glu": lambda x: x[..., :3] * sigmoid(x[..., 3:]),
}
PEERS = {
    "relu6": "relu6", "leaky_relu": "leaky_relu", "elu": "elu", "celu": "celu", "selu": "selu",
    "softplus": "softplus", "log_sigmoid": "logsigmoid", "mish": "mish", "silu": "silu",
    "hard_sigmoid": "hardsigmoid", "hard_silu": "hardswish", "hard_tanh": "hardtanh",
    "softsign": "softsign", "glu": "glu",
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas(name: str) -> None:
    check(getattr(nn, name), FORMULAS[name], X, tolerance=2e-6)
    check(getattr(nn, name), FORMULAS[name], X[:, :2] if name != "glu" else X[:1], tolerance=2e-6)


@pytest.mark.parametrize("name", PEERS)
def test_peers(name: str) -> None:
    torch = pytest.importorskip("torch")
    peer = getattr(torch.nn.functional, PEERS[name])
    if name == "softplus":  # theirs is x above a threshold
        peer = lambda x: torch.nn.functional.softplus(x, threshold=100)  # noqa: E731
    corners = np.array([-3.0, -1.0, 0.0, 1.0, 3.0, 6.0])
    for x in (X, 30 * X, corners):
        check_peer(getattr(nn, name), peer, x)


def test_parameters_are_numbers_or_arrays() -> None:
    slopes = np.array([0.2, 0.5, 1.5, -1.0, 0.0, 3.0])
    check(nn.leaky_relu, lambda x, s: np.where(x > 0, x, s * x), X, slopes, tolerance=2e-6)
    check(nn.elu, elu, X, slopes, tolerance=2e-6)
    reference = lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0) / a))  # noqa: E731
    check(nn.celu, reference, X, slopes + 0.5, tolerance=2e-6)
    narrow = X.astype("f4")
    found = compiled(lambda x: nn.celu(nn.elu(nn.leaky_relu(x, 0.2), alpha=0.5), 2.0), narrow)
    wanted = 2.0 * np.expm1(0.5 * np.expm1(0.2 * X) / 2.0)
    np.testing.assert_allclose(found, np.where(X > 0, X, wanted), rtol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_glu_along_an_axis(axis: int) -> None:
    def reference(x: Any) -> Any:
        kept, gates = np.split(x, 2, axis)
        return kept * sigmoid(gates)

    check(lambda x: nn.glu(x, axis), reference, X, tolerance=2e-6)


LIMITS: dict[str, tuple[list[float], list[float]]] = {
    "relu6": ([0, 0, 6, 6], [0, 0, 0, 0]),
    "leaky_relu": ([-math.inf, -1e28, 1e30, math.inf], [0.01, 0.01, 1, 1]),
    "elu": ([-1, -1, 1e30, math.inf], [0, 0, 1, 1]),
    "celu": ([-1, -1, 1e30, math.inf], [0, 0, 1, 1]),
    "selu": ([-SCALE * ALPHA, -SCALE * ALPHA, SCALE * 1e30, math.inf], [0, 0, SCALE, SCALE]),
    "softplus": ([0, 0, 1e30, math.inf], [0, 0, 1, 1]),
    "log_sigmoid": ([-math.inf, -1e30, 0, 0], [1, 1, 0, 0]),
    "hard_sigmoid": ([0, 0, 1, 1], [0, 0, 0, 0]),
    "hard_silu": ([0, 0, 1e30, math.inf], [0, 0, 1, 1]),
    "hard_tanh": ([-1, -1, 1, 1], [0, 0, 0, 0]),
    "softsign": ([-1, -1, 1, 1], [0, 0, 0, 0]),
}
"""Values and slopes at -inf, -1e30, 1e30 and inf."""


@pytest.mark.parametrize("name", LIMITS)
def test_large_inputs_infinities_and_nan(name: str) -> None:
    function = getattr(nn, name)
    x = np.array([-np.inf, -1e30, 1e30, np.inf], "f4")
    values, slopes = LIMITS[name]
    np.testing.assert_allclose(compiled(function, x), values, rtol=1e-6)
    gradient = compiled(lambda x: wf.grad(lambda x: wf.sum(function(x)))(x), x)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6)
    assert np.isnan(compiled(function, np.array([np.nan], "f4"))).all()


CORNERS: dict[str, dict[float, float]] = {
    "relu": {0: 0},
    "relu6": {0: 0, 6: 0},
    "leaky_relu": {0: 0.01},
    "elu": {0: 1},
    "celu": {0: 1},
    "selu": {0: SCALE * ALPHA},
    "hard_sigmoid": {-3: 0, 3: 0},
    "hard_silu": {-3: 0, 3: 1},
    "hard_tanh": {-1: 0, 1: 0},
    "softplus": {0: 0.5},
    "log_sigmoid": {0: 0.5},
    "softsign": {0: 1, 1: 0.25, -1: 0.25},
    "mish": {0: 0.6},
}


@pytest.mark.parametrize("name", CORNERS)
def test_slopes_at_corners(name: str) -> None:
    function = getattr(nn, name)
    for x, slope in CORNERS[name].items():
        assert float(wf.grad(function)(np.float64(x))) == pytest.approx(slope)
        assert float(wf.jvp(function, (float(x),), (1.0,))[1]) == pytest.approx(slope)


def test_smooth_functions_have_all_their_derivatives_at_zero() -> None:
    second, third = wf.grad(wf.grad(nn.softplus)), wf.grad(wf.grad(wf.grad(nn.softplus)))
    for x in (0.0, -0.0, 0.5, -0.5, 30.0, -30.0):
        s = sigmoid(x)
        assert float(second(np.float64(x))) == pytest.approx(s * (1 - s), abs=1e-7)
        assert float(third(np.float64(x))) == pytest.approx(s * (1 - s) * (1 - 2 * s), abs=1e-7)
    bend = wf.grad(wf.grad(nn.log_sigmoid))
    assert float(bend(0.0)) == pytest.approx(-0.25)


def test_logarithms_are_accurate_at_both_ends() -> None:
    x = np.array([-80.0, -20.0, 20.0, 80.0])
    small = np.log1p(np.exp(-np.abs(x)))
    np.testing.assert_allclose(compiled(nn.softplus, x), np.maximum(x, 0) + small, 1e-14)
    np.testing.assert_allclose(compiled(nn.log_sigmoid, x), np.minimum(x, 0) - small, 1e-14)
    slopes = compiled(lambda x: wf.grad(lambda x: wf.sum(nn.log_sigmoid(x)))(x), x)
    np.testing.assert_allclose(slopes, [1, 1, *np.exp(-x[2:])], 1e-8)


def test_integers_count_as_floats_but_in_relus() -> None:
    x = np.array([-2, 0, 9])
    assert nn.relu6(wf.asarray(x)).dtype is wf.int64
    assert list(compiled(nn.relu6, x)) == [0, 0, 6]
    for name in set(FORMULAS) - {"relu6", "glu"}:
        assert getattr(nn, name)(wf.asarray(x)).dtype is wf.float32


@pytest.mark.parametrize("name", FORMULAS)
def test_each_is_one_kernel_with_what_is_around_it(name: str) -> None:
    def layer(x: Any, b: Any) -> Any:
        return getattr(nn, name)(x + b) * 2

    assert str(wf.jit(layer).explain(X, X[0])).startswith("layer: 1 kernel\n")


@pytest.mark.parametrize(
    ("run", "kind", "words"),
    [
        (lambda: nn.glu(np.ones((2, 3))), wf.errors.ShapeError, "no two halves: its size 3 is odd"),
        (lambda: nn.glu(np.ones(4), axis=1), wf.errors.ShapeError, "there is no axis 1"),
        (lambda: nn.glu(1.0), wf.errors.ShapeError, "there is no axis -1"),
        (lambda: nn.elu(np.ones(3, "c8")), wf.errors.DTypeError, "must be real, not complex64"),
        (lambda: nn.softplus("a"), wf.errors.TraceError, "a str"),
        (lambda: nn.leaky_relu(np.ones(3), "a"), wf.errors.TraceError, "a str"),
        (
            lambda: nn.leaky_relu(np.ones((2, 3)), np.ones(2)),
            wf.errors.ShapeError,
            "do not broadcast",
        ),
    ],
)
def test_bad_calls(run: Function, kind: type[Exception], words: str) -> None:
    for call in (run, wf.jit(run)):
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "test_activations.py:" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("hard_swish", "hard_silu"), ("hardtanh", "hard_tanh"), ("prelu", "leaky_relu"),
     ("hardsigmoid", "hard_sigmoid"), ("logsigmoid", "log_sigmoid"), ("soft_sign", "softsign")],
)  # fmt: skip
def test_names_of_other_libraries(name: str, meant: str) -> None:
    for module in (wf, nn):
        with pytest.raises(AttributeError, match=rf"did you mean wf\.nn\.{meant}\?"):
            getattr(module, name)
