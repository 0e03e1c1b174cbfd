"""C functions that programs call by name."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.programs import ADD, N, spec

from weftrt import array
from weftrt.cpu import externs, sorts
from weftrt.cpu.executable import load
from weftrt.cpu.externs import Routine
from weftrt.cpu.linker import link
from weftrt.errors import OutOfBoundsError, UsageError
from weftrt.program import Extern, Launch, Program, Site, Temporary

# buffers[1][i] = context[0] where buffers[0][i] >= 0 for i < sizes[0]; the first negative is wrong.
SIGNS = """
define i64 @test_signs(ptr %buffers, ptr %sizes, ptr %context) {
entry:
  %x = load ptr, ptr %buffers
  %q = getelementptr ptr, ptr %buffers, i64 1
  %out = load ptr, ptr %q
  %n = load i64, ptr %sizes
  %value = load float, ptr %context
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %look, label %good
look:
  %p = getelementptr float, ptr %x, i64 %i
  %v = load float, ptr %p
  %bad = fcmp olt float %v, 0.0
  br i1 %bad, label %failed, label %body
body:
  %o = getelementptr float, ptr %out, i64 %i
  store float %value, ptr %o
  %next = add i64 %i, 1
  br label %test
failed:
  ret i64 %i
good:
  ret i64 -1
}
"""
VALUE = np.float32([7])
asked = []


def find() -> Routine:
    asked.append(1)
    code = link("test_signs", SIGNS)
    return Routine(code.address, VALUE.ctypes.data, (code, VALUE))


externs.register("test.signs", find)


def program(name: str = "test.signs") -> Program:
    """7 for each of x + x, and 7 + 7."""
    x, out, doubled, seven = range(4)
    return Program(
        name="signs",
        key="signs",
        inputs=(spec(N),),
        outputs=(spec(N),),
        symbols=((0, 0),),
        derived=(),
        temporaries=(Temporary(0), Temporary(4096)),
        arena=8192,
        kernels=(ADD,),
        steps=(
            Launch(0, (x, x, doubled), (0,)),
            Extern(name, (doubled, seven), (0,), site=1),
            Launch(0, (seven, seven, out), (0,)),
        ),
        sites=(
            Site(OutOfBoundsError, "", ""),
            Site(OutOfBoundsError, "user.py:3", "x is negative"),
        ),
        results=(0,),
        work=0,
    )


@pytest.mark.parametrize("count", [0, 2, 1000])
def test_a_function_is_called(count):
    [out] = load(program()).run([np.ones(count, "f4")])
    assert array.to_numpy(out).tolist() == [14] * count


def test_a_function_may_fail():
    x = np.float32([1, 1, 1, -1])
    with pytest.raises(OutOfBoundsError, match=r"^user\.py:3: x is negative \(element 3\)$"):
        load(program()).run([x])


def test_a_function_is_looked_for_once():
    load(program())
    before = len(asked)
    load(program())
    assert len(asked) == before == 1


def test_a_function_that_nobody_knows():
    with pytest.raises(UsageError, match=r"calls test\.nothing, a C function that nobody"):
        load(program("test.nothing"))


def test_what_the_runtime_has_itself():
    assert externs.routine("weft_sort_f32").address == sorts.address("weft_sort_f32")
