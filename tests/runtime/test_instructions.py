"""Programs that branch, loop, exchange buffers and fail, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.runtime.programs import ADD, CHECK, NEGATE, N, spec

from weftrt import array, dtypes
from weftrt.cpu.executable import load
from weftrt.dtypes import DType
from weftrt.errors import CheckError, MemoryCheckError, OutOfBoundsError
from weftrt.program import (
    ArraySpec,
    Branch,
    BufferUse,
    Check,
    Copy,
    Count,
    Instruction,
    Jump,
    Launch,
    LaunchUse,
    Next,
    Point,
    Program,
    Role,
    Rotate,
    Site,
    Temporary,
)
from weftrt.size_expressions import SizeSlot

I64 = ArraySpec(dtypes.int64, ())
X = np.float32([1, 2, 3])
SITES = (
    Site(OutOfBoundsError, "user.py:3", "{index} is out of bounds"),
    Site(CheckError, "user.py:4", "{x} is not positive"),
)

ROOM = 256
"""Bytes of a temporary."""


def launch(kernel: int, *buffers: int, site: int = 0) -> Launch:
    """A watched call of a kernel over n elements: 0 adds, 1 negates, 2 copies what is not
    negative, and fails where something is."""
    read, written = BufferUse("x", Role.READ, 4, 4, 1), BufferUse("out", Role.WRITTEN, 4, 4, 1)
    use = LaunchUse("user.py:1", (*[read] * (len(buffers) - 1), written))
    return Launch(kernel, buffers, (0, 1), site, use=use)


def program(more_inputs: Sequence[ArraySpec], *steps: Instruction) -> Program:
    """Inputs: n float32 and what is given; output: n float32; then as many temporaries as the
    steps need. Sizes 0 and 1 are n."""
    return Program(
        name="steps",
        key="steps",
        inputs=(spec(N), *more_inputs),
        outputs=(spec(N),),
        symbols=((0, 0),),
        derived=((N,),),
        temporaries=tuple(Temporary(ROOM * number) for number in range(6)),
        arena=6 * ROOM,
        kernels=(ADD, NEGATE, CHECK),
        steps=steps,
        sites=SITES,
        results=(0,),
        work=0,
    )


def unwatched(given: Program) -> Program:
    steps = (replace(s, use=None) if isinstance(s, Launch) else s for s in given.steps)
    return replace(given, steps=tuple(steps))


def run(given: Program, *inputs: object) -> list[float]:
    """The output, which watching does not change."""
    [[first], [second]] = (load(p).run(inputs) for p in (given, unwatched(given)))
    assert array.to_numpy(first).tolist() == array.to_numpy(second).tolist()
    return array.to_numpy(first).tolist()


def doubling() -> Program:
    """x doubled upper - lower times: the state is rotated."""
    x, lower, upper, out, counter, state, written, spare = range(8)
    return program(
        (I64, I64),
        Copy(lower, counter, 1, 8),
        Point(state, x),
        Count(counter, upper, 6),
        launch(0, state, state, written),
        Rotate(state, written, spare),
        Next(counter, upper, 3),
        Copy(state, out, N, 4),
    )


@pytest.mark.parametrize("turns", [-5, 0, 1, 2, 3, 4, 10])
@pytest.mark.parametrize("lower", [0, -3, 1 << 40])
def test_a_loop_that_counts(turns, lower):
    x = X.copy()
    assert run(doubling(), x, lower, lower + turns) == (X * 2.0 ** max(turns, 0)).tolist()
    assert x.tolist() == X.tolist(), "the initial state is never written"


def test_loops_nest():
    """x doubled rows * columns times."""
    x, zero, rows, columns, out, row, column, state, written, spare = range(10)
    nested = program(
        (I64, I64, I64),
        Copy(zero, row, 1, 8),
        Point(state, x),
        Count(row, rows, 9),
        Copy(zero, column, 1, 8),
        Count(column, columns, 8),
        launch(0, state, state, written),
        Rotate(state, written, spare),
        Next(column, columns, 5),
        Next(row, rows, 3),
        Copy(state, out, N, 4),
    )
    for counts in ((3, 5), (0, 2), (2, 0), (1, 1)):
        assert run(nested, X, 0, *counts) == (X * 2.0 ** (counts[0] * counts[1])).tolist()


@pytest.mark.parametrize("dtype", [d for d in dtypes.REAL if not d.is_float], ids=str)
def test_a_branch_goes_to_the_nearest_target(dtype: DType):
    x, which, out = range(3)
    branching = program(
        (ArraySpec(dtype, ()),),
        Branch(which, dtype, (1, 3, 5)),
        launch(0, x, x, out),
        Jump(6),
        launch(1, x, out),
        Jump(6),
        launch(2, x, out),
    )
    results = [(X + X).tolist(), (-X).tolist(), X.tolist()]
    bits = np.iinfo(dtype.name) if dtype.is_integer else None
    values = [0, 1] if bits is None else [0, 1, 2, 3, 200, int(bits.max), int(bits.min)]
    for value in values:
        index = np.array(value, dtype.name)
        assert run(branching, X, index) == results[min(max(value, 0), 2)], value


def test_where_a_program_ends():
    """A jump may go to the end; what lies behind it is not run."""
    x, out = range(2)
    assert run(program((), launch(1, x, out), Jump(3), launch(0, x, x, out)), X) == (-X).tolist()


def test_a_copy_to_itself_is_none():
    x, out, pointer = range(3)
    steps = (launch(1, x, out), Point(pointer, out), Copy(pointer, out, N, 4))
    assert run(program((), *steps), X) == (-X).tolist()


@pytest.mark.parametrize("elements", [N, SizeSlot(1)])
@pytest.mark.parametrize("count", [0, 2, 50])
def test_how_much_is_copied(count, elements):
    x, out = range(2)
    values = np.arange(count, dtype="f4")
    assert run(program((), Copy(x, out, elements, 4)), values) == values.tolist()


def test_a_check_ends_the_program():
    x, good, out = range(3)
    checked = program((ArraySpec(dtypes.bool_, ()),), Check(good, 1), launch(1, x, out))
    assert run(checked, X, True) == (-X).tolist()
    before = array.pool_stats()["used_blocks"]
    for given in (checked, unwatched(checked)):
        with pytest.raises(CheckError, match=r"^user\.py:4: \{x\} is not positive$"):
            load(given).run([X, False])
    assert array.pool_stats()["used_blocks"] == before


def test_a_kernel_that_fails_in_a_loop():
    """x negated until its kernel refuses what is negative."""
    x, _, state, written, spare = range(5)
    looping = program(
        (),
        Point(state, x),
        launch(2, state, written),
        Rotate(state, written, spare),
        launch(1, state, written),
        Rotate(state, written, spare),
        Jump(1),
    )
    for given in (looping, unwatched(looping)):
        with pytest.raises(OutOfBoundsError, match=r"^user\.py:3: an index is out .*element 0\)$"):
            load(given).run([X])


def test_what_is_watched_in_a_loop():
    """Reading the state that the next turn has to write is a mistake in the first turn already."""
    steps = list(doubling().steps)
    steps[3] = launch(0, 5, 7, 6)
    faulty = replace(doubling(), steps=tuple(steps))
    with pytest.raises(MemoryCheckError, match="which no kernel has written"):
        load(faulty).run([X, 0, 3])
