"""Kernels run with IEEE arithmetic whatever another library has set, and leave it as it was."""

from __future__ import annotations

import ctypes
import platform

import numpy as np
import pytest
from tests.runtime.programs import elementwise, spec
from tests.runtime.test_threads import program as parallel_program
from tests.threads import thread_limit

from weftrt import array
from weftrt.cpu.executable import load
from weftrt.cpu.linker import link
from weftrt.program import Launch, Program

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="sets the x86 control word"
)

DEFAULT, FLUSH = 0x1F80, 0x1F80 | 0x8040
HALVE = elementwise("test_halve", "  %r = fmul float %x0, 5.0e-1", inputs=1)


@pytest.fixture
def control_word():
    """Functions that read and set MXCSR; it is the default again afterwards."""
    get = link(
        "test_get_mode",
        """declare void @llvm.x86.sse.stmxcsr(ptr)
define i32 @test_get_mode() {
  %p = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %p)
  %v = load i32, ptr %p
  ret i32 %v
}
""",
    )
    put = link(
        "test_set_mode",
        """declare void @llvm.x86.sse.ldmxcsr(ptr)
define void @test_set_mode(i32 %v) {
  %p = alloca i32
  store i32 %v, ptr %p
  call void @llvm.x86.sse.ldmxcsr(ptr %p)
  ret void
}
""",
    )
    setter = ctypes.CFUNCTYPE(None, ctypes.c_int)(put.address)
    yield ctypes.CFUNCTYPE(ctypes.c_int)(get.address), setter
    setter(DEFAULT)


def test_denormals_are_kept_and_the_mode_is_restored(control_word):
    get, put = control_word
    halve = Program(
        name="halve",
        key="halve",
        inputs=(spec(4),),
        outputs=(spec(4),),
        symbols=(),
        derived=((4,),),
        temporaries=(),
        arena=0,
        kernels=(HALVE,),
        steps=(Launch(0, (0, 1), (0,)),),
        sites=(),
        results=(0,),
        work=0,
    )
    executable = load(halve)
    x = array.from_numpy(np.float32([1e-40, -1e-44, 1.2e-38, 1]))
    put(FLUSH)
    [out] = executable.run([x])
    mode = get() & ~0x3F
    put(DEFAULT)
    assert mode == FLUSH
    expected = array.to_numpy(x) * np.float32(0.5)
    assert (expected != 0).all()
    np.testing.assert_array_equal(array.to_numpy(out), expected)


def test_workers_keep_denormals(control_word):
    _, put = control_word
    executable = load(parallel_program())
    x = array.from_numpy(np.full(1000, 1e-20, "f4"))
    put(FLUSH)
    with thread_limit(7):
        [out] = executable.run([x])
    put(DEFAULT)
    values = array.to_numpy(out)
    assert values[0] != 0 and (values == values[0]).all()
