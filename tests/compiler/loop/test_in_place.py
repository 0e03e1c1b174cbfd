"""What may be written over what is read."""

from __future__ import annotations

from weftc.loop import ir
from weftc.loop.build import Builder, load
from weftc.loop.in_place import runs_in_place
from weftc.loop.ir import Expr, LoopFunction, Scalar, const
from weftc.loop.simplify import simplify
from weftc.loop.widen import widen
from weftrt import dtypes
from weftrt.cpu.host import host

F32 = dtypes.float32
ONE = const(1.0, F32)


def plus_one(value: Expr) -> Expr:
    return ir.apply(Scalar.ADD, value, ONE)


def in_place(function: LoopFunction) -> bool:
    """The answer for the first buffer, which is read, and the last; widening changes no answer."""
    final = simplify(widen(function, host()))
    answers = {runs_in_place(f, f.buffers[0], f.buffers[-1]) for f in (function, final)}
    [answer] = answers
    return answer


def test_element_by_element() -> None:
    b = Builder("f")
    x, y, n = b.buffer("x", F32), b.buffer("y", F32), b.size("n")
    with b.for_("i", 0, n, kind=ir.LoopKind.VECTOR, lanes=32) as loop:
        i = loop.var
        b.store(y, i, plus_one(load(x, i)))
    assert in_place(b.function())


def test_equal_places_however_they_are_written() -> None:
    b = Builder("f")
    x, y, n = b.buffer("x", F32), b.buffer("y", F32), b.size("n")
    with b.for_("i", 0, n) as loop:
        i = loop.var
        b.store(y, ir.mul(i, const(3)), plus_one(load(x, ir.mul(i, const(3)))))
    assert in_place(b.function())


def test_other_places() -> None:
    for place in (lambda i: ir.add(i, const(1)), lambda i: ir.mul(i, const(2)), lambda _: const(0)):
        b = Builder("f")
        x, y, n = b.buffer("x", F32), b.buffer("y", F32), b.size("n")
        with b.for_("i", 0, n) as loop:
            i = loop.var
            b.store(y, i, plus_one(load(x, place(i))))
        assert not in_place(b.function())


def test_a_read_after_the_write() -> None:
    b = Builder("f")
    x, z, y, n = b.buffer("x", F32), b.buffer("z", F32), b.buffer("y", F32), b.size("n")
    with b.for_("i", 0, n) as loop:
        i = loop.var
        b.store(y, i, ONE)
        b.store(z, i, plus_one(load(x, i)))
    assert not runs_in_place(b.function(), x, y)
    assert runs_in_place(b.function(), x, z)


def test_a_read_in_another_loop() -> None:
    """Its turns come before, but nothing shows that they are the same."""
    b = Builder("f")
    x, z, y, n = b.buffer("x", F32), b.buffer("z", F32), b.buffer("y", F32), b.size("n")
    with b.for_("i", 0, n) as loop:
        i = loop.var
        b.store(z, i, load(x, i))
    with b.for_("j", 0, n) as loop:
        i = loop.var
        b.store(y, i, load(z, i))
    assert not in_place(b.function())
