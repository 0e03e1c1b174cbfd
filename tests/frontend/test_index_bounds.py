"""Indices at their true value, whatever their dtype; labels that are no class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import weft as wf

X = np.arange(5, dtype=np.float32)
LOGITS = np.array([[1, 2, 3], [0, 0, 0]], np.float32)
DTYPES = (np.uint8, np.uint32, np.uint64, np.int32, np.int64)


def take(x: Any, i: Any) -> Any:
    return wf.take(x, i, axis=0)


def gradient(x: Any, i: Any) -> Any:
    return wf.grad(lambda x: wf.sum(wf.take(x, i, axis=0)))(x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_indices_of_every_dtype(dtype: type) -> None:
    i = np.array([4, 0, 2], dtype)
    for f in (take, wf.jit(take), wf.jit(lambda x, i: x[i])):
        assert np.array_equal(f(X, i), X[[4, 0, 2]])
    assert np.array_equal(wf.jit(gradient)(X, i), [1, 0, 1, 0, 1])


@pytest.mark.parametrize(
    ("index", "dtype"),
    [
        (5, np.uint8),
        (255, np.uint8),
        (2**32 - 1, np.uint32),
        (2**63, np.uint64),
        (2**64 - 1, np.uint64),
        (-6, np.int32),
        (5, np.int64),
        (-(2**63), np.int64),
    ],
)
def test_the_index_that_is_outside_is_named(index: int, dtype: type) -> None:
    i = np.array([1, index], dtype)
    for f in (take, wf.jit(take), gradient, wf.jit(gradient), lambda x, i: wf.asarray(x)[i]):
        with pytest.raises(IndexError, match=rf"^[^\n]*: the index {index} is out .* size 5"):
            f(X, i)


def test_an_index_that_was_computed_has_no_value_to_show() -> None:
    with pytest.raises(IndexError, match=r"an index is out of bounds .* \(element 1\)"):
        wf.jit(lambda x, i: x[i + 1])(X, np.array([0, 4]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_of_every_dtype(dtype: type) -> None:
    labels = np.array([2, 0], dtype)
    for f in (wf.nn.cross_entropy, wf.jit(wf.nn.cross_entropy)):
        np.testing.assert_allclose(f(LOGITS, labels), [0.40760595, np.log(3)], rtol=1e-6)


@pytest.mark.parametrize("label", [7, -1])
def test_a_label_that_is_a_number(label: int) -> None:
    for f in (wf.nn.cross_entropy, wf.jit(lambda x, label: wf.nn.cross_entropy(x, label))):
        assert float(f(LOGITS[0], 2)) == pytest.approx(0.40760595)
        with pytest.raises(IndexError, match=rf"index {label} is out of bounds .* size 3"):
            f(LOGITS[0], label)
    with pytest.raises(IndexError, match=r"an index is out of bounds .* size 3"):
        wf.jit(lambda x: wf.nn.cross_entropy(x, label))(LOGITS[0])


@pytest.mark.parametrize("label", [3, -1, -3, 2**40])
def test_a_label_that_is_no_class(label: int) -> None:
    labels = np.array([1, label])
    loss = wf.jit(lambda x, labels: wf.mean(wf.nn.cross_entropy(x, labels)))
    for f in (wf.nn.cross_entropy, wf.jit(wf.nn.cross_entropy), loss, wf.grad(loss)):
        with pytest.raises(IndexError, match=rf"index {label} is out of bounds .* size 3"):
            f(LOGITS, labels)


@pytest.mark.parametrize("index", [2**63, 2**64 - 1, np.uint64(2**64 - 1), 2**70, -(2**70)])
def test_single_indices_beyond_64_bits(index: Any) -> None:
    for f in (lambda x: x[index], wf.jit(lambda x: x[index])):
        with pytest.raises(IndexError, match=rf"index {int(index)} is out of bounds .* size 5"):
            f(wf.asarray(X))
