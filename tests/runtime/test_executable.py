"""Programs run through Executable.run: sizes, outputs, arena, errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.runtime.programs import (
    M,
    N,
    add_program,
    chain_program,
    check_program,
    elementwise,
    spec,
)

from weftrt import array, dtypes
from weftrt.cpu.executable import load
from weftrt.errors import CompileError, DTypeError, OutOfBoundsError, ShapeError
from weftrt.program import Launch, Program
from weftrt.size_expressions import SizeCheck, SizeExpression, SizeOp, SizeSlot, evaluate


def values(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype="f4").reshape(shape)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0,), (3, 0, 2), (1, 1, 1, 1, 1, 1, 1, 2)])
def test_fixed_shapes(shape):
    x = values(*shape)
    [out] = load(add_program(*shape)).run([x, x])
    assert (out.shape, out.dtype) == (shape, dtypes.float32)
    np.testing.assert_array_equal(array.to_numpy(out), x + x)


@pytest.mark.parametrize("rows, columns", [(2, 3), (5, 2), (0, 4), (300, 7)])
def test_symbolic_sizes(rows, columns):
    x = values(rows, columns)
    [out] = load(add_program(N, M)).run([x, x])
    np.testing.assert_array_equal(array.to_numpy(out), x + x)


def test_symbolic_sizes_are_equal_everywhere():
    executable = load(add_program(N))
    with pytest.raises(ShapeError, match=r"input 1 of add has shape \(n0 = 3\), not \(4,\)"):
        executable.run([values(3), values(4)])


def test_wrong_inputs_are_explained():
    executable = load(add_program(4))
    with pytest.raises(DTypeError, match="input 1 of add is float32, not float64"):
        executable.run([values(4), np.zeros(4)])
    with pytest.raises(ShapeError, match=r"input 0 of add has shape \(4\), not \(2, 2\)"):
        executable.run([values(2, 2), values(4)])
    with pytest.raises(ShapeError, match="takes 2 inputs, not 1"):
        executable.run([values(4)])


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_temporaries_lie_in_the_arena(count):
    x = values(count)
    negated, doubled = load(chain_program()).run([x])
    np.testing.assert_array_equal(array.to_numpy(negated), -(x + x))
    np.testing.assert_array_equal(array.to_numpy(doubled), x + x)


def test_the_smallest_site_and_element_is_raised():
    executable = load(check_program())
    good, bad = np.float32([1, 2, 3, 4]), np.float32([1, 2, -3, -4])
    executable.run([good, good])
    with pytest.raises(OutOfBoundsError, match=r"user.py:4: y is negative \(element 2\)"):
        executable.run([good, bad])
    with pytest.raises(OutOfBoundsError, match=r"user.py:3: x is negative \(element 0\)"):
        executable.run([np.float32([-1, 0, -3, 0]), bad])


def test_failure_returns_all_memory():
    executable = load(check_program())
    bad = array.from_numpy(np.full(100, -1, "f4"))
    before = array.pool_stats()["used_blocks"]
    for _ in range(10):
        with pytest.raises(IndexError):
            executable.run([bad, bad])
    assert array.pool_stats()["used_blocks"] == before


def test_too_large_an_output_is_a_memory_error():
    huge = Program(
        name="huge",
        key="huge",
        inputs=(spec(N),),
        outputs=(spec(2, 3), spec(N, 1 << 50, 1 << 50)),
        symbols=((0, 0),),
        derived=(),
        temporaries=(),
        arena=0,
        kernels=(),
        steps=(),
        sites=(),
        results=(0, 1),
        work=0,
    )
    before = array.pool_stats()["used_blocks"]
    with pytest.raises(MemoryError, match=r"result of huge, f32\[3,\d+,\d+\] of 15,\d+"):
        load(huge).run([values(3)])
    assert array.pool_stats()["used_blocks"] == before


@pytest.mark.parametrize(
    "expression",
    [
        (N, N, SizeOp.MUL, N, SizeOp.MUL),
        (1 << 62, N, SizeOp.MUL),
        (1 << 62, 1 << 62, SizeOp.ADD),
        (N, N, SizeOp.MUL, N, SizeOp.MUL, 7, SizeOp.FLOOR_DIV),
    ],
    ids=["a product of sizes", "a coefficient", "a sum", "inside of a quotient"],
)
def test_sizes_that_overflow_when_the_program_runs_are_refused(expression: SizeExpression):
    program = replace(chain_program(), derived=(expression,))
    count = 1 << 22
    wanted = evaluate(expression, [count])
    with pytest.raises(MemoryError, match=f"intermediate results of chain, {wanted:,} bytes"):
        load(program).run([np.ones(count, "f4")])


def test_a_constant_that_no_word_holds_is_refused():
    program = replace(chain_program(), derived=((N, 1 << 70, SizeOp.MUL),))
    with pytest.raises(MemoryError, match="1,180,591,620,717,411,303,424"):
        load(program)
    with pytest.raises(MemoryError, match="1,180,591,620,717,411,303,424"):
        load(replace(chain_program(), arena=1 << 70))


def test_a_size_that_needs_many_values_at_once_is_refused():
    deep = (*(N,) * 33, *(SizeOp.ADD,) * 32)
    with pytest.raises(CompileError, match="more than 32 values"):
        load(replace(chain_program(), derived=(deep,)))


@pytest.mark.parametrize(
    "expression",
    [
        (N, 2, SizeOp.FLOOR_DIV),
        (N, -5, SizeOp.ADD, 2, SizeOp.FLOOR_DIV, 8, SizeOp.ADD),
        (N, N, -3, SizeOp.ADD, SizeOp.FLOOR_DIV),
        (N, 4, SizeOp.MIN),
        (3, N, -1, SizeOp.MUL, 2, SizeOp.ADD, SizeOp.MIN, 9, SizeOp.ADD),
    ],
)
def test_derived_sizes(expression: SizeExpression):
    """A program with an output of the derived size."""
    program = replace(chain_program(), derived=(expression,), arena=0, temporaries=(), steps=())
    executable = load(replace(program, outputs=(spec(SizeSlot(1)),), results=(0,)))
    for n in range(9):
        assert executable.run([values(n)])[0].shape == (evaluate(expression, [n]),)


def test_sizes_that_are_not_allowed_are_refused_in_words():
    even = SizeCheck((N, N, 2, SizeOp.FLOOR_DIV, -2, SizeOp.MUL, SizeOp.ADD), True, "n is even")
    large = SizeCheck((N, -3, SizeOp.ADD), False, "n >= 3")
    program = replace(chain_program(), constraints=(even, large))
    executable = load(program)
    for n in range(9):
        if n >= 3 and n % 2 == 0:
            executable.run([values(n)])
        else:
            with pytest.raises(ShapeError, match="chain runs where n "):
                executable.run([values(n)])


def test_a_step_that_writes_nothing_is_left_out():
    program = check_program()
    steps = (replace(program.steps[0], elements=SizeSlot(0)), program.steps[1])
    executable = load(replace(program, steps=steps))
    bad = np.float32([-1, -1])
    empty = np.float32([])
    executable.run([empty, empty])
    with pytest.raises(IndexError):
        executable.run([bad, bad])
    never = (replace(program.steps[0], elements=0), replace(program.steps[1], elements=0))
    load(replace(program, steps=never)).run([values(3) - 9, values(3) - 9])


def test_sites_are_counted_beyond_16_bits():
    """One kernel with 70,001 of them, and after it another."""
    report = """
  %negative = fcmp olt float %x0, 0.0
  %element = select i1 %negative, i64 %i, i64 -1
  %word = getelementptr i64, ptr %status, i64 70000
  %smallest = atomicrmw umin ptr %word, i64 %element monotonic, align 8
  %r = fadd float %x0, 0.0"""
    many = elementwise("test_many_sites", report, inputs=1, sites=70_001)
    program = check_program()
    x_site, y_site = program.sites
    executable = load(
        replace(
            program,
            kernels=(many, *program.kernels),
            sites=(*[y_site] * 70_000, x_site, y_site),
            steps=(Launch(0, (0, 2), (0,)), Launch(1, (1, 3), (0,), site=70_001)),
        )
    )
    good, bad = values(3) + 1, np.float32([1, -1, -1])
    executable.run([good, good])
    with pytest.raises(IndexError, match=r"user\.py:3: x is negative \(element 1\)"):
        executable.run([bad, bad])
    with pytest.raises(IndexError, match=r"user\.py:4: y is negative \(element 1\)"):
        executable.run([good, bad])
