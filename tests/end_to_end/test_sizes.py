"""Sizes that fit no memory are refused in words, before anything is allocated or run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft as wf
from weftrt import array
from weftrt.errors import OutOfMemoryError

X = np.arange(4, dtype=np.float32)
WIDE = np.ones(1 << 22, np.float32)
EMPTY = np.zeros((0, 1 << 50), np.uint8)


def huge_sum(a: Any) -> Any:
    return wf.sum(a[0] + wf.zeros((2**32, 2**32)))


BEYOND_COUNTING: dict[str, Callable[[], Any]] = {
    "broadcast": lambda: wf.broadcast_to(X[:1], (2**70,)),
    "broadcast of a symbolic size": lambda: wf.broadcast_to(X[:, None], (4, 2**70)),
    "one_hot": lambda: wf.one_hot(np.zeros(8, np.int64), 2**70),
    "pad": lambda: wf.pad(X, (2**63, 2**63)),
    "a value inside of a fused kernel": lambda: wf.jit(huge_sum)(X),
    "a constant result": lambda: wf.jit(lambda: wf.zeros((2**62,)))(),
    "an axis of nothing": lambda: wf.jit(lambda: wf.zeros((0, 2**62)))(),
    "a product": lambda: wf.jit(lambda: wf.ones((2**40, 1)) @ wf.ones((1, 2**40)))(),
}


@pytest.mark.parametrize("size", [2**45, 2**62, 2**63, 2**64, 2**70])
@pytest.mark.parametrize("make", [wf.zeros, wf.ones, wf.empty, wf.eye, lambda n: wf.full(n, 3)])
def test_arrays_that_cannot_be_made_are_refused_with_the_line(
    make: Callable[[int], Any], size: int
):
    with pytest.raises(OutOfMemoryError, match=r"test_sizes\.py:\d+: (.|\n)* bytes"):
        make(size)
    with pytest.raises(OutOfMemoryError, match=r"test_sizes\.py:\d+: (.|\n)* bytes"):
        wf.jit(lambda: make(size))()


def test_views_and_copies_that_cannot_be_are_refused():
    with pytest.raises(OutOfMemoryError, match=r"test_sizes\.py:\d+: wf\.reshape(.|\n)*\[0,\d+\]"):
        wf.reshape(wf.zeros((0, 3)), (0, 2**62))
    for size in (2**45, 2**60):
        with pytest.raises(OutOfMemoryError, match="a copy"):
            wf.asarray(np.broadcast_to(np.float32(1), (size,)))


@pytest.mark.parametrize("name", BEYOND_COUNTING)
def test_sizes_beyond_counting_are_refused_with_the_line(name: str):
    with pytest.raises(OutOfMemoryError, match=r"test_sizes\.py:\d+: .*\n.* bytes"):
        BEYOND_COUNTING[name]()


def outer(x: Any) -> Any:
    return x[:, None] * x[None]


def product_of_large_values(x: Any) -> Any:
    return wf.sum(wf.sin(outer(x)) @ wf.cos(outer(x)))


def intermediate_results_past_counting(x: Any) -> Any:
    v = wf.reshape(outer(x), (-1,))
    w = wf.concat([v, v])
    return wf.sum(wf.sin(w[:, None] * v) @ wf.cos(outer(v)))


@pytest.mark.parametrize("function", [outer, product_of_large_values])
def test_a_program_tells_how_much_it_asked_for_and_where(function: Callable[..., Any]):
    before = array.pool_stats()["used_blocks"]
    with pytest.raises(MemoryError, match=r"test_sizes\.py:\d+: (.|\n)*\d{2},\d{3} bytes \(\d"):
        wf.jit(function)(WIDE)
    assert array.pool_stats()["used_blocks"] == before


def test_intermediate_results_past_counting_are_refused():
    with pytest.raises(MemoryError, match=r"test_sizes\.py:\d+: .*\n.* intermediate results of"):
        wf.jit(intermediate_results_past_counting)(np.ones(1 << 13, np.float32))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.shape[0] ** 3 + wf.asarray(0),
        lambda x: wf.zeros((x.shape[0] ** 3,))[:2],
        lambda x: x.shape[0] ** 3 // x.shape[0] ** 2 + wf.asarray(0),
    ],
)
def test_sizes_past_counting_are_named(function: Callable[..., Any]):
    compiled = wf.jit(function, dynamic={"x": {0: "n"}})
    with pytest.raises(OutOfMemoryError, match="a size of 73,786,976,294,838,206,464 is more"):
        compiled(np.zeros(1 << 22, np.bool_))


def test_an_eager_operation_tells_how_much_it_asked_for_and_where():
    column = wf.asarray(WIDE[:, None])
    with pytest.raises(MemoryError, match=r"column \* WIDE\n.*70,368,744,177,664 bytes"):
        column * WIDE


def test_an_array_that_cannot_be_had_tells_its_size():
    with pytest.raises(MemoryError, match=r"f64\[1048576,1048576,1024\] of 9,007,199"):
        array.new(wf.float64, (1 << 20, 1 << 20, 1 << 10))


def test_empty_arrays_of_huge_sizes_take_no_time():
    assert wf.permute_dims(EMPTY, (1, 0)).shape == (1 << 50, 0)
    assert wf.jit(lambda x: x.T + 1)(EMPTY).shape == (1 << 50, 0)
    columns = np.zeros((1 << 50, 0), np.uint8)
    assert wf.concat([columns, columns]).shape == (1 << 51, 0)
    assert (wf.asarray(columns) + columns).shape == (1 << 50, 0)
    assert wf.sum(wf.asarray(columns), axis=0).shape == (0,)


def test_empty_arrays_past_all_counting_are_refused():
    with pytest.raises(MemoryError, match=r"\[0,1152921504606846976\]"):
        wf.permute_dims(np.zeros((0, 1 << 60), np.uint8), (1, 0))
