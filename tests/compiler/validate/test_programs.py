"""Programs whose instructions name what there is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.compiler.schedule.kernels import TARGET, Inputs
from tests.compiler.schedule.networks import op

from weftc import pipeline
from weftc.validate.programs import check_program
from weftrt import dtypes
from weftrt.options import Options
from weftrt.program import (
    ArraySpec,
    Branch,
    Callback,
    Check,
    Copy,
    Count,
    Extern,
    Instruction,
    Jump,
    Launch,
    Next,
    Point,
    Program,
    Rotate,
)
from weftrt.size_expressions import SizeSlot


def compiled() -> Program:
    """One kernel: buffer 0 is an input, 1 an output."""
    x = Inputs()
    return pipeline.compile(x.graph(op("exp", x(9))), Options(TARGET, (0,)))


def test_a_program_that_is_right() -> None:
    assert compiled().aliases == ((0, 0),)
    assert check_program(compiled()) is None


SPEC = ArraySpec(dtypes.float32, (SizeSlot(9),))
NO_BUFFER, AN_INPUT, NO_SIZE, NO_SITE, NO_TARGET = (
    "names a buffer that there is not",
    "writes to an input",
    "names a size that there is not",
    "may fail at a site that there is not",
    "goes on at an instruction that there is not",
)


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (Launch(0, (0, 2), ()), NO_BUFFER),
        (Launch(0, (0, 1), (7,)), NO_SIZE),
        (Launch(0, (0, 1), (), elements=SizeSlot(7)), NO_SIZE),
        (Launch(1, (0, 1), ()), "names a kernel that there is not"),
        (Extern("f", (0, -1), ()), NO_BUFFER),
        (Extern("f", (0, 1), (7,)), NO_SIZE),
        (Extern("f", (0, 1), ()), NO_SITE),
        (Callback(0, ((2, SPEC),), (), ""), NO_BUFFER),
        (Callback(0, (), ((0, SPEC),), ""), AN_INPUT),
        (Callback(0, (), ((1, SPEC),), ""), NO_SIZE),
        (Check(1, 0), NO_SITE),
        (Check(2, 0), NO_BUFFER),
        (Copy(1, 0, 1, 4), AN_INPUT),
        (Copy(0, 2, 1, 4), NO_BUFFER),
        (Copy(0, 1, SizeSlot(7), 4), NO_SIZE),
        (Jump(3), NO_TARGET),
        (Branch(0, dtypes.bool_, (0, -1)), NO_TARGET),
        (Branch(2, dtypes.bool_, (0, 1)), NO_BUFFER),
        (Count(0, 2, 0), NO_BUFFER),
        (Count(0, 1, 3), NO_TARGET),
        (Next(0, 1, 0), AN_INPUT),
        (Next(1, 0, 3), NO_TARGET),
        (Point(1, 2), NO_BUFFER),
        (Point(0, 1), AN_INPUT),
        (Rotate(1, 0, 1), AN_INPUT),
        (Rotate(1, 1, 2), NO_BUFFER),
    ],
)
def test_an_instruction_that_is_wrong(step: Instruction, complaint: str) -> None:
    program = compiled()
    wrong = replace(program, steps=(*program.steps, step))
    assert check_program(wrong) == f"instruction 1, {type(step).__name__}, {complaint}"


def test_results_and_aliases() -> None:
    program = compiled()
    assert "an output that" in str(check_program(replace(program, results=(1,))))
    assert "not donated" in str(check_program(replace(program, donated=())))
    assert "not donated" in str(check_program(replace(program, aliases=((1, 0),))))
    assert "two outputs" in str(check_program(replace(program, aliases=((0, 0), (0, 0)))))


def test_sites_of_a_kernel() -> None:
    program = compiled()
    kernels = (replace(program.kernels[0], sites=1),)
    assert "may fail" in str(check_program(replace(program, kernels=kernels)))
