"""Gradients that compute again: the bits of those that keep, in less memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.staged import nodes_of, run

import weft as wf
from weft.errors import TraceError, UsageError

RNG = np.random.default_rng(22)
X = RNG.standard_normal((4, 6))
W, V = RNG.standard_normal((6, 8)), RNG.standard_normal((8, 6))
POLICIES = ("nothing", "dots", "everything")
DEPTH = 6


def block(x: Any, w: Any, v: Any) -> Any:
    centred = x - wf.mean(x, axis=1, keepdims=True)
    return x + wf.tanh(centred @ w) @ v


def chain(wrap: Callable[[Any], Any]) -> Callable[..., Any]:
    """Blocks one after the other, each of its own weights."""

    def loss(x: Any, ws: Any, vs: Any) -> Any:
        for w, v in zip(ws, vs, strict=True):
            x = wrap(block)(x, w, v)
        return wf.sum(x * x)

    return loss


def turns(wrap: Callable[[Any], Any]) -> Callable[..., Any]:
    """The same block again and again."""

    def loss(x: Any, w: Any, v: Any) -> Any:
        step = wrap(lambda x: block(x, w, v))
        return wf.sum(wf.scan(lambda c, _: (step(c), wf.sum(c)), x, length=20)[0])

    return loss


def kept(policy: str) -> Callable[[Any], Any]:
    return lambda f: wf.checkpoint(f, policy=policy)


def plain(f: Any) -> Any:
    return f


def weights(rows: int = 1) -> tuple[list[Any], list[Any]]:
    ws = [RNG.standard_normal((6 * rows, 8 * rows)) / 8 for _ in range(DEPTH)]
    return ws, [RNG.standard_normal((8 * rows, 6 * rows)) / 8 for _ in range(DEPTH)]


def assert_same(found: Any, wanted: Any) -> None:
    for a, b in zip(wf.tree.leaves(found), wf.tree.leaves(wanted), strict=True):
        assert_same_bits(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("policy", POLICIES)
def test_gradients_have_the_bits_of_those_without(policy: str) -> None:
    ws, vs = weights()
    found, wanted = (
        wf.jit(wf.value_and_grad(chain(wrap), argnums=(0, 1, 2)))(X, ws, vs)
        for wrap in (kept(policy), plain)
    )
    assert_same(found, wanted)
    found, wanted = (
        wf.jit(wf.value_and_grad(turns(wrap), argnums=(0, 1, 2)))(X, W / 8, V / 8)
        for wrap in (kept(policy), plain)
    )
    assert_same(found, wanted)


def arena(function: Callable[..., Any], *args: Any) -> Any:
    """The bytes of the values that the program of a gradient holds besides its results."""
    gradient = wf.jit(wf.grad(function, argnums=(0, 1, 2)))
    return gradient.lower(*args)._stages.memory.arena


def test_a_chain_needs_the_memory_of_one_block() -> None:
    x, (ws, vs) = RNG.standard_normal((64, 24)), weights(4)
    sizes = {policy: arena(chain(kept(policy)), x, ws, vs) for policy in POLICIES}
    boundary, inside = x.nbytes, 64 * 32 * 8
    assert sizes["nothing"] <= (DEPTH + 6) * boundary + 4 * inside
    assert sizes["everything"] >= DEPTH * (2 * boundary + 2 * inside)
    assert sizes["nothing"] + (DEPTH - 2) * inside <= sizes["dots"] < 0.7 * sizes["everything"]
    assert sizes["everything"] == arena(chain(plain), x, ws, vs)


def test_a_scan_keeps_its_states_only() -> None:
    x = RNG.standard_normal((64, 6))
    sizes = {policy: arena(turns(kept(policy)), x, W, V) for policy in POLICIES}
    assert sizes["nothing"] <= 30 * x.nbytes
    assert sizes["everything"] >= 1.9 * sizes["nothing"]


def scalar(x: Any) -> Any:
    return wf.sum(wf.exp(wf.sin(x)) * x)


COMPOSITIONS: dict[str, Callable[[Any], Any]] = {
    "hessian": wf.hessian,
    "hvp": lambda f: lambda x: wf.hvp(f, (x,), (x,)),
    "map": lambda f: wf.vmap(wf.grad(f)),
    "linearize": lambda f: lambda x: wf.linearize(f, x)[1](x),
    "vjp": lambda f: lambda x: wf.vjp(f, x)[1](2.0),
    "twice": lambda f: wf.grad(lambda x: wf.sum(wf.grad(f)(x) * x)),
    "nested": lambda f: wf.grad(wf.checkpoint(lambda x: f(f(x) * x))),
    "branch": lambda f: wf.grad(lambda x: wf.cond(x[0] < 9, lambda: f(x), lambda: 0.0)),
    "masked": lambda f: wf.vmap(wf.grad(lambda e: wf.cond(e < 0, lambda: f(e), lambda: e))),
}


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_composed(name: str) -> None:
    transform, x = COMPOSITIONS[name], RNG.standard_normal(5)
    found, wanted = run(transform(wf.checkpoint(scalar)), x), run(transform(scalar), x)
    if name == "nested":  # terms within are added up first
        np.testing.assert_allclose(found, wanted, rtol=1e-14)
    else:
        assert_same(found, wanted)


def test_reverse_over_forward_is_checkpointed_too() -> None:
    x = RNG.standard_normal(5)
    along = lambda f: wf.grad(lambda x: wf.jvp(f, (x,), (x,))[1])  # noqa: E731
    found = run(along(wf.checkpoint(scalar)), x)
    np.testing.assert_allclose(found, run(along(scalar), x), rtol=1e-13)
    assert any(n.op.name == "barrier" for n in nodes_of(along(wf.checkpoint(scalar)), x))


def test_results_that_pass_a_barrier_have_memory_of_their_own() -> None:
    x, product = RNG.standard_normal(5), wf.checkpoint(lambda a, b: (a * b, b))
    both = wf.jit(wf.grad(lambda a, b: wf.sum(product(a, b)[0]), argnums=(0, 1)))
    given = wf.asarray(x), wf.asarray(x + 1)
    found = both(*given)
    assert_same(found, (given[1], given[0]))
    places = {array.__array_interface__["data"][0] for array in map(np.asarray, (*found, *given))}
    assert len(places) == 4


def test_results_without_cotangents_and_integers_take_no_part() -> None:
    f = wf.checkpoint(lambda x: (wf.sum(x * x), wf.sum(wf.log(x)), wf.argmax(x)))
    x = np.array([0.0, 1.0])
    assert_same(run(wf.grad(lambda x: f(x)[0]), x), 2 * x)
    assert run(lambda x: f(x)[2], x) == 1


def test_effects_happen_once() -> None:
    happened: list[float] = []

    def noted(x: Any) -> Any:
        wf.callback(lambda x: happened.append(float(x)), None, x[0])
        return scalar(x)

    x = RNG.standard_normal(5)
    assert_same(wf.grad(wf.checkpoint(noted))(x), wf.grad(scalar)(x))
    assert happened == [x[0]]
    needed = lambda x: wf.sum(wf.stop_gradient(wf.callback(np.sin, x, x)) * x)  # noqa: E731
    with pytest.raises(TraceError, match=r"what an effect in it gives.*test_checkpoint"):
        wf.grad(wf.checkpoint(needed))(x)


def test_any_size() -> None:
    gradient, wanted = wf.jit(wf.grad(wf.checkpoint(scalar))), wf.jit(wf.grad(scalar))
    for n in (3, 4, 5, 1, 0):
        x = RNG.standard_normal(n)
        assert_same(gradient(x), wanted(x))


def test_wrong_use() -> None:
    with pytest.raises(UsageError, match="policy is one of 'nothing', 'dots', 'everything', not 3"):
        wf.checkpoint(scalar, policy=3)
    with pytest.raises(UsageError, match="checkpoint takes a function, not 3"):
        wf.checkpoint(3)
    decorated = wf.checkpoint(policy="dots")(scalar)
    assert_same(decorated(X), scalar(X))
