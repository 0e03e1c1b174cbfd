"""The tiles of a contraction: chosen from its sizes and the target alone, so equal everywhere.

The bits of the result do not depend on anything here: k runs in ascending order whatever the tile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from weftc.ir.size_functions import ceil_div
from weftc.ir.sizes import Size, product
from weftc.schedule.cpu.contraction_problem import Problem, batches
from weftrt.target import Target

SEGMENT = 1024
"""k runs in segments of this length: one fma chain each (the numerics contract)."""

_LOCAL_BYTES = 240 << 10
"""The tiles that a task may keep between segments."""
_OWN_BYTES = 208 << 10
"""The panel of B that a task may keep on its stack."""
_TASK_FLOPS = 6_000_000
"""About 40 us of one core: the least that is worth a thread."""
_WANTED_TASKS = 32
FEW_ROWS = 12
"""At most so many rows run without packing B, where M is symbolic."""
_ENOUGH_ROWS = 128
"""Fewer rows than this read a panel of B too seldom to pay for packing it."""
_OWN_ROWS = 256
"""At most so many rows are one task, which packs its B for itself."""
_TALLEST = {
    32: {16: 1, 8: 2, 4: 6, 2: 14, 1: 14},
    16: {8: 1, 4: 2, 2: 6, 1: 12},
}
"""By the number of vector registers: the most rows of a tile of so many vectors a row."""
_NARROWER = 8
"""The last panel has narrower tiles where that saves one in so many of the vectors of all."""
_NARROWER_FLOPS = 1_000_000
"""The least work that is worth the code of other tiles."""
_SHORT = 32
"""Chains for which storing a tile counts beside computing it."""
_VECTOR = 32
"""Lanes of a row that are stored at once."""
_ASSUMED = 512
"""What a symbolic size is taken for where a choice depends on it."""


class Packing(Enum):
    """How the tiles read B."""

    DIRECT = "direct"  # where it lies
    OWN = "own"  # each task copies the panel it works on to its stack, for its strips
    SHARED = "shared"  # all panels are copied to scratch first


@dataclass(frozen=True)
class Tiling:
    """`rows` x `lanes` is the register tile, `unroll` k steps of it are printed in a row; a task is
    at most `strips` x `panels` tiles. A packed operand is copied into panels of its tile first."""

    rows: int
    lanes: int
    strips: int
    panels: int
    pack_a: bool
    pack_b: Packing
    unroll: int = 2
    """One step is slower where a tile has few accumulators; four are no faster, but to compile."""
    prefetch: bool = False
    """Whether tiles wait for B rather than for arithmetic."""
    last: tuple[int, ...] = ()
    """The lanes of the tiles side by side in the last panel, where these are narrower and B is read
    where it lies."""
    own_a: bool = False
    """Whether each task copies the strip of A it works on to its stack, for its panels."""


def choose(problem: Problem, target: Target) -> Tiling:
    """The tiling for a problem on a machine."""
    rows, lanes = _tile(problem, target, widest=16)
    packing = _packing_of_b(problem, target, rows, lanes)
    own, item = 0, problem.dtype.itemsize
    if packing is Packing.OWN:
        if own_elements(problem, lanes) * item > _OWN_BYTES:
            rows, lanes = _tile(problem, target, widest=max(1, 8 // item))
        own = own_elements(problem, lanes) * item
    own += own_elements(problem, rows) * item if problem.a.slides else 0
    all_rows = packing is Packing.OWN  # or a panel would be packed more than once
    strips, panels = _blocks(problem, target, (rows, lanes), _LOCAL_BYTES - own, all_rows)
    if packing is Packing.OWN and not problem.b.slides:
        strips = max(1, ceil_div(assumed(problem.m), rows))
    return Tiling(
        rows,
        lanes,
        strips,
        panels,
        _packs_a(problem),
        packing,
        prefetch=rows <= 2 and _bytes_of_b(problem) > target.l2_bytes // 2,
        last=_last(problem, lanes, _width(problem, target)) if packing is Packing.DIRECT else (),
        own_a=problem.a.slides,
    )


def for_few_rows(problem: Problem, tiling: Tiling) -> Tiling | None:
    """What to run instead of `tiling` when a symbolic M turns out to be at most FEW_ROWS (and N to
    fill a tile), so that a pack of all of B would not pay; None where `tiling` serves."""
    n, strided = problem.n, problem.b.strided
    if isinstance(problem.m, int) or tiling.pack_b is Packing.DIRECT or strided is None:
        return None
    if strided.free != 1 or (isinstance(n, int) and n < tiling.lanes):
        return None
    return replace(tiling, pack_b=Packing.DIRECT, pack_a=problem.a.strided is None)


def own_elements(problem: Problem, width: int) -> int:
    """A panel of B, or a strip of A, for one segment."""
    return own_length(problem) * width


def own_length(problem: Problem) -> int:
    """The longest segment."""
    return max(1, min(problem.k, SEGMENT)) if isinstance(problem.k, int) else SEGMENT


def assumed(size: Size) -> int:
    """A number for a size: itself, or what a symbolic size is taken for."""
    return size if isinstance(size, int) else _ASSUMED


def _tile(problem: Problem, target: Target, widest: int) -> tuple[int, int]:
    """The register tile with the least cost of a k step over the whole result; of nearly equal
    ones, the widest and tallest."""
    width = _width(problem, target)
    registers = 32 if target.vector_bits == 512 or "aarch64" in target.triple else 16
    limit = max(1, problem.m) if isinstance(problem.m, int) else 6
    m, n = assumed(problem.m), assumed(problem.n)
    best = (0.0, 0, 0)
    for vectors, tallest in _TALLEST[registers].items():
        lanes = vectors * width
        for rows in range(min(tallest, limit) if vectors <= widest else 0, 0, -1):
            tiles = ceil_div(m, rows) * ceil_div(n, lanes)
            cost = tiles * (_cycles(rows, vectors) + _per_step(problem, rows, lanes, width))
            if not best[1] or cost < 0.97 * best[0]:
                best = (cost, rows, lanes)
    return best[1], best[2]


def _width(problem: Problem, target: Target) -> int:
    """The lanes of a vector register."""
    return max(1, target.vector_bits // max(32, problem.dtype.bits))


def _last(problem: Problem, lanes: int, width: int) -> tuple[int, ...]:
    """The tiles of the last panel, widest first: as many vectors as it has columns for, in powers
    of two; none where whole tiles do as well."""
    n = problem.n
    if not isinstance(n, int) or flops(problem, assumed(problem.m), n) < _NARROWER_FLOPS:
        return ()
    panels, rest = divmod(n, lanes)
    vectors = ceil_div(rest, width)
    saved = lanes // width - vectors
    if not (rest and panels) or saved * _NARROWER < (panels + 1) * (lanes // width):
        return ()
    bits = (1 << bit for bit in reversed(range(vectors.bit_length())))
    return tuple(bit * width for bit in bits if bit & vectors)


def _cycles(rows: int, vectors: int) -> float:
    """One k step of a tile, fitted to measurements: two fmas a cycle at a latency of four, vectors
    of B from L2, broadcasts of A from L1."""
    return max(rows * vectors / 2, 4.0) + vectors + 0.45 * rows


def _per_step(problem: Problem, rows: int, lanes: int, width: int) -> float:
    """What it costs, for each k step of a short chain, to add to a tile and store it: twice that
    where the last strip overlaps, and the loop over rows has no fixed length; more where the tile
    goes by way of memory, and is wider than what is stored at once."""
    m, n, k = problem.m, problem.n, problem.k
    if not (isinstance(k, int) and 0 < k <= _SHORT and isinstance(m, int)):
        return 0.0
    whole = m % rows == 0 and isinstance(n, int) and n % lanes == 0
    row = 2 * lanes // width + (4 if lanes > _VECTOR and not whole else 0)
    return rows * row * (1 if m % rows == 0 else 2) / k


def needs_packed_b(problem: Problem, lanes: int) -> bool:
    """Whether B's rows are not contiguous, or may be shorter than a tile."""
    n, strided = problem.n, problem.b.strided
    if strided is None or not isinstance(n, int) or n < lanes:
        return True
    return strided.free != 1 and n != 1


def _packing_of_b(problem: Problem, target: Target, rows: int, lanes: int) -> Packing:
    """B is packed where it must be, or where it leaves a cache and is read often enough."""
    if problem.b.slides or (problem.a.slides and _is_narrow(problem, lanes)):
        return Packing.OWN
    m = assumed(problem.m)
    size = _bytes_of_b(problem)
    near = target.l1_bytes if isinstance(problem.m, int) else target.l2_bytes // 2
    often = m >= _ENOUGH_ROWS and size > near
    far = m > rows and size > target.l2_bytes // 2
    if not (often or far or needs_packed_b(problem, lanes)):
        return Packing.DIRECT
    repeated = batches(problem.b) == 1 and problem.batch != ()
    few = isinstance(problem.m, int) and problem.m <= _OWN_ROWS and not problem.a.slides
    return Packing.OWN if few and not repeated else Packing.SHARED


def _is_narrow(problem: Problem, lanes: int) -> bool:
    """Whether B must be packed, and would take many times its memory in whole panels."""
    n = problem.n
    return isinstance(n, int) and n * 4 <= lanes and needs_packed_b(problem, lanes)


def _bytes_of_b(problem: Problem) -> int:
    return assumed(problem.k) * assumed(problem.n) * problem.dtype.itemsize


def _packs_a(problem: Problem) -> bool:
    """A is packed where neighbours in k are far apart and the columns reuse the copy enough."""
    strided = problem.a.strided
    if strided is None:
        return not problem.a.slides
    if strided.contracted == 1 or assumed(problem.n) < 128:
        return False
    return assumed(problem.k) >= 256


def _blocks(
    problem: Problem, target: Target, tile: tuple[int, int], local_bytes: int, all_rows: bool
) -> tuple[int, int]:
    """Strips and panels of one task: panels that stay in half of L2, cut for threads."""
    rows, lanes = tile
    panel_bytes = lanes * max(1, min(assumed(problem.k), SEGMENT)) * problem.dtype.itemsize
    all_strips = max(1, ceil_div(assumed(problem.m), rows))
    all_panels = max(1, ceil_div(assumed(problem.n), lanes))
    panels = min(all_panels, max(1, target.l2_bytes // 2 // panel_bytes))
    strips = all_strips
    if not isinstance(problem.k, int) or problem.k > SEGMENT:
        tile_bytes = rows * lanes * problem.dtype.itemsize
        panels = min(panels, local_bytes // tile_bytes)
        if problem.b.slides:
            panels = max(1, min(panels, local_bytes // (tile_bytes * all_strips)))
        strips = min(strips, local_bytes // (tile_bytes * panels))
    batch = assumed(product(problem.batch))
    while flops(problem, strips * rows, panels * lanes) >= 2 * _TASK_FLOPS and (
        batch * ceil_div(all_strips, strips) * ceil_div(all_panels, panels) < _WANTED_TASKS
    ):
        if strips * rows >= _ENOUGH_ROWS and not all_rows:
            strips = ceil_div(strips, 2)
        elif panels > 1:
            panels = ceil_div(panels, 2)
        else:
            break
    return _even(all_strips, strips), _even(all_panels, panels)


def _even(count: int, most: int) -> int:
    """The largest part when `count` is cut evenly into parts of at most `most`."""
    return ceil_div(count, ceil_div(count, most))


def flops(problem: Problem, rows: int, columns: int) -> int:
    """The work of one task."""
    return 2 * rows * columns * max(1, assumed(problem.k))


def grain(problem: Problem, tiling: Tiling) -> int:
    """The fewest tasks worth a thread."""
    rows = min(tiling.strips * tiling.rows, max(1, assumed(problem.m)))
    columns = min(tiling.panels * tiling.lanes, max(1, assumed(problem.n)))
    return max(1, ceil_div(_TASK_FLOPS, flops(problem, rows, columns)))
