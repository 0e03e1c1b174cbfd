"""Text round trips, and what the symbol of a kernel stands for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from tests.compiler.loop.draw import Drawn, functions

from weftc.codegen import llvm
from weftc.loop import ir
from weftc.loop.build import Builder, load
from weftc.loop.ir import LoopFunction, LoopKind, Scalar, Space, const
from weftc.loop.parse import parse_function
from weftc.loop.print import print_function
from weftc.loop.simplify import simplify
from weftc.loop.widen import widen
from weftrt import dtypes
from weftrt.errors import VerifyError
from weftrt.target import Target

TARGET = Target("x86_64-unknown-linux-gnu", (), 512)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(functions())
def test_text_reads_back_to_the_same_text(drawn: Drawn) -> None:
    widened = widen(drawn.function, TARGET)
    for function in (drawn.function, widened, simplify(widened)):
        text = print_function(function)
        again = parse_function(text)
        assert print_function(again) == text


def scale(name: str, x: str, factor: float = 2.0) -> LoopFunction:
    b = Builder(name)
    source, result = b.buffer(x, dtypes.float32, aligned=64), b.buffer("out", dtypes.float32)
    kept = b.size("n")
    b.buffer("t", dtypes.float64, Space.SCRATCH, size=ir.mul(kept, const(2)))
    with b.for_("i", 0, kept, LoopKind.VECTOR, lanes=16) as loop:
        doubled = ir.apply(Scalar.MUL, load(source, loop.var), const(factor, dtypes.float32))
        b.store(result, loop.var, ir.apply(Scalar.ADD, doubled, doubled), nontemporal=True)
    return b.function()


def test_the_written_form() -> None:
    assert print_function(scale("scale", "x")) == (
        "function scale(x: global f32 align 64, out: global f32, t: scratch f64[n * 2]; n)\n"
        "  for i in 0 .. n vector(16)\n"
        "    %0 = x[i] * 2.0:f32\n"
        "    store nontemporal out[i] = %0 + %0\n"
    )


def test_the_widened_form() -> None:
    assert print_function(simplify(widen(scale("scale", "x"), TARGET))) == (
        "function scale(x: global f32 align 64, out: global f32, t: scratch f64[n * 2]; n)\n"
        "  let i_end: i64 = n & -16\n"
        "  for i_1 in 0 .. i_end step 16\n"
        "    let t_1: f32x16 = x[i_1:16] * 2.0:f32x16\n"
        "    store nontemporal out[i_1] = t_1 + t_1\n"
        "  if i_end < n\n"
        "    let mask: boolx16 = ramp(0:i32, 16) < splat(cast(i32, n - i_end), 16)\n"
        "    let t_2: f32x16 = x[i_end:16 if mask] * 2.0:f32x16\n"
        "    store nontemporal out[i_end] = t_2 + t_2 if mask\n"
    )


def test_code_depends_on_content_only() -> None:
    """The pipeline names kernels by their code, so that equal ones are one."""

    def code(name: str, factor: float) -> str:
        return llvm.emit(simplify(widen(scale(name, "x", factor), TARGET)), TARGET, "k")

    assert code("one", 2.0) == code("two", 2.0)
    assert code("one", 2.0) != code("one", 3.0)
    assert code("one", 0.0) != code("one", -0.0)


def test_special_values_read_back() -> None:
    b = Builder("special")
    y, i = b.buffer("y", dtypes.float64), b.buffer("i", dtypes.int64)
    for at, value in enumerate((0.0, -0.0, float("inf"), -float("inf"), float("nan"), 5e-324)):
        b.store(y, at, const(value, dtypes.float64))
    b.store(i, 0, const(-(1 << 63)))
    b.store(i, 1, ir.cast(const(True, dtypes.bool_), dtypes.int64))
    b.store(i, 2, ir.apply(Scalar.SUB, const(3), const(-4)))
    text = print_function(b.function())
    assert print_function(parse_function(text)) == text


def test_ramps_read_back() -> None:
    for step in ("", ", -1", ", 3"):
        text = f"function f(x: global f32, y: global f32)\n  store y[0] = x[ramp(9, 4{step})]\n"
        assert print_function(parse_function(text)) == text


def test_cuda_statements_read_back() -> None:
    b = Builder("block")
    y, n = b.buffer("y", dtypes.float32), b.size("n")
    with b.for_("row", 0, n, LoopKind.BLOCK) as row:
        shared = b.alloc("s", dtypes.float32, 64, Space.SHARED)
        with b.for_("t", 0, 64, LoopKind.THREAD) as thread:
            b.store(shared, thread.var, const(1.0, dtypes.float32))
        b.barrier()
        b.call("prefetch", row.var, buffer=y)
        b.call("report", ir.apply(Scalar.GT, row.var, const(3)), const(0), row.var)
    text = print_function(b.function())
    assert print_function(parse_function(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "function f(x: global f32)\n  stare x[0] = 1.0:f32",
        "function f(x: global f32)\n  store x[0] = y",
        "function f(x: global f32)\n  store z[0] = 1.0:f32",
        "function f(x: global f32)\n  store x[0] = 1.0:f32 1",
        "function f(x: global f33)\n",
        "function f(x: global f32)\n  store x[0] = foo(1)",
    ],
)
def test_unreadable_text_is_refused(text: str) -> None:
    with pytest.raises(VerifyError, match="cannot read"):
        parse_function(text)
