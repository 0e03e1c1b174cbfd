"""Transforms made anew in each turn of a loop: compiled once, never stale, nothing kept alive."""

from __future__ import annotations

import functools
import gc
import pickle
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf
from weft import engine
from weftrt.errors import UsageError

X = wf.asarray(np.linspace(0.5, 1.5, 4))
FACTOR = 2.0


def loss(x: Any, power: int = 2) -> Any:
    return wf.sum(x**power * FACTOR)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the functions that were traced, one by one."""
    found: list[str] = []
    real = engine.executable

    def counted(graph: Any, *rest: Any) -> Any:
        found.append(graph.name)
        return real(graph, *rest)

    monkeypatch.setattr(engine, "executable", counted)
    gc.disable()  # a full collection lets go of what was made of a lambda
    yield found
    gc.enable()


def _vjp(f: Any) -> Any:
    value, pull = wf.vjp(f, X)
    return value, pull(1.0)


def _linearize(f: Any) -> Any:
    value, push = wf.linearize(f, X)
    return value, push(X)


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "grad": lambda f: wf.grad(f)(X),
    "value_and_grad": lambda f: wf.value_and_grad(f, argnums=(0,))(X),
    "vjp": _vjp,
    "jvp": lambda f: wf.jvp(f, (X,), (X,)),
    "linearize": _linearize,
    "vmap": lambda f: wf.vmap(f, in_axes=[0])(X),
    "hessian": lambda f: wf.hessian(f)(X),
    "jacfwd": lambda f: wf.jacfwd(f)(X),
    "jacrev": lambda f: wf.jacrev(f)(X),
    "hvp": lambda f: wf.hvp(f, (X,), (X,)),
    "a map of a gradient": lambda f: wf.vmap(wf.grad(f))(X),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_loop_compiles_once(name: str, made: list[str]) -> None:
    run = TRANSFORMS[name]

    def same(x: Any) -> Any:
        return loss(x)

    first = run(same)
    count = len(made)
    for _ in range(5):
        again = run(same)
        for a, b in zip(wf.tree.leaves(first), wf.tree.leaves(again), strict=True):
            assert_same_bits(np.asarray(a), np.asarray(b))
    assert len(made) == count


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_lambda_in_a_loop_compiles_once(name: str, made: list[str]) -> None:
    run, shift, counts = TRANSFORMS[name], X + 1, []
    for _ in range(4):
        run(lambda x, by=3.0: wf.sum(x * x + by) * wf.max(shift))
        counts.append(len(made))
    assert counts[0] == counts[-1] > 0


@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_is_bound_anew_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run, closed = TRANSFORMS[name], 1.0

    def function(x: Any, power: int = 2, *, scale: float = 1.0) -> Any:
        return wf.sum(x**power * scale * closed * FACTOR)

    def check(factor: float, power: int = 2) -> None:
        other = lambda x: wf.sum(x**power * factor)  # noqa: E731
        for a, b in zip(wf.tree.leaves(run(function)), wf.tree.leaves(run(other)), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12)

    for _ in range(2):
        check(2.0)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    check(3.0)
    closed = 5.0
    check(15.0)
    function.__defaults__ = (3,)
    check(15.0, 3)
    function.__kwdefaults__ = {"scale": 2.0}
    check(30.0, 3)
    function.__kwdefaults__["scale"] = 4.0
    check(60.0, 3)
    function.__code__ = (lambda x, power=2, *, scale=1.0: (closed, wf.sum(x**power))[1]).__code__
    check(1.0, 3)


def test_closures_of_one_code_are_told_apart() -> None:
    def scaled(factor: Any) -> Callable[[Any], Any]:
        return lambda x: wf.sum(x * factor)

    two, three = scaled(2.0), scaled(3.0)
    for _ in range(4):
        assert float(wf.grad(two)(X)[0]) == 2.0
        assert float(wf.grad(three)(X)[0]) == 3.0
        assert float(wf.grad(scaled(X))(X)[3]) == 1.5
    gradients = [wf.grad(lambda x, by=by: wf.sum(x * by))(X) for by in (1, 1.0, True, 2)]
    assert [float(g[0]) for g in gradients] == [1, 1, 1, 2]


def test_what_guards_do_not_see_is_traced_each_time() -> None:
    class Model:
        rate = 1.0

        def loss(self, x: Any) -> Any:
            return wf.sum(x * self.rate)

    model, rates = Model(), [1.0]
    reading = {
        "a method": lambda: wf.grad(model.loss),
        "an object": lambda: wf.grad(lambda x: wf.sum(x * model.rate)),
        "a function of an object": lambda: wf.grad(read),
        "a class": lambda: wf.grad(lambda x: wf.sum(x * Model.rate)),
        "a list": lambda: wf.grad(lambda x: wf.sum(x * rates[0])),
    }

    def read(x: Any) -> Any:
        return wf.sum(x * model.rate)

    for rate in (2.0, 3.0, 4.0):
        rates[0] = Model.rate = rate
        for what, gradient in reading.items():
            assert float(gradient()(X)[0]) == rate, what


def test_what_is_drawn_or_told_by_a_clock_is_new_each_time() -> None:
    draw = lambda x: wf.sum(x * np.random.random())  # noqa: E731
    tell = lambda x: wf.sum(x * float(time.perf_counter_ns()))  # noqa: E731
    for function in (draw, tell):
        assert float(wf.grad(function)(X)[0]) != float(wf.grad(function)(X)[0])


def test_a_helper_that_comes_to_read_an_object_is_not_kept() -> None:
    class Config:
        rate = 2.0

    helper: Callable[[Any], Any] = lambda x: x * 1.0  # noqa: E731

    def function(x: Any) -> Any:
        return wf.sum(helper(x))

    assert float(wf.grad(function)(X)[0]) == float(wf.grad(function)(X)[0]) == 1.0
    helper = lambda x: x * Config.rate  # noqa: E731
    assert float(wf.grad(function)(X)[0]) == 2.0
    Config.rate = 3.0
    assert float(wf.grad(function)(X)[0]) == 3.0


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("turns", [1, 3])
def test_nothing_is_kept_alive(name: str, turns: int) -> None:
    def one(run: Callable[[Any], Any]) -> tuple[Any, Any]:
        inner = np.array([1.0, 2.0, 3.0, 4.0])
        function = lambda x: wf.sum(x * inner)  # noqa: E731
        for _ in range(turns):
            run(function)
        return weakref.ref(function), weakref.ref(inner)

    dead = one(TRANSFORMS[name])
    gc.collect()
    assert [ref() for ref in dead] == [None, None]


def test_copied_attributes_are_not_of_the_copy() -> None:
    @functools.wraps(loss)
    def doubled(x: Any) -> Any:
        return 2 * loss(x)

    for _ in range(3):
        assert float(wf.grad(doubled)(X)[0]) == 2 * float(wf.grad(loss)(X)[0])

        @functools.wraps(loss)
        def tripled(x: Any) -> Any:
            return 3 * loss(x)

        assert float(wf.grad(tripled)(X)[0]) == 3 * float(wf.grad(loss)(X)[0])
    assert not pickle.loads(pickle.dumps(vars(loss)))["__weft_transforms__"].made


def test_transforms_of_compiled_functions_are_kept(made: list[str]) -> None:
    jitted = wf.jit(lambda x, n=2: wf.sum(x**n))
    wf.grad(jitted)(X)
    wf.vmap(wf.sum)(wf.stack([X, X]))
    count = len(made)
    wf.grad(jitted)(X)
    wf.vmap(wf.sum)(wf.stack([X, X]))
    assert len(made) == count


def test_options_are_told_apart() -> None:
    pair = lambda x, y: wf.sum(x * y * y)  # noqa: E731
    for _ in range(2):
        assert isinstance(wf.grad(pair, argnums=(1,))(X, X), tuple)
        assert wf.grad(pair, argnums=1)(X, X).shape == (4,)
        with pytest.raises(UsageError, match="argnums is the number"):
            wf.grad(pair, argnums=True)
        with pytest.raises(UsageError, match="argnums is the number"):
            wf.grad(pair, argnums=1.0)
        with pytest.raises(UsageError, match="in_axes holds axes"):
            wf.vmap(pair, in_axes=(False, 0))
        assert wf.vmap(pair, in_axes=(0, None))(X, X).shape == (4,)
    axes = [0, None]
    mapped = wf.vmap(pair, in_axes=axes)
    axes[1] = 0
    assert wf.vmap(pair, in_axes=axes) is not mapped


def test_within_a_trace_nothing_is_kept() -> None:
    @wf.jit
    def outer(x: Any, y: Any) -> Any:
        return wf.grad(lambda z: wf.sum(z * y))(x)

    assert_same_bits(np.asarray(outer(X, X)), np.asarray(X))
    assert_same_bits(np.asarray(outer(X[:2], X[:2] + 1)), np.asarray(X[:2] + 1))


def test_second_halves_of_several_sizes() -> None:
    def cubes(x: Any) -> Any:
        return wf.sum(x**3, axis=0)

    for shape in ((2, 3), (4, 3), (2, 3), (5, 1)):
        x = np.ones(shape)
        _, pull = wf.vjp(cubes, x)
        assert_same_bits(np.asarray(pull(np.ones(shape[1]))[0]), 3 * x)
        assert wf.linearize(cubes, x)[1](x).shape == (shape[1],)
