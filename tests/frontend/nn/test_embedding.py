"""Rows of a table by their number, and dropout with masks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.frontend.nn.checks import Function, check, check_peer, check_slopes, compiled

import weft as wf

nn = wf.nn
RNG = np.random.default_rng(31)
TABLE = RNG.standard_normal((7, 4))
IDS = np.array([[0, 6, 2], [2, 2, 5]])
X = RNG.standard_normal((3, 5))
MASK = np.array([[True, False, True, True, False]] * 2 + [[False] * 5])


# -- embedding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [IDS, IDS[0], np.array(3), IDS[:0]], ids=str)
def test_rows(ids: Any) -> None:
    check(lambda table: nn.embedding(table, ids), lambda table: table[ids], TABLE)
    found = compiled(nn.embedding, TABLE.astype("f4"), ids)
    np.testing.assert_array_equal(found, TABLE.astype("f4")[ids])


@pytest.mark.parametrize("dtype", ["u1", "u4", "u8", "i4", "i8"])
def test_ids_and_tables_of_every_dtype(dtype: str) -> None:
    ids = IDS.astype(dtype)
    for table in (TABLE, TABLE.astype("f4"), np.arange(7), TABLE > 0, TABLE.astype("c8")):
        found = compiled(nn.embedding, table, ids)
        assert found.dtype == table.dtype
        np.testing.assert_array_equal(found, table[IDS])


def test_the_gradient_adds_what_a_row_was_read_for() -> None:
    weights = RNG.standard_normal((2, 3, 4))
    gradient = wf.jit(wf.grad(lambda table: wf.sum(nn.embedding(table, IDS) * weights)))(TABLE)
    wanted = np.zeros_like(TABLE)
    np.add.at(wanted, IDS, weights)
    np.testing.assert_allclose(np.asarray(gradient), wanted, rtol=1e-12)
    torch = pytest.importorskip("torch")
    peer = torch.nn.functional.embedding
    check_peer(nn.embedding, lambda table, ids: peer(ids, table), TABLE, IDS)


def test_ids_may_be_mapped() -> None:
    by_row = wf.vmap(nn.embedding, in_axes=(None, 0))(TABLE, IDS)
    np.testing.assert_array_equal(np.asarray(by_row), TABLE[IDS])
    tables = np.stack([TABLE, -TABLE])
    np.testing.assert_array_equal(
        np.asarray(wf.vmap(nn.embedding)(tables, IDS)), [TABLE[IDS[0]], -TABLE[IDS[1]]]
    )


@pytest.mark.parametrize("number", [7, -1, -7, 2**40])
def test_numbers_that_no_row_has(number: int) -> None:
    ids = np.array([0, number])
    total = lambda table, ids: wf.sum(nn.embedding(table, ids))  # noqa: E731
    for function in (nn.embedding, wf.jit(nn.embedding), wf.jit(wf.grad(total))):
        with pytest.raises(IndexError, match=rf"the index {number} is out of bounds .* size 7"):
            function(TABLE, ids)


def test_embedding_is_one_kernel_with_what_follows() -> None:
    def embedded(table: Any, ids: Any) -> Any:
        return nn.embedding(table, ids) * 2 + 1

    assert str(wf.jit(embedded).explain(TABLE, IDS)).startswith("embedded: 1 kernel\n")


# -- dropout --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, 0.25, 0.5, 1, 1.0])
def test_dropout(rate: float) -> None:
    def reference(x: Any) -> Any:
        return np.where(MASK, x / (1 - rate), 0) if rate < 1 else 0 * x

    check(lambda x: nn.dropout(x, rate, mask=MASK), reference, X)
    given = compiled(lambda x, mask: nn.dropout(x, rate, mask=mask), X, MASK)
    np.testing.assert_allclose(given, reference(X))


def test_whole_rows_and_channels_drop_out_by_masks_that_broadcast() -> None:
    for mask in (MASK[:1], MASK[:, :1], MASK[0], np.array(True)):
        found = compiled(lambda x, mask: nn.dropout(x, 0.5, mask=mask), X, mask)
        np.testing.assert_array_equal(found, np.where(mask, 2 * X, 0))


def test_what_drops_out_may_be_anything() -> None:
    x = np.array([np.inf, np.nan, 1.0], "f4")
    function = lambda x: nn.dropout(x, 0.5, mask=np.array([False, False, True]))  # noqa: E731
    assert compiled(function, x).tolist() == [0, 0, 2]
    assert np.asarray(wf.grad(lambda x: wf.sum(function(x)))(x)).tolist() == [0, 0, 2]


def test_a_rate_of_zero_needs_no_mask() -> None:
    np.testing.assert_array_equal(compiled(partial(nn.dropout, rate=0.0), X), X)
    check_slopes(lambda x: nn.dropout(x, 0), X)


def test_the_expected_value_stays() -> None:
    x = np.ones((200, 500), "f4")
    mask = np.random.default_rng(1).random(x.shape) >= 0.3
    found = compiled(lambda x, mask: nn.dropout(x, 0.3, mask=mask), x, mask)
    assert found.mean() == pytest.approx(1, abs=0.01)


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.embedding(TABLE, TABLE), wf.errors.DTypeError,
     "TABLE must be integers, not float64"),
    (lambda: nn.embedding(TABLE, MASK), wf.errors.DTypeError, "MASK must be integers, not bool"),
    (lambda: nn.embedding(1.0, IDS), wf.errors.ShapeError, "1.0 has no rows"),
    (lambda: nn.dropout(X, 0.5), wf.errors.UsageError, "mask is needed.*no random numbers yet"),
    (lambda: nn.dropout(X, 1.5, mask=MASK), wf.errors.UsageError,
     "rate is a number from 0 to 1, not 1.5"),
    (lambda: nn.dropout(X, True, mask=MASK), wf.errors.UsageError, "rate is a number"),
    (lambda: nn.dropout(X, 0.5, mask=X), wf.errors.DTypeError, "the mask must be bools.*float64"),
    (lambda: nn.dropout(X[0], 0.5, mask=MASK), wf.errors.ShapeError,
     r"the mask has shape \(3, 5\), and must broadcast to the shape of X\[0\]"),
    (lambda: nn.dropout(X, 0.5, mask=MASK[:, :2]), wf.errors.ShapeError, "do not broadcast"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "kind", "words"), BAD)
def test_bad_calls(run: Function, kind: type[Exception], words: str) -> None:
    for call in (run, wf.jit(run)):
        with pytest.raises(kind, match=words) as caught:
            call()
        assert "test_embedding.py:" in str(caught.value)
