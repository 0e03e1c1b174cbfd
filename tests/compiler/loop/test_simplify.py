"""What is merged, moved and folded, and what must stay."""

from __future__ import annotations

from collections.abc import Callable

from weftc.loop import ir
from weftc.loop.build import Builder, load
from weftc.loop.ir import Buffer, Expr, Scalar, const
from weftc.loop.print import print_function
from weftc.loop.simplify import simplify
from weftrt import dtypes

F32 = dtypes.float32
ONE = const(1.0, F32)


def start():
    b = Builder("f")
    return b, b.buffer("x", F32), b.buffer("y", F32), b.size("n")


def body(b: Builder) -> str:
    """The simplified statements, without the head line."""
    return print_function(simplify(b.function())).split("\n", 1)[1]


def test_equal_values_are_one() -> None:
    b, x, y, n = start()
    first = ir.apply(Scalar.ADD, load(x, n), ONE)
    second = ir.apply(Scalar.ADD, load(x, n), const(1.0, F32))
    b.store(y, 0, ir.apply(Scalar.MUL, first, second))
    assert body(b) == "  let t: f32 = x[n] + 1.0:f32\n  store y[0] = t * t\n"


def test_zeros_of_both_signs_are_two() -> None:
    b, x, y, _n = start()
    b.store(y, 0, ir.apply(Scalar.ADD, load(x, 0), const(0.0, F32)))
    b.store(y, 1, ir.apply(Scalar.ADD, load(x, 0), const(-0.0, F32)))
    assert "+ 0.0:f32" in body(b) and "+ -0.0:f32" in body(b)


def test_loads_around_a_store_are_two() -> None:
    b, x, y, _n = start()
    before = b.let("before", load(y, 0))
    b.store(y, 0, ONE)
    after = b.let("after", load(y, 0))
    b.store(x, 0, ir.apply(Scalar.ADD, before, after))
    assert body(b) == (
        "  let before: f32 = y[0]\n"
        "  store y[0] = 1.0:f32\n"
        "  let after: f32 = y[0]\n"
        "  store x[0] = before + after\n"
    )


def test_a_load_with_one_user_beyond_a_store_stays_where_it_is() -> None:
    b, x, y, _n = start()
    before = b.let("before", ir.apply(Scalar.ADD, load(y, 0), ONE))
    b.store(y, 0, ONE)
    b.store(x, 0, before)
    assert body(b).startswith("  let before: f32 = y[0] + 1.0:f32\n  store y[0]")


def test_what_a_local_buffer_holds_is_not_loaded_and_not_stored() -> None:
    b, x, y, n = start()
    kept = b.alloc("kept", F32, 2)
    b.store(kept, 0, load(x, n))
    b.store(kept, 1, ONE)
    for place in range(2):
        b.store(y, place, load(kept, place))
    assert body(b) == "  let t: f32 = x[n]\n  store y[0] = t\n  store y[1] = 1.0:f32\n"


def test_a_local_buffer_is_loaded_where_it_may_hold_something_else() -> None:
    def is_loaded(change: Callable[[Builder, Buffer, Expr], None]) -> bool:
        b, _x, y, n = start()
        kept = b.alloc("kept", F32, 4)
        b.store(kept, 0, ONE)
        change(b, kept, n)
        b.store(y, 0, load(kept, 0))
        return "store y[0] = kept[0]" in body(b)

    def elsewhere(b: Builder, kept: Buffer, n: Expr) -> None:
        b.store(kept, 1, load(kept, 2))

    def somewhere(b: Builder, kept: Buffer, n: Expr) -> None:
        b.store(kept, n, ONE)

    def perhaps(b: Builder, kept: Buffer, n: Expr) -> None:
        with b.if_(ir.apply(Scalar.LT, n, const(3))):
            b.store(kept, 0, const(2.0, F32))

    def masked(b: Builder, kept: Buffer, n: Expr) -> None:
        b.store(kept, 0, const(2.0, F32), ir.apply(Scalar.LT, n, const(3)))

    def in_a_loop(b: Builder, kept: Buffer, n: Expr) -> None:
        with b.for_("i", 0, n):
            b.store(kept, 0, const(2.0, F32))

    assert not is_loaded(elsewhere)
    assert all(map(is_loaded, (somewhere, perhaps, masked, in_a_loop)))


def test_what_reads_a_local_buffer_is_new_after_a_store() -> None:
    b, x, y, n = start()
    kept = b.alloc("kept", F32, 1)
    one = ir.apply(Scalar.NEG, load(kept, 0))
    for place, value in enumerate((load(x, n), ONE)):
        b.store(kept, 0, value)
        b.store(y, place, one)
    assert "store y[1] = neg(1.0:f32)" in body(b)


def test_invariants_move_out_of_loops_but_loads_of_a_written_buffer_do_not() -> None:
    b, x, y, n = start()
    with b.for_("i", 0, 8) as loop:
        at = ir.add(ir.mul(n, const(4)), loop.var)
        value = ir.apply(Scalar.ADD, load(y, 3), load(x, 3))
        b.store(y, at, value)
    assert body(b) == (
        "  let t: i64 = n * 4\n"
        "  let t_1: f32 = x[3]\n"
        "  for i in 0 .. 8\n"
        "    store y[t + i] = y[3] + t_1\n"
    )


def test_loads_stay_in_loops_that_may_not_run() -> None:
    b, x, y, n = start()
    with b.for_("i", 0, n) as loop:
        b.store(y, loop.var, load(x, 3))
    assert "store y[i] = x[3]" in body(b)


def test_nothing_moves_above_its_condition() -> None:
    b, x, y, n = start()
    with b.if_(ir.apply(Scalar.GT, n, const(0))):
        b.store(y, 0, ir.apply(Scalar.SQRT, load(x, 3)))
    assert body(b) == "  if n > 0\n    store y[0] = sqrt(x[3])\n"


def test_a_division_stays_in_its_loop_unless_its_divisor_is_a_literal() -> None:
    b, _x, y, n = start()
    with b.for_("i", 0, 8) as loop:
        for divisor in (n, const(3)):
            quotient = ir.apply(Scalar.TDIV, const(100), divisor)
            b.store(y, ir.add(quotient, loop.var), ONE)
    assert body(b) == (
        "  let t: i64 = tdiv(100, 3)\n"
        "  for i in 0 .. 8\n"
        "    store y[tdiv(100, n) + i] = 1.0:f32\n"
        "    store y[t + i] = 1.0:f32\n"
    )


def test_dead_values_and_loops_go() -> None:
    b, x, _y, n = start()
    b.let("unused", ir.apply(Scalar.SQRT, load(x, 0)))
    with b.for_("i", 0, n, carried=[("c", ONE)]) as loop:
        loop.next(ir.apply(Scalar.ADD, loop.values[0], ONE))
    assert body(b).strip() == ""


def test_loops_of_one_round_and_known_conditions_are_straight() -> None:
    b, x, y, _n = start()
    with b.for_("i", 2, 3, carried=[("c", ONE)]) as loop:
        with b.if_(ir.apply(Scalar.EQ, loop.var, const(2))):
            b.store(y, loop.var, loop.values[0])
        loop.next(load(x, loop.var))
    b.store(y, 9, loop.results[0])
    with b.for_("j", 4, 4, carried=[("d", ONE)]) as never:
        b.store(y, 100, ONE)
        never.next(const(2.0, F32))
    b.store(y, 10, never.results[0])
    assert body(b) == (
        "  store y[2] = 1.0:f32\n  let t: f32 = x[2]\n  store y[9] = t\n  store y[10] = 1.0:f32\n"
    )


def test_integers_fold_and_wrap() -> None:
    b = Builder("f")
    y = b.buffer("y", dtypes.int64)
    big = ir.apply(Scalar.MUL, const(1 << 62), const(6))
    b.store(y, 0, big)
    b.store(y, 1, ir.apply(Scalar.ADD, load(y, 0), ir.apply(Scalar.SUB, const(3), const(3))))
    assert body(b) == f"  store y[0] = {-(1 << 63)}\n  store y[1] = y[0]\n"


def test_a_range_of_known_length_has_no_rest() -> None:
    b, _x, y, n = start()
    begin = ir.mul(n, const(64))
    end = ir.add(begin, const(64))
    length = ir.apply(Scalar.SUB, end, begin)
    middle = ir.add(begin, length)
    with b.if_(ir.apply(Scalar.LT, middle, end)):
        b.store(y, middle, ONE)
    b.store(y, length, ONE)
    assert body(b) == "  store y[64] = 1.0:f32\n"


def test_floats_do_not_fold() -> None:
    b, x, y, _n = start()
    b.store(y, 0, ir.apply(Scalar.MUL, load(x, 0), const(0.0, F32)))
    b.store(y, 1, ir.apply(Scalar.ADD, ONE, ONE))
    assert "x[0] * 0.0:f32" in body(b) and "1.0:f32 + 1.0:f32" in body(b)


def test_guards_fold() -> None:
    b, x, y, _n = start()
    b.store(y, 0, load(x, 0, const(True, dtypes.bool_)))
    b.store(y, 1, load(x, 5, const(False, dtypes.bool_)))
    b.store(y, 2, ONE, mask=const(False, dtypes.bool_))
    assert body(b) == "  store y[0] = x[0]\n  store y[1] = 0.0:f32\n"
