"""What only moves elements: pieces, borders, transposes, casts, gathers, scatters, running sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.jobs import Written, case, shape_text
from benchmarks.records import Case, Size

PIECES = 64


def _concat(xp: Any) -> Callable[..., Any]:
    return lambda *pieces: xp.concat(pieces)


def _padded(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.pad(x, ((1, 1), (1, 1)))


def _rolled(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.roll(x, 3)


def _rolled_by_slices(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.concat((x[-3:], x[:-3]))


def _stencil(xp: Any) -> Callable[..., Any]:
    """Jacobi's, of five points."""
    return lambda x: (x[1:-1, :-2] + x[1:-1, 2:] + x[:-2, 1:-1] + x[2:, 1:-1]) * 0.25


def _transposed(xp: Any) -> Callable[..., Any]:
    return lambda x: x.T


def _transposed_copy(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.ascontiguousarray(x.T)


def _transposed_contiguous(xp: Any) -> Callable[..., Any]:
    return lambda x: x.T.contiguous()


def _to_integers(xp: Any) -> Callable[..., Any]:
    return lambda x: xp.astype(x, xp.int32)


def _taken(xp: Any) -> Callable[..., Any]:
    return lambda table, rows: xp.take(table, rows, axis=0)


def _added(xp: Any) -> Callable[..., Any]:
    return lambda base, indices, updates: xp.scatter_add(base, indices, updates)


def _running(axis: int) -> Written:
    return lambda xp: lambda x: xp.cumsum(x, axis)


def cases(size: Size) -> Iterator[Case]:
    """Copies in other places first, then what goes by indices, then running sums."""
    rng = np.random.default_rng(0)
    yield from _copies(rng, size)
    yield from _by_indices(rng, size)
    x = rng.standard_normal((size(4096), size(1024)), dtype=np.float32)
    for array, axis in ((x, 1), (x, 0), (x.reshape(-1, 4), 0), (x.reshape(-1), 0)):
        name = f"cumsum {shape_text(*array.shape)} axis {axis}"
        moved = {"reads": x.nbytes, "writes": x.nbytes}
        yield case(name, _running(axis), array, tolerance=1e-4, **moved)


def _copies(rng: np.random.Generator, size: Size) -> Iterator[Case]:
    pieces = [rng.standard_normal(size(4096), dtype=np.float32) for _ in range(PIECES)]
    total = sum(p.nbytes for p in pieces)
    name = f"concat of {PIECES} times {pieces[0].size}"
    yield case(name, _concat, *pieces, reads=total, writes=total, quick=True)
    x = rng.standard_normal((size(2048), size(2048)), dtype=np.float32)
    text, moved = shape_text(*x.shape), {"reads": x.nbytes, "writes": x.nbytes}
    yield case(f"pad {text} by 1", _padded, x, **moved)
    own = {"weft": _rolled_by_slices}
    yield case(f"roll {x.size} by 3", _rolled, x.reshape(-1), own=own, **moved)
    yield case(f"five-point stencil {text}", _stencil, x, **moved)
    own = dict.fromkeys(("numpy", "numba"), _transposed_copy)
    own |= {"torch eager": _transposed_contiguous}
    yield case(f"transpose {text}", _transposed, x, own=own, quick=True, **moved)
    yield case(f"float32 to int32 {text}", _to_integers, x * np.float32(100), **moved)


def _by_indices(rng: np.random.Generator, size: Size) -> Iterator[Case]:
    table = rng.standard_normal((size(30_000), size(512)), dtype=np.float32)
    rows = rng.integers(0, len(table), size(4096))
    updates = rng.standard_normal((rows.size, table.shape[1]), dtype=np.float32)
    text, moved = shape_text(*table.shape), {"reads": updates.nbytes, "writes": updates.nbytes}
    yield case(f"embedding {rows.size} of {text}", _taken, table, rows, quick=True, **moved)
    name = f"embedding gradient {rows.size} of {text}"
    yield case(name, _added, np.zeros_like(table), rows, updates, tolerance=1e-4)
    values = rng.standard_normal(size(1 << 20), dtype=np.float32)
    places = rng.integers(0, values.size, values.size)
    yield case(f"gather {values.size} of {values.size}", _taken, values, places)
    few = np.zeros(size(100_000), np.float32)
    name, places = f"scatter-add {values.size} to {few.size}", places % few.size
    yield case(name, _added, few, places, values, tolerance=1e-4)
