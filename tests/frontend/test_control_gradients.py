"""Gradients through branches and loops, and where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged

import weft as wf
from weft import cond, fori_loop, while_loop
from weftrt.errors import TraceError

X = np.arange(4, dtype=np.float32) - 1


def branching(x: Any, n: Any) -> Any:
    y = wf.sin(x)
    inner: Callable[[], Any] = lambda: cond(n < -1, lambda: (x, y), lambda: (y**3, x))  # noqa: E731
    a, b = cond(n > 0, lambda: (y * x, x), inner)
    return wf.sum(a) + 2 * wf.sum(wf.exp(b))


def unrolled(x: Any, n: int) -> Any:
    y = wf.sin(x)
    a, b = (y * x, x) if n > 0 else (x, y) if n < -1 else (y**3, x)
    return wf.sum(a) + 2 * wf.sum(wf.exp(b))


@pytest.mark.parametrize("n", [1, -1, -2])
def test_gradients_flow_through_the_branch_that_runs(n: int) -> None:
    x = np.linspace(0.1, 1, 4)
    found = staged.run(wf.grad(branching), x, n)
    expected = staged.run(wf.grad(lambda x: unrolled(x, n)), x)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    second = staged.run(wf.grad(lambda x, n: wf.sum(wf.grad(branching)(x, n))), x, n)
    wanted = staged.run(wf.grad(lambda x: wf.sum(wf.grad(lambda v: unrolled(v, n))(x))), x)
    np.testing.assert_allclose(second, wanted, rtol=1e-13)


def test_gradients_are_taken_within_bodies() -> None:
    def descend(x: Any) -> Any:
        gradient = wf.grad(lambda v: wf.sum((v - x) ** 2))
        return fori_loop(0, 50, lambda i, v: v - 0.25 * gradient(v), wf.zeros_like(x))

    np.testing.assert_allclose(staged.run(descend, X), X, atol=1e-6)


def test_a_gradient_stops_where_it_is_told_to() -> None:
    def f(x: Any) -> Any:
        steps = fori_loop(0, 3, lambda i, s: s * x, 1.0)
        inner = cond(x > 0, lambda: wf.stop_gradient(x) * x, lambda: x)
        return x * wf.stop_gradient(steps) + inner

    assert staged.run(wf.grad(f), 2.0) == 8.0 + 2.0


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_gradients_flow_through_a_known_number_of_turns(turns: int) -> None:
    def turn(i: Any, s: Any) -> Any:
        return wf.sin(s[0]) * s[2] + i, s[0], s[2]

    def looped(x: Any) -> Any:
        a, b, _ = fori_loop(0, turns, turn, (x, x, x))
        return wf.sum(a) + wf.sum(b * b)

    def by_hand(x: Any) -> Any:
        state = (x, x, x)
        for i in range(turns):
            state = turn(i, state)
        return wf.sum(state[0]) + wf.sum(state[1] * state[1])

    x = np.linspace(0.1, 1, 4)
    found, expected = (staged.run(wf.grad(f), x) for f in (looped, by_hand))
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    second: Any = [wf.grad(lambda x, f=f: wf.sum(wf.grad(f)(x))) for f in (looped, by_hand)]
    np.testing.assert_allclose(staged.run(second[0], x), staged.run(second[1], x), rtol=1e-13)


@pytest.mark.parametrize("symbolic", [False, True])
def test_gradients_flow_through_as_many_turns_as_there_are_rows(symbolic: bool) -> None:
    def turned(x: Any, turns: int) -> Any:
        return fori_loop(1, turns, lambda i, s: wf.sin(s) * x[i] + i * 0.01, x[0])

    x = np.linspace(0.1, 1, 100)
    found = staged.run(wf.grad(lambda x: turned(x, x.shape[0])), x, symbolic=symbolic)
    compiled = wf.jit(wf.grad(lambda x: turned(x, x.shape[0])))
    assert_same_bits(np.asarray(compiled(x)), found)
    step = 1e-6
    for k in (0, 1, 50, 99):
        moved = x.copy()
        moved[k] += step
        sides = [float(turned(wf.asarray(some), 100)) for some in (moved, x)]
        value = (sides[0] - sides[1]) / step
        np.testing.assert_allclose(found[k], value, rtol=1e-3, atol=1e-5)


def test_other_loops_have_no_gradient() -> None:
    def f(x: Any, n: Any) -> Any:
        return fori_loop(0, n, lambda i, s: s * x, x)

    words = r"(?s)a loop whose number of turns is not known has no gradient \(at .*fori_loop\(0"
    with pytest.raises(TraceError, match=words):
        staged.stage(wf.grad(f), 2.0, 3)


def test_a_gradient_through_a_loop_names_its_line() -> None:
    def f(x: Any) -> Any:
        return while_loop(lambda s: s < 10, lambda s: s * x, x)

    with pytest.raises(TraceError, match=r"(?s)a loop has no gradient \(at .*while_loop\(lambda s"):
        staged.stage(wf.grad(f), 2.0)
    assert staged.run(wf.grad(lambda x: cond(x > 0, lambda: x, lambda: x) + 0 * x), 2.0) == 1.0
