"""Running what was compiled on given arrays, so that it can be compared: kernels and programs."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from weftrt import array
from weftrt.cpu import executable as executables
from weftrt.cpu.executable import Executable
from weftrt.program import KernelCode, Program, Report

Array: TypeAlias = "np.ndarray[Any, Any]"

_KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def run_kernel(code: KernelCode, arrays: Sequence[Array], sizes: Sequence[int]) -> Report:
    """Run one kernel on its buffers, in place."""
    kernel = executables.link_kernels([code])[code.symbol]
    return call_kernel(kernel.address, arrays, sizes, code.sites)


def call_kernel(
    address: int, arrays: Sequence[Array], sizes: Sequence[int], sites: int = 0
) -> Report:
    """The same for code that is linked already, and has so many sites."""
    buffers = (ctypes.c_void_p * max(len(arrays), 1))(*(a.ctypes.data for a in arrays))
    extents = (ctypes.c_int64 * max(len(sizes), 1))(*sizes)
    status = (ctypes.c_int64 * max(sites, 1))(*[-1] * max(sites, 1))
    _KERNEL(address)(buffers, extents, status)
    return first_report(status)


def first_report(status: Iterable[int]) -> Report:
    """What a kernel reported, by the words of its sites."""
    return next(((site, element) for site, element in enumerate(status) if element != -1), None)


def run_program(program: Program, arrays: Sequence[Array]) -> list[Array]:
    """Run a program on inputs: an array for each output of the traced function."""
    return run_loaded(executables.load(program), arrays)


def run_loaded(executable: Executable, arrays: Sequence[Array]) -> list[Array]:
    """The same for a program that is ready to run."""
    given = [array.from_numpy(np.array(a, order="C"), True) for a in arrays]
    return [array.to_numpy(output) for output in executable.run(given)]
