"""Running what was compiled on given arrays, so that it can be compared: kernels and programs."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftrt import array
from weftrt.cpu import executable as executables
from weftrt.cpu.executable import Executable
from weftrt.program import KernelCode, Program

Array: TypeAlias = "np.ndarray[Any, Any]"

_KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def run_kernel(code: KernelCode, arrays: Sequence[Array], sizes: Sequence[int]) -> int:
    """Run one kernel on its buffers, in place; the status word."""
    kernel = executables.link_kernels([code])[code.symbol]
    return call_kernel(kernel.address, arrays, sizes)


def call_kernel(address: int, arrays: Sequence[Array], sizes: Sequence[int]) -> int:
    """The same for code that is linked already."""
    buffers = (ctypes.c_void_p * max(len(arrays), 1))(*(a.ctypes.data for a in arrays))
    extents = (ctypes.c_int64 * max(len(sizes), 1))(*sizes)
    status = ctypes.c_int64(-1)
    _KERNEL(address)(buffers, extents, ctypes.byref(status))
    return status.value


def run_program(program: Program, arrays: Sequence[Array]) -> list[Array]:
    """Run a program on inputs: an array for each output of the traced function."""
    return run_loaded(executables.load(program), arrays)


def run_loaded(executable: Executable, arrays: Sequence[Array]) -> list[Array]:
    """The same for a program that is ready to run."""
    given = [array.from_numpy(np.array(a, order="C"), True) for a in arrays]
    return [array.to_numpy(output) for output in executable.run(given)]
