"""Norms and condition numbers against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.frontend.linalg.draws import close, matrices, rectangles

import weft as wf
from weftrt.errors import ShapeError, UsageError


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_matrix_norms_are_numpys(order: Any) -> None:
    for x in rectangles():
        for keepdims in (False, True):
            found = wf.linalg.matrix_norm(x, ord=order, keepdims=keepdims)
            close(found, np.asarray(np.linalg.matrix_norm(x, ord=order, keepdims=keepdims)))


@pytest.mark.parametrize("order", [0, 1, 2, 3, 0.5, -1, np.inf, -np.inf])
def test_vector_norms_are_numpys(order: float) -> None:
    for x in rectangles():
        for axis in (None, -1, (0, 1)):
            found = wf.linalg.vector_norm(x, ord=order, axis=axis)
            close(found, np.asarray(np.linalg.vector_norm(x, ord=order, axis=axis)))


def test_wrong_orders_are_named() -> None:
    with pytest.raises(UsageError, match="ord is 'fro'"):
        wf.linalg.matrix_norm(np.eye(2), ord=3)
    with pytest.raises(UsageError, match="ord is a number"):
        wf.linalg.vector_norm(np.ones(2), ord="fro")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="must have 3 elements"):
        wf.linalg.cross(np.ones(2), np.ones(2))


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc"])
def test_condition_numbers_are_numpys(p: Any) -> None:
    x = matrices(5, lead=(2,))
    close(wf.linalg.cond(x, p), np.linalg.cond(x, p))


def test_condition_numbers_of_what_has_no_inverse() -> None:
    close(
        wf.linalg.cond(np.ones((3, 2)) + np.eye(3, 2)),
        np.linalg.cond(np.ones((3, 2)) + np.eye(3, 2)),
    )
    assert float(wf.linalg.cond(np.zeros((2, 2)))) == np.inf
    assert float(wf.linalg.cond(np.zeros((2, 2)), -2)) == np.inf
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        wf.linalg.cond(np.zeros((2, 2)), 1)
    with pytest.raises(ShapeError, match="it takes square matrices"):
        wf.linalg.cond(np.ones((3, 2)), 1)
    with pytest.raises(UsageError, match="ord is 'fro'"):
        wf.linalg.cond(np.eye(2), 3)


def test_norms_of_complex_numbers() -> None:
    z = np.array([[3 + 4j, 1j], [0, 2 - 1j]])
    for order in (1, 2, 3, np.inf):
        close(wf.linalg.vector_norm(z, ord=order), np.asarray(np.linalg.vector_norm(z, ord=order)))
    for order in ("fro", 1, np.inf):
        close(wf.linalg.matrix_norm(z, ord=order), np.asarray(np.linalg.matrix_norm(z, ord=order)))
