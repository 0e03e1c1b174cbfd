"""wf.cond, switch, while_loop and fori_loop: traced, and run by the graph interpreter."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged

import weft as wf
from weft import cond, fori_loop, switch, while_loop
from weft.tracing import effect
from weftc.ir.interpret import interpret
from weftc.ir.opdef import TABLE, Family, OpDef
from weftc.ir.types import TOKEN, TensorType, TupleType
from weftrt import dtypes
from weftrt.errors import DTypeError, RangeError, ShapeError, TraceError, UsageError

X = np.arange(4, dtype=np.float32) - 1


def nodes_of(function: Callable[..., Any], *args: Any) -> list[Any]:
    found = staged.stage(function, *args)
    assert found is not None
    return list(found.traced.graph.all_nodes())


# ---------------------------------------------------------------------------------------------
# cond and switch
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 4])
@pytest.mark.parametrize("limit", [-10.0, 10.0])
def test_cond_runs_the_branch_that_its_predicate_chooses(n: int, limit: float) -> None:
    def f(x: Any, limit: Any) -> Any:
        y = x * 2
        return cond(x.sum() < limit, lambda a: a + y, lambda a: a - y, x)

    x = X[:n]
    assert_same_bits(staged.run(f, x, limit), x + x * 2 if limit > 0 else x - x * 2)


def test_operands_are_trees_and_so_are_results() -> None:
    class Pair(NamedTuple):
        left: Any
        right: Any

    def f(x: Any) -> Any:
        pair = Pair(x, {"a": x * 2, "b": None})
        return cond(x.sum() > 0, lambda p: p, lambda p: Pair(-p.left, p.right), pair)

    found = staged.run(f, X)
    assert type(found) is Pair and found.right["b"] is None
    assert_same_bits(found.left, X)
    assert_same_bits(found.right["a"], X * 2)


def test_branches_read_values_around_them_once_each() -> None:
    weights = np.ones(4, np.float32)

    def f(x: Any) -> Any:
        y = x + 1
        return cond(x.sum() > 0, lambda: y * weights * y, lambda: weights - y)

    assert_same_bits(staged.run(f, X), (X + 1) * (X + 1))
    (branch,) = [node for node in nodes_of(f, X) if node.op.name == "branch"]
    assert len(branch.inputs) == 3  # the index, y and weights


def test_operands_that_no_branch_reads_are_not_passed() -> None:
    def f(x: Any) -> Any:
        return cond(x.sum() > 0, lambda a, b: a, lambda a, b: a * 2, x, x.sum())

    (branch,) = [node for node in nodes_of(f, X) if node.op.name == "branch"]
    assert len(branch.inputs) == 2


def test_numbers_take_the_dtype_of_the_other_branch() -> None:
    def f(x: Any) -> Any:
        total = wf.sum(x, dtype=wf.float64)
        return cond(total > 0, lambda: (total, 1, 2, True), lambda: (0, 2.5, 3, False))

    found = staged.run(f, X)
    assert [v.dtype.name for v in found] == ["float64", "float32", "int64", "bool"]
    assert [v.item() for v in found] == [2.0, 1.0, 2, True]


def test_numbers_beyond_the_dtype_of_the_other_branch_are_refused() -> None:
    x = np.arange(3, dtype=np.int32)
    with pytest.raises(RangeError, match="4294967296 does not fit int32"):
        staged.run(lambda x: cond(x.sum() > 0, lambda: x[0], lambda: 2**32), x)


def test_a_predicate_may_be_known() -> None:
    assert_same_bits(staged.run(lambda x: cond(True, lambda: x, lambda: -x), X), X)
    assert_same_bits(staged.run(lambda x, p: cond(p, lambda: x, lambda: -x), X, False), -X)


@pytest.mark.parametrize(("index", "factor"), [(-1, 1), (0, 1), (1, 10), (2, 100), (7, 100)])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_switch_chooses_by_number(index: int, factor: int, dtype: str) -> None:
    def f(x: Any, i: Any) -> Any:
        return switch(i, [lambda v: v, lambda v: v * 10, lambda v: v * 100], x)

    assert_same_bits(staged.run(f, X, np.array(index, dtype)), X * factor)


def test_conds_nest() -> None:
    def choose(depth: int, x: Any, n: Any) -> Any:
        if not depth:
            return x * n
        scaled = x + depth
        return cond(n > depth, lambda: scaled, lambda: choose(depth - 1, scaled, n))

    def expected(depth: int, x: Any, n: int) -> Any:
        if not depth:
            return x * np.float32(n)
        return x + depth if n > depth else expected(depth - 1, x + np.float32(depth), n)

    for n in range(7):
        found = staged.run(lambda x, n: choose(5, x, n), X, n)
        assert_same_bits(found, np.asarray(expected(5, X, n), np.float32))


# ---------------------------------------------------------------------------------------------
# while_loop and fori_loop
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 4])
@pytest.mark.parametrize("times", [0, 1, 5])
def test_loops_run_so_often(n: int, times: int) -> None:
    x = X[:n]

    def by_while(x: Any, times: Any) -> Any:
        return while_loop(lambda s: s[0] < times, lambda s: (s[0] + 1, s[1] * 2), (0, x))

    def by_count(x: Any, times: Any) -> Any:
        return fori_loop(0, times, lambda i, v: v * 2, x)

    count, value = staged.run(by_while, x, times)
    assert count == times and count.dtype == np.int64
    assert_same_bits(value, x * np.float32(2**times))
    assert_same_bits(staged.run(by_count, x, times), value)


def test_newton_converges() -> None:
    def root(a: Any) -> Any:
        def far(s: Any) -> Any:
            return wf.max(wf.abs(s * s - a)) > 1e-12

        return while_loop(far, lambda s: 0.5 * (s + a / s), wf.ones_like(a))

    a = np.array([2.0, 9.0, 1e-3])
    np.testing.assert_allclose(staged.run(root, a), np.sqrt(a), rtol=1e-9)


def test_a_counter_of_python_bounds_meets_arrays_as_a_number() -> None:
    x = np.arange(3, dtype=np.int32)
    found = staged.run(lambda x: fori_loop(1, 4, lambda i, s: s * i, x), x)
    assert_same_bits(found, x * np.int32(6))
    with pytest.raises(DTypeError, match=r"body returns int64\[3\]"):
        staged.run(lambda x, n: fori_loop(0, n, lambda i, s: s * i, x), x, np.array(3))


@pytest.mark.parametrize("bounds", [(5, 2), (3, 3), (-2, 2)])
def test_bounds_may_be_anywhere(bounds: tuple[int, int]) -> None:
    total = staged.run(lambda a, b: fori_loop(a, b, lambda i, s: s + i, 0), *bounds)
    assert total == sum(range(*bounds)) and total.dtype == np.int64


def test_numbers_in_the_state_take_the_dtype_that_the_body_makes() -> None:
    wide = np.arange(3, dtype=np.float64)

    def f(x: Any, wide: Any) -> Any:
        return fori_loop(0, 3, lambda i, s: (s[0] + x.sum(), s[1] + s[0], s[2] + 1), (0, 0, 0))

    first, second, third = staged.run(f, X, wide)
    assert first.dtype == second.dtype == np.float32 and third.dtype == np.int64
    assert (first, second, third) == (6.0, 6.0, 3)
    (found,) = staged.run(lambda w: fori_loop(0, 3, lambda i, s: (s[0] + w[2],), (0.0,)), wide)
    assert found.dtype == np.float64 and found == 6.0


def test_what_a_loop_does_not_change_is_no_state() -> None:
    def f(x: Any, y: Any) -> Any:
        return fori_loop(0, 3, lambda i, s: s + y, x)

    (loop,) = [node for node in nodes_of(f, X, X) if node.op.name == "fori"]
    assert loop["carried"] == 1 and len(loop.inputs) == 4
    assert_same_bits(staged.run(f, X, X), X + X + X + X)


def test_loops_nest_and_hold_branches() -> None:
    def f(x: Any, n: Any) -> Any:
        def row(i: Any, total: Any) -> Any:
            def column(j: Any, total: Any) -> Any:
                even = (i + j) % 2 == 0
                return cond(even, lambda: total + x[i] * x[j], lambda: total - n)

            return fori_loop(0, 4, column, total)

        return fori_loop(0, 4, row, 0.0)

    expected = np.float32(0)
    for i in range(4):
        for j in range(4):
            expected = expected + X[i] * X[j] if (i + j) % 2 == 0 else expected - np.float32(3)
    assert_same_bits(staged.run(f, X, 3), expected)


def test_a_state_without_leaves() -> None:
    assert staged.run(lambda x: (fori_loop(0, 3, lambda i, s: s, None), x), X)[0] is None


def test_symbolic_sizes_reach_into_bodies() -> None:
    def f(x: Any, n: Any) -> Any:
        return fori_loop(0, n, lambda i, s: cond(s.sum() > 0, lambda: s + x, lambda: -s), x)

    found = staged.stage(f, X, 3, symbolic=True)
    assert found is not None and found.traced.symbolic
    for size in (0, 1, 2, 7):
        x = np.arange(size, dtype=np.float32) - 2
        assert_same_bits(found.run(x, 3), staged.run(f, x, 3))


# ---------------------------------------------------------------------------------------------
# Mistakes
# ---------------------------------------------------------------------------------------------


def both(x: Any) -> Any:
    return x, x


MISTAKES: dict[str, tuple[Callable[..., Any], type[Exception], str]] = {
    "a vector as predicate": (
        lambda x: cond(x > 0, lambda: x, lambda: x),
        ShapeError,
        r"cond: pred is bool\[4\], not a scalar; wf.where",
    ),
    "a float as predicate": (
        lambda x: cond(x.sum(), lambda: x, lambda: x),
        DTypeError,
        r"cond: pred is float32\[\], not a bool",
    ),
    "branches of other structure": (
        lambda x: cond(x.sum() > 0, lambda: both(x), lambda: {"a": x}),
        UsageError,
        r"(?s)trees that differ:\n    true_fn returns \(float32\[4\], float32\[4\]\).*test_control"
        r".*\n    false_fn returns {'a': float32\[4\]}.*test_control",
    ),
    "branches of other shapes": (
        lambda x: cond(x.sum() > 0, lambda: (x, x), lambda: (x, x[:2])),
        ShapeError,
        r"(?s)different types at \[1\]:\n    true_fn returns float32\[4\].*false_fn .*float32\[2\]",
    ),
    "branches of other dtypes": (
        lambda x: cond(x.sum() > 0, lambda: x.astype("int32"), lambda: x),
        DTypeError,
        r"(?s)true_fn returns int32\[4\].*false_fn returns float32\[4\]",
    ),
    "a float beside integers": (
        lambda x: switch(0, [lambda: 0.5, lambda: x.astype("int32")[0]]),
        DTypeError,
        r"(?s)branch 1 returns int32\[\].*branch 0 returns a Python float",
    ),
    "a bool as index": (
        lambda x: switch(x.sum() > 0, [lambda: x]),
        DTypeError,
        r"switch: index is bool\[\], not an integer; wf.cond",
    ),
    "no branches": (lambda x: switch(0, []), UsageError, "switch: branches is a list of functions"),
    "no function": (
        lambda x: cond(True, x, x),
        UsageError,
        "cond: true_fn is a function, not a tr",
    ),
    "a string as result": (
        lambda x: cond(True, lambda: "a", lambda: x),
        TraceError,
        "true_fn returns a str, not an array",
    ),
    "a state of another shape": (
        lambda x: while_loop(lambda s: s.sum() < 3, lambda s: s[1:], x * 2),
        ShapeError,
        r"(?s)state changes its type:\n    init is float32\[4\]  \(.*x \* 2\)\n    body .*\[3\]",
    ),
    "a state of another dtype": (
        lambda x: fori_loop(0, 3, lambda i, s: (s[0], s[1] * 0.5), (x, x.astype("int32"))),
        DTypeError,
        r"(?s)changes its type at \[1\]:\n    init is int32\[4\].*body returns float32\[4\]",
    ),
    "a state of another structure": (
        lambda x: fori_loop(0, 3, lambda i, s: (s, s), x),
        UsageError,
        r"(?s)structure:\n    init is float32\[4\]\n    body returns \(float32\[4\], float32.*\)",
    ),
    "a number that alternates": (
        lambda x: fori_loop(0, 3, lambda i, s: s.astype(ALTERNATE[s.dtype]), 0),
        DTypeError,
        r"(?s)init is a Python int.*body returns float32",
    ),
    "a condition that is a vector": (
        lambda x: while_loop(lambda s: s < 3, lambda s: s, x),
        DTypeError,
        r"while_loop: cond returns bool\[4\], not a scalar bool",
    ),
    "a condition that is a tuple": (
        lambda x: while_loop(lambda s: (True,), lambda s: s, x),
        DTypeError,
        r"cond returns \(a Python bool,\), not a scalar bool",
    ),
    "a float as bound": (
        lambda x: fori_loop(0, 2.5, lambda i, s: s, x),
        DTypeError,
        r"fori_loop: upper is float64\[\], not an integer",
    ),
    "a vector as bound": (
        lambda x: fori_loop(x, 2, lambda i, s: s, x),
        ShapeError,
        r"fori_loop: lower is float32\[4\], not a scalar",
    ),
    "a branch of Python's in a body": (
        lambda x: fori_loop(0, 3, lambda i, s: s if i > 1 else -s, x),
        TraceError,
        "a branch on a traced value",
    ),
    "a slice from a counter on": (
        lambda x: fori_loop(0, 3, lambda i, s: s + x[i:].sum(), x),
        TraceError,
        r"Python integer from a traced value .*; use wf.take\(x, i \+ wf.arange\(count\)\)",
    ),
    "a body that takes no such arguments": (
        lambda x: fori_loop(0, 3, lambda s: s, x),
        TypeError,
        "takes 1 positional argument",
    ),
}
ALTERNATE = {
    dtypes.int64: wf.float64,
    dtypes.float64: wf.float32,
    dtypes.float32: wf.float64,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_with_both_sides_and_lines(mistake: str) -> None:
    function, kind, message = MISTAKES[mistake]
    with pytest.raises(kind, match=message):
        staged.stage(function, X)


def test_a_value_that_leaks_out_of_a_body_is_told() -> None:
    def f(x: Any) -> Any:
        kept = []

        def body(i: Any, s: Any) -> Any:
            kept.append(s * 2)
            return s

        fori_loop(0, 3, body, x)
        return kept[0] + x

    with pytest.raises(TraceError, match=r"made at .*s \* 2, is used after the trace of body has"):
        staged.stage(f, X)


def test_an_error_in_a_body_leaves_the_trace_around_it_whole() -> None:
    def f(x: Any) -> Any:
        with pytest.raises(ZeroDivisionError):
            cond(x.sum() > 0, lambda: 1 / 0, lambda: x)
        return x + 1

    assert_same_bits(staged.run(f, X), X + 1)


# ---------------------------------------------------------------------------------------------
# Gradients
# ---------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("bounds", "what"),
    [((0, 65), "a loop of 65 turns"), ((0, None), "a loop whose number of turns is not known")],
)
def test_other_loops_have_no_gradient(bounds: tuple[int, int | None], what: str) -> None:
    def f(x: Any, n: Any) -> Any:
        return fori_loop(bounds[0], n if bounds[1] is None else bounds[1], lambda i, s: s * x, x)

    with pytest.raises(TraceError, match=rf"(?s){what} has no gradient \(at .*fori_loop\(bounds"):
        staged.stage(wf.grad(f), 2.0, 3)


def test_a_gradient_through_a_loop_names_its_line() -> None:
    def f(x: Any) -> Any:
        return while_loop(lambda s: s < 10, lambda s: s * x, x)

    with pytest.raises(TraceError, match=r"(?s)a loop has no gradient \(at .*while_loop\(lambda s"):
        staged.stage(wf.grad(f), 2.0)
    assert staged.run(wf.grad(lambda x: cond(x > 0, lambda: x, lambda: x) + 0 * x), 2.0) == 1.0


# ---------------------------------------------------------------------------------------------
# Effects
# ---------------------------------------------------------------------------------------------


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


def test_a_condition_has_no_effects(shouted: list[float]) -> None:
    def f(x: Any) -> Any:
        return while_loop(lambda s: effect("shout", s)[0] < 3, lambda s: s + 1, x.sum())

    with pytest.raises(UsageError, match="the condition cond has effects"):
        staged.stage(f, X)


def test_types_of_results(shouted: list[float]) -> None:
    (node,) = [n for n in nodes_of(lambda x: effect("shout", x.sum())[0], X) if n.op.effect]
    assert node.value_type == TupleType((TensorType(dtypes.float32, ()), TOKEN))


def test_a_loop_that_changes_nothing_still_turns() -> None:
    """For ever, if its condition holds; and the condition may fail."""
    x = wf.asarray(np.ones(3, np.float32))
    idle = wf.jit(lambda x, most: wf.while_loop(lambda s: wf.sum(s) < most, lambda s: s * 1, x))
    assert np.asarray(idle(x, 0.0)).tolist() == [1, 1, 1]

    def stop(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(TimeoutError):
            idle(x, 1e9)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(wf.errors.OutOfBoundsError):
        wf.while_loop(lambda s: wf.take(s, 7) > 0, lambda s: s * 1, x)
