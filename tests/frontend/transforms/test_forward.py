"""Forward mode: against reverse mode and finite differences, composed, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.staged import nodes_of, run
from tests.frontend.transforms.test_reverse import FUNCTIONS, X

import weft as wf

RNG = np.random.default_rng(12)
T = RNG.standard_normal(X.shape)
ONES = np.ones(3, "f4")


def along(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """The tangent of a function of one argument."""
    return lambda x, t: wf.jvp(function, (x,), (t,))[1]


def slope(function: Callable[[Any], Any], x: Any, t: Any, step: float = 1e-6) -> Any:
    return (run(function, x + step * t) - run(function, x - step * t)) / (2 * step)


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_against_reverse_mode_and_differences(number: int) -> None:
    function = FUNCTIONS[number]
    value, tangent = run(lambda x, t: wf.jvp(function, (x,), (t,)), X, T)
    assert_same_bits(value, run(function, X))
    np.testing.assert_allclose(tangent, slope(function, X, T), rtol=1e-5, atol=1e-7)
    gradient = run(wf.grad(function), X)
    np.testing.assert_allclose(tangent, np.sum(gradient * T), rtol=1e-11)


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_second_derivatives_agree_however_they_are_taken(number: int) -> None:
    function = FUNCTIONS[number]
    directed = lambda x: wf.sum(wf.grad(function)(x) * T)  # noqa: E731
    over_reverse = run(along(wf.grad(function)), X, T)
    reverse_over_reverse = run(wf.grad(directed), X)
    reverse_over_forward = run(wf.grad(lambda x: along(function)(x, T)), X)
    (product,) = run(lambda x, t: wf.hvp(function, (x,), (t,)), X, T)
    for found in (reverse_over_reverse, reverse_over_forward, product):
        np.testing.assert_allclose(found, over_reverse, rtol=1e-9, atol=1e-11)
    twice = run(lambda x: along(lambda y: along(function)(y, T))(x, T), X)
    np.testing.assert_allclose(twice, np.sum(over_reverse * T), rtol=1e-9, atol=1e-10)


def test_values_trees_and_aux() -> None:
    def function(p: Any, x: Any) -> Any:
        return {"y": x @ p["w"], "best": wf.argmax(x, axis=1)}, (x.sum(), 3)

    p, q = {"w": RNG.standard_normal((4, 2))}, {"w": RNG.standard_normal((4, 2))}
    both = lambda p, x, q, t: wf.jvp(function, (p, x), (q, t), has_aux=True)  # noqa: E731
    value, tangent, (total, three) = run(both, p, X, q, T)
    np.testing.assert_allclose(value["y"], X @ p["w"])
    np.testing.assert_allclose(tangent["y"], X @ q["w"] + T @ p["w"])
    assert value["best"].dtype == "i8" and tangent["best"].dtype == "f4"
    assert tangent["best"].tolist() == [0, 0, 0] and three == 3
    np.testing.assert_allclose(total, X.sum())


def test_numbers_are_tangents_of_scalars() -> None:
    value, tangent = wf.jvp(lambda x, y: x * y, (2.0, np.float32(3)), (1, 0.5))
    assert (value, tangent) == (6.0, 4.0) and tangent.dtype is wf.float32


def test_what_does_not_depend_on_the_primals_is_constant() -> None:
    assert run(along(lambda x: wf.asarray([1.0, 2.0])), X, T).tolist() == [0, 0]
    assert_same_bits(run(along(lambda x: wf.stop_gradient(x) * x), X, T), X * T)
    inner = lambda x: wf.jvp(lambda y: y * x, (x,), (T,))[1]  # noqa: E731
    assert_same_bits(run(inner, X), T * X)  # the x of the closure does not move


def test_alone_and_under_jit() -> None:
    x, t = np.array([0.5, 1.5, -2.0], "f4"), np.array([1, 2, 3], "f4")
    function = lambda x: wf.exp(x) * x  # noqa: E731
    alone = wf.jvp(function, (x,), (t,))
    jitted = wf.jit(lambda x, t: wf.jvp(wf.jit(function), (x,), (t,)))(x, t)
    for a, b in zip(alone, jitted, strict=True):
        assert_same_bits(np.asarray(a), np.asarray(b))


def test_any_size() -> None:
    compiled = wf.jit(
        along(lambda x: wf.sum(x @ x.T, axis=0) + x[1:3].sum()), dynamic={"x": {0: "n"}}
    )
    for n in (3, 5):
        x, t = RNG.standard_normal((n, 2)), RNG.standard_normal((n, 2))
        expected = t @ x.sum(0) + x @ t.sum(0) + t[1:3].sum()
        np.testing.assert_allclose(np.asarray(compiled(x, t)), expected)


# ---------------------------------------------------------------------------------------------
# Control flow
# ---------------------------------------------------------------------------------------------


def newton(a: Any) -> Any:
    """The square root, by a loop that ends when it is near."""
    return wf.while_loop(lambda y: wf.abs(y * y - a) > 1e-12, lambda y: (y + a / y) / 2, a)


def power(x: Any, n: Any) -> Any:
    return wf.fori_loop(0, n, lambda i, y: y * x, 1.0)


def chosen(x: Any) -> Any:
    return wf.cond(x > 1, lambda: (x**2, 3), lambda: (wf.sin(x), 4))[0]


def test_through_loops_and_branches() -> None:
    np.testing.assert_allclose(run(along(newton), 9.0, 1.0), 1 / 6, rtol=1e-7)
    assert (
        run(lambda x, n: along(lambda x: power(x, n))(x, 1.0), np.float64(2.0), 70) == 70 * 2.0**69
    )
    assert run(along(chosen), 3.0, 1.0) == 6
    np.testing.assert_allclose(run(along(chosen), 0.5, 1.0), np.cos(0.5), rtol=1e-6)


def test_twice_through_a_loop() -> None:
    second = along(lambda x: along(newton)(x, 1.0))
    np.testing.assert_allclose(run(second, np.float64(9.0), 1.0), -1 / 4 / 27, rtol=1e-6)
    cube = lambda x: power(x, 3)  # noqa: E731
    assert run(wf.grad(lambda x: along(cube)(x, 1.0)), 2.0) == 12
    assert run(along(wf.grad(cube)), 2.0, 1.0) == 12


def test_within_bodies() -> None:
    def descend(x: Any) -> Any:
        loss = lambda v: wf.sum((v - x) ** 2)  # noqa: E731
        step = lambda v, t: v - 0.25 * wf.jvp(loss, (v,), (t,))[1] * t  # noqa: E731
        axes = wf.eye(2, dtype=wf.float64)
        return wf.fori_loop(0, 60, lambda i, v: step(step(v, axes[0]), axes[1]), wf.zeros_like(x))

    np.testing.assert_allclose(run(descend, np.array([3.0, -1.0])), [3, -1], atol=1e-9)


def test_what_a_function_prints_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    def function(x: Any) -> Any:
        wf.debug.print("before {}", x)

        def body(i: Any, y: Any) -> Any:
            wf.debug.print("turn {}", y)
            return y * x

        y = wf.fori_loop(0, 2, body, x)
        wf.debug.print("after {}", y)
        return y

    expected = "before 3.0\nturn 3.0\nturn 9.0\nafter 27.0\n"
    for run_it in (wf.jvp, wf.jit(lambda p, t: wf.jvp(function, p, t))):
        given = ((3.0,), (1.0,))
        value, tangent = run_it(function, *given) if run_it is wf.jvp else run_it(*given)
        assert (value, tangent) == (27.0, 27.0)
        assert capfd.readouterr().out == expected
    value, push = wf.linearize(function, 3.0)
    assert value == 27.0 and capfd.readouterr().out == expected
    assert push(2.0) == 54.0 and not capfd.readouterr().out


# ---------------------------------------------------------------------------------------------
# linearize
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_a_push_is_the_tangent(number: int) -> None:
    function = FUNCTIONS[number]

    def both(x: Any, t: Any) -> Any:
        value, push = wf.linearize(function, x)
        return value, push(t)

    for found, expected in zip(
        run(both, X, T), run(lambda x, t: wf.jvp(function, (x,), (t,)), X, T)
    ):
        assert_same_bits(found, expected)


def test_a_push_computes_nothing_again() -> None:
    value, push = wf.linearize(lambda x: (wf.exp(x) * wf.sin(x)).sum(), ONES)
    np.testing.assert_allclose(value, 3 * np.e * np.sin(1), rtol=1e-6)
    np.testing.assert_allclose(push(ONES), 3 * np.e * (np.sin(1) + np.cos(1)), rtol=1e-6)

    def twice(x: Any, t: Any) -> Any:
        push = wf.linearize(wf.exp, x)[1]
        return push(t) + push(t * 2)

    assert [node.op.name for node in nodes_of(twice, X, T)].count("exp") == 1


def test_a_push_within_bodies_and_later_programs() -> None:
    def function(x: Any, t: Any) -> Any:
        value, push, aux = wf.linearize(lambda x: (x**2, x + 1), x, has_aux=True)
        return wf.cond(t[0] > 0, lambda: push(t), lambda: value) + aux

    assert run(function, ONES, ONES * 2).tolist() == [6, 6, 6]
    assert run(function, ONES, -ONES).tolist() == [3, 3, 3]
    push = wf.linearize(lambda x, y: x * y, ONES, ONES * 3)[1]
    assert wf.jit(lambda t: push(t, t))(ONES).tolist() == [4, 4, 4]


# ---------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------


def push_of(*tangents: Any) -> Any:
    return wf.linearize(lambda p: p["w"] * 2, {"w": ONES})[1](*tangents)


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: wf.jvp(3, (ONES,), (ONES,)), wf.errors.UsageError, "jvp takes a function, not 3"),
    (lambda: wf.jvp(wf.sin, ONES, (ONES,)), wf.errors.UsageError, "primals is a tuple .* ndarray"),
    (
        lambda: wf.jvp(wf.sin, (ONES,), {}),
        wf.errors.UsageError,
        "tangents is a tuple .* not a dict",
    ),
    (
        lambda: wf.jvp(wf.sin, (ONES,), ()),
        wf.errors.UsageError,
        "jvp takes one tangent for each primal: 1, not 0",
    ),
    (
        lambda: wf.jvp(lambda p: p["w"], ({"w": ONES},), ({"w": (ONES, ONES)},)),
        wf.errors.UsageError,
        r"the tangent of argument 0\['w'\] is \(\*, \*\), but the primal is an array",
    ),
    (
        lambda: wf.jvp(lambda p: p["w"], ({"w": ONES},), ({"w": ONES[:2]},)),
        wf.errors.ShapeError,
        r"the tangent of argument 0\['w'\] has shape \(2,\), the primal \(3,\)",
    ),
    (
        lambda: wf.jvp(wf.sin, (ONES,), (ONES.astype("f8"),)),
        wf.errors.DTypeError,
        "the tangent of argument 0 is float64, the primal float32",
    ),
    (
        lambda: wf.jvp(wf.sum, (np.arange(3),), (np.arange(3),)),
        wf.errors.DTypeError,
        "jvp: argument 0 is int64; only floats have derivatives",
    ),
    (lambda: wf.jvp(wf.sin, (ONES,), (None,)), wf.errors.UsageError, "is None, but .* an array"),
    (lambda: wf.jvp(lambda x: "no", (ONES,), (ONES,)), wf.errors.TraceError, "returns a str"),
    (
        lambda: wf.jvp(lambda x: x, (ONES,), (ONES,), has_aux=True),
        wf.errors.UsageError,
        r"\(value, anything\)",
    ),
    (
        lambda: wf.jvp(lambda x: wf.callback(np.sin, x, x), (ONES,), (ONES,)),
        wf.errors.TraceError,
        r"jvp: callback has no derivative \(at .*test_forward.*wf.stop_gradient",
    ),
    (lambda: push_of(ONES), wf.errors.UsageError, r"argument 0 is an array, but .* \{'w': \*\}"),
    (lambda: push_of({"w": 1.0}), wf.errors.ShapeError, r"argument 0\['w'\] has shape \(\)"),
    (lambda: push_of(), wf.errors.UsageError, "linearize takes one tangent for each primal: 1"),
    (lambda: wf.hvp(wf.sin, (ONES,), (ONES,)), wf.errors.ShapeError, "hvp needs a scalar"),
    (lambda: wf.hvp(wf.sum, ONES, ONES), wf.errors.UsageError, "hvp: primals is a tuple"),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors_name_the_place(number: int) -> None:
    call, kind, message = ERRORS[number]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "test_forward.py" in str(caught.value)
