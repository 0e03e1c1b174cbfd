"""The arena: where values and scratch of unknown size lie."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from tests.frontend.staged import trace_symbolic

import weft as wf
from weft.calls import Reader
from weftc import pipeline
from weftc.fusion.memory import Life, _bytes, _place_fixed
from weftc.ir.sizes import Dim, Size, value_of
from weftrt.cpu.host import host_options


def at(size: Size, value: int) -> int:
    """A size where every symbol has this value."""
    symbols = size.symbols() if isinstance(size, Dim) else ()
    return value_of(size, dict.fromkeys(symbols, value))


def spread(x: Any) -> Any:
    """Two long reductions with partial results, and values between them."""
    mean = wf.mean(x)
    large = x > mean
    return wf.std(x), wf.sum(wf.where(large, x, 0)), wf.argmax(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [1, 7, 4097])
def test_symbolic_scratch_is_aligned_and_in_the_arena(dtype: type, value: int) -> None:
    call = Reader(spread, (), freeze=False).read((np.ones(9, dtype),), {})
    traced = trace_symbolic(spread, call)
    assert traced is not None
    stages = pipeline.stages(traced.graph, host_options())
    memory = stages.memory
    assert any(isinstance(low.scratch[0], Dim) for low in stages.lowered if low.scratch)
    arena = at(memory.arena, value)
    for node, offset in memory.offsets.items():
        itemsize = node.type.dtype.itemsize
        size = prod(at(axis, value) for axis in node.type.shape) * itemsize
        assert at(offset, value) % 64 == 0 and at(offset, value) + size <= arena
    for (kernel, name), offset in memory.scratch.items():
        low = stages.lowered[kernel]
        number = [buffer.name for buffer in low.function.scratch].index(name)
        end = at(offset, value) + at(low.scratch[number], value)
        assert at(offset, value) % 64 == 0 and end <= arena


def test_every_life_gets_the_lowest_gap() -> None:
    """Against the definition, over random lives: the largest first, each where nothing that lives
    meanwhile is, as low as can be."""
    random = np.random.default_rng(3)
    lives = [
        Life((k, ""), int(size), int(first), int(first + length))
        for k, (size, first, length) in enumerate(random.integers(0, (5000, 40, 20), (200, 3)))
    ]
    places: dict[Any, Size] = {}
    arena = _place_fixed(lives, places)
    placed: list[tuple[int, int, Life]] = []
    for life in sorted(lives, key=lambda x: (-_bytes(x), x.first)):
        others = [p for p in placed if p[2].first <= life.last and life.first <= p[2].last]
        free = [
            start
            for start in (0, *(stop for _, stop, _ in others))
            if all(start + _bytes(life) <= a or b <= start for a, b, _ in others)
        ]
        offset = places[life.owner]
        assert offset == min(free)
        placed.append((min(free), min(free) + _bytes(life), life))
    assert arena == max(stop for _, stop, _ in placed)


def test_offsets_past_all_memory_do_not_wrap() -> None:
    lives = [Life((k, ""), 1 << 56, 0, 0) for k in range(200)]
    assert _place_fixed(lives, {}) > 1 << 62


def chain(x: Any) -> Any:
    """Values of one size, none of which lives long."""
    for _ in range(6):
        x = wf.nn.softmax(x @ x)
    return x


def test_values_of_equal_symbolic_size_take_turns() -> None:
    call = Reader(chain, (), freeze=False).read((np.ones((9, 9), np.float32),), {})
    traced = trace_symbolic(chain, call)
    assert traced is not None
    memory = pipeline.stages(traced.graph, host_options()).memory
    assert len(memory.offsets) > 6
    assert len(set(memory.offsets.values())) <= 3
