"""Imports and first arrays, in processes of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial

from benchmarks import processes
from benchmarks.records import Case, Size, Work

IMPORT = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"
IMPORTS = {"weft": "weft", "numpy": "numpy", "torch eager": "torch", "jax.jit": "jax.numpy"}
FIRST_ARRAY = """
import time
t = time.perf_counter()
import weft as wf
wf.ones((4,))
print(time.perf_counter() - t)
"""
FIRST_COMPILE = """
import time
import numpy as np
import weft as wf
x = wf.asarray(np.ones(4))
t = time.perf_counter()
wf.jit(lambda x: x * 3 - 1)(x)
print(time.perf_counter() - t)
"""
RUNTIME = "import weft as wf; wf.ones((4,)); print(0)"


def cases(size: Size) -> Iterator[Case]:
    """`size` changes nothing: there is nothing to make small."""
    makers = {name: partial(_python, IMPORT.format(module)) for name, module in IMPORTS.items()}
    yield Case("import", makers, figure=True, quick=True)
    makers = {
        "weft": partial(_cached, FIRST_ARRAY),
        "weft cache off": _cache_off,
        "weft first process": _first_process,
    }
    yield Case("import and the first array", makers, figure=True)
    yield Case("first compile of a process", {"weft": _first_compile}, figure=True)


def _python(text: str) -> Work:
    return lambda: processes.code(text)


def _cached(text: str) -> Work:
    """With the native runtime, and what the text compiles, in the cache."""
    folder = tempfile.TemporaryDirectory()
    processes.code(text, WEFT_CACHE=folder.name)
    return lambda: processes.code(text, WEFT_CACHE=folder.name)


def _cache_off() -> Work:
    """With no cache but what the runtime keeps in the temporary folder."""
    folder = tempfile.TemporaryDirectory()
    processes.code(FIRST_ARRAY, WEFT_CACHE="off", TMPDIR=folder.name)
    return lambda: processes.code(FIRST_ARRAY, WEFT_CACHE="off", TMPDIR=folder.name)


def _first_process() -> Work:
    """The same, where nothing was ever kept: the runtime itself is compiled."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return processes.code(FIRST_ARRAY, WEFT_CACHE="off", TMPDIR=folder)

    return run


def _first_compile() -> Work:
    """LLVM's own start adds to it; the native runtime is in the cache."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            processes.code(RUNTIME, WEFT_CACHE=folder)
            return processes.code(FIRST_COMPILE, WEFT_CACHE=folder)

    return run
