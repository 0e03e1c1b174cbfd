"""Programs run through Executable.run: sizes, outputs, arena, errors."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.programs import M, N, add_program, chain_program, check_program, spec

from weftrt import array, dtypes
from weftrt.cpu.executable import load
from weftrt.errors import DTypeError, OutOfBoundsError, ShapeError
from weftrt.program import Program


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


def test_symbolic_size_is_never_one():
    with pytest.raises(ShapeError, match="input 0"):
        load(add_program(N)).run([values(1), values(1)])


def test_wrong_inputs_are_explained():
    executable = load(add_program(4))
    with pytest.raises(DTypeError, match="input 1 of add is float32, not float64"):
        executable.run([values(4), np.zeros(4)])
    with pytest.raises(ShapeError, match=r"input 0 of add has shape \(4\), not \(2, 2\)"):
        executable.run([values(2, 2), values(4)])
    with pytest.raises(ShapeError, match="takes 2 inputs, not 1"):
        executable.run([values(4)])


@pytest.mark.parametrize("count", [0, 2, 1000])
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
    with pytest.raises(OutOfBoundsError, match=r"user.py:3: x is negative \(element 2\)"):
        executable.run([bad, np.float32([-1, 0, 0, 0])])


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
    with pytest.raises(MemoryError):
        load(huge).run([values(3)])
    assert array.pool_stats()["used_blocks"] == before
