"""What runs under a sanitizer: a sample of all of Weft's native code, or a planted fault."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest

import weft as wf
from weftrt.cpu.linker import link
from weftrt.cpu.native.library import library
from weftrt.cpu.trial import call_kernel

DRAW = np.random.default_rng(3)
X, Y = DRAW.random((67, 53), "f4"), DRAW.random((53, 150), "f4")
LARGE = DRAW.random(1 << 18, "f4")
INDICES = np.array([3, 36, 0, -1])


class Pair(NamedTuple):
    first: Any
    second: Any


def loss(x: Any, y: Any) -> Any:
    return wf.mean(wf.nn.softmax(wf.tanh(x @ y)) ** 2)


SAMPLE: tuple[tuple[Callable[..., Any], tuple[Any, ...]], ...] = (
    (lambda x: wf.exp(x) * 2 - x[:, ::-1], (X,)),
    (lambda x: wf.nn.softmax(x) + wf.mean(x, axis=1, keepdims=True), (X,)),
    (lambda x: (wf.sum(x, axis=0), wf.max(x), wf.argmax(x, axis=0)), (X,)),
    (lambda x, y: wf.maximum(x @ y, 0.5), (X, Y)),
    (lambda x: wf.take(x, INDICES, axis=0), (X,)),
    (lambda x, y: wf.grad(loss)(x, y), (X, Y)),
    (lambda x: wf.grad(lambda x: wf.sum(wf.take(x, INDICES, axis=0) ** 2))(x), (X,)),
    (lambda x: wf.concat([x, x[:3], wf.flip(x)], axis=0), (X,)),
    (lambda x: (wf.sum(x), wf.sin(x), wf.max(x)), (LARGE,)),
    (lambda x: (x % 0.3, wf.astype(x * 100, "uint8") // 7, x > 0.5), (X,)),
    (lambda x: wf.sum(x * x, axis=1) + x[:, 0], (X[::2, ::-3],)),
    (lambda x: (x[:0] * 2, wf.sum(x[:, :0], axis=1)), (X,)),
    (lambda x, i: wf.sum(x, axis=-1) * i, (np.arange(24.0).reshape(2, 3, 4), 3)),
    (lambda p, *, k: {"a": p.first + k["b"], "c": [p.second, 1.5]}, ()),
)


def run_sample() -> None:
    """Every family of kernels, calls of every kind, and calls from several threads."""
    library().pool_configure(0, 0)  # freed memory is not used again, so that its use is seen
    functions = [(wf.jit(function), arguments) for function, arguments in SAMPLE]
    for function, arguments in functions[:-1]:
        for _ in range(3):
            function(*arguments)
    trees = functions[-1][0]
    for _ in range(3):
        trees(Pair(X, 2.0), k={"b": X})
    taken = wf.jit(lambda x, i: wf.take(x, i, axis=0))
    taken(X, INDICES)
    with pytest.raises(IndexError):
        taken(X, INDICES + 100)
    run_lifetimes()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(f, *a) for _ in range(5) for f, a in functions[:-1]]
        assert all(item.result() is not None for item in waiting)


def run_lifetimes() -> None:
    """Views outlive their arrays, and programs the functions that asked for them."""
    views = [np.asarray(wf.asarray(X) * k) for k in range(3)]
    for k in range(3):
        scaled = wf.jit(lambda x, k=k: (x * k, x))
        results = scaled(wf.asarray(X))
        views.extend(map(np.asarray, results))
        scaled.clear_cache()
        scaled(X)
        del scaled, results
    gc.collect()
    assert all(view.shape == X.shape and np.isfinite(view).all() for view in views)


HEAD = "define void @kernel(ptr %buffers, ptr %sizes, ptr %status) {\n"
FAULTS = {
    "address": HEAD + "  %room = alloca [8 x float]\n  %n = load i64, ptr %sizes\n"
    "  %place = getelementptr float, ptr %room, i64 %n\n"
    "  store volatile float 1.0, ptr %place\n  ret void\n}\n",
    "thread": "declare void @weft_parallel(ptr, ptr, i64, i64)\n"
    "define internal void @body(ptr %place, i64 %begin, i64 %end) {\n"
    "entry:\n  br label %again\nagain:\n  %turn = phi i64 [0, %entry], [%next, %again]\n"
    "  %old = load volatile i64, ptr %place\n  %new = add i64 %old, 1\n"
    "  store volatile i64 %new, ptr %place\n  %next = add i64 %turn, 1\n"
    "  %more = icmp slt i64 %next, 100000\n"
    "  br i1 %more, label %again, label %done\ndone:\n  ret void\n}\n"
    + HEAD
    + "  %place = load ptr, ptr %buffers\n"
    "  call void @weft_parallel(ptr @body, ptr %place, i64 1000, i64 1)\n  ret void\n}\n",
}


def run_fault(sanitizer: str) -> None:
    """A store past a local buffer, or a counter that all threads raise without a lock."""
    kernel = link("kernel", FAULTS[sanitizer])
    for _ in range(200):  # the pool's threads may be late
        call_kernel(kernel.address, [np.zeros(1, "i8")], [9])
