"""x[key] by NumPy's rules, outside a trace and compiled, with gradients, and what is refused."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf

X = np.arange(120, dtype="f4").reshape(2, 3, 4, 5)
ITEMS: list[Any] = [
    0, -1, 1, slice(None), slice(1, None), slice(None, None, -1), slice(0, 0), None, ..., [0, 1],
    [1], np.array([[0], [1]]), np.array([0, 1, -1]), [], range(2), (0, 1), np.int64(1),
    np.array(1), np.array([0, 1], "u1"), np.array([1], "u8"), [[0, 1], [1, -1]],
]  # fmt: skip
_random = random.Random(5)
KEYS = [tuple(_random.choices(ITEMS, k=_random.randint(1, 4))) for _ in range(120)]
KEYS += [
    ([],), (0, [0, 1]), ([0, 1], [1, 2]), ([0, 1], slice(None), [1, 2]), (0, slice(None), [1, 2]),
    ([0, 1], None, [1, 2]), ((0, 1),), ([0, 1], ..., [1, 2]), ([[0], [1]], [0, 2]),
    ([0, 1], [1, 2], [3, 0], [4, 4]), (slice(None), [0, 2], [1, 3], 0),
]  # fmt: skip


def numpys(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key with empty lists as the integers that they stand for."""
    return tuple(np.zeros(0, int) if isinstance(k, list) and not k else k for k in key)


def test_keys_mean_what_they_mean_to_numpy() -> None:
    refused = 0
    for key in KEYS:
        forms = (lambda key=key: wf.asarray(X)[key], lambda key=key: wf.jit(lambda x: x[key])(X))
        try:
            expected = X[numpys(key)]
        except IndexError:
            refused += 1
            for run in forms:
                with pytest.raises(IndexError):
                    run()
            continue
        for run in forms:
            assert_same_bits(np.asarray(run()), np.asarray(expected))
    assert 0 < refused < len(KEYS) / 4


def test_indices_that_are_arguments() -> None:
    f = wf.jit(lambda x, i, j, n: (x[i, :, j], x[i, n], x[[n, 0], j], x[n]))
    i, j = np.array([1, 0]), np.array([[2], [-1]])
    for n in (0, 1, -1, np.int32(1)):
        for found, expected in zip(
            f(X, i, j % 3, n), (X[i, :, j % 3], X[i, n], X[[n, 0], j % 3], X[n])
        ):
            assert_same_bits(np.asarray(found), expected)


def test_gradients_add_up_at_equal_indices() -> None:
    expected = np.zeros_like(X)
    np.add.at(expected, ([0, 1, 0], slice(None), [1, 1, 1]), 2 * X[[0, 1, 0], :, [1, 1, 1]])
    f = wf.grad(lambda x: wf.sum(x[[0, 1, 0], :, [1, 1, 1]] ** 2))
    assert_same_bits(np.asarray(f(X)), expected)
    second = wf.grad(lambda x: wf.sum(wf.grad(lambda y: wf.sum(y[0, [0, 1], ..., [2, 2]] ** 3))(x)))
    expected = np.zeros_like(X)
    expected[0, [0, 1], :, [2, 2]] = 6 * X[0, [0, 1], :, [2, 2]]
    assert_same_bits(np.asarray(second(X)), expected)


REFUSED: list[tuple[Any, str]] = [
    ((0, 0, 0, 0, 0), "5 indices for 4 axes"),
    ((..., ...), "two ellipses"),
    (2, "index 2 is out of bounds for axis 0 of size 2"),
    (2**70, "is out of bounds for axis 0"),
    (([0, 1], [0, 3]), "index 3 is out of bounds for axis 1 of size 3"),
    (([0, 1], 3), "index 3 is out of bounds for axis 1 of size 3"),
    ((0, [0, 1], ..., -6), "index -6 is out of bounds for axis 3 of size 5"),
    ((2**70, [0, 1]), "is out of bounds for axis 0"),
    (([0, 1], [0, 1, 2]), r"shapes \(2,\) and \(3,\), which do not broadcast"),
    (True, r"True is not an index; a mask .*wf\.where"),
    (np.True_, r"a mask .*wf\.where"),
    ([True, False], r"not bool; a mask .*wf\.where"),
    (np.ones(2, bool), r"not bool; a mask .*wf\.where"),
    ([0.5], "of integers, not float"),
    (1.0, "1.0 is not an index"),
    ("a", "'a' is not an index"),
    ({}, "{} is not an index"),
    (slice(0.5, None), "a slice is of integers, not a float"),
    ([0, [1]], "is no array"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_no_index_is_an_index_error_naming_the_line(number: int) -> None:
    key, message = REFUSED[number]
    for run in (lambda: wf.asarray(X)[key], lambda: wf.jit(lambda x: x[key])(X)):
        with pytest.raises(IndexError, match=message) as caught:
            run()
        assert "test_indexing.py:" in str(caught.value)


@pytest.mark.parametrize("key", [(0, [1]), ([0], 0), (-1, ..., [[0, 1]])])
def test_an_integer_beside_an_array_is_outside_of_an_empty_axis(key: tuple[Any, ...]) -> None:
    x = np.zeros((0, 3) if key[0] != [0] else (3, 0), "f4")
    for run in (lambda: wf.asarray(x)[key], lambda: wf.jit(lambda x: x[key])(x)):
        with pytest.raises(IndexError, match="of size 0"):
            run()


def test_an_index_outside_that_no_element_of_the_result_has_is_none() -> None:
    x, key = np.zeros((2, 0, 3), "f4"), (0, np.array([0]), np.zeros(0, int))
    for run in (lambda: wf.asarray(x)[key], lambda: wf.jit(lambda x: x[key])(x)):
        assert_same_bits(np.asarray(run()), x[key])
