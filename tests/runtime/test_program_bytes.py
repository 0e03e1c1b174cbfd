"""Programs as bytes: what is read is what was written, and nothing else is read."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

import pytest

from weftrt import dtypes, program_bytes
from weftrt.errors import CheckError, OutOfBoundsError
from weftrt.program import (
    ArraySpec,
    Branch,
    BufferUse,
    Callback,
    Check,
    Copy,
    Count,
    Extern,
    Instruction,
    Jump,
    KernelCode,
    Launch,
    LaunchUse,
    Next,
    Point,
    Program,
    PutSize,
    Role,
    Rotate,
    Row,
    Site,
    Temporary,
)
from weftrt.program_bytes import from_bytes, to_bytes
from weftrt.size_expressions import SizeCheck, SizeOp, SizeSlot

N = SizeSlot(0)
SPEC = ArraySpec(dtypes.float32, (N, 4))
WORDS = 'caf\u00e9 \U0001f9f5 \ud800 "\\\n\0'
"""What a line of a user's may hold."""
STEPS: tuple[Instruction, ...] = (
    Launch(0, (0, 1), (0,)),
    Launch(1, (), (), 1, N, LaunchUse(WORDS, (BufferUse("x", Role.READ, 4, 64, 1),))),
    Extern("weft_sort_f32", (0,), (1, 0), 1),
    Callback(0, ((0, SPEC),), ((1, SPEC), (2, ArraySpec(dtypes.bool_, ()))), WORDS),
    Check(2, 0),
    Copy(0, 1, N, 8),
    Jump(0),
    Branch(2, dtypes.int64, (0, 1)),
    Count(0, 1, 2),
    Next(0, 1, 2),
    Point(0, 1),
    Rotate(0, 1, 2),
    Row(0, 1, N, 8, 2, 3, True),
    PutSize(0, N),
)
FULL = Program(
    name=WORDS,
    key="key",
    inputs=(SPEC,),
    outputs=(SPEC, ArraySpec(dtypes.uint8, ())),
    symbols=((0, 0),),
    derived=((N, 1 << 70, SizeOp.MUL, -4, SizeOp.ADD),),
    temporaries=(Temporary(0), Temporary(N)),
    arena=N,
    kernels=(KernelCode("a", "define \u00e9", 3), KernelCode("b", ""), KernelCode("c", "x")),
    steps=STEPS,
    sites=(Site(CheckError, WORDS, WORDS), Site(OutOfBoundsError, "", "", 0)),
    results=(1, 0),
    work=N,
    donated=(0,),
    aliases=((0, 0),),
    constraints=(SizeCheck((N, 2, SizeOp.FLOOR_DIV), True, "n is even"),),
    places=("", WORDS, ""),
)


def test_every_record_and_field_is_in_the_example() -> None:
    assert {type(step) for step in STEPS} == set(get_args(Instruction))
    assert all(getattr(FULL, field.name) for field in fields(Program))


def test_what_is_read_is_what_was_written() -> None:
    again = from_bytes(to_bytes(FULL))
    assert again == FULL and repr(again) == repr(FULL)
    assert hash(again) == hash(FULL), "tuples are tuples"
    assert to_bytes(again) == to_bytes(FULL)
    bare = replace(FULL, steps=(), kernels=(), sites=(), places=(), aliases=(), constraints=())
    assert from_bytes(to_bytes(bare)) == bare


def test_every_shorter_text_is_refused() -> None:
    data = to_bytes(FULL)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="these bytes are no program"):
            from_bytes(data[:length])
    with pytest.raises(ValueError, match="not all there"):
        from_bytes(data + b" ")


def test_every_changed_byte_is_refused_or_gives_a_program() -> None:
    """The store's checksum finds the others."""
    data = to_bytes(FULL)
    for place in range(len(data)):
        for changed in (0, 0x22, 0x5D, 0x7B, 0xFF):
            damaged = data[:place] + bytes([changed]) + data[place + 1 :]
            try:
                assert isinstance(from_bytes(damaged), Program)
            except ValueError as error:
                assert "these bytes are no program" in str(error)


@pytest.mark.parametrize(
    "header",
    [
        "17",
        "[17, []]",
        '[{"Jump": [1]}, []]',
        '[{"Program": []}, []]',
        '[{"eval": ["1"]}, []]',
        '[{"error": ["WeftError.__class__"]}, []]',
        '[{"Program": [], "Jump": [1]}, []]',
        "[" * 100_000,
    ],
)
def test_what_is_no_program(header: str) -> None:
    text = header.encode()
    with pytest.raises(ValueError, match="these bytes are no program"):
        from_bytes(program_bytes.VERSION + b"%d\n" % len(text) + text)


@pytest.mark.parametrize("other", [b"weft program 2", b"weft program 1 00000000"])
def test_other_versions_are_refused(other: bytes) -> None:
    with pytest.raises(ValueError, match="of this version"):
        from_bytes(other + to_bytes(FULL).removeprefix(program_bytes.VERSION.rstrip()))
