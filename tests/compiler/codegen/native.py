"""Compiling and calling widened loop functions, without the rest of the runtime."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Any

import numpy as np

from weftc.codegen.llvm import emit
from weftc.loop import ir
from weftc.loop.ir import (
    INDEX,
    Buffer,
    Expr,
    For,
    Load,
    LoopFunction,
    LoopType,
    Ramp,
    Scalar,
    Splat,
    Store,
    Var,
    const,
)
from weftrt import dtypes
from weftrt.cache import Store as Cache
from weftrt.cpu.host import host
from weftrt.cpu.linker import Linker
from weftrt.cpu.trial import call_kernel
from weftrt.program import Report
from weftrt.target import Target

Array = np.ndarray[Any, Any]

_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_numbers = count()


@ctypes.CFUNCTYPE(None, _BODY, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
def _parallel(body: Any, context: int, iterations: int, grain: int) -> None:
    """Iterations in pieces of `grain`, the last piece first."""
    for begin in reversed(range(0, iterations, max(grain, 1))):
        body(context, begin, min(begin + grain, iterations))


def baseline() -> Target:
    """The host reduced to x86-64-v3, or the host where it is not an x86."""
    features = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "popcnt")
    target = host()
    return replace(target, features=features, vector_bits=256) if target.has("avx2") else target


@cache
def linker(target: Target) -> Linker:
    address = ctypes.cast(_parallel, ctypes.c_void_p).value
    assert address is not None
    return Linker(target, Cache(None), {"weft_parallel": address})


def run(
    function: LoopFunction,
    arrays: Sequence[Array],
    sizes: Sequence[int] = (),
    target: Target | None = None,
) -> Report:
    """Run `function`, which has a few sites, on `arrays`, in place."""
    target = target or host()
    symbol = f"test_{next(_numbers)}"
    code = linker(target).link(symbol, emit(function, target, symbol))
    return call_kernel(code.address, arrays, sizes, sites=8)


def elementwise(
    inputs: Mapping[str, Array], outputs: Mapping[str, tuple[Expr, Array]], lanes: int
) -> tuple[LoopFunction, list[Array], list[int]]:
    """A loop over whole vectors, then a masked one over the tail: output[i] = its expression, in
    which Var(name) stands for input[i]. Returns what `run` takes."""
    n, i, whole = Var("n", INDEX), Var("i", INDEX), Var("whole", INDEX)
    buffers = {name: Buffer(name, _dtype(array)) for name, array in inputs.items()}
    results = {name: Buffer(name, _dtype(array)) for name, (_, array) in outputs.items()}

    def body(mask: Expr | None) -> ir.Block:
        loads = [
            ir.Let(Var(name, _lanes(b, lanes)), Load(b, i, _lanes(b, lanes), mask))
            for name, b in buffers.items()
        ]
        stores = [Store(b, i, outputs[name][0], mask) for name, b in results.items()]
        return (*loads, *stores)

    wide = LoopType(dtypes.int64, lanes)
    inside = n if lanes == 1 else Splat(n, wide)
    mask = ir.apply(Scalar.LT, i if lanes == 1 else Ramp(i, wide), inside)
    cut = ir.apply(Scalar.MUL, ir.apply(Scalar.TDIV, n, const(lanes)), const(lanes))
    statements = (
        ir.Let(whole, cut),
        For(i, const(0), whole, body(None), step=lanes),
        For(i, whole, ir.add(whole, const(lanes)), body(mask), step=lanes),
    )
    everything = (*buffers.values(), *results.values())
    function = LoopFunction("elementwise", everything, (n,), statements)
    arrays = [*inputs.values(), *(array for _, array in outputs.values())]
    return function, arrays, [len(arrays[0])]


def _dtype(array: Array) -> dtypes.DType:
    found = dtypes.from_numpy(array.dtype)
    assert found is not None
    return found


def _lanes(buffer: Buffer, lanes: int) -> LoopType:
    return LoopType(buffer.dtype, lanes)
