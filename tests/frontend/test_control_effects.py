"""Effects in branches and loops: their order, and what gradients make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.frontend import staged
from tests.frontend.staged import nodes_of

import weft as wf
from weft import cond, fori_loop, while_loop
from weft.tracing import effect
from weftc.ir.interpret import interpret
from weftc.ir.opdef import TABLE, Family, OpDef
from weftc.ir.types import TOKEN, TensorType, TupleType
from weftrt import dtypes
from weftrt.errors import TraceError, UsageError

X = np.arange(4, dtype=np.float32) - 1


@pytest.fixture
def shouted() -> Iterator[list[float]]:
    """An op of this test's own that notes its operand when it runs, and gives it back."""
    heard: list[float] = []

    def infer(types: Any, attrs: Any) -> TupleType:
        return TupleType((types[1], TOKEN))

    def shout(arrays: Any, attrs: Any, type_: Any) -> Any:
        heard.append(float(arrays[1]))
        return arrays[1], None

    TABLE.add(OpDef("shout", Family.EFFECT, infer, shout, effect=True))
    yield heard
    del TABLE._ops["shout"]


def heard_by(function: Callable[..., Any], *args: Any) -> Any:
    found = staged.stage(function, *args)
    assert found is not None
    graph = found.traced.graph
    assert graph.outputs[-1].value_type is TOKEN
    return interpret(graph, found.inputs(args))


def test_effects_run_in_order_though_nobody_reads_their_results(shouted: list[float]) -> None:
    def f(x: Any) -> Any:
        for value in (3.0, 1.0, 2.0):
            effect("shout", x.sum() * value)
        return x

    heard_by(f, X)
    assert shouted == [6.0, 2.0, 4.0]


def test_effects_in_bodies_keep_their_place(shouted: list[float]) -> None:
    def f(x: Any, n: Any) -> Any:
        effect("shout", x[0])

        def body(i: Any, s: Any) -> Any:
            def twice() -> Any:
                (value,) = effect("shout", s * 2)
                return value

            return cond(s > 2, twice, lambda: s + 1) + x[1]

        s = fori_loop(0, n, body, x[2])
        effect("shout", s)
        t = while_loop(lambda t: t < 10, lambda t: effect("shout", t + 4)[0], x[3])
        return s + t

    result = heard_by(f, X, 4)
    s, expected = 1.0, [-1.0]
    for _ in range(4):
        if s > 2:
            expected.append(s * 2)
        s = s * 2 if s > 2 else s + 1
    expected.append(s)
    t = 2.0
    while t < 10:
        t += 4
        expected.append(t)
    assert shouted == expected
    assert result[0] == s + t


def test_a_gradient_computes_no_effect_again(shouted: list[float]) -> None:
    def f(x: Any) -> Any:
        return cond(x > 0, lambda: wf.stop_gradient(effect("shout", x)[0]) * x, lambda: x)

    with pytest.raises(TraceError, match="what an effect in it gives has no gradient"):
        staged.stage(wf.grad(f), 2.0)

    def g(x: Any) -> Any:
        def loud() -> Any:
            effect("shout", x)
            return x * x

        return cond(x > 0, loud, lambda: x)

    assert heard_by(wf.grad(g), 2.0)[0] == 4.0
    assert shouted == [2.0]

    def h(x: Any) -> Any:
        def loud(i: Any, s: Any) -> Any:
            effect("shout", s)
            return s * x

        return fori_loop(0, 2, loud, x)

    assert heard_by(wf.grad(h), 2.0)[0] == 12.0
    assert shouted == [2.0, 2.0, 4.0]


def test_a_gradient_goes_through_effects_in_bodies_of_bodies(shouted: list[float]) -> None:
    def f(x: Any) -> Any:
        def loud(a: Any) -> Any:
            effect("shout", a)
            wf.debug.check(a > 0, "positive")
            return a * a

        def body(i: Any, s: Any) -> Any:
            return cond(s > 0, lambda: loud(s), lambda: s)

        return cond(x > 0, lambda: fori_loop(0, 2, body, x), lambda: x)

    assert heard_by(wf.grad(f), 2.0)[0] == 32.0
    assert shouted == [2.0, 4.0]
    shouted.clear()
    assert heard_by(wf.grad(wf.grad(f)), 2.0)[0] == 48.0
    assert shouted == [2.0, 4.0]


def test_effects_around_a_loop_are_not_of_its_gradient(shouted: list[float]) -> None:
    def f(x: Any) -> Any:
        wf.debug.check(x > 0, "before")
        y = fori_loop(0, 2, lambda i, s: cond(s > 0, lambda: loud(s), lambda: s), x)
        return y * cond(y > 0, lambda: loud(y), lambda: y)

    def loud(a: Any) -> Any:
        effect("shout", a)
        return a * a

    assert heard_by(wf.grad(f), 2.0)[0] == 12 * 2.0**11
    assert shouted == [2.0, 4.0, 16.0]


def test_a_condition_has_no_effects(shouted: list[float]) -> None:
    def f(x: Any) -> Any:
        return while_loop(lambda s: effect("shout", s)[0] < 3, lambda s: s + 1, x.sum())

    with pytest.raises(UsageError, match="the condition cond has effects"):
        staged.stage(f, X)


def test_types_of_results(shouted: list[float]) -> None:
    (node,) = [n for n in nodes_of(lambda x: effect("shout", x.sum())[0], X) if n.op.effect]
    assert node.value_type == TupleType((TensorType(dtypes.float32, ()), TOKEN))
