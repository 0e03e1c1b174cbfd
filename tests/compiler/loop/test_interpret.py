"""The oracle finds what a machine would do silently: bad accesses, unset memory, races."""

from __future__ import annotations

import numpy as np
import pytest

from weftc.loop import ir
from weftc.loop.build import Builder, load
from weftc.loop.interpret import Order, interpret
from weftc.loop.ir import Buffer, LoopKind, Scalar, Space, const
from weftc.loop.memory import LoopFault
from weftrt import dtypes

F32 = dtypes.float32
ONE = const(1.0, F32)


def start() -> tuple[Builder, Buffer, Buffer]:
    b = Builder("f")
    return b, b.buffer("x", F32), b.buffer("y", F32)


def run(b: Builder, *sizes: int, order: Order = Order.TOGETHER) -> np.ndarray:
    y = np.zeros(8, np.float32)
    interpret(b.function(), [np.arange(8, dtype=np.float32), y], list(sizes), order)
    return y


@pytest.mark.parametrize("at", [-1, 8])
@pytest.mark.parametrize("order", list(Order))
def test_bounds(at: int, order: Order) -> None:
    b, x, y = start()
    with b.for_("i", 0, 2, LoopKind.VECTOR, lanes=2) as loop:
        b.store(y, loop.var, load(x, ir.add(loop.var, const(at if at < 0 else at - 1))))
    with pytest.raises(LoopFault, match=rf"x\[{at}\] is outside its 8 elements"):
        run(b, order=order)
    b, x, y = start()
    b.store(y, at, ONE)
    with pytest.raises(LoopFault, match="y"):
        run(b)


def test_masked_lanes_touch_nothing() -> None:
    b, x, y = start()
    wide = ir.Load(x, const(5), ir.LoopType(F32, 8), _first(3))
    b.store(y, 0, wide)
    b.store(y, 6, wide, mask=_first(2))
    assert np.array_equal(run(b), [5, 6, 7, 0, 0, 0, 5, 6])


def _first(count: int) -> ir.Expr:
    type_ = ir.LoopType(dtypes.int32, 8)
    return ir.apply(
        Scalar.LT, ir.Ramp(const(0, dtypes.int32), type_), const(count, dtypes.int32, 8)
    )


def test_unset_local_memory() -> None:
    b, _x, y = start()
    local = b.alloc("kept", F32, 4)
    b.store(local, 1, ONE)
    b.store(y, 0, load(local, 1))
    assert run(b)[0] == 1
    b.store(y, 0, load(local, 2))
    with pytest.raises(LoopFault, match=r"kept\[2\] is read before it is written"):
        run(b)


def test_unset_scratch_memory() -> None:
    b, _x, y = start()
    n = b.size("n")
    scratch = b.buffer("s", F32, Space.SCRATCH, size=ir.mul(n, const(2)))
    b.store(y, 0, load(scratch, 3))
    with pytest.raises(LoopFault, match=r"s\[3\] is read before"):
        run(b, 2)
    with pytest.raises(LoopFault, match="outside its 2 elements"):
        run(b, 1)


def test_dependent_iterations_show_in_another_order() -> None:
    b, _x, y = start()
    with b.for_("i", 1, 8, LoopKind.PARALLEL) as loop:
        before = load(y, ir.add(loop.var, const(-1)))
        b.store(y, loop.var, ir.apply(Scalar.ADD, before, ONE))
    assert not np.array_equal(run(b, order=Order.FORWARD), run(b, order=Order.REVERSE))


def test_the_smallest_report_counts() -> None:
    b, _x, _y = start()
    with b.for_("i", 0, 8, LoopKind.VECTOR, lanes=4) as loop:
        for site, bound in ((1, 2), (0, 5)):
            b.call("report", ir.apply(Scalar.GT, loop.var, const(bound)), const(site), loop.var)
    y_ = np.zeros(8, np.float32)
    for order in Order:
        assert interpret(b.function(), [y_, y_], [], order) == (0, 6)


def transpose_through_shared(barrier: bool) -> Builder:
    b, x, y = start()
    with b.for_("block", 0, 1, LoopKind.BLOCK):
        shared = b.alloc("tile", F32, 8, Space.SHARED)
        with b.for_("t", 0, 8, LoopKind.THREAD) as t:
            b.store(shared, t.var, load(x, t.var))
        if barrier:
            b.barrier()
        with b.for_("u", 0, 8, LoopKind.THREAD) as u:
            b.store(y, u.var, load(shared, ir.apply(Scalar.SUB, const(7), u.var)))
    return b


@pytest.mark.parametrize("order", list(Order))
def test_shared_memory_needs_barriers(order: Order) -> None:
    assert np.array_equal(run(transpose_through_shared(True), order=order), range(7, -1, -1))
    with pytest.raises(LoopFault, match="without a barrier"):
        run(transpose_through_shared(False), order=order)


def test_threads_meet_at_a_barrier_inside_their_loop() -> None:
    b, x, y = start()
    with b.for_("block", 0, 1, LoopKind.BLOCK):
        shared = b.alloc("tile", F32, 8, Space.SHARED)
        with b.for_("t", 0, 8, LoopKind.THREAD) as t:
            b.store(shared, t.var, load(x, t.var))
            b.barrier()
            b.store(y, t.var, load(shared, ir.apply(Scalar.SUB, const(7), t.var)))
    for order in Order:
        assert np.array_equal(run(b, order=order), range(7, -1, -1))


def test_two_threads_write_one_element() -> None:
    b, x, _y = start()
    shared = b.alloc("tile", F32, 8, Space.SHARED)
    with b.for_("t", 0, 8, LoopKind.THREAD) as t:
        b.store(shared, 0, load(x, t.var))
    for order in Order:
        with pytest.raises(LoopFault, match="two threads"):
            run(b, order=order)
