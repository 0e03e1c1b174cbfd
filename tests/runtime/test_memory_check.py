"""Faulty kernels, written by hand: each is found, and named with its line and buffer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.programs import ADD, CHECK, NEGATE, N, add_program, spec

from weftrt import array
from weftrt.cpu.executable import load
from weftrt.errors import MemoryCheckError, OutOfBoundsError
from weftrt.program import BufferUse, KernelCode, Launch, LaunchUse, Program, Role, Site, Temporary

LINE = "user.py:7: x + y"


def kernel(symbol: str, body: str) -> KernelCode:
    """A kernel of buffers %p0 (read), %p1 (written), %p2 (scratch of 8 floats), of %n elements. It
    copies the first to the second, then does `body`."""
    pointers = "\n".join(
        f"  %q{k} = getelementptr ptr, ptr %buffers, i64 {k}\n  %p{k} = load ptr, ptr %q{k}"
        for k in range(3)
    )
    text = f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @{symbol}(ptr %buffers, ptr %sizes, ptr %status) {{
{pointers}
  %n = load i64, ptr %sizes
  %bytes = mul i64 %n, 4
  call void @llvm.memcpy.p0.p0.i64(ptr %p1, ptr %p0, i64 %bytes, i1 false)
{body}
  ret void
}}
"""
    return KernelCode(symbol, text, sites=1)


def at(pointer: int, element: int | str, load: bool) -> str:
    """A volatile read or write of an element."""
    place = f"  %e = getelementptr float, ptr %p{pointer}, i64 {element}\n"
    if load:
        return place + "  %v = load volatile float, ptr %e, align 1"
    return place + "  store volatile float 1.0, ptr %e, align 1"


USES = (
    BufferUse("x, f32[n0]", Role.READ, 4, 4, 1),
    BufferUse("out, f32[n0]", Role.WRITTEN, 4, 4, 1),
    BufferUse("work of 32 bytes", Role.SCRATCH, 1, 4, 2),
)


def program(code: KernelCode, uses: tuple[BufferUse, ...] = USES) -> Program:
    return Program(
        name="copy",
        key="copy",
        inputs=(spec(N),),
        outputs=(spec(N),),
        symbols=((0, 0),),
        derived=((N,), (32,)),
        temporaries=(Temporary(0),),
        arena=64,
        kernels=(code,),
        steps=(Launch(0, (0, 1, 2), (0, 1, 2), use=LaunchUse(LINE, uses)),),
        sites=(Site(OutOfBoundsError, "user.py:9: x[i]", "it is {index}"),),
        results=(0,),
        work=1,
    )


def run(code: KernelCode, count: int = 10) -> np.ndarray:
    [out] = load(program(code)).run([np.arange(count, dtype="f4")])
    return array.to_numpy(out)


@pytest.mark.parametrize("count", [0, 2, 1023, 1024, 1025, 100_000])
def test_a_right_kernel(count: int) -> None:
    np.testing.assert_array_equal(run(kernel("right", ""), count), np.arange(count, dtype="f4"))


def test_scratch_may_be_used() -> None:
    body = at(2, 7, load=False) + "\n  %w = load float, ptr %e\n  store float %w, ptr %p1"
    assert run(kernel("scratch", body)).tolist() == [1, *range(1, 10)]


FOUND = {
    "write before": (at(1, -1, load=False), "writes before the start of its output out, f32[n0]"),
    "write far before": (at(1, -700, load=False), "writes before the start of its output out"),
    "write input": (at(0, 3, load=False), "changes its input x, f32[n0]"),
    "write before scratch": (at(2, -2, load=False), "writes before the start of its scratch work"),
    "read scratch": (
        at(2, 5, load=True) + "\n  store float %v, ptr %p1",
        "gives element 0 of its output out, f32[n0] from memory that it did not write",
    ),
}


@pytest.mark.parametrize("kind", FOUND)
def test_what_is_found_after_the_run(kind: str) -> None:
    body, message = FOUND[kind]
    code = kernel(f"faulty_{kind.replace(' ', '_')}", body)
    with pytest.raises(MemoryCheckError) as caught:
        run(code)
    assert str(caught.value).startswith(f"{LINE}: the kernel {code.symbol} {message}")


@pytest.mark.parametrize("element", [0, 9])
def test_an_element_that_is_not_written(element: int) -> None:
    """It is restored to what it was before: the kernel as a whole does not write it."""
    code = kernel("unwritten", "")
    place = f"  %e = getelementptr i32, ptr %p1, i64 {element}\n"
    text = code.llvm.replace("  %bytes", f"{place}  %was = load i32, ptr %e\n  %bytes", 1)
    text = text.replace("  ret void", "  store i32 %was, ptr %e\n  ret void")
    message = f"does not write element {element} of its output out, f32\\[n0\\]"
    with pytest.raises(MemoryCheckError, match=message):
        run(KernelCode("unwritten", text))


def test_a_failure_from_foreign_memory() -> None:
    body = at(2, 0, load=True) + (
        "\n  %bad = fcmp ult float %v, 0.0\n  %bits = bitcast float %v to i32\n"
        "  %less = icmp slt i32 %bits, 0\n  %code = select i1 %less, i64 4, i64 -1\n"
        "  store i64 %code, ptr %status"
    )
    with pytest.raises(MemoryCheckError, match="fails or not"):
        run(kernel("fails_or_not", body))


def chain(temporaries: tuple[int, int], order: tuple[int, ...] = (0, 1, 2)) -> Program:
    """(x + x) - x through two temporaries at these offsets."""
    x, out, doubled, negated = range(4)
    read, written = USES[0], USES[1]
    calls = [(0, (x, x, doubled)), (1, (x, negated)), (0, (doubled, negated, out))]
    uses = [LaunchUse(LINE, (*[read] * (len(b) - 1), written)) for _, b in calls]
    steps = [Launch(kernel, b, (0, 1), use=use) for (kernel, b), use in zip(calls, uses)]
    return replace(
        program(ADD),
        temporaries=tuple(map(Temporary, temporaries)),
        arena=256,
        kernels=(ADD, NEGATE),
        steps=tuple(steps[i] for i in order),
    )


def test_temporaries() -> None:
    executable = load(chain((0, 64)))
    for count in (2, 10, 3):
        x = np.arange(count, dtype="f4")
        [out] = executable.run([x])
        assert array.to_numpy(out).tolist() == x.tolist()


def test_temporaries_that_overlap() -> None:
    message = f"{ADD.symbol} reads its input x, f32[n0], which was overwritten after {ADD.symbol}"
    with pytest.raises(MemoryCheckError, match=re.escape(message)):
        load(chain((0, 36))).run([np.arange(10, dtype="f4")])


def test_a_temporary_that_is_not_written() -> None:
    executable = load(chain((0, 64), (0, 2)))
    for _ in range(2):  # of one run the next knows nothing
        with pytest.raises(MemoryCheckError, match="which no kernel has written"):
            executable.run([np.arange(10, dtype="f4")])


def test_the_programs_own_errors_stay() -> None:
    uses = (USES[0], USES[1])
    checked = replace(
        program(CHECK, uses),
        sites=(Site(OutOfBoundsError, "user.py:9: x[i]", "bad"),),
        steps=(Launch(0, (0, 1), (0, 1, 2), use=LaunchUse(LINE, uses)),),
    )
    executable = load(checked)
    executable.run([np.float32([1, 2])])
    for _ in range(2):
        with pytest.raises(OutOfBoundsError, match=r"user.py:9: x\[i\]: bad \(element 1\)"):
            executable.run([np.float32([1, -2])])


def test_unwatched_programs_run_bare() -> None:
    assert not add_program(4).is_watched
    x = np.float32([1, 2, 3, 4])
    [out] = load(add_program(4)).run([x, x])
    assert array.to_numpy(out).tolist() == [2, 4, 6, 8]
    assert ADD.symbol


FAULTS = {
    "read past": (at(0, "%n", load=True), "past the end of its input x, f32[n0]"),
    "write past": (at(1, "%n", load=False), "past the end of its output out, f32[n0]"),
    "read before": (at(0, -1, load=True), "before the start of its input x, f32[n0]"),
    "read before output": (at(1, -1, load=True), "before the start of its output out, f32[n0]"),
    "read far past": (at(0, 100_000, load=True), "past the end of its input x, f32[n0]"),
    "read past scratch": (at(2, 8, load=True), "past the end of its scratch work of 32 bytes"),
}

FAULT = """
import sys
from tests.runtime import test_memory_check as tests
body, _ = tests.FAULTS[sys.argv[1]]
print(tests.run(tests.kernel("faulty", body)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reports of faults need Linux")
@pytest.mark.parametrize("kind", FAULTS)
def test_what_faults(kind: str) -> None:
    _, message = FAULTS[kind]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", FAULT, kind],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -11 and done.stdout == ""
    assert done.stderr == (
        f"weft: {LINE}: the kernel faulty touches memory {message}. This is a bug in Weft\n"
    )
