"""wf.cond, switch, while_loop and fori_loop: traced, and run by the graph interpreter."""

from __future__ import annotations

import signal
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged
from tests.frontend.staged import nodes_of

import weft as wf
from weft import cond, fori_loop, switch, while_loop
from weftrt.errors import DTypeError, RangeError

X = np.arange(4, dtype=np.float32) - 1


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


@pytest.mark.parametrize("dtype", ["float64", "uint64", "complex128"])
def test_a_number_that_a_branch_returns_takes_the_dtype_of_the_other(dtype: str) -> None:
    """As an array of its default dtype it would not fit; a loop in the loop is no other matter."""
    x = np.arange(5).astype(dtype)

    def chosen(i: Any, s: Any, x: Any) -> Any:
        return cond(i < 3, lambda: s + x[i], lambda: s)

    def counted(x: Any) -> Any:
        return fori_loop(0, 5, lambda i, s: chosen(i, s, x), 0)

    def repeated(x: Any) -> Any:
        body = lambda s: (chosen(s[1], s[0], x), s[1] + 1)  # noqa: E731
        return while_loop(lambda s: s[1] < 5, body, (0, 0))

    def nested(x: Any) -> Any:
        turn = lambda i, s: fori_loop(0, 5, lambda j, s: chosen(j, s, x), s)  # noqa: E731
        return fori_loop(0, 2, turn, 0)

    expected = np.asarray(3, dtype)
    assert_same_bits(staged.run(counted, x), expected)
    total, count = staged.run(repeated, x)
    assert_same_bits(total, expected)
    assert count == 5 and count.dtype == np.int64
    assert_same_bits(staged.run(nested, x), expected + expected)


def test_numbers_wait_for_one_another() -> None:
    """The first takes the dtype of the second, which has that of what it meets."""
    x = np.arange(4, dtype=np.float64)

    def f(x: Any) -> Any:
        def body(i: Any, s: Any) -> Any:
            return s[1], cond(i < 2, lambda: s[1] + x.sum(), lambda: s[1])

        return fori_loop(0, 3, body, (0, 0.5))

    first, second = staged.run(f, x)
    assert first.dtype == second.dtype == np.float64
    assert (first, second) == (12.5, 12.5)


def test_what_a_loop_does_not_change_is_no_state() -> None:
    def f(x: Any, y: Any) -> Any:
        return fori_loop(0, 3, lambda i, s: s + y, x)

    (loop,) = [node for node in nodes_of(f, X, X) if node.op.name == "fori"]
    assert loop["carried"] == 1 and len(loop.inputs) == 4
    assert_same_bits(staged.run(f, X, X), X + X + X + X)


@pytest.mark.parametrize("turns", [0, 2])
def test_a_body_may_return_what_it_captures(turns: int) -> None:
    def repeated(x: Any, y: Any) -> Any:
        return while_loop(lambda s: s[1] < turns, lambda s: (y, s[1] + 1), (x, 0))[0]

    def counted(x: Any, y: Any) -> Any:
        return fori_loop(0, turns, lambda i, a: while_loop(lambda a: a[0] < 0, lambda _: y, x), x)

    y = X + 5
    for f in (repeated, counted):
        assert_same_bits(staged.run(f, X, y), y if turns else X)


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
