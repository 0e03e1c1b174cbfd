"""Control flow compiled, called outside of jit, and interpreted: the same bits, at any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged
from tests.threads import at_once, switching

import weft as wf
from weft import tree
from weftc import pipeline
from weftrt.errors import OutOfBoundsError


def chosen(x: Any, n: Any) -> Any:
    y = wf.exp(x)
    return wf.cond(n > 2, lambda: (x + y, wf.sum(y)), lambda: (x * y, 0.0))


def switched(x: Any, n: Any) -> Any:
    return wf.switch(n, [lambda v: v, lambda v: -v, lambda v: wf.sin(v) * wf.sum(v)], x)


def until_large(x: Any, n: Any) -> Any:
    far: Callable[[Any], Any] = lambda s: (s[0] < n) & (wf.sum(wf.abs(s[1])) < 1e6)  # noqa: E731
    return wf.while_loop(far, lambda s: (s[0] + 1, s[1] * s[1] + x, s[1]), (0, x, -x))


def counted(x: Any, n: Any) -> Any:
    return wf.fori_loop(-1, n, lambda i, s: (s[1], s[0] * 0.5 + i, s[2] + wf.sum(s[1])), (x, -x, 0))


def nested(x: Any, n: Any) -> Any:
    def outer(i: Any, state: Any) -> Any:
        total, v = state

        def inner(s: Any) -> Any:
            j, w = s
            return j + 1, wf.cond(j % 2 == 0, lambda: w + v, lambda: wf.where(w > i, w, x))

        j, w = wf.while_loop(lambda s: s[0] < i, inner, (0, v))
        return wf.switch(i, [lambda: total, lambda: total - j, lambda: total + wf.sum(w)]), w

    return wf.fori_loop(0, n, outer, (wf.sum(x), x))


def five_deep(x: Any, n: Any) -> Any:
    def deeper(depth: int, v: Any) -> Any:
        if not depth:
            return v * 0.5 + x
        return wf.fori_loop(0, 2, lambda i, s: deeper(depth - 1, s + i), v)

    return wf.cond(n > 0, lambda: deeper(4, x), lambda: x)


def sloped(x: Any, n: Any) -> Any:
    def value(x: Any) -> Any:
        y = wf.sin(x)
        return wf.sum(wf.cond(n > 1, lambda: x * y, lambda: wf.cond(n > 0, lambda: y, lambda: x)))

    return wf.value_and_grad(value)(x)


PROGRAMS = (sloped, chosen, switched, until_large, counted, nested, five_deep)
MODES: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "jit": wf.jit,
    "eager": lambda function: lambda x, n: function(wf.asarray(x), wf.asarray(n)),
}


@pytest.mark.parametrize("size", [0, 1, 5, 1000])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_way_to_run_gives_the_same_bits(
    program: Callable[..., Any], mode: str, size: int
) -> None:
    run = MODES[mode](program)
    x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    for n in (0, 1, 3, 4):
        found = tree.leaves(run(x, np.asarray(n)))
        expected = tree.leaves(staged.run(program, x, np.asarray(n)))
        for one, other in zip(found, expected, strict=True):
            assert_same_bits(np.asarray(one), other)


@pytest.mark.parametrize("program", PROGRAMS)
def test_one_program_for_any_size_gives_the_same_bits(program: Callable[..., Any]) -> None:
    run = wf.jit(program, dynamic={"x": {0: "n"}})
    for size in (7, 1, 0, 300):
        x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
        found = tree.leaves(run(x, np.asarray(3)))
        expected = tree.leaves(staged.run(program, x, np.asarray(3)))
        for one, other in zip(found, expected, strict=True):
            assert_same_bits(np.asarray(one), other)


def test_eight_threads_trace_at_once() -> None:
    def work(number: int) -> None:
        for turn in range(5):
            x = np.arange(number + turn + 1, dtype=np.float32)
            run = wf.jit(lambda x, n: chosen(x, n) if number % 2 else counted(x, n))
            program = chosen if number % 2 else counted
            found = tree.leaves(run(x, np.asarray(3)))
            expected = tree.leaves(staged.run(program, x, np.asarray(3)))
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(np.asarray(one), other)

    with switching():
        at_once(work, 8)


def test_an_error_in_a_loop_leaves_arrays_whole() -> None:
    @wf.jit
    def f(x: Any, i: Any) -> Any:
        return wf.fori_loop(0, 5, lambda k, s: s + wf.take(x, i + k, axis=0), x * 0)

    x = wf.asarray(np.arange(6.0))
    assert np.asarray(f(x, np.asarray(1)))[0] == 1 + 2 + 3 + 4 + 5
    with pytest.raises(OutOfBoundsError, match=r"take\(x, i \+ k, axis=0\)"):
        f(x, np.asarray(3))
    np.testing.assert_array_equal(np.asarray(x), np.arange(6.0))
    assert np.asarray(f(x, np.asarray(0)))[0] == 0 + 1 + 2 + 3 + 4


def test_a_million_iterations_and_no_python() -> None:
    calls = []

    @wf.jit
    def f(n: Any) -> Any:
        def body(i: Any, s: Any) -> Any:
            calls.append(i)
            return s + i

        return wf.fori_loop(0, n, body, 0)

    assert int(f(1_000_000)) == sum(range(1_000_000))
    assert len(calls) == 1


def test_eager_calls_compile_equal_loops_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x = wf.asarray(np.ones(7, np.float32))
    compiled = []
    compile = pipeline.compile
    monkeypatch.setattr(
        pipeline, "compile", lambda g, *a, **k: compiled.append(g) or compile(g, *a, **k)
    )
    for _ in range(3):
        y = wf.while_loop(lambda s: wf.sum(s) < 1000, lambda s: s * 1.25 + 0.12345, x)
        assert np.asarray(y).sum() >= 1000
    assert [graph.name for graph in compiled] == ["while_loop"]


def test_a_vjp_crosses_into_a_body() -> None:
    def f(x: Any) -> Any:
        value, pull = wf.vjp(lambda v: v * v, x)
        return wf.cond(wf.sum(value) > 0, lambda: pull(value)[0], lambda: x)

    assert wf.jit(f)(np.full(3, 2, np.float32)).tolist() == [16, 16, 16]
