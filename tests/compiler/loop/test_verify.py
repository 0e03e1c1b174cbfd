"""Every rule of the verifier, broken once; the message names the statement."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from weftc.loop import ir
from weftc.loop.build import Builder, load
from weftc.loop.ir import (
    INDEX,
    Alloc,
    Buffer,
    Carry,
    Const,
    For,
    Let,
    Load,
    LoopKind,
    LoopType,
    Op,
    Ramp,
    Reduce,
    Scalar,
    Space,
    Splat,
    Store,
    Term,
    Tree,
    Var,
    const,
)
from weftc.loop.verify import verify
from weftrt import dtypes
from weftrt.errors import VerifyError

F32 = dtypes.float32
X = Buffer("x", F32)
ONE = const(1.0, F32)
WIDE = LoopType(F32, 4)
FOUR = Const(1.0, WIDE)
MASK = Const(True, LoopType(dtypes.bool_, 4))
I = Var("i", INDEX)
A, B = Var("a", LoopType(F32)), Var("b", LoopType(F32))


def over(var: Var, *body: ir.Stmt, **more: object) -> For:
    return For(var, const(0), const(4), body, **more)  # type: ignore[arg-type]


def store(value: ir.Expr, index: ir.Expr | None = None, mask: ir.Expr | None = None) -> Store:
    return Store(X, index or const(0), value, mask)


def big() -> Alloc:
    return Alloc(Buffer("l", F32, Space.LOCAL, (64 << 10) + 1))


WRITTEN: dict[str, tuple[ir.Stmt, ...]] = {
    "a is not bound": (store(A),),
    "i is not bound": (over(I, store(ONE, I)), store(ONE, I)),
    "i is bound twice": (over(I, over(I)),),
    "a is f32, used as f64": (Let(A, ONE), store(ir.cast(Var("a", LoopType(dtypes.float64)), F32))),
    "f32 where f64 is needed": (Let(Var("a", LoopType(dtypes.float64)), ONE),),
    "x holds float32": (store(const(1.0, dtypes.float64)),),
    "an index is i64": (store(ONE, const(0, dtypes.int32)),),
    "what is to be widened has no f32x4": (
        over(I, store(FOUR), kind=ir.LoopKind.VECTOR, lanes=4),
    ),
    "a mask of type i64": (store(ONE, mask=const(1)),),
    "add over f32, i64": (store(ir.apply(Scalar.ADD, ONE, const(1))),),
    "and over f32, f32": (store(ir.apply(Scalar.AND, ONE, ONE)),),
    "select over f32": (store(ir.apply(Scalar.SELECT, ONE, ONE, ONE)),),
    "neg takes 1": (store(Op(Scalar.NEG, (ONE, ONE), ONE.type)),),
    "bitcast over f32": (store(ir.cast(ir.bitcast(ONE, dtypes.int64), F32)),),
    "300 is no uint8": (store(ir.cast(const(300, dtypes.uint8), F32)),),
    "the buffer z is not declared": (store(load(Buffer("z", F32), 0)),),
    "l takes 262148 bytes": (big(),),
    "alloc of global memory": (Alloc(Buffer("l", F32, Space.GLOBAL, 4)),),
    "the step 0": (over(I, step=0),),
    "a vector loop carries no": (
        over(I, kind=LoopKind.VECTOR, carried=(Carry(A, ONE, A, B),)),
    ),
    "3 lanes are not": (over(I, kind=LoopKind.VECTOR, lanes=3),),
    "an unrolled loop has fixed": (
        For(I, const(0), Var("n", INDEX), (), LoopKind.UNROLLED),
    ),
    "at the top level only": (over(I, over(Var("j", INDEX), kind=LoopKind.PARALLEL)),),
    "a is not bound here": (over(I, Let(A, ONE)), store(A)),
    "changes type": (over(I, carried=(Carry(A, ONE, A, Var("b", INDEX)),)),),
    "i64 where f32 is needed": (over(I, carried=(Carry(A, ONE, const(1), B),)),),
    "sub does not reduce": (Reduce(I, const(4), (), (Term(Scalar.SUB, ONE, A),)),),
    "a reduce holds if": (Reduce(I, const(4), (ir.If(const(True, dtypes.bool_), ()),), ()),),
    "f32 where bool is needed": (ir.If(ONE, ()),),
    "no intrinsic shout": (ir.Call("shout", ()),),
    "with a buffer": (ir.Call("prefetch", (const(0),)),),
}  # fmt: skip

WIDENED: dict[str, tuple[ir.Stmt, ...]] = {
    "a widened function has no vector": (over(I, kind=LoopKind.VECTOR),),
    "a widened function has no reduce": (Reduce(I, const(4), (), ()),),
    "a mask of type boolx4 for 1": (store(ONE, mask=MASK),),
    "an index of 4 lanes for 1": (store(ONE, Ramp(const(0), LoopType(INDEX.dtype, 4))),),
    "lanes differ": (store(ir.apply(Scalar.ADD, FOUR, ONE)),),
    "splat of f32x4": (store(Splat(FOUR, WIDE)),),
    "tree of f32 ": (store(Tree(Scalar.ADD, ONE, ONE.type)),),
    "tree of f32x4 by sub": (store(Tree(Scalar.SUB, FOUR, ONE.type)),),
    "3 lanes are not": (store(Const(1.0, LoopType(F32, 3))),),
    "a mask of type bool for 4": (
        store(Load(X, const(0), WIDE, const(True, dtypes.bool_))),
    ),
}  # fmt: skip


def refused(statements: tuple[ir.Stmt, ...], message: str, widened: bool) -> None:
    function = ir.LoopFunction("f", (X,), (Var("n", INDEX),), statements)
    with pytest.raises(VerifyError) as caught:
        verify(function, widened)
    assert message in str(caught.value) and str(caught.value).startswith("f: ")


@pytest.mark.parametrize("message", WRITTEN)
def test_written_mistakes(message: str) -> None:
    refused(WRITTEN[message], message, widened=False)


@pytest.mark.parametrize("message", WIDENED)
def test_widened_mistakes(message: str) -> None:
    refused(WIDENED[message], message, widened=True)


def test_the_message_names_the_statement() -> None:
    refused((over(I, Let(A, ONE), store(B)),), "b is not bound here (in for i > store x)", False)


def good(build: Callable[[Builder, Buffer], None]) -> None:
    b = Builder("good")
    build(b, b.buffer("x", F32))
    verify(b.function())


def test_names_of_an_ended_loop_may_be_used_at_its_end() -> None:
    def carried(b: Builder, x: Buffer) -> None:
        with b.for_("i", 0, 4, carried=[("c", ONE)]) as loop:
            loop.next(b.let("inside", ir.apply(Scalar.ADD, loop.values[0], ONE)))
        b.store(x, 0, loop.results[0])

    good(carried)


def test_parameters_are_global_then_scratch() -> None:
    scratch = Buffer("s", F32, Space.SCRATCH, 4)
    with pytest.raises(VerifyError, match="GLOBAL, then SCRATCH"):
        verify(ir.LoopFunction("f", (scratch, X), (), ()))
