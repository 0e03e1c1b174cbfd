"""Derivatives that users write: under every transform, inside every construct, and their errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.staged import nodes_of, run

import weft as wf
from weft.errors import DTypeError, ShapeError, TraceError, UsageError, WeftError
from weftrt import knobs

RNG = np.random.default_rng(21)
X = RNG.standard_normal(5)
T = RNG.standard_normal(5)
WEIGHTS = RNG.standard_normal(5)
COS = np.cos(X)


def with_vjp(function: Any, forward: Any, backward: Any, **options: Any) -> Any:
    custom = wf.custom_vjp(function, **options)
    custom.defvjp(forward, backward)
    return custom


def with_jvp(function: Any, rule: Any, **options: Any) -> Any:
    custom = wf.custom_jvp(function, **options)
    custom.defjvp(rule)
    return custom


sine = with_vjp(
    lambda x: wf.sin(x),
    lambda x: (sine(x), {"x": x, "by": (2, "name")}),
    lambda kept, g: (g * wf.cos(kept["x"]) * kept["by"][0] / 2,),
)
"""The sine, with the gradient that it has."""
pushed_sine = with_jvp(lambda x: wf.sin(x), lambda x, t: (pushed_sine(x[0]), wf.cos(x[0]) * t[0]))
"""The same by a tangent."""
BOTH = pytest.mark.parametrize("f", [sine, pushed_sine], ids=["vjp", "jvp"])


def total(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: wf.sum(f(*args))


def scanned(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: wf.sum(wf.scan(lambda c, _: (f(c), c * 2), x, length=3)[0])


def counted(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: wf.sum(wf.fori_loop(0, 3, lambda i, c: f(c), x))


def chosen(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: wf.sum(wf.cond(x[0] < 9, lambda: f(x) * x, lambda: x))


def nested(f: Callable[..., Any]) -> Callable[..., Any]:
    step = lambda c: wf.cond(wf.sum(c) < 9, lambda: f(f(c)), lambda: c)  # noqa: E731
    return lambda x: wf.sum(wf.scan(lambda c, _: (step(c), None), x, length=2)[0])


def mapped(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: wf.sum(wf.vmap(lambda e: wf.cond(e < 0, lambda: f(e), lambda: f(f(e))))(x))


PLACES = pytest.mark.parametrize("place", [total, scanned, counted, chosen, nested, mapped])


@PLACES
@BOTH
def test_rules_that_say_what_is_true_change_nothing(f: Any, place: Any) -> None:
    own, true = place(f), place(wf.sin)
    assert_same_bits(run(own, X), run(true, X))
    np.testing.assert_allclose(run(wf.grad(own), X), run(wf.grad(true), X), rtol=1e-12)
    pushed = [run(lambda x, g=g: wf.jvp(g, (x,), (T,)), X) for g in (own, true)]
    np.testing.assert_allclose(pushed[0], pushed[1], rtol=1e-12)


@PLACES
@BOTH
def test_second_derivatives_differentiate_the_rules(f: Any, place: Any) -> None:
    along = lambda g: lambda x: wf.sum(wf.grad(g)(x) * T)  # noqa: E731
    found = [run(wf.grad(along(place(g))), X) for g in (f, wf.sin)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-11, atol=1e-13)
    hessians = [run(wf.hessian(place(g)), X) for g in (f, wf.sin)]
    np.testing.assert_allclose(hessians[0], hessians[1], rtol=1e-11, atol=1e-13)


@BOTH
def test_the_rule_is_what_is_taken(f: Any) -> None:
    wrong = with_vjp(lambda x: wf.sin(x), lambda x: (f(x), None), lambda _, g: (g * 7,))
    assert_same_bits(run(wf.grad(total(wrong)), X), np.full(5, 7.0))
    assert_same_bits(run(lambda x: wf.jvp(wrong, (x,), (T,))[1], X), T * 7)
    twice = lambda x: wf.sum(wf.grad(total(wrong))(x) * x)  # noqa: E731
    assert_same_bits(run(wf.grad(twice), X), np.full(5, 7.0))


def test_forward_runs_in_the_place_of_the_function() -> None:
    """Where a gradient needs what it computes, and nowhere else."""
    f = with_vjp(lambda x: wf.exp(x), lambda x: (wf.sin(x), x * x), lambda kept, g: (g * kept,))
    both = wf.jit(wf.value_and_grad(total(f)))
    value, gradient = both(X)
    assert_same_bits(value, wf.sum(wf.sin(X)))
    assert_same_bits(gradient, wf.asarray(X * X))
    assert "exp" not in both.ir(X, stage="optimized")
    assert_same_bits(wf.jit(total(f))(X), wf.sum(wf.exp(X)))


@BOTH
def test_programs_have_no_trace_of_it(f: Any) -> None:
    g = wf.jit(wf.grad(total(f)))
    np.testing.assert_allclose(g(X), COS, rtol=1e-15)
    assert "call" in g.ir(X) or f is sine
    assert "call" not in g.ir(X, stage="optimized")
    np.testing.assert_allclose(wf.vmap(wf.grad(f))(X), COS, rtol=1e-15)
    value, pull = wf.vjp(f, X)
    assert_same_bits(value, wf.sin(X))
    np.testing.assert_allclose(pull(T)[0], T * COS, rtol=1e-15)
    np.testing.assert_allclose(wf.linearize(f, X)[1](T), T * COS, rtol=1e-15)
    assert_same_bits(f(X), wf.sin(X))


def test_trees_numbers_integers_and_several_results() -> None:
    def function(p: Any, n: Any, scale: Any) -> Any:
        return {"y": p["w"] * p["b"] * scale, "n": n + 1}, p["b"]

    def forward(p: Any, n: Any, scale: Any) -> Any:
        return f(p, n, scale), (p, n, scale)

    def backward(kept: Any, g: Any) -> Any:
        p, _, scale = kept
        gy, gb = g[0]["y"], g[1]
        assert g[0]["n"].shape == () and g[0]["n"].dtype == wf.float32
        return {"w": gy * p["b"] * scale, "b": gy * p["w"] * scale + gb}, None, wf.sum(gy)

    f = with_vjp(function, forward, backward)
    p = {"w": X, "b": T}

    def loss(function: Any) -> Any:
        return lambda p: wf.sum(function(p, 3, scale=2.0)[0]["y"]) + wf.sum(function(p, 3, 2.0)[1])

    found, true = run(wf.grad(loss(f)), p), run(wf.grad(loss(function)), p)
    for key in p:
        assert_same_bits(found[key], true[key])
    with_array = lambda s: wf.sum(f(p, 3, s)[0]["y"])  # noqa: E731
    np.testing.assert_allclose(run(wf.grad(with_array), np.full((), 2.0)), 5.0)


def test_arguments_that_are_no_arrays() -> None:
    f = with_vjp(
        lambda g, x, power: g(x) ** power,
        lambda g, x, power: (g(x) ** power, x),
        lambda g, power, x, c: (c * power * g(x) ** (power - 1) * wf.cos(x),),
        nondiff_argnums=(0, 2),
    )
    found = run(wf.grad(lambda x: wf.sum(f(wf.sin, x, 3))), X)
    np.testing.assert_allclose(found, 3 * np.sin(X) ** 2 * COS, rtol=1e-14)
    assert_same_bits(f(wf.sin, X, 3), wf.sin(X) ** 3)
    h = with_jvp(
        lambda x, g: g(x), lambda g, x, t: (h(x[0], g), t[0] * wf.cos(x[0])), nondiff_argnums=1
    )
    np.testing.assert_allclose(run(wf.grad(lambda x: wf.sum(h(x, wf.sin))), X), COS, rtol=1e-15)
    decorated = wf.custom_vjp(nondiff_argnums=-1)(lambda x, g: g(x))
    decorated.defvjp(lambda x, g: (g(x), None), lambda g, _, c: (c * 2,))
    assert_same_bits(run(wf.grad(lambda x: wf.sum(decorated(x, wf.sin))), X), np.full(5, 2.0))


def test_one_rule_per_argument() -> None:
    f = wf.custom_jvp(lambda x, y: wf.sin(x) * y)
    f.defjvps(lambda t, result, x, y: t * wf.cos(x) * y, lambda t, result, x, y: t * wf.sin(x))
    gx, gy = run(wf.grad(total(f), argnums=(0, 1)), X, T)
    np.testing.assert_allclose(gx, COS * T, rtol=1e-14)
    np.testing.assert_allclose(gy, np.sin(X), rtol=1e-14)
    half = wf.custom_jvp(lambda x, y: x * y)
    half.defjvps(None, lambda t, result, x, y: t * x)
    assert_same_bits(run(wf.grad(total(half), argnums=(0, 1)), X, T)[0], np.zeros(5))


# ---------------------------------------------------------------------------------------------
# What rules read
# ---------------------------------------------------------------------------------------------


@PLACES
def test_rules_read_arrays_around_them(place: Any) -> None:
    f = with_vjp(lambda x: wf.sin(x), lambda x: (f(x), None), lambda _, g: (g * wf.sum(WEIGHTS),))
    true = with_vjp(lambda x: wf.sin(x), lambda x: (f(x), None), lambda _, g: (g * W_SUM,))
    W_SUM = float(run(lambda w: wf.sum(w), WEIGHTS))
    found, known = run(wf.grad(place(f)), X), run(wf.grad(place(true)), X)
    assert_same_bits(found, known)


def test_what_rules_read_is_looked_at_before_each_call() -> None:
    factor = 2.0
    f = with_vjp(lambda x: wf.sin(x), lambda x: (f(x), None), lambda _, g: (g * factor,))
    g = wf.jit(wf.grad(total(f)))
    assert_same_bits(g(X), np.full(5, 2.0))
    factor = 3.0
    assert_same_bits(g(X), np.full(5, 3.0))
    f.defvjp(lambda x: (f(x), None), lambda _, g: (g * 7,))
    assert_same_bits(g(X), np.full(5, 7.0))
    assert_same_bits(wf.grad(total(f))(X), np.full(5, 7.0))


@pytest.mark.parametrize("is_looped", [False, True])
def test_rules_read_traced_values_that_they_close_over(is_looped: bool) -> None:
    def loss(w: Any, x: Any) -> Any:
        f = with_vjp(lambda x: w * x, lambda x: (f(x), None), lambda _, g: (g * w * 2,))
        return scanned(f)(x) if is_looped else wf.sum(f(x))

    found = run(wf.grad(loss, argnums=1), WEIGHTS, X)
    np.testing.assert_allclose(found, (2 * WEIGHTS) ** (3 if is_looped else 1), rtol=1e-14)
    for derivative in (wf.grad(loss), lambda w, x: wf.jvp(lambda w: loss(w, x), (w,), (w,))):
        with pytest.raises(TraceError, match=r"test_custom.*\n.*reads a value from around it"):
            run(derivative, WEIGHTS, X)


def test_effects() -> None:
    happened: list[str] = []

    def called(what: str, function: Any, x: Any) -> Any:
        def noted(x: Any) -> Any:
            happened.append(what)
            return function(x)

        return wf.callback(noted, x, x)

    f = with_vjp(
        lambda x: called("forward", np.sin, x),
        lambda x: (f(x), x),
        lambda x, g: (g * called("backward", np.cos, x),),
    )
    _, gradient = wf.value_and_grad(total(f))(X)
    np.testing.assert_allclose(gradient, COS, rtol=1e-15)
    assert happened == ["forward", "backward"]
    with pytest.raises(TraceError, match="what an effect in it gives"):
        wf.grad(scanned(f))(X)

    def shout(x: Any, g: Any) -> Any:
        wf.debug.print("{}", x)
        return (g,)

    g = with_vjp(lambda x: x * 1, lambda x: (x, x), shout)
    with pytest.raises(TraceError, match="shout has an effect"):
        wf.grad(total(g))(X)


# ---------------------------------------------------------------------------------------------
# Mistakes
# ---------------------------------------------------------------------------------------------


def mistakes() -> Iterator[tuple[Any, Any, type[WeftError], str]]:
    fine, passed = lambda x: (wf.sin(x), x), lambda kept, g: (g,)
    yield lambda x: wf.sin(x), passed, UsageError, "returns an array, not a pair of the result"
    yield lambda x: ((wf.sin(x),), x), passed, UsageError, r"gives \(\*,\) as the result"
    yield lambda x: (wf.sin(x)[:2], x), passed, ShapeError, r"gives float64\[2\] as the result"
    single = lambda x: (wf.astype(wf.sin(x), wf.float32), x)  # noqa: E731
    yield single, passed, DTypeError, r"float32\[5\] as the result, which is float64\[5\]"
    yield fine, lambda kept, g: g, UsageError, "not a tuple of 1, a cotangent for each argument"
    yield fine, lambda kept, g: (g, g), UsageError, r"returns \(\*, \*\), not a tuple"
    yield fine, lambda kept, g: ((g,),), UsageError, "as the cotangent of argument 0, which is fl"
    yield fine, lambda kept, g: (g[0],), ShapeError, r"float64\[\] as the cotangent of argument 0"
    yield fine, lambda kept, g: ("a",), UsageError, "gives a str as the cotangent of argument 0"


@pytest.mark.parametrize("number", range(9))
def test_what_a_rule_returns_is_checked(number: int) -> None:
    forward, backward, kind, message = list(mistakes())[number]
    f = with_vjp(wf.sin, forward, backward)
    with pytest.raises(kind, match=rf"test_custom.*\n.*sin: (forward|backward) .*{message}"):
        run(wf.grad(total(f)), X)


ARITIES: list[tuple[Any, str]] = [
    (
        with_vjp(lambda x: x * 2, lambda: 1, lambda kept, g: (g,)),
        r"calls forward\(argument 0\), but forward is a function of \(\)",
    ),
    (
        with_vjp(lambda x: x * 2, lambda x: (x * 2, x), lambda g: (g,)),
        r"calls backward\(residuals, cotangent\), but backward is a function of \(g\)",
    ),
    (
        with_vjp(lambda x, n: x * n, lambda x, n: (x * n, x), lambda g: g, nondiff_argnums=1),
        r"calls backward\(argument 1, residuals, cotangent\), but",
    ),
    (
        with_jvp(lambda x: x * 2, lambda x: (x, x)),
        r"calls rule\(primals, tangents\), but rule is a function of \(x\)",
    ),
]


@pytest.mark.parametrize("number", range(len(ARITIES)))
def test_rules_that_do_not_take_what_they_are_given(number: int) -> None:
    f, message = ARITIES[number]
    rest = (2,) if "argument 1" in message else ()
    with pytest.raises(TypeError, match=message):
        wf.grad(lambda x: wf.sum(f(x, *rest)))(X)


def test_a_rule_of_an_argument_that_does_not_take_what_it_is_given() -> None:
    f = wf.custom_jvp(lambda x: x * 2)
    f.defjvps(lambda t: t)
    with pytest.raises(TypeError, match=r"calls rule 0\(tangent, result, argument 0\), but rule 0"):
        wf.grad(total(f))(X)


def test_what_a_forward_rule_returns_is_checked() -> None:
    def g(rule: Any) -> Any:
        return lambda x: wf.jvp(with_jvp(wf.sin, rule), (x,), (T,))

    with pytest.raises(UsageError, match="not a pair of the result and its tangent"):
        run(g(lambda x, t: t[0]), X)
    with pytest.raises(ShapeError, match=r"float64\[\] as the tangent of the result"):
        run(g(lambda x, t: (wf.sin(x[0]), t[0][0])), X)
    assert_same_bits(run(g(lambda x, t: (wf.sin(x[0]), None)), X)[1], np.zeros(5))


@pytest.mark.parametrize(
    "bend",
    [
        lambda t: wf.clip(t, -1, 1),
        wf.sign,
        lambda t: t + wf.round(t),
        lambda t: wf.where(t > 0, 2.0, 1.0) * wf.ones_like(t),
        lambda t: t.astype(wf.int64).astype(wf.float64),
        lambda t: wf.argmax(t) * wf.ones_like(t),
    ],
    ids=["clip", "sign", "round", "where", "integers", "argmax"],
)
def test_rules_that_are_not_linear_go_one_way_only(bend: Callable[[Any], Any]) -> None:
    f = with_vjp(lambda x: x * 2, lambda x: (x * 2, None), lambda _, g: (bend(g),))
    whole = np.asarray(bend(wf.asarray(5 * T)))
    assert_same_bits(run(lambda x: wf.vjp(f, x)[1](5 * T)[0], X), whole)
    with pytest.raises(TraceError, match="is not linear in the cotangent"):
        run(lambda x: wf.jvp(f, (x,), (T,)), X)
    g = with_jvp(lambda x: x * 2, lambda x, t: (x[0] * 2, bend(t[0])))
    assert_same_bits(run(lambda x: wf.jvp(g, (x,), (5 * T,))[1], X), whole)
    with pytest.raises(TraceError, match="is not linear in the tangents"):
        run(wf.grad(total(g)), X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_cotangent_of_a_number_has_the_dtype_of_what_it_meets(dtype: type) -> None:
    backward = lambda kept, g: (g * kept[1], wf.sum(g * kept[0]))  # noqa: E731
    scaled = with_vjp(lambda x, by: x * by, lambda x, by: (x * by, (x, by)), backward)
    x = X.astype(dtype)
    for f in (
        total(lambda x: scaled(x, 2.0)),
        lambda x: wf.sum(wf.vmap(scaled, (0, None))(x, 2.0)),
    ):
        assert_same_bits(run(wf.grad(f), x), np.full(5, 2, dtype))
        assert_same_bits(run(lambda x, f=f: wf.jvp(f, (x,), (x,))[1], x), run(f, x))
    assert_same_bits(
        run(wf.grad(lambda x, by: wf.sum(scaled(x, by))), x, 2.0), np.full(5, 2, dtype)
    )


def test_a_rule_may_compare_what_the_function_was_given() -> None:
    f = with_vjp(wf.abs, lambda x: (wf.abs(x), x), lambda x, g: (wf.where(x > 0, g, -g),))
    assert_same_bits(run(lambda x: wf.jvp(f, (x,), (T,))[1], X), np.where(X > 0, T, -T))


JOINT = {
    "branch": lambda a, b: wf.cond(wf.sum(b) < 1, lambda: a * b, lambda: wf.sin(b)),
    "switch": lambda a, b: wf.switch(1, [lambda: a, lambda: a * a * b]),
    "scan": lambda a, b: wf.scan(lambda c, x: (c * x, c), wf.sum(a), b)[1],
    "loop": lambda a, b: wf.fori_loop(0, 3, lambda i, c: c * b, a),
    "branch in a loop": lambda a, b: wf.fori_loop(
        0, 3, lambda i, c: wf.cond(i < 2, lambda: c * b, lambda: c + b), a
    ),
}


@pytest.mark.parametrize("name", JOINT)
def test_a_forward_rule_may_compute_results_and_tangents_in_one_go(name: str) -> None:
    """What gives both is taken apart for reverse mode: results do not wait for tangents."""
    f = JOINT[name]
    ruled = wf.custom_jvp(f)
    ruled.defjvp(lambda xs, ts: wf.jvp(f, xs, ts))
    x = wf.asarray([0.5, 0.25, 2.0], dtype=wf.float64)
    with knobs.scope(verify=1):  # which sees that graphs list their inputs
        for run in (wf.value_and_grad, lambda g: wf.jit(wf.value_and_grad(g)), wf.hessian):
            found, expected = (run(lambda x, g=g: wf.sum(g(x, 2 * x)))(x) for g in (ruled, f))
            for one, other in zip(wf.tree.leaves(found), wf.tree.leaves(expected), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_result_that_depends_on_tangents_goes_forward_only() -> None:
    doubled = wf.custom_jvp(lambda x: x * 2)
    doubled.defjvp(lambda xs, ts: (xs[0] * 2 + ts[0], ts[0] * 2))
    assert wf.jvp(doubled, (3.0,), (1.0,))[1] == 2
    with pytest.raises(TraceError, match="has a result that depends on the tangents"):
        wf.grad(lambda x: doubled(x))(3.0)


def test_rules_that_compute_again_are_linear() -> None:
    """What waits for the cotangent does not depend on it."""
    inner = wf.checkpoint(lambda x: wf.cond(x[0] < 9, lambda: wf.sin(x), lambda: x))
    f = with_vjp(inner, lambda x: (f(x), x), lambda x, g: wf.vjp(inner, x)[1](g))
    np.testing.assert_allclose(run(lambda x: wf.jvp(f, (x,), (T,))[1], X), T * COS, rtol=1e-14)


def test_wrong_use() -> None:
    f = wf.custom_vjp(lambda x, s: x)
    with pytest.raises(UsageError, match=r"has no rule yet; <lambda>.defvjp\(...\) gives it one"):
        f(X, 1)
    with pytest.raises(UsageError, match="defvjp takes a function, not 3"):
        f.defvjp(3, 4)
    f.defvjp(lambda x, s: (x, None), lambda kept, g: (g, None))
    with pytest.raises(TraceError, match=r"argument 1 of .* is a str; nondiff_argnums=1 is for"):
        run(lambda x: f(x, "s"), X)
    with pytest.raises(TypeError, match="missing a required argument: 's'"):
        f(X)
    with pytest.raises(UsageError, match="custom_jvp takes a function, not 3"):
        wf.custom_jvp(3)
    many = wf.custom_vjp(lambda x: x, nondiff_argnums=4)
    many.defvjp(lambda x: (x, None), lambda kept, g: (g,))
    with pytest.raises(UsageError, match="nondiff_argnums names argument 4 of"):
        run(many, X)
    leaked: list[Any] = []
    run(lambda x: leaked.append(x * 1) or x, X)
    g = with_vjp(lambda x: x, lambda x: (x, None), lambda kept, g: (g * leaked[0],))
    with pytest.raises(TraceError, match="reads a traced value from around it"):
        run(wf.grad(total(g)), X)


def test_mapped_gradients_by_rules_add_up_what_is_common() -> None:
    f = with_vjp(
        lambda w, x: wf.sum(w * x), lambda w, x: (f(w, x), (w, x)),
        lambda kept, g: (g * kept[1], g * kept[0]),
    )  # fmt: skip
    xs = RNG.standard_normal((3, 5))
    loss = lambda w, xs: wf.sum(wf.vmap(f, in_axes=(None, 0))(w, xs))  # noqa: E731
    gw, gx = run(wf.grad(loss, argnums=(0, 1)), X, xs)
    np.testing.assert_allclose(gw, xs.sum(0), rtol=1e-14)
    np.testing.assert_allclose(gx, np.tile(X, (3, 1)), rtol=1e-14)
    assert "scatter_add" not in nodes_of(wf.grad(loss), X, xs)
