"""What this machine can do at most, measured by loops of our own: fused multiply-adds in
registers, reading, and copying with ordinary and with streaming stores.

Each loop is LLVM IR, as wide as the vectors that Weft uses here.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from typing import Any

import numpy as np

from benchmarks.records import Limits
from weftrt.cpu.host import host
from weftrt.cpu.linker import Code, link

SIZES = tuple(1 << k for k in (20, 22, 24, 26, 28))
"""Bytes that copies and reads touch on each thread: what fits in a cache is faster."""
CHAINS = 24
"""Independent chains of multiply-adds: more than latency times ports."""
VECTORS = 16
"""Vectors in a turn of a loop over memory."""
TURNS = 1 << 18

Loop = Callable[[int, int, int], None]
"""(source, destination, turns)"""


def measure(threads: int, sizes: tuple[int, ...], rounds: int) -> Limits:
    """The best of some rounds of each."""
    with ThreadPoolExecutor(threads) as pool:
        fma = {kind: _multiply_adds(pool, threads, kind, rounds) for kind in ("float32", "float64")}
        read = {n * threads: _read(pool, threads, n, rounds) for n in sizes}
        copy = {n * threads: _copy(pool, threads, n, rounds) for n in sizes}
    return Limits(fma, copy, read)


def _multiply_adds(pool: Any, threads: int, kind: str, rounds: int) -> float:
    loop, lanes = _loop(f"fma {kind}"), _lanes(kind)
    scratch = [np.zeros(lanes, kind) for _ in range(threads)]
    calls = [(s.ctypes.data, s.ctypes.data, TURNS) for s in scratch]
    return 2 * lanes * CHAINS * TURNS * threads / _best(pool, loop, calls, rounds)


def _read(pool: Any, threads: int, size: int, rounds: int) -> float:
    sources = [np.ones(size // 4, np.float32) for _ in range(threads)]
    return _streamed(pool, _loop("read"), [(s, s) for s in sources], size, rounds)


def _copy(pool: Any, threads: int, size: int, rounds: int) -> float:
    """Of as many bytes read as written, `size` of them in all."""
    pairs = [tuple(_aligned(size // 2) for _ in range(2)) for _ in range(threads)]
    return max(_streamed(pool, _loop(name), pairs, size, rounds) for name in ("copy", "stream"))


def _aligned(size: int) -> Any:
    """Bytes from a multiple of 64, as streaming stores need them."""
    room = np.ones(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size]


def _streamed(pool: Any, loop: Loop, pairs: Any, size: int, rounds: int) -> float:
    """Bytes a second: small sizes are gone through many times in a call."""
    bytes_a_turn = VECTORS * host().vector_bits // 8
    turns = pairs[0][0].nbytes // bytes_a_turn
    calls = [(a.ctypes.data, b.ctypes.data, turns) for a, b in pairs]
    repeats = max(1, (1 << 26) // size)

    def repeated(source: int, destination: int, turns: int) -> None:
        for _ in range(repeats):
            loop(source, destination, turns)

    return size * len(pairs) * repeats / _best(pool, repeated, calls, rounds)


def _best(pool: Any, loop: Loop, calls: list[tuple[int, int, int]], rounds: int) -> float:
    """The shortest time of calls side by side."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        with ExitStack() as done:
            for call in calls:
                done.callback(pool.submit(loop, *call).result)
        times.append(time.perf_counter() - start)
    return min(times)


def _lanes(kind: str) -> int:
    return host().vector_bits // (8 * np.dtype(kind).itemsize)


@cache
def _loop(name: str) -> Loop:
    text = _multiply_add_text(name.split()[1]) if name.startswith("fma") else _memory_text(name)
    code: Code = link("limit", text)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(code.address)
    call.code = code  # type: ignore[attr-defined]  # keeps it loaded
    return call


def _multiply_add_text(kind: str) -> str:
    scalar = "float" if kind == "float32" else "double"
    lanes = _lanes(kind)
    vector = f"<{lanes} x {scalar}>"
    intrinsic = f"@llvm.fma.v{lanes}f{8 * np.dtype(kind).itemsize}"
    phis = [f"  %a{k} = phi {vector} [%x, %entry], [%b{k}, %turn]" for k in range(CHAINS)]
    fmas = [
        f"  %b{k} = call {vector} {intrinsic}({vector} %a{k}, {vector} %x, {vector} %x)"
        for k in range(CHAINS)
    ]
    sums = ["  %s0 = fadd " + f"{vector} %b0, %x"] + [
        f"  %s{k} = fadd {vector} %s{k - 1}, %b{k}" for k in range(1, CHAINS)
    ]
    last = f"  store {vector} %s{CHAINS - 1}, ptr %to, align 4"
    declared = f"declare {vector} {intrinsic}({vector}, {vector}, {vector})"
    first = f"  %x = load {vector}, ptr %from, align 4"
    return _text(first, phis, fmas, [*sums, last]) + declared + "\n"


def _memory_text(name: str) -> str:
    """read: a bitwise or of all that is read. copy, stream: stores, or those past the caches."""
    lanes = host().vector_bits // 64
    vector = f"<{lanes} x i64>"
    how = f"align {lanes * 8}, !nontemporal !0" if name == "stream" else "align 4"
    step = VECTORS * lanes * 8
    phis, body = [], [f"  %at = mul i64 %k, {step}"]
    for k in range(VECTORS):
        body += [
            f"  %o{k} = add i64 %at, {k * lanes * 8}",
            f"  %p{k} = getelementptr i8, ptr %from, i64 %o{k}",
            f"  %v{k} = load {vector}, ptr %p{k}, align 4",
        ]
        if name == "read":
            phis.append(f"  %a{k} = phi {vector} [%x, %entry], [%b{k}, %turn]")
            body.append(f"  %b{k} = or {vector} %a{k}, %v{k}")
        else:
            body += [
                f"  %q{k} = getelementptr i8, ptr %to, i64 %o{k}",
                f"  store {vector} %v{k}, ptr %q{k}, {how}",
            ]
    end = []
    if name == "read":
        end = [f"  %s0 = or {vector} %b0, %x"]
        end += [f"  %s{k} = or {vector} %s{k - 1}, %b{k}" for k in range(1, VECTORS)]
        end += [f"  store {vector} %s{VECTORS - 1}, ptr %to, align 4"]
    first = f"  %x = load {vector}, ptr %from, align 4"
    return _text(first, phis, body, end) + "!0 = !{i32 1}\n"


def _text(first: str, phis: list[str], body: list[str], end: list[str]) -> str:
    """A function of a loop: `first` before it, `phis` and `body` in it, `end` after it."""
    lines = (
        "define void @limit(ptr %from, ptr %to, i64 %turns) {",
        "entry:",
        first,
        "  br label %turn",
        "turn:",
        "  %k = phi i64 [0, %entry], [%next, %turn]",
        *phis,
        *body,
        "  %next = add i64 %k, 1",
        "  %again = icmp slt i64 %next, %turns",
        "  br i1 %again, label %turn, label %end",
        "end:",
        *end,
        "  ret void",
        "}",
    )
    return "\n".join(lines) + "\n"
