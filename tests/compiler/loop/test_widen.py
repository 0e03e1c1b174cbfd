"""What widening makes of loops: contiguous accesses, masks, uniform work, fallbacks."""

from __future__ import annotations

import numpy as np
import pytest

from weftc.loop import ir
from weftc.loop.build import Builder, load
from weftc.loop.interpret import Order, interpret
from weftc.loop.ir import Buffer, Expr, LoopFunction, LoopKind, Scalar, Var, const
from weftc.loop.print import print_function
from weftc.loop.simplify import simplify
from weftc.loop.verify import verify
from weftc.loop.widen import widen
from weftrt import dtypes
from weftrt.target import Target

TARGET = Target("x86_64-unknown-linux-gnu", (), 512)
F32 = dtypes.float32


def vector(body, lanes: int = 8, stop: int | None = None) -> LoopFunction:
    """`body(builder, x, y, i)` in a vector loop over 0..n, or 0..stop."""
    b = Builder("loop")
    x, y, n = b.buffer("x", F32), b.buffer("y", F32), b.size("n")
    with b.for_("i", 0, n if stop is None else stop, LoopKind.VECTOR, lanes=lanes) as loop:
        body(b, x, y, loop.var)
    return b.function()


def check(function: LoopFunction, x: np.ndarray, size: int, n: int) -> np.ndarray:
    """y after the widened function, equal to the written one's, forwards and backwards."""
    results = []
    widened = widen(function, TARGET)
    verify(widened, widened=True)
    for form in (function, widened, simplify(widened)):
        for order in (Order.TOGETHER, Order.REVERSE):
            y = np.zeros(size, np.float32)
            status = interpret(form, [x.copy(), y], [n], order)
            results.append((status, y.tobytes()))
    assert len(set(results)) == 1
    return y


def shown(function: LoopFunction) -> str:
    return print_function(simplify(widen(function, TARGET)))


X = np.arange(1, 65, dtype=np.float32)


def test_unit_stride_is_contiguous_and_other_strides_gather() -> None:
    def strided(b: Builder, x: Buffer, y: Buffer, i: Var) -> None:
        for k, at in enumerate((ir.add(i, const(2)), ir.mul(i, const(2)), _reversed(i))):
            b.store(y, ir.add(ir.mul(const(k), const(32)), i), load(x, at))

    function = vector(strided, stop=24)
    text = shown(function)
    assert "x[i_1 + 2:8]" in text
    assert text.count("x[") == 3 and text.count(":8]") == 1
    y = check(function, X, 96, 0)
    assert np.array_equal(y[32:56], X[:48:2]) and np.array_equal(y[64:88], X[23::-1])


def _reversed(i: Expr) -> Expr:
    return ir.apply(Scalar.SUB, const(23), i)


@pytest.mark.parametrize(
    ("stop", "loops", "masks"), [(32, 1, 0), (12, 0, 0), (13, 0, 1), (5, 0, 1)]
)
def test_constant_extents_have_the_tail_they_need(stop: int, loops: int, masks: int) -> None:
    function = vector(lambda b, x, y, i: b.store(y, i, load(x, i)), stop=stop)
    text = shown(function)
    assert text.count("for ") == loops and text.count("mask: ") == masks
    assert np.array_equal(check(function, X, stop, 0), X[:stop])


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 24])
def test_symbolic_extents(n: int) -> None:
    function = vector(lambda b, x, y, i: b.store(y, i, load(x, i)))
    assert np.array_equal(check(function, X, n, n), X[:n])


@pytest.mark.parametrize("n", [0, 3, 5, 20])
def test_a_start_beyond_the_stop_runs_nothing(n: int) -> None:
    b = Builder("late")
    x, y, size = b.buffer("x", F32), b.buffer("y", F32), b.size("n")
    with b.for_("i", 5, size, LoopKind.VECTOR, lanes=8) as loop:
        b.store(y, loop.var, load(x, loop.var))
    y_found = check(b.function(), X, max(n, 1), n)
    assert np.array_equal(y_found[5:], X[5:n])


def test_a_uniform_load_stays_under_the_condition_of_some_lane() -> None:
    """x[100] exists nowhere; no lane asks for it."""

    def guarded(b: Builder, x: Buffer, y: Buffer, i: Var) -> None:
        with b.if_(ir.apply(Scalar.GT, load(x, i), const(1000.0, F32))):
            b.store(y, i, load(x, 100))

    assert not check(vector(guarded), X, 20, 20).any()


def test_division_under_a_condition_does_not_divide_by_zero() -> None:
    def divided(b: Builder, x: Buffer, y: Buffer, i: Var) -> None:
        with b.if_(ir.apply(Scalar.NE, i, const(0))):
            b.store(y, i, ir.cast(ir.apply(Scalar.TDIV, const(60), i), F32))

    text = print_function(widen(vector(divided), TARGET))
    assert "tdiv(60:i64x8, select(mask" in text
    assert check(vector(divided), X, 13, 13)[12] == 5


def test_a_guarded_load_reads_zero_outside() -> None:
    def padded(b: Builder, x: Buffer, y: Buffer, i: Var) -> None:
        at = ir.apply(Scalar.SUB, i, const(3))
        b.store(y, i, load(x, at, ir.apply(Scalar.GE, at, const(0))))

    assert np.array_equal(check(vector(padded), X, 11, 11), [0, 0, 0, *X[:8]])


def test_local_arrays_belong_to_a_lane() -> None:
    def local(b: Builder, x: Buffer, y: Buffer, i: Var) -> None:
        kept = b.alloc("kept", F32, 3)
        with b.for_("k", 0, 3) as loop:
            b.store(kept, loop.var, load(x, ir.add(i, loop.var)))
        picked = ir.apply(Scalar.TREM, i, const(3))
        b.store(y, i, load(kept, picked))

    n = 21
    assert np.array_equal(check(vector(local), X, n, n), [X[i + i % 3] for i in range(n)])


def test_bounds_that_differ_between_lanes_run_serially() -> None:
    def triangle(b: Builder, x: Buffer, y: Buffer, i: Var) -> None:
        with b.for_("k", 0, i, carried=[("sum", const(0.0, F32))]) as loop:
            loop.next(ir.apply(Scalar.ADD, loop.values[0], load(x, loop.var)))
        b.store(y, i, loop.results[0])

    function = vector(triangle)
    assert "x8" not in print_function(widen(function, TARGET))
    assert np.array_equal(check(function, X, 11, 11), [X[:i].sum() for i in range(11)])


@pytest.mark.parametrize("n", [3, 8, 20])
def test_reports_fold_to_the_smallest_element(n: int) -> None:
    def reporting(b: Builder, x: Buffer, y: Buffer, i: Var) -> None:
        bad = ir.apply(Scalar.GT, load(x, i), const(7.0, F32))
        b.call("report", bad, const(2), ir.mul(i, const(10)))
        b.store(y, i, load(x, i))

    function = vector(reporting)
    check(function, X, n, n)
    report = interpret(widen(function, TARGET), [X, np.zeros(n, np.float32)], [n])
    assert report == (None if n < 8 else (2, 70))


def test_uniform_values_are_computed_once() -> None:
    def scaled(b: Builder, x: Buffer, y: Buffer, i: Var) -> None:
        factor = b.let("factor", ir.apply(Scalar.SQRT, load(x, 3)))
        b.store(y, i, ir.apply(Scalar.MUL, load(x, i), factor))

    text = shown(vector(scaled, stop=32))
    assert "factor_1: f32 = sqrt" in text and text.index("factor") < text.index("for ")
    assert np.array_equal(check(vector(scaled), X, 30, 30), X[:30] * 2)


def test_a_column_sum_keeps_64_vectors_of_accumulators() -> None:
    b = Builder("columns")
    x, y, m, n = b.buffer("x", F32), b.buffer("y", F32), b.size("m"), b.size("n")
    with b.for_("j", 0, n, LoopKind.VECTOR, lanes=8) as loop:
        with b.reduce("r", m) as reduction:
            at = ir.add(ir.mul(reduction.var, n), loop.var)
            total = reduction.term(Scalar.ADD, load(x, at))
        b.store(y, loop.var, total)
    assert "local f32[512]" in print_function(widen(b.function(), TARGET))
