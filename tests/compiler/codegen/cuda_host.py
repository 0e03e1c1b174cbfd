"""Runs CUDA C on the CPU: one thread of the system for each CUDA thread, barriers included."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weftc.codegen.cuda.text import MEMORY
from weftc.loop.ir import LoopFunction
from weftrt.cpu.trial import first_report
from weftrt.program import Report

Array = np.ndarray[Any, Any]

_SHIM = r"""
#include <barrier>
#include <cmath>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>
#define __global__
#define __device__ static inline
#define __shared__ static
#define __launch_bounds__(n)
#define __restrict__
struct Dimension { unsigned x; };
static thread_local Dimension threadIdx, blockIdx;
static Dimension gridDim;
static std::barrier<> *meeting;
static std::mutex atomic;
static inline void __syncthreads() { meeting->arrive_and_wait(); }
template <typename To, typename From> static inline To bits(From from) {
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
static inline float __int_as_float(int x) { return bits<float>(x); }
static inline int __float_as_int(float x) { return bits<int>(x); }
static inline double __longlong_as_double(long long x) { return bits<double>(x); }
static inline long long __double_as_longlong(double x) { return bits<long long>(x); }
static inline void atomicMin(unsigned long long *at, unsigned long long value) {
  std::lock_guard<std::mutex> guard(atomic);
  if (value < *at) *at = value;
}
template <typename Body> static void launch(unsigned blocks, Body body) {
  std::barrier<> all(256);
  meeting = &all;
  gridDim.x = blocks;
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 256; ++thread)
    threads.emplace_back([&, thread] {
      threadIdx.x = thread;
      for (unsigned block = 0; block < blocks; ++block) {
        blockIdx.x = block;
        body();
        all.arrive_and_wait();
      }
    });
  for (auto &thread : threads) thread.join();
}
"""


def compiler() -> str | None:
    """A C++20 compiler, None where there is none."""
    return shutil.which("g++") or shutil.which("clang++")


class Module:
    """CUDA C compiled for the CPU."""

    def __init__(self, text: str, functions: Sequence[LoopFunction], folder: Path) -> None:
        self._phases = phases(text, functions)
        wrappers = [_wrapper(n, f) for f in functions for n in self._phases[f.name]]
        source = folder / "module.cpp"
        source.write_text("\n".join([_SHIM, text, *wrappers]))
        library = folder / "module.so"
        command = [compiler() or "g++", "-std=c++20", "-O1", "-ffp-contract=off", "-mfma"]
        command += [
            "-fwrapv",
            "-shared",
            "-fPIC",
            "-pthread",
            "-w",
            str(source),
            "-o",
            str(library),
        ]
        subprocess.run(command, check=True)
        self._library = ctypes.CDLL(str(library))

    def run(
        self, function: LoopFunction, arrays: Sequence[Array], sizes: Sequence[int], blocks: int
    ) -> Report:
        """Launch every phase of `function`, which has a few sites, in order."""
        buffers = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
        extents = (ctypes.c_int64 * max(len(sizes), 1))(*sizes)
        status = (ctypes.c_int64 * 8)(*[-1] * 8)
        for name in self._phases[function.name]:
            self._library[f"run_{name}"](buffers, extents, status, blocks)
        return first_report(status)


def phases(text: str, functions: Sequence[LoopFunction]) -> dict[str, list[str]]:
    """The names of the launches of each function, in order."""
    names = re.findall(r"__launch_bounds__\(256\)\s+(\w+)\(", text)
    return {f.name: [n for n in names if _belongs(n, f.name)] for f in functions}


def _belongs(name: str, function: str) -> bool:
    return re.fullmatch(rf"{function}(_p\d+)?", name) is not None


def _wrapper(name: str, function: LoopFunction) -> str:
    arguments = [f"({MEMORY[b.dtype]} *)buffers[{k}]" for k, b in enumerate(function.buffers)]
    arguments += [f"sizes[{k}]" for k in range(len(function.sizes))]
    call = f"{name}({', '.join([*arguments, 'status'])})"
    parameters = "void **buffers, i64 *sizes, u64 *status, unsigned blocks"
    return f'extern "C" void run_{name}({parameters}) {{ launch(blocks, [&] {{ {call}; }}); }}'
