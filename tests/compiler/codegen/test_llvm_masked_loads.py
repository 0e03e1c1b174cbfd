"""Machine code of masked loads, for any machine: nothing reads a lane that its mask leaves off."""

from __future__ import annotations

import re

import pytest

from weftc.codegen import llvm
from weftc.loop.parse import parse_function
from weftrt.cache.store import Store
from weftrt.cpu.host import host
from weftrt.cpu.linker import Linker
from weftrt.target import Target

FEATURES = ("avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl")
AVX512 = Target("x86_64-unknown-linux-gnu", FEATURES, 512)
TURNED = """function f(x: global {dtype}, y: global {dtype}; n)
  for i in 0 .. n
    let inside: bool = i < 3
    let mask: boolx{lanes} = splat(inside, {lanes})
    let turned: {dtype}x{lanes} = x[ramp((i * {lanes}) + {first}, {lanes}, {step}) if mask]
    store y[i * {lanes}] = select(mask, turned, {zero}:{dtype}x{lanes})
"""


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="code for x86-64")
@pytest.mark.parametrize("lanes", [4, 8, 64])
@pytest.mark.parametrize("dtype", ["f32", "f64", "u64", "u8"])
@pytest.mark.parametrize("step", [-1, 2])
def test_a_load_is_not_folded_into_what_its_mask_guards(step: int, dtype: str, lanes: int) -> None:
    """Moves alone read under a mask: with AVX-512 a permutation reads all, whatever its mask."""
    zero = "0.0" if dtype.startswith("f") else "0"
    first = lanes - 1 if step < 0 else 0
    text = TURNED.format(dtype=dtype, lanes=lanes, first=first, step=step, zero=zero)
    code = Linker(AVX512, Store(None)).assembly(llvm.emit(parse_function(text), AVX512, "f"))
    reads = re.findall(r"(?m)^[ \t]+(\w+)[ \t].*\(%\w+.*\{%k", code)
    assert reads and all(name.startswith("vmov") for name in reads)
