"""Programs for any size beside programs for one size, and how many programs many sizes take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

import weft as wf
from benchmarks.records import Case, Size, Work
from benchmarks.transformer import block, block_parameters
from weft import demo

SIZES = (64, 17, 0, 1, 2, 3, 5, 7, 8, 12, 16, 24, 31, 32, 33, 48, 65, 100, 127, 128)

Arguments = Callable[[int], tuple[Any, ...]]


def cases(size: Size) -> Iterator[Case]:
    """Each job by a program that was compiled at two other sizes, with the bits of one for the
    size; then the counts of programs."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((size(4096), size(1024)), dtype=np.float32)
    scale, shift = (rng.standard_normal(x.shape[1], dtype=np.float32) for _ in range(2))
    text = f"{x.shape[0]}x{x.shape[1]}"
    yield _case(f"softmax {text}", wf.nn.softmax, lambda n: (x[:n],), len(x), quick=True)
    yield _case(f"layer_norm {text}", wf.nn.layer_norm, lambda n: (x[:n], scale, shift), len(x))
    batch = _batch(size(784))
    yield _case("MLP training step, batch 64", _step, batch, size(64))
    sequence = _sequence(size(256))
    yield _case(f"transformer block {size(128)}x{size(256)}", block, sequence, size(128))
    for name, function, arguments in (
        ("MLP training step", _step, batch),
        ("transformer block", block, sequence),
    ):
        makers = {"weft": partial(_count, function, arguments)}
        how = {"unit": "programs", "figure": True}
        yield Case(f"programs of {name} for {len(SIZES)} sizes", makers, **how)


_step = demo.train_step.__wrapped__


def _case(name: str, function: Any, arguments: Arguments, size: int, quick: bool = False) -> Case:
    makers = {
        "weft": partial(_any_size, function, arguments, size),
        "weft fixed": partial(_fixed, function, arguments, size),
    }

    def expected() -> Any:
        return _fixed(function, arguments, size)()

    return Case(f"any size: {name}", makers, expected, tolerance=0.0, seconds=1.0, quick=quick)


def _any_size(function: Any, arguments: Arguments, size: int) -> Work:
    compiled = wf.jit(function)
    for other in (3, 5):
        compiled(*arguments(other))
    given = wf.tree.map(wf.asarray, arguments(size))
    return lambda: compiled(*given)


def _fixed(function: Any, arguments: Arguments, size: int) -> Work:
    compiled = wf.jit(function, dynamic=False)
    given = wf.tree.map(wf.asarray, arguments(size))
    return lambda: compiled(*given)


def _count(function: Any, arguments: Arguments) -> Work:
    def run() -> float:
        compiled = wf.jit(function)
        with np.errstate(all="ignore"):
            for size in SIZES:
                with suppress(wf.errors.ShapeError):  # a mean of no rows
                    compiled(*arguments(size))
        return float(len(compiled.cache_report()))

    return run


def _batch(features: int) -> Arguments:
    parameters = demo.initial_parameters(features, np.random.default_rng(0))
    zeros = {name: np.zeros(p.shape, np.float32) for name, p in parameters.items()}

    def arguments(size: int) -> tuple[Any, ...]:
        rng = np.random.default_rng(size)
        x = rng.random((size, features), dtype=np.float32)
        labels = rng.integers(0, demo.CLASSES, size)
        return parameters, zeros, zeros, np.zeros((), np.float32), x, labels

    return arguments


def _sequence(width: int) -> Arguments:
    parameters = block_parameters(width, np.random.default_rng(0))

    def arguments(size: int) -> tuple[Any, ...]:
        x = np.random.default_rng(size).standard_normal((size, width), dtype=np.float32)
        return parameters, x

    return arguments
