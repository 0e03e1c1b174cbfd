"""Loads of the lanes that a mask leaves on, and of no others, which LLVM 22 does not see to.

With AVX2 it takes a wide one apart, and may load a piece without its mask where it is off whatever
the rest of the mask is; where it can tell that a piece is on, its pass against blocked store
forwarding fails on the size of the others. With AVX-512 it folds a load into what is done to it
under the same mask, also if that reads all of its memory whatever the mask says (permutations,
shifts of 16 bits: exception class E4NF in Intel's manual, volume 2, 2.8).
"""

from __future__ import annotations

from typing import Final

from weftc.codegen.llvm import text
from weftc.codegen.llvm.function import FunctionWriter
from weftrt import dtypes
from weftrt.dtypes import DType

_AVX_BITS: Final = 256
_AVX_LOADS: Final = {
    dtypes.float32: "llvm.x86.avx.maskload.ps.256",
    dtypes.float64: "llvm.x86.avx.maskload.pd.256",
    dtypes.int32: "llvm.x86.avx2.maskload.d.256",
    dtypes.uint32: "llvm.x86.avx2.maskload.d.256",
    dtypes.int64: "llvm.x86.avx2.maskload.q.256",
    dtypes.uint64: "llvm.x86.avx2.maskload.q.256",
}


def masked_load(out: FunctionWriter, dtype: DType, lanes: int, pointer: str, mask: str) -> str:
    """A vector of `lanes` from `pointer` on, 0 where `mask` is off."""
    if _is_taken_apart(out, dtype, lanes):
        return _by_registers(out, dtype, lanes, pointer, mask)
    scalar = text.MEMORY[dtype]
    memory = f"<{lanes} x {scalar}>"
    operands = [
        ("ptr", pointer),
        ("i32", str(dtype.itemsize)),
        (f"<{lanes} x i1>", _of_its_own(out, mask, lanes)),
        (memory, "zeroinitializer"),
    ]
    return out.call(f"llvm.masked.load.v{lanes}{text.mangled(scalar, 1)}.p0", memory, operands)


def _is_taken_apart(out: FunctionWriter, dtype: DType, lanes: int) -> bool:
    has_avx2_only = out.target.has("avx2") and not out.target.has("avx512f")
    return dtype in _AVX_LOADS and lanes * dtype.bits > _AVX_BITS and has_avx2_only


def _by_registers(out: FunctionWriter, dtype: DType, lanes: int, pointer: str, mask: str) -> str:
    """By the machine's own instruction, a register at a time."""
    scalar, width = text.MEMORY[dtype], _AVX_BITS // dtype.bits
    flags = text.lanes_of(f"i{dtype.bits}", width)
    starts = iter(range(0, lanes, width))

    def piece(parts: list[str]) -> str:
        place = out.value(f"getelementptr {scalar}, ptr {pointer}, i64 {next(starts)}")
        flag = out.value(f"sext <{width} x i1> {parts[0]} to {flags}")
        operands = [("ptr", place), (flags, flag)]
        return out.call(_AVX_LOADS[dtype], text.lanes_of(scalar, width), operands)

    return out.by_pieces("i1", scalar, lanes, width, [mask], piece)


def _of_its_own(out: FunctionWriter, mask: str, lanes: int) -> str:
    """With AVX-512 a copy of the mask, in a register of which LLVM does not know whose copy it
    is: nothing else is done under the same mask."""
    if lanes == 1 or not out.target.has("avx512f"):
        return mask
    width = min(lanes, 64)
    bits = max(width, 8)

    def copied(parts: list[str]) -> str:
        number = out.value(f"bitcast <{width} x i1> {parts[0]} to i{width}")
        if bits > width:
            number = out.value(f"zext i{width} {number} to i{bits}")
        number = out.value(f'call i{bits} asm "", "=k,0"(i{bits} {number})')
        if bits > width:
            number = out.value(f"trunc i{bits} {number} to i{width}")
        return out.value(f"bitcast i{width} {number} to <{width} x i1>")

    return out.by_pieces("i1", "i1", lanes, width, [mask], copied)
