"""Compiled functions: what is compiled again and what is not, arguments, results, guards."""

from __future__ import annotations

import signal
import time
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.threads import at_once, switching

import weft as wf
from weft.dispatch import Dispatcher
from weft.dynamic import Every
from weft.engine import Origin

X = np.arange(6, dtype="f4").reshape(2, 3)


def reasons(function: Any) -> list[str]:
    return [record.reason for record in function.cache_report()]


def test_compiles_once_per_type() -> None:
    @wf.jit
    def f(x: Any) -> Any:
        return x * 2 + 1

    for x in (X, X + 1, wf.asarray(X)):
        np.testing.assert_array_equal(np.asarray(f(x)), np.asarray(x) * 2 + 1)
    assert len(reasons(f)) == 1
    f(X[0])
    f(X.astype("f8"))
    assert reasons(f) == [
        "first call",
        "the type of x changed to f32[3]",
        "the type of x changed to f64[2,3]",
    ]


def test_scalars_are_arguments() -> None:
    @wf.jit
    def f(x: Any, rate: Any) -> Any:
        return x * rate

    for rate in (0.5, 2.0, float("inf")):
        np.testing.assert_array_equal(np.asarray(f(X + 1, rate)), (X + 1) * np.float32(rate))
    assert len(reasons(f)) == 1
    assert f(X, 2)[1, 2] == 10
    assert f(X, np.float32(0.25))[1, 2] == 1.25
    assert len(reasons(f)) == 2
    assert f(X, 2**63)[1, 2] == 5 * 2.0**63


def test_static_arguments() -> None:
    @wf.jit(static_argnames="mode")
    def f(x: Any, mode: str, *, scale: float = 1.0) -> Any:
        return x + scale if mode == "add" else x * scale

    assert f(X, "add")[0, 0] == 1
    assert f(X, mode="mul", scale=3.0)[0, 1] == 3
    assert f(X, "add")[0, 0] == 1
    assert len(reasons(f)) == 2
    with pytest.raises(wf.errors.UsageError, match="mode of f must be hashable, not a list"):
        f(X, [])  # type: ignore[arg-type]
    with pytest.raises(wf.errors.UsageError, match="no parameter 'node'"):
        wf.jit(lambda x: x, static_argnames="node")


class Pair(NamedTuple):
    left: Any
    right: Any


def test_trees_in_and_out() -> None:
    @wf.jit
    def f(state: Any, none: Any = None) -> Any:
        return {"sum": state["a"] + state["b"][0], "rest": (none, [state["b"][1]], 3)}

    result = f({"a": X, "b": [X, 2.0]})
    np.testing.assert_array_equal(np.asarray(result["sum"]), X + X)
    assert result["rest"][0] is None and float(result["rest"][1][0]) == 2.0
    assert list(result) == ["sum", "rest"] and int(result["rest"][2]) == 3
    f({"b": [X, 2.0], "a": X})
    assert len(reasons(f)) == 1


def test_trees_that_only_python_knows() -> None:
    @wf.jit
    def f(pair: Pair) -> Any:
        return Pair(pair.right, pair.left * 2)

    for _ in range(3):
        result = f(Pair(X, 1.5))
        assert type(result) is Pair and float(result.left) == 1.5 and result.right[0, 1] == 2
    assert len(reasons(f)) == 1


def test_arguments_that_are_no_arrays() -> None:
    @wf.jit
    def f(x: Any) -> Any:
        return x

    with pytest.raises(wf.errors.TraceError, match=r"argument x\['a'\]\[1\] of f is a str"):
        f({"a": [X, "text"]})
    for dtype in ("G", "f2", "O", "U3"):
        with pytest.raises(wf.errors.DTypeError, match="argument x of f has dtype"):
            f(np.zeros(2, dtype))


def test_arrays_that_are_not_plain() -> None:
    @wf.jit
    def f(x: Any) -> Any:
        return x + 1

    for x in (X.T, X[:, ::-1], X.astype(">f4"), np.asfortranarray(X)):
        np.testing.assert_array_equal(np.asarray(f(x)), x.astype("f4") + 1)


def test_closed_over_arrays_are_read_at_each_call() -> None:
    w = wf.asarray(X)

    @wf.jit
    def f(x: Any) -> Any:
        return x + w

    assert f(X)[1, 2] == 10
    w = wf.asarray(X * 10)
    assert f(X)[1, 2] == 55
    assert reasons(f) == ["first call"]
    w = wf.asarray(X[:1])
    assert f(X)[1, 2] == 7
    assert reasons(f)[1:] == ["the closed-over w changed to f32[1,3]"]


FACTOR: Any = 2.0


def helper(x: Any) -> Any:
    return x * FACTOR


def test_changed_globals_are_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    @wf.jit
    def f(x: Any) -> Any:
        return helper(x)

    assert f(X)[0, 1] == 2
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert f(X)[0, 1] == 5
    assert reasons(f) == ["first call", "the global FACTOR changed"]
    monkeypatch.setitem(globals(), "FACTOR", float("5.0"))
    assert f(X)[0, 1] == 5
    assert len(reasons(f)) == 2


def test_equal_graphs_share_a_program() -> None:
    first, second = (wf.jit(lambda x: wf.sin(x) * 3.25) for _ in range(2))
    np.testing.assert_array_equal(np.asarray(first(X)), np.asarray(second(X)))
    assert [r.origin is Origin.SHARED for r in second.cache_report()] == [True]


def test_nested_jit_is_inlined() -> None:
    inner = wf.jit(lambda x: x * 3)
    outer = wf.jit(lambda x: inner(x) + inner(x + 1))
    np.testing.assert_array_equal(np.asarray(outer(X)), X * 3 + (X + 1) * 3)
    assert inner.cache_report() == []
    assert len(outer.lower(X).kernels) == 1


def test_methods_and_wrapping() -> None:
    class Model:
        @wf.jit(static_argnames="self")
        def scaled(self, x: Any) -> Any:
            """Twice x."""
            return x * 2

    assert Model().scaled(X)[0, 1] == 2
    assert Model.scaled.__name__ == "scaled" and Model.scaled.__doc__ == "Twice x."


def test_the_same_result_twice() -> None:
    first, second, third = wf.jit(lambda x: (x + 1, x + 1, x))(wf.asarray(X))
    np.testing.assert_array_equal(np.asarray(first), np.asarray(second))
    np.testing.assert_array_equal(np.asarray(third), X)


def test_results_that_turn_out_equal() -> None:
    """Passes merge them, so the program has fewer outputs than the function has results."""
    f = wf.jit(lambda x: {"a": x * 2, "b": [x * 3, x * 2], "c": (x * 2, x)})
    for _ in range(3):
        result = f(X)
        found = [result["a"], *result["b"], *result["c"]]
        for array, factor in zip(found, (2, 3, 2, 2, 1), strict=True):
            np.testing.assert_array_equal(np.asarray(array), X * np.float32(factor))


def test_threads_compile_once() -> None:
    f = wf.jit(lambda x: wf.cos(x) * 1.125)
    for result in at_once(lambda _: f(X), 8):
        assert_same_bits(np.asarray(result), np.asarray(f(X)))
    assert len(f.cache_report()) == 1


def test_threads_trace_independently() -> None:
    """Each thread's sizes are its own."""
    bodies = [wf.add.__wrapped__, wf.multiply.__wrapped__, wf.matmul.__wrapped__]  # type: ignore[attr-defined]

    def traces(_: int) -> None:
        for number in range(40):
            body = bodies[number % len(bodies)]
            shape = (2 + number % 3,) * 2
            dispatcher = Dispatcher(body, (), Every())
            call = dispatcher.read((np.ones(shape, "f4"), np.ones(shape, "f4")), {})
            sizes = {
                str(s) for leaf in dispatcher.trace(call).graph.inputs for s in leaf.type.shape
            }
            assert sizes == ({"n", "m"} if number % 3 < 2 else {"n", "m", "k"}), dispatcher.name

    with switching():
        at_once(traces, 8)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_a_signal_handler_calls_what_is_being_compiled() -> None:
    """The handler interrupts the trace, the compile or the run, and must not wait for them. In the
    middle of a trace what it calls is traced, and so it has no value."""
    function: Any = None
    seen: list[Any] = []

    def handler(*_: Any) -> None:
        try:
            seen.append(float(function(X)))
        except wf.errors.TraceError:
            seen.append("traced")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        for number in range(12):
            function = wf.jit(lambda x, k=number: wf.sum(wf.exp(wf.sin(x * 0.125 + k)) @ x.T))
            signal.setitimer(signal.ITIMER_REAL, 0.001 + 0.003 * number)
            result = float(function(X))
            while len(seen) <= number:
                time.sleep(0.001)
            assert seen[number] in (result, "traced")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_log_of_compiles(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("WEFT_LOG", "compile")
    wf.jit(lambda x: x * 17.5)(X)
    assert "weft: <lambda>(x: f32[2,3]): compiled in" in capsys.readouterr().err
