"""Runs CUDA C on a GPU: compiled by nvcc, loaded and launched by PyCUDA."""

from __future__ import annotations

import atexit
import shutil
import struct
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tests.compiler.codegen.cuda_host import Array, phases

from weftc.loop.ir import LoopFunction
from weftc.schedule.cuda.bind import THREADS
from weftrt.cpu.trial import first_report
from weftrt.program import Report

_SITES = 8
"""Words for reports: a few sites."""


@cache
def missing() -> str | None:
    """What it takes to run CUDA C and is not here, None if all is."""
    if shutil.which("nvcc") is None:
        return "nvcc is not installed"
    try:
        driver = _driver()
    except ImportError as error:
        return f"PyCUDA cannot be imported: {error}"
    except Exception as error:  # PyCUDA's errors are not known without it
        return f"there is no GPU: {error}"
    return None if driver.Device.count() else "there is no GPU"


@cache
def _driver() -> ModuleType:
    """PyCUDA's driver, with the first GPU's primary context current in this thread."""
    driver = import_module("pycuda.driver")
    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    atexit.register(context.pop)  # a context that is left makes PyCUDA abort
    return driver


class Module:
    """CUDA C compiled for the first GPU."""

    def __init__(self, text: str, functions: Sequence[LoopFunction], folder: Path) -> None:
        self._phases = phases(text, functions)
        source, cubin = folder / "module.cu", folder / "module.cubin"
        source.write_text(text)
        major, minor = _driver().Device(0).compute_capability()
        command = ["nvcc", "--cubin", f"-arch=sm_{major}{minor}", "--fmad=false"]
        subprocess.run([*command, "-o", str(cubin), str(source)], check=True)
        self._module = _driver().module_from_buffer(cubin.read_bytes())

    def run(
        self, function: LoopFunction, arrays: Sequence[Array], sizes: Sequence[int], blocks: int
    ) -> Report:
        """Launch every phase of `function` in order, on copies of the arrays that then come back.
        PyCUDA's errors where a launch fails."""
        status = np.full(_SITES, -1, np.int64)
        copies = [(array, _copied(array)) for array in (*arrays, status)]
        *places, last = [int(place) for _, place in copies]
        arguments = struct.pack(f"{len(arrays)}Q{len(sizes)}qQ", *places, *sizes, last)
        for name in self._phases[function.name]:
            kernel = self._module.get_function(name)
            kernel._launch_kernel((blocks, 1, 1), (THREADS, 1, 1), arguments, 0, None)
        _driver().Context.synchronize()
        for array, place in copies:
            if array.nbytes:
                _driver().memcpy_dtoh(array, place)
        return first_report(status.tolist())


def _copied(array: Array) -> Any:
    """Memory of the GPU that holds what a contiguous array does."""
    place = _driver().mem_alloc(max(array.nbytes, 1))
    if array.nbytes:
        _driver().memcpy_htod(place, array)
    return place
