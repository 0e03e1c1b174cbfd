"""The CPU this process runs on, and what is compiled for here."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from weftrt import knobs
from weftrt.options import Options
from weftrt.target import Target

# What the compiler or LLVM can use; the rest of a CPU's list would only split the cache.
_X86_V3 = ("avx", "avx2", "bmi", "bmi2", "cx16", "f16c", "fma", "lzcnt", "movbe", "popcnt")
_X86_MORE = (
    "amx-bf16",
    "amx-int8",
    "amx-tile",
    "avx512bf16",
    "avx512bw",
    "avx512cd",
    "avx512dq",
    "avx512f",
    "avx512fp16",
    "avx512vbmi",
    "avx512vl",
    "avx512vnni",
)
_ARM = ("neon", "fullfp16", "dotprod", "bf16", "i8mm")
_AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")


@cache
def _detect() -> Target:
    """The whole machine. The CPU's name is not asked for: in virtual machines it is often wrong."""
    import llvmlite.binding as llvm

    triple = llvm.get_process_triple()
    present = {name for name, there in llvm.get_host_cpu_features().items() if there}
    l1, l2 = _cache_bytes(1, 32 << 10), _cache_bytes(2, 1 << 20)
    if triple.startswith(("aarch64", "arm64")):
        features = tuple(f for f in _ARM if f in present or f == "neon")
        return Target(triple, features, 128, l1, l2)
    if not triple.startswith("x86_64"):
        raise RuntimeError(f"weft has no CPU backend for {triple} (it needs x86-64 or aarch64)")
    missing = [f for f in _X86_V3 if f not in present]
    if missing:
        names = ", ".join(missing)
        raise RuntimeError(f"weft needs an x86-64-v3 CPU (2013 or later); this one lacks {names}")
    return _x86(triple, present, l1, l2)


def _x86(triple: str, present: set[str], l1: int, l2: int) -> Target:
    features = tuple(f for f in (*_X86_V3, *_X86_MORE) if f in present)
    wide = all(f in present for f in _AVX512)
    if not wide:  # half of AVX-512 is no use: the backend reads avx512f as all four
        features = tuple(f for f in features if not f.startswith("avx512"))
    return Target(triple, features, 512 if wide else 256, l1, l2)


def host() -> Target:
    """The target to compile for: this CPU, or what WEFT_TARGET reduces it to."""
    detected = _detect()
    if knobs.target() == "x86-64-v3" and detected.triple.startswith("x86_64"):
        return _x86(detected.triple, set(_X86_V3), detected.l1_bytes, detected.l2_bytes)
    return detected


def host_options(donated: tuple[int, ...] = ()) -> Options:
    """What to compile for, where the inputs number `donated` are given up: this CPU, watched if
    WEFT_CHECK_MEMORY says so."""
    return Options(host(), donated, watched=knobs.check_memory() == 1)


def _cache_bytes(level: int, otherwise: int) -> int:
    """The size of a data cache of the first core, where the system tells."""
    root = Path("/sys/devices/system/cpu/cpu0/cache")
    try:
        for name in sorted(os.listdir(root)):
            folder = root / name
            if not name.startswith("index") or int((folder / "level").read_text()) != level:
                continue
            if (folder / "type").read_text().strip() != "Instruction":
                return int((folder / "size").read_text().strip().removesuffix("K")) << 10
    except (OSError, ValueError):
        return otherwise
    return otherwise
