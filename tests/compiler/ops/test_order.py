"""The canonical order of reductions and contractions, against loops over Python scalars."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bits import assert_same_bits

from weftc.ir.types import TensorType
from weftc.loop.scalar import fma
from weftc.ops import get
from weftrt import dtypes
from weftrt.errors import OutOfBoundsError, ShapeError


def run(name: str, *arrays: Any, **attrs: Any) -> Any:
    types = []
    for array in arrays:
        dtype = dtypes.from_numpy(array.dtype)
        assert dtype is not None
        types.append(TensorType(dtype, array.shape))
    op = get(name)
    return op.reference(list(arrays), attrs, op.infer(tuple(types), attrs))


def slow_sum(values: Any) -> Any:
    """Blocks of 4096, 64 lanes, halving tree, and so over the blocks: element by element."""
    zero = values.dtype.type(0)
    blocks = []
    for first in range(0, len(values), 4096):
        lanes = [zero] * 64
        for number, value in enumerate(values[first : first + 4096]):
            lanes[number % 64] = lanes[number % 64] + value
        for half in (32, 16, 8, 4, 2, 1):
            lanes = [lanes[i] + lanes[i + half] for i in range(half)]
        blocks.append(lanes[0])
    if len(blocks) > 1:
        return slow_sum(np.array(blocks))
    return blocks[0] if blocks else zero


@pytest.mark.parametrize("length", [0, 1, 2, 63, 64, 65, 130, 4096, 4097, 8200, 12289])
def test_sums_follow_the_canonical_order(length: int) -> None:
    random = np.random.default_rng(length)
    values = (random.standard_normal(length) * 10 ** random.uniform(-3, 3, length)).astype("f4")
    expected = np.asarray(slow_sum(values))
    assert_same_bits(run("sum", values, axes=(0,)), expected)
    stacked = np.stack([values, values[::-1]], axis=1)
    assert_same_bits(run("sum", stacked, axes=(0,))[0], expected)


def test_adjacent_axes_reduce_as_one() -> None:
    x = np.random.default_rng(0).standard_normal((3, 7, 11, 2)).astype(np.float32)
    together = run("sum", x, axes=(1, 2))
    assert_same_bits(together, run("sum", x.reshape(3, 77, 2), axes=(1,)))


def test_the_sum_of_negative_zeros_is_zero() -> None:
    total = run("sum", np.full(3, -0.0, np.float32), axes=(0,))
    assert not np.signbit(total)


def test_extrema_of_zeros_nans_and_integers() -> None:
    zeros = np.array([-0.0, 0.0, -0.0], np.float32)
    assert np.signbit(run("min", zeros, axes=(0,)))
    assert not np.signbit(run("max", zeros, axes=(0,)))
    assert np.isnan(run("max", np.array([1, np.nan, 3], np.float32), axes=(0,)))
    assert run("max", np.full(70, -5, np.int32), axes=(0,)) == -5
    assert run("min", np.full(70, 5, np.uint8), axes=(0,)) == 5
    assert run("max", np.full(3, -np.inf, np.float32), axes=(0,)) == -np.inf


def test_empty_reductions() -> None:
    empty = np.zeros((2, 0), np.float32)
    np.testing.assert_array_equal(run("sum", empty, axes=(1,)), [0, 0])
    np.testing.assert_array_equal(run("prod", empty, axes=(1,)), [1, 1])
    assert run("all", np.zeros(0, bool), axes=(0,)) and not run("any", np.zeros(0, bool), axes=(0,))
    with pytest.raises(ShapeError, match=r"max of no elements: float32\[2,0\]"):
        run("max", empty, axes=(1,))
    assert run("max", empty, axes=(0,)).shape == (0,)


def test_reduced_axes_are_neighbours() -> None:
    for axes in ((0, 2), ()):
        with pytest.raises(ShapeError, match="neighbouring"):
            run("sum", np.zeros((2, 3, 4), np.float32), axes=axes)


@pytest.mark.parametrize("length", [0, 1, 5, 1024, 1025, 2500])
def test_contractions_are_chains_of_fma_in_segments(length: int) -> None:
    random = np.random.default_rng(length)
    a = random.standard_normal((2, length)).astype(np.float32)
    b = random.standard_normal((length, 3)).astype(np.float32)
    expected = np.zeros((2, 3), np.float32)
    for i in range(2):
        for j in range(3):
            segments = []
            for first in range(0, length, 1024):
                chain = np.float32(0)
                for k in range(first, min(first + 1024, length)):
                    chain = fma(a[i, k], b[k, j], chain)
                segments.append(chain)
            expected[i, j] = reduce(lambda s, t: s + t, segments) if segments else 0
    found = run("contract", a, b, batch=((), ()), contracted=((1,), (0,)))
    assert_same_bits(found, expected)


@pytest.mark.parametrize("length", [1, 70, 5000])
def test_a_marked_contraction_with_one_column_is_the_sum_of_products(length: int) -> None:
    random = np.random.default_rng(length)
    a = random.standard_normal((2, length)).astype(np.float32)
    b = random.standard_normal((length, 3)).astype(np.float32)
    axes: dict[str, Any] = {"batch": ((), ()), "contracted": ((1,), (0,))}
    column = b[:, :1]
    expected = run("sum", a * column.T, axes=(1,))
    assert_same_bits(run("contract", a, column, **axes, column_sum=True)[:, 0], expected)
    chains = run("contract", a, b, **axes)
    assert_same_bits(run("contract", a, b, **axes, column_sum=True), chains)
    assert_same_bits(run("contract", a, column, **axes), chains[:, :1])


@settings(max_examples=40)
@given(st.data())
def test_contract_is_einsum(data: st.DataObject) -> None:
    letters = {c: data.draw(st.integers(1, 3)) for c in "pqijkl"}
    left = data.draw(st.permutations(list("pqikl")))
    right = data.draw(st.permutations(list("pqjkl")))
    drop = set(data.draw(st.lists(st.sampled_from("pqkl"), unique=True)))
    left, right = [c for c in left if c not in drop], [c for c in right if c not in drop]
    batch = [c for c in data.draw(st.permutations(list("pq"))) if c not in drop]
    summed = [c for c in data.draw(st.permutations(list("kl"))) if c not in drop]
    a = np.random.default_rng(1).integers(-9, 9, [letters[c] for c in left])
    b = np.random.default_rng(2).integers(-9, 9, [letters[c] for c in right])

    def pair(names: list[str]) -> Any:
        return tuple(left.index(c) for c in names), tuple(right.index(c) for c in names)

    found = run("contract", a, b, batch=pair(batch), contracted=pair(summed))
    expected = np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(batch)}ij", a, b)
    np.testing.assert_array_equal(found, expected)


def test_contract_tells_which_axes_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"float32\[2,3\] and float32\[4,5\].*\(3,\).*\(4,\)"):
        a, b = np.zeros((2, 3), np.float32), np.zeros((4, 5), np.float32)
        run("contract", a, b, batch=((), ()), contracted=((1,), (0,)))


def test_scatter_adds_duplicates_in_index_order() -> None:
    base = np.array([1, 0], np.float32)
    updates = np.array([1e8, 1, -1e8], np.float32)
    indices = np.array([0, -2, 0])
    total = ((base[0] + updates[0]) + updates[1]) + updates[2]
    found = run("scatter_add", base, indices, updates, axis=0)
    assert_same_bits(found, np.array([total, 0], np.float32))


def test_indices_outside_are_refused() -> None:
    x = np.zeros((2, 3), np.float32)
    for bad in (np.array(3), np.array(-4), np.array(2**64 - 1, np.uint64)):
        with pytest.raises(OutOfBoundsError, match="size 3"):
            run("take", x, bad, axis=1)
        with pytest.raises(OutOfBoundsError, match="size 3"):
            run("scatter_add", x, bad, np.zeros(2, np.float32), axis=1)
