"""A program and its arrays, as weftrt.cpu.executable writes them for native code.

A size in a table is the size itself where it is not negative, else ~slot.
"""

from __future__ import annotations

from weftrt.cpu.native.types import I64, Pointer, Ptr, Records, Struct, inline
from weftrt.sizes import MAXIMUM_RANK


class ArrayTable(Struct):
    """ArraySpec."""

    dtype: I64
    ndim: I64
    shape: Pointer[I64] = inline(MAXIMUM_RANK)


class ProgramTable(Struct):
    """Program. `constraints` and `derived` are as weftrt.cpu.native.sizes says. `code` are its
    instructions: each has its operation, the place of the next one, and its operands
    (weftrt.cpu.instructions writes them). `donated` are inputs that the caller gives up; `takes`
    has, for each output, that whose memory it may take over, or -1; NULL where none is donated."""

    owner: Ptr
    input_count: I64
    inputs: Records[ArrayTable]
    output_count: I64
    outputs: Records[ArrayTable]
    temporary_count: I64
    temporaries: Pointer[I64]
    buffer_count: I64
    symbol_count: I64
    constraint_count: I64
    constraints: Pointer[I64]
    derived_count: I64
    derived: Pointer[I64]
    size_count: I64
    arena: I64
    work: I64
    code_length: I64
    code: Pointer[I64]
    call_words: I64
    donated_count: I64
    donated: Pointer[I64]
    takes: Pointer[I64]
