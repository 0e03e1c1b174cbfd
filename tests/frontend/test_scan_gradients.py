"""Derivatives of scans: those of the loop that a scan is, of PyTorch, and with the same bits in all
ways to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged
from tests.threads import thread_limit

import weft as wf
from weft import tree
from weftc.pipeline import optimize
from weftrt.errors import TraceError

RNG = np.random.default_rng(3)
ROWS, BATCH, HIDDEN = 6, 2, 3


def lstm_cell(weights: Any, state: Any, x: Any) -> Any:
    h, c = state
    gates = x @ weights["x"] + h @ weights["h"] + weights["b"]
    i, f, g, o = (gates[:, k * HIDDEN : (k + 1) * HIDDEN] for k in range(4))
    c = wf.nn.sigmoid(f) * c + wf.nn.sigmoid(i) * wf.tanh(g)
    h = wf.nn.sigmoid(o) * wf.tanh(c)
    return (h, c), h


def lstm(weights: Any, state: Any, xs: Any, reverse: bool = False) -> Any:
    (h, c), hs = wf.scan(lambda s, x: lstm_cell(weights, s, x), state, xs, reverse=reverse)
    return wf.sum(hs * hs) + wf.sum(h) * wf.sum(c)


def lstm_by_hand(weights: Any, state: Any, xs: Any, reverse: bool = False) -> Any:
    total: Any = 0.0
    for t in reversed(range(ROWS)) if reverse else range(ROWS):
        state, h = lstm_cell(weights, state, xs[t])
        total = total + wf.sum(h * h)
    return total + wf.sum(state[0]) * wf.sum(state[1])


def lstm_arguments(dtype: Any = np.float64) -> Any:
    def draw(*shape: int) -> Any:
        return RNG.standard_normal(shape).astype(dtype)

    weights = {"x": draw(4, 4 * HIDDEN), "h": draw(HIDDEN, 4 * HIDDEN), "b": draw(4 * HIDDEN)}
    return weights, (draw(BATCH, HIDDEN), draw(BATCH, HIDDEN)), draw(ROWS, BATCH, 4)


def assert_trees_close(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    for one, other in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), tolerance, tolerance)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_gradient_is_that_of_the_loop(reverse: bool) -> None:
    arguments = lstm_arguments()
    found = wf.value_and_grad(lambda *a: lstm(*a, reverse=reverse), argnums=(0, 1, 2))(*arguments)
    by_hand = wf.grad(lambda *a: lstm_by_hand(*a, reverse=reverse), argnums=(0, 1, 2))
    assert_trees_close(found[1], by_hand(*arguments))


def test_the_gradient_of_an_lstm_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch", reason="it is what the gradient is compared with")
    weights, state, xs = arguments = lstm_arguments()
    found = wf.grad(lstm, argnums=(0, 1, 2))(*arguments)
    net = torch.nn.LSTM(4, HIDDEN).double()
    given = [torch.tensor(a[None], requires_grad=True) for a in state]
    rows = torch.tensor(xs, requires_grad=True)
    with torch.no_grad():
        net.weight_ih_l0.copy_(torch.tensor(weights["x"].T))
        net.weight_hh_l0.copy_(torch.tensor(weights["h"].T))
        net.bias_ih_l0.copy_(torch.tensor(weights["b"]))
        net.bias_hh_l0.zero_()
    hs, (h, c) = net(rows, tuple(given))
    (hs.square().sum() + h.sum() * c.sum()).backward()
    wanted = (
        {"x": net.weight_ih_l0.grad.T, "h": net.weight_hh_l0.grad.T, "b": net.bias_ih_l0.grad},
        tuple(part.grad[0] for part in given),
        rows.grad,
    )
    assert_trees_close(found, wanted)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("symbolic", [False, True])
def test_gradients_have_the_bits_of_the_interpreter(threads: int, symbolic: bool) -> None:
    """They do not depend on whether the number of rows is known."""
    weights, state, xs = lstm_arguments(np.float32)
    gradient = wf.grad(lambda xs, w: lstm(w, state, xs), argnums=(0, 1))
    expected = staged.run(gradient, xs, weights, symbolic=symbolic)
    with thread_limit(threads):
        found = wf.jit(gradient)(xs, weights)
    for one, other in zip(tree.leaves(found), tree.leaves(expected), strict=True):
        assert_same_bits(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("length", [0, 1, 7])
def test_any_number_of_rows(length: int) -> None:
    def f(x: Any, scale: Any) -> Any:
        last, ys = wf.scan(lambda c, row: (c * row + scale, c * c), 0.5, x)
        return last * 2 + wf.sum(ys)

    def by_hand(x: Any, scale: Any) -> Any:
        c, total = wf.asarray(0.5, dtype=x.dtype), wf.zeros((), dtype=x.dtype)
        for k in range(length):
            c, total = c * x[k] + scale, total + c * c
        return c * 2 + total

    x, scale = RNG.standard_normal(length), np.float64(0.3)
    found = wf.grad(f, argnums=(0, 1))(x, wf.asarray(scale))
    assert_trees_close(found, wf.grad(by_hand, argnums=(0, 1))(x, wf.asarray(scale)))


def parts(carry: Any, row: Any) -> Any:
    """Integers beside floats, a state that moves along, one that nobody differentiates, and stacks
    of all of it."""
    a, b, count, fixed = carry
    y = wf.where(row > 0, a * row, b)
    return (b * fixed, y, count + 1, fixed), (y, count, wf.stop_gradient(a), row, [a > 0])


def of_parts(x: Any, start: Any) -> Any:
    carry, ys = wf.scan(parts, (start, start * 2, 0, start), x)
    return wf.sum(carry[0] + carry[1]) + wf.sum(ys[0] * ys[3]) + wf.sum(ys[2] * 2.0)


def of_parts_by_hand(x: Any, start: Any) -> Any:
    carry, total = (start, start * 2, 0, start), wf.sum(start) * 0.0
    for row in range(x.shape[0]):
        carry, ys = parts(carry, x[row])
        total = total + wf.sum(ys[0] * ys[3]) + wf.sum(ys[2] * 2.0)
    return wf.sum(carry[0] + carry[1]) + total


def nested(x: Any, start: Any) -> Any:
    def inner(c: Any, value: Any) -> Any:
        return wf.sin(c) * value, c * value

    def outer(c: Any, row: Any) -> Any:
        last, ys = wf.scan(inner, c, row, reverse=True)
        turned = wf.fori_loop(0, 3, lambda i, s: wf.sin(s) + c * i, last)
        return turned, wf.sum(ys, axis=0) + wf.cond(wf.sum(c) > 0, lambda: c * c, lambda: c)

    last, ys = wf.scan(outer, start, x)
    return wf.sum(last) + wf.sum(ys * ys)


def nested_by_hand(x: Any, start: Any) -> Any:
    c, total = start, wf.sum(start) * 0.0
    for row in range(x.shape[0]):
        last, made = c, []
        for column in reversed(range(x.shape[1])):
            made.append(last * x[row, column])
            last = wf.sin(last) * x[row, column]
        y = sum(made[::-1]) + wf.where(wf.sum(c) > 0, c * c, c)
        for i in range(3):
            last = wf.sin(last) + c * i
        c, total = last, total + wf.sum(y * y)
    return wf.sum(c) + total


LOOPS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "parts": (of_parts, of_parts_by_hand),
    "nested": (nested, nested_by_hand),
}


@pytest.mark.parametrize("name", LOOPS)
def test_derivatives_are_those_of_the_loop_by_hand(name: str) -> None:
    function, by_hand = LOOPS[name]
    arguments = RNG.standard_normal((4, 3)), RNG.standard_normal(3 if name == "parts" else ())
    arguments = tuple(map(wf.asarray, arguments))
    for derivative in (
        lambda f: wf.grad(f, argnums=(0, 1))(*arguments),
        lambda f: wf.jvp(f, arguments, arguments),
        lambda f: wf.grad(lambda x, s: wf.sum(wf.grad(f)(x, s) ** 2), argnums=(0, 1))(*arguments),
        lambda f: wf.hvp(lambda x: f(x, arguments[1]), arguments[:1], arguments[:1]),
        lambda f: wf.vmap(wf.grad(f), in_axes=(0, None))(
            wf.stack([arguments[0]] * 2), arguments[1]
        ),
    ):
        assert_trees_close(derivative(function), derivative(by_hand), 1e-10)


def test_the_forward_is_run_once() -> None:
    """By both of the scans that a value and its gradient are made of, and the loop that counts."""

    def counted(x: Any) -> Any:
        return wf.sum(wf.fori_loop(0, 9, lambda i, s: wf.sin(s) * x, x))

    arguments = lstm_arguments()
    for function, given in ((lstm, arguments), (counted, (arguments[2],))):
        found = staged.stage(wf.value_and_grad(function), *given)
        assert found is not None
        loops = [n.op.name for n in optimize(found.traced.graph).nodes() if n.op.loop is not None]
        assert loops == ["scan", "scan"]


def test_what_happens_happens_once(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            wf.debug.print("{}", row)
            return wf.sin(c) * row, None

        return wf.scan(body, 1.0, x)[0]

    x = np.array([0.5, 2.0])
    found = wf.jit(wf.grad(f))(x)
    assert capsys.readouterr().out == "0.5\n2.0\n"
    c = np.sin(1.0) * 0.5
    np.testing.assert_allclose(found, [np.cos(c) * np.sin(1.0) * 2, np.sin(c)])


def test_a_gradient_that_needs_what_an_effect_gives_is_refused() -> None:
    def f(x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            asked = wf.callback(lambda v: v * 2, wf.ShapeDtypeStruct((), row.dtype), row)
            return wf.sin(c) * wf.stop_gradient(asked), None

        return wf.scan(body, 1.0, x)[0]

    with pytest.raises(TraceError, match="a loop whose gradient needs what an effect in it gives"):
        wf.grad(f)(np.ones(3))


def test_ten_thousand_turns() -> None:
    x = np.full(10_000, 0.999)
    gradient = wf.grad(lambda x: wf.scan(lambda c, row: (c * row, None), 1.0, x)[0])(x)
    np.testing.assert_allclose(np.asarray(gradient), 0.999**9_999, rtol=1e-9)


@pytest.mark.parametrize("unroll", [2, 3, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_unrolled_scans_and_their_gradients_have_the_same_bits(unroll: Any, reverse: bool) -> None:
    xs, w = RNG.standard_normal((7, 3)), RNG.standard_normal(3)

    def loss(unroll: Any) -> Any:
        def of(w: Any, xs: Any) -> Any:
            step = lambda c, x: (wf.tanh(c * w + x), {"y": c * x})  # noqa: E731
            last, ys = wf.scan(step, wf.zeros_like(w), xs, reverse=reverse, unroll=unroll)
            return wf.sum(last) + wf.sum(ys["y"] * ys["y"])

        return wf.jit(wf.value_and_grad(of, argnums=(0, 1)))

    found, wanted = loss(unroll)(w, xs), loss(1)(w, xs)
    for a, b in zip(wf.tree.leaves(found), wf.tree.leaves(wanted), strict=True):
        assert_same_bits(np.asarray(a), np.asarray(b))
    loops = [n for n in loss(unroll).lower(w, xs).optimized.nodes() if n.op.name == "scan"]
    assert all(n["length"] == 7 // unroll for n in loops) and bool(loops) == (unroll is not True)


def test_unroll_is_a_number_of_turns() -> None:
    for wrong in (0, -1, False, 2.0, "all"):
        with pytest.raises(wf.errors.UsageError, match="unroll is how many turns become one"):
            wf.scan(lambda c, x: (c + x, c), 0.0, np.ones(3), unroll=wrong)
