"""Gradients: against finite differences and formulas, under jit, nested, and their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.staged import run

import weft as wf

RNG = np.random.default_rng(11)
X = RNG.uniform(0.3, 1.7, (3, 4))
W = RNG.standard_normal((4, 2))


def numeric(function: Callable[[Any], Any], x: Any, step: float = 1e-6) -> Any:
    result = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[place] = step
        result[place] = (run(function, x + shift) - run(function, x - shift)) / (2 * step)
    return result


FUNCTIONS: list[Callable[[Any], Any]] = [
    lambda x: (x * x).sum(),
    lambda x: wf.sum(x**3 / (x + 1) - 2**x),
    lambda x: wf.sum(wf.exp(x) * wf.log(x) + wf.tanh(x) * wf.sqrt(x)),
    lambda x: wf.sum(x @ W) + wf.sum(wf.sin(x @ W) ** 2),
    lambda x: wf.mean(wf.nn.softmax(x, axis=0) * x),
    lambda x: wf.sum(wf.nn.layer_norm(x) ** 3),
    lambda x: wf.mean(wf.nn.cross_entropy(x, np.array([1, 3, 0]))),
    lambda x: wf.sum(wf.logsumexp(x, axis=0) * wf.var(x, axis=0)),
    lambda x: wf.sum(x.T.reshape(2, 6)[1, ::-2] * x[0, 1]),
    lambda x: wf.sum(wf.concat([x, x[:1] ** 2]) * wf.pad(x, ((0, 1), (0, 0)))),
    lambda x: wf.sum(x[np.array([0, 2, 2])] ** 2),
    lambda x: wf.sum(wf.where(x > 1, x * x, 1 / x)) + wf.max(x) * wf.min(x),
    lambda x: wf.sum(wf.einsum("ij,kj->ik", x, x) ** 2),
    lambda x: wf.sum(wf.nn.gelu(x) * wf.nn.silu(x) * wf.nn.relu(x)),
    lambda x: wf.std(x) + wf.sum(wf.stack([x, 2 * x], axis=1) ** 2),
]


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_against_finite_differences(number: int) -> None:
    function = FUNCTIONS[number]
    gradient = run(wf.grad(function), X)
    np.testing.assert_allclose(gradient, numeric(function, X), rtol=1e-5, atol=1e-7)


def test_values_arguments_and_trees() -> None:
    def loss(parameters: Any, x: Any, scale: Any) -> Any:
        return wf.sum((x @ parameters["w"] + parameters["b"]) ** 2) * scale, {"seen": x.sum()}

    parameters = {"w": W, "b": np.zeros(2)}
    both = wf.value_and_grad(loss, argnums=(0, 2), has_aux=True)
    (value, aux), (gradients, by_scale) = run(both, parameters, X, 2.0)
    np.testing.assert_allclose(value, 2 * np.sum((X @ W) ** 2))
    np.testing.assert_allclose(gradients["w"], 4 * X.T @ (X @ W))
    np.testing.assert_allclose(gradients["b"], 4 * np.sum(X @ W, 0))
    np.testing.assert_allclose(by_scale, np.sum((X @ W) ** 2), rtol=1e-6)
    np.testing.assert_allclose(aux["seen"], X.sum())
    only, _ = run(wf.grad(loss, argnums=-1, has_aux=True), parameters, X, 2.0)
    np.testing.assert_array_equal(only, by_scale)


def test_a_closure_over_the_same_array_is_a_constant() -> None:
    gradient = run(lambda x: wf.grad(lambda y: wf.sum(y * x))(x), X)
    np.testing.assert_array_equal(gradient, X)
    stopped = run(wf.grad(lambda x: wf.sum(x * wf.stop_gradient(x))), X)
    np.testing.assert_array_equal(stopped, X)
    unrelated = run(wf.grad(lambda x: wf.sum(wf.asarray([1.0]))), X)
    np.testing.assert_array_equal(unrelated, np.zeros_like(X))


def test_nested() -> None:
    def cube(x: Any) -> Any:
        return wf.sum(x**3)

    second = run(wf.grad(lambda x: wf.sum(wf.grad(cube)(x))), X)
    np.testing.assert_allclose(second, 6 * X)


def test_native_alone_and_under_jit() -> None:
    def loss(x: Any) -> Any:
        return (wf.exp(x) * x)[1]

    x = np.array([0.5, 1.5, -2.0], "f4")
    alone, jitted = wf.grad(loss)(x), wf.jit(wf.grad(loss))(x)
    assert_same_bits(np.asarray(alone), np.asarray(jitted))
    np.testing.assert_allclose(np.asarray(alone), [0, np.exp(1.5) * 2.5, 0], rtol=1e-6)


def test_vjp() -> None:
    def function(x: Any, y: Any) -> Any:
        return {"product": x * y, "sum": x + y}

    x, y = np.array([1.0, 2.0], "f4"), np.array([3.0, 5.0], "f4")
    value, pull = wf.vjp(function, x, y)
    by_x, by_y = pull({"product": np.ones(2, "f4"), "sum": np.full(2, 10, "f4")})
    assert value["product"].tolist() == [3, 10]
    assert by_x.tolist() == [13, 15] and by_y.tolist() == [11, 12]
    with pytest.raises(wf.errors.UsageError, match="the cotangent is"):
        pull(np.ones(2, "f4"))


def test_a_pull_computes_nothing_again(capfd: pytest.CaptureFixture[str]) -> None:
    def function(x: Any) -> Any:
        wf.debug.print("x is {}", x)
        return wf.exp(x) * x, wf.argmax(x)

    x = np.array([1.0, 2.0], "f4")
    (_, best), pull, aux = wf.vjp(lambda x: (function(x), x + 1), x, has_aux=True)
    assert capfd.readouterr().out == "x is [1. 2.]\n" and best == 1 and aux.tolist() == [2, 3]
    for scale in (1, 2):
        (found,) = pull((x * scale, 0))
        np.testing.assert_allclose(found, np.exp(x) * (1 + x) * x * scale, rtol=1e-6)
    assert not capfd.readouterr().out
    jitted = wf.jit(lambda x: pull((x, 0)))(x)
    np.testing.assert_allclose(jitted[0], np.exp(x) * (1 + x) * x, rtol=1e-6)


def test_a_pull_within_a_body_and_mapped() -> None:
    def function(x: Any) -> Any:
        value, pull = wf.vjp(lambda v: v * v, x)
        turned = wf.fori_loop(0, 2, lambda i, g: pull(g)[0], value)
        return turned, wf.vmap(pull)(wf.eye(2))[0]

    turned, rows = run(function, np.array([1.0, 3.0], "f4"))
    assert turned.tolist() == [4, 9 * 36] and rows.tolist() == [[2, 0], [0, 6]]


def test_within_a_trace_aux_is_anything() -> None:
    def function(x: Any) -> Any:
        _, pull, name = wf.vjp(lambda v: (v * v, "square"), x, has_aux=True)
        return {name: pull(x)[0]}

    assert run(function, 3.0) == {"square": 18.0}


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: run(wf.grad(lambda x: x * 2), X), wf.errors.ShapeError, r"shape \(3, 4\); sum it"),
    (lambda: run(wf.grad(lambda x: (x.sum(), 1)), X), wf.errors.ShapeError, "has_aux=True"),
    (lambda: run(wf.grad(lambda x: wf.argmax(x)), X), wf.errors.DTypeError, "returns int64"),
    (lambda: run(wf.grad(wf.sum), np.arange(3)), wf.errors.DTypeError, "argument 0 is int64"),
    (lambda: run(wf.grad(wf.sum, argnums=3), X), wf.errors.UsageError, "argnums names argument 3"),
    (
        lambda: wf.vjp(lambda x: (x, {"name": "s"}), X, has_aux=True),
        wf.errors.TraceError,
        r"test_reverse.py[^|]*the function under vjp returns a str at \[1\]\['name'\]",
    ),
    (
        lambda: wf.vjp(wf.sin, X)[1](1j * X),
        wf.errors.DTypeError,
        "vjp: the cotangent is complex",
    ),
    (
        lambda: wf.vjp(wf.sin, X)[1](X, X),
        wf.errors.UsageError,
        "vjp: pull takes one cotangent, like the value, not 2",
    ),
    (lambda: wf.grad(3), wf.errors.UsageError, "grad takes a function"),  # type: ignore[arg-type]
    (
        lambda: run(wf.grad(lambda x: x.sum(), has_aux=True), X),
        wf.errors.UsageError,
        r"\(value, anything\)",
    ),
]


@pytest.mark.parametrize(
    "transform",
    [wf.grad, wf.value_and_grad, wf.jacfwd, wf.jacrev, wf.hessian, wf.vjp, wf.linearize],
)
def test_has_aux_is_a_flag(transform: Any) -> None:
    where = (X,) if transform in (wf.vjp, wf.linearize) else ()
    message = rf"{transform.__name__}: has_aux is True or False, not 'no'"
    with pytest.raises(wf.errors.UsageError, match=message):
        transform(wf.sum, *where, has_aux="no")


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number: int) -> None:
    call, kind, message = ERRORS[number]
    with pytest.raises(kind, match=message):
        call()


def _by_mode(w: Any, x: Any, mode: str) -> Any:
    return wf.sum(w * x) if mode == "sum" else wf.mean(w * x)


@pytest.mark.parametrize("transform", [wf.grad, wf.jacfwd, wf.jacrev, wf.hessian])
def test_what_is_static_for_a_function_is_static_for_its_derivatives(transform: Any) -> None:
    x = np.array([1.0, 2.0])
    derivative = transform(wf.jit(_by_mode, static_argnames="mode"))
    for mode in ("sum", "mean", "sum"):
        expected = transform(lambda w, x, mode=mode: _by_mode(w, x, mode))(x, x)
        np.testing.assert_array_equal(derivative(x, x, mode), expected)
        np.testing.assert_array_equal(derivative(x, x, mode=mode), expected)
    assert len(derivative.cache_report()) == 4  # by position and by keyword


def test_what_is_static_is_so_in_a_map() -> None:
    mapped = wf.vmap(wf.jit(_by_mode, static_argnames="mode"), in_axes=(0, 0, None))
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(mapped(x, x, "sum"), wf.sum(wf.asarray(x) * x, axis=1))
