"""Programs for any size beside programs for one size, and how often either is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import weft as wf
from benchmarks.harness import Case
from benchmarks.transformer import block, block_parameters
from weft import demo

GOAL = {"fixed": 0.9}
"""A program for any size takes at most a ninth more than one for the size."""
SIZES = (64, 17, 0, 1, 2, 3, 5, 7, 8, 12, 16, 24, 31, 32, 33, 48, 65, 100, 127, 128)


def cases() -> Iterator[Case]:
    """Each job by a program that was compiled at two other sizes; then the counts of compiles."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4096, 1024), dtype=np.float32)
    scale, shift = (rng.standard_normal(1024, dtype=np.float32) for _ in range(2))
    yield _case("softmax 4096x1024", wf.nn.softmax, lambda n: (x[:n],), 4096)
    yield _case("layer_norm 4096x1024", wf.nn.layer_norm, lambda n: (x[:n], scale, shift), 4096)
    yield _case("MLP 784-128-10 training step, batch 64", _step, _batch, 64)
    yield _case("transformer block 128x256", block, _sequence, 128)
    _count("MLP training step", _step, _batch)
    _count("transformer block", block, _sequence)


_step = demo.train_step.__wrapped__


def _case(name: str, function: Any, arguments: Callable[[int], Any], size: int) -> Case:
    any_size, fixed = wf.jit(function), wf.jit(function, dynamic=False)
    for other in (3, 5):
        any_size(*arguments(other))
    given = wf.tree.map(wf.asarray, arguments(size))
    runs = {"weft": lambda: any_size(*given), "fixed": lambda: fixed(*given)}
    _check_same_bits(any_size(*given), fixed(*given))
    return Case(f"any size: {name}", runs, goals=GOAL)


def _check_same_bits(found: Any, expected: Any) -> None:
    for a, b in zip(wf.tree.leaves(found), wf.tree.leaves(expected), strict=True):
        if np.asarray(a).tobytes() != np.asarray(b).tobytes():
            raise SystemExit("a program for any size has other bits than one for the size")


def _count(name: str, function: Any, arguments: Callable[[int], Any]) -> None:
    """Print how often a function is compiled for many sizes."""
    compiled = wf.jit(function)
    refused = 0
    with np.errstate(all="ignore"):
        for size in SIZES:
            try:
                compiled(*arguments(size))
            except wf.errors.ShapeError as error:
                refused += 1
                print(f"\n{name} of size {size}: {str(error).splitlines()[-1].strip()}")
    print(f"\n{name} at {len(SIZES) - refused} sizes: {compiled.cache_report()}")


_PARAMETERS = demo.initial_parameters(784, np.random.default_rng(0))
_ZEROS = {name: np.zeros(p.shape, np.float32) for name, p in _PARAMETERS.items()}
_BLOCK = block_parameters(256, np.random.default_rng(0))


def _batch(size: int) -> Any:
    rng = np.random.default_rng(size)
    x, labels = rng.random((size, 784), dtype=np.float32), rng.integers(0, demo.CLASSES, size)
    return _PARAMETERS, _ZEROS, _ZEROS, np.zeros((), np.float32), x, labels


def _sequence(size: int) -> Any:
    return _BLOCK, np.random.default_rng(size).standard_normal((size, 256), dtype=np.float32)
