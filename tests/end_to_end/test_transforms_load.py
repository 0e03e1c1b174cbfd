"""Long chains, long loops, deep trees and transforms of transforms: nothing hits a limit of
Python's, and memory is bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.frontend.staged import run

import weft as wf
from weftrt import array

OPS = 5000
STEP = 1e-3
X = np.array([0.25, 0.5, 0.75])


def chain(x: Any) -> Any:
    """Four ops, again and again: x' = x (1 - x) in small steps."""
    for _ in range(OPS // 4):
        x = x + (x * (1.0 - x)) * STEP
    return x


def total(x: Any) -> Any:
    return wf.sum(chain(x))


def expected() -> tuple[Any, Any, Any]:
    """The value of the chain, and its first and second derivative."""
    x, first, second = X, np.ones_like(X), np.zeros_like(X)
    for _ in range(OPS // 4):
        slope = 1 + STEP * (1 - 2 * x)
        second = second * slope - 2 * STEP * first**2
        x, first = x + x * (1 - x) * STEP, first * slope
    return x, first, second


VALUE, FIRST, SECOND = expected()
ONES = np.ones_like(X)
CHAINS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "grad": (wf.grad(total), FIRST),
    "jvp": (lambda x: wf.jvp(chain, (x,), (ONES,))[1], FIRST),
    "vjp": (lambda x: wf.vjp(chain, x)[1](ONES)[0], FIRST),
    "linearize": (lambda x: wf.linearize(chain, x)[1](ONES), FIRST),
    "vmap": (wf.vmap(chain), VALUE),
    "jacfwd": (wf.jacfwd(chain), np.diag(FIRST)),
    "jacrev": (wf.jacrev(chain), np.diag(FIRST)),
    "hvp": (lambda x: wf.hvp(total, (x,), (ONES,))[0], SECOND),
    "hessian": (wf.hessian(total), np.diag(SECOND)),
    "vmap of grad": (wf.vmap(wf.grad(chain)), FIRST),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_thousands_of_ops(name: str) -> None:
    function, wanted = CHAINS[name]
    np.testing.assert_allclose(run(function, X), wanted, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------------------------------------
# Loops
# ---------------------------------------------------------------------------------------------

TURNS, WIDTH = 10_000, 64
ROW = WIDTH * 8
XS = np.random.default_rng(0).standard_normal((TURNS, WIDTH)) * 0.1
START = np.zeros(WIDTH)


def last(start: Any, xs: Any) -> Any:
    """A recurrence whose derivatives are known: c = 0.99 c + x + c**2 / 1000."""
    body = lambda c, x: (c * 0.99 + x + c * c * 1e-3, None)  # noqa: E731
    return wf.scan(body, start, xs)[0]


def loss(start: Any, xs: Any) -> Any:
    return wf.sum(last(start, xs))


def recurrence() -> tuple[Any, Any, Any]:
    """The state at the end, the gradient by the start, and by the rows."""
    states = [START]
    for row in XS:
        c = states[-1]
        states.append(c * 0.99 + row + c * c * 1e-3)
    g, rows = np.ones(WIDTH), np.empty_like(XS)
    for turn in reversed(range(TURNS)):
        rows[turn] = g
        g = g * (0.99 + 2e-3 * states[turn])
    return states[-1], g, rows


LAST, BY_START, BY_ROWS = recurrence()


def peak(function: Callable[..., Any], *args: Any) -> tuple[Any, int]:
    """The result of a second call, and the bytes that arrays take at most while it runs."""
    given = [wf.asarray(a) for a in args]
    compiled = wf.jit(function)
    compiled(*given)
    array.limit_pool(0)
    array.limit_pool(1 << 30)
    before = array.pool_stats()["used_bytes"]
    result = compiled(*given)
    stats = array.pool_stats()
    return result, stats["used_bytes"] + stats["held_bytes"] - before


def test_a_long_scan_keeps_nothing_forward() -> None:
    found, bytes_ = peak(last, START, XS)
    np.testing.assert_allclose(found, LAST, rtol=1e-10)
    assert bytes_ < 100 * ROW
    (value, tangent), bytes_ = peak(
        lambda c, xs, t: wf.jvp(lambda c: last(c, xs), (c,), (t,)), START, XS, np.ones(WIDTH)
    )
    np.testing.assert_allclose(value, LAST, rtol=1e-10)
    np.testing.assert_allclose(tangent, BY_START, rtol=1e-8, atol=1e-300)
    assert bytes_ < 100 * ROW


def test_a_long_scan_keeps_a_few_rows_a_turn_for_its_gradient() -> None:
    (start, rows), bytes_ = peak(wf.grad(loss, argnums=(0, 1)), START, XS)
    np.testing.assert_allclose(start, BY_START, rtol=1e-8, atol=1e-300)
    np.testing.assert_allclose(rows, BY_ROWS, rtol=1e-8, atol=1e-300)
    assert TURNS * ROW < bytes_ < 3 * TURNS * ROW  # the gradient by the rows, and the states


def test_a_long_scan_is_mapped() -> None:
    starts = np.stack([START, START + 0.1, START - 0.1])
    found, bytes_ = peak(wf.vmap(last, in_axes=(0, None)), starts, XS)
    np.testing.assert_allclose(found[0], LAST, rtol=1e-10)
    assert bytes_ < 300 * ROW
    gradients, bytes_ = peak(wf.vmap(wf.grad(loss), in_axes=(0, None)), starts, XS)
    np.testing.assert_allclose(gradients[0], BY_START, rtol=1e-8, atol=1e-300)
    assert bytes_ < 3 * 3 * TURNS * ROW


def test_second_derivatives_of_a_long_scan() -> None:
    ones = np.ones(WIDTH)
    (product,) = wf.hvp(lambda c: loss(c, XS[:2000]), (START,), (ones,))
    step = 1e-5
    high, low = (wf.grad(loss)(START + sign * step, XS[:2000]) for sign in (1, -1))
    slope = (np.asarray(high) - np.asarray(low)) / (2 * step)
    np.testing.assert_allclose(product, slope, rtol=1e-5, atol=1e-8)


def test_long_loops_without_rows() -> None:
    turned = lambda x: wf.fori_loop(0, TURNS, lambda i, c: c + c * (1 - c) * 1e-4, x)  # noqa: E731
    forward = wf.jvp(turned, (np.array(0.5),), (1.0,))[1]
    np.testing.assert_allclose(wf.grad(turned)(np.array(0.5)), forward, rtol=1e-10)


# ---------------------------------------------------------------------------------------------
# Trees and transforms
# ---------------------------------------------------------------------------------------------


def test_deep_and_wide_trees() -> None:
    deep: Any = X
    for level in range(200):
        deep = {"next": deep} if level % 2 else [deep]
    sums = lambda t: wf.sum(wf.tree.leaves(t)[0] ** 2)  # noqa: E731
    (found,) = wf.tree.leaves(wf.grad(sums)(deep))
    np.testing.assert_allclose(found, 2 * X)
    assert wf.jvp(sums, (deep,), (deep,))[1] == 2 * np.sum(X * X)
    (found,) = wf.tree.leaves(wf.vmap(lambda t: wf.tree.map(lambda x: x * 2, t))(deep))
    np.testing.assert_allclose(found, 2 * X)
    carry, _ = wf.scan(lambda c, x: (c, x["x"]), deep, {"x": X})
    assert len(wf.tree.leaves(carry)) == 1
    gradients = wf.grad(lambda many: sum(map(wf.sum, many)))([X] * 1000)
    assert len(gradients) == 1000


def test_transforms_of_transforms() -> None:
    seventh = lambda x: x**7  # noqa: E731
    by_grad, by_jvp = seventh, seventh
    for _ in range(6):
        by_grad = wf.grad(by_grad)
        by_jvp = (lambda f: lambda x: wf.jvp(f, (x,), (1.0,))[1])(by_jvp)
    assert by_grad(np.float64(2)) == by_jvp(np.float64(2)) == 5040 * 2
    everywhere = wf.sin
    for _ in range(8):
        everywhere = wf.vmap(everywhere)
    assert everywhere(np.ones((2,) * 8)).shape == (2,) * 8
    for _ in range(30):
        everywhere = wf.jit(wf.vmap(everywhere, in_axes=None, out_axes=None, axis_size=2))
    assert everywhere(np.ones((2,) * 8)).shape == (2,) * 8


def test_bodies_in_bodies() -> None:
    def within(depth: int, x: Any) -> Any:
        if not depth:
            return wf.sin(x)
        inner = lambda: within(depth - 1, x)  # noqa: E731
        if depth % 2:
            return wf.cond(x > 0, inner, lambda: x)
        return wf.fori_loop(0, 1, lambda i, y: within(depth - 1, y), x)

    nested = lambda x: within(16, x)  # noqa: E731
    np.testing.assert_allclose(run(wf.grad(nested), np.float64(0.5)), np.cos(0.5))
    tangent = run(lambda x: wf.jvp(nested, (x,), (1.0,))[1], np.float64(0.5))
    np.testing.assert_allclose(tangent, np.cos(0.5))
    np.testing.assert_allclose(run(wf.vmap(nested), X), np.sin(X))
