"""The tiles of a contraction: chosen from its sizes and the target alone, so equal everywhere.

The bits of the result do not depend on anything here: k runs in ascending order whatever the tile.
"""

from __future__ import annotations

from dataclasses import dataclass

from weftc.ir.types import Size, product
from weftc.schedule.cpu.contraction_problem import Problem
from weftrt.target import Target

SEGMENT = 1024
"""k runs in segments of this length: one fma chain each (the numerics contract)."""

_BLOCK_BYTES = 240 << 10
_TASK_FLOPS = 6_000_000
"""About 40 us of one core: the least that is worth a thread."""
_WANTED_TASKS = 8
_ASSUMED = 512
"""What a symbolic size is taken for where a choice depends on it."""


@dataclass(frozen=True)
class Tiling:
    """`rows` x `lanes` is the register tile, `unroll` k steps of it are printed in a row; a task is
    at most `strips` x `panels` tiles. A packed operand is copied into panels of its tile first."""

    rows: int
    lanes: int
    strips: int
    panels: int
    pack_a: bool
    pack_b: bool
    unroll: int = 4


def choose(problem: Problem, target: Target) -> Tiling:
    """The tiling for a problem on a machine."""
    rows, lanes = _tile(problem, target)
    pack_b = _packs_b(problem, target, lanes)
    strips, panels = _blocks(problem, rows, lanes)
    return Tiling(rows, lanes, strips, panels, _packs_a(problem), pack_b)


def assumed(size: Size) -> int:
    """A number for a size: itself, or what a symbolic size is taken for."""
    return size if isinstance(size, int) else _ASSUMED


def ceil_div(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


def _tile(problem: Problem, target: Target) -> tuple[int, int]:
    """The register tile with the fewest cycles for one step of k over the whole result."""
    width = max(1, target.vector_bits // max(32, problem.dtype.bits))
    registers = 32 if target.vector_bits == 512 or "aarch64" in target.triple else 16
    tallest = 14 if isinstance(problem.m, int) else 6
    m, n = assumed(problem.m), assumed(problem.n)
    best: tuple[float, int, int] | None = None
    for vectors in range(4 if registers == 32 else 2, 0, -1):
        lanes = vectors * width
        for rows in range(min((registers - vectors - 1) // vectors, tallest, max(1, m)), 0, -1):
            cost = ceil_div(m, rows) * ceil_div(n, lanes) * _cycles(rows, vectors)
            if best is None or cost < 0.97 * best[0]:
                best = (cost, rows, lanes)
    assert best is not None
    return best[1], best[2]


def _cycles(rows: int, vectors: int) -> float:
    """One k step of a tile: two fmas or two loads a cycle, four cycles of latency at least."""
    return max(rows * vectors / 2, (rows + vectors) / 2, 4.0)


def needs_packed_b(problem: Problem, lanes: int) -> bool:
    """Whether B's rows are not contiguous, or may be shorter than a tile."""
    n, strided = problem.n, problem.b.strided
    if strided is None or not isinstance(n, int) or n < lanes:
        return True
    return strided.free != 1 and n != 1


def _packs_b(problem: Problem, target: Target, lanes: int) -> bool:
    """B is packed where it must be, or where it leaves L2 and is read often enough."""
    if needs_packed_b(problem, lanes):
        return True
    size = assumed(problem.k) * assumed(problem.n) * problem.dtype.itemsize
    return size > target.l2_bytes // 4 and assumed(problem.m) >= 192


def _packs_a(problem: Problem) -> bool:
    """A is packed where neighbours in k are far apart and the columns reuse the copy enough."""
    strided = problem.a.strided
    if strided is None:
        return True
    if strided.contracted == 1 or assumed(problem.n) < 128:
        return False
    return assumed(problem.k) >= 256


def _blocks(problem: Problem, rows: int, lanes: int) -> tuple[int, int]:
    """Strips and panels of one task: a square that fits its buffer, cut for threads."""
    panels = max(1, 256 // lanes) if lanes <= 64 else 1
    strips = max(1, _BLOCK_BYTES // (problem.dtype.itemsize * rows * lanes * panels))
    all_strips = max(1, ceil_div(assumed(problem.m), rows))
    all_panels = max(1, ceil_div(assumed(problem.n), lanes))
    strips, panels = min(strips, all_strips, ceil_div(240, rows)), min(panels, all_panels)
    batch = assumed(product(problem.batch))
    while _worth_splitting(problem, strips * rows, panels * lanes) and (
        batch * ceil_div(all_strips, strips) * ceil_div(all_panels, panels) < _WANTED_TASKS
    ):
        if panels * lanes >= strips * rows and panels > 1:
            panels = ceil_div(panels, 2)
        else:
            strips = ceil_div(strips, 2)
    blocks = ceil_div(all_strips, strips)
    return ceil_div(all_strips, blocks), panels


def _worth_splitting(problem: Problem, rows: int, columns: int) -> bool:
    return flops(problem, rows, columns) >= 2 * _TASK_FLOPS and rows > 16


def flops(problem: Problem, rows: int, columns: int) -> int:
    """The work of one task."""
    return 2 * rows * columns * max(1, assumed(problem.k))


def grain(problem: Problem, tiling: Tiling) -> int:
    """The fewest tasks worth a thread."""
    rows = min(tiling.strips * tiling.rows, max(1, assumed(problem.m)))
    columns = min(tiling.panels * tiling.lanes, max(1, assumed(problem.n)))
    return max(1, ceil_div(_TASK_FLOPS, flops(problem, rows, columns)))
