"""Pointwise kernels: one loop nest per group of roots of one shape that share what they read.

A concat is one nest per piece, which stores into its slice of the output; pieces of one shape that
share what is computed are one nest.
Axes that every read walks alike run as one loop; the innermost is a vector loop. A nest whose reads
stride across the innermost axis (a transpose) runs in tiles, so that the lines it brings are used
up before they leave the first-level cache. Work for more than one thread is cut into pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from weftc.fusion.kernel import Kernel
from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Size, product
from weftc.loop.build import Builder, load
from weftc.loop.ir import Buffer, Expr, Scalar, add, apply, const, mul
from weftc.schedule.cpu import axes, cost, loops
from weftc.schedule.cpu.axes import Place
from weftc.schedule.lowered import Lowered
from weftc.schedule.pull import Puller
from weftrt.target import Target

TILE: Final = 32
"""Rows and columns of a tile."""
FEW: Final = 16
"""Rows too few to share between threads, if they are long."""
LONG: Final = 1024
LINE: Final = 64
"""Bytes of a cache line."""
MANY: Final = 64
"""Nests of one kernel above which their loops are not unrolled: LLVM takes longer than they do."""
NONTEMPORAL: Final = 32 << 20
"""Bytes of an output above which it is written past the caches."""


_Results: TypeAlias = "tuple[tuple[Node, ...], tuple[Place, ...]]"
"""What a nest computes, all of one shape, and where each goes."""


@dataclass(frozen=True)
class _Nest:
    """What one loop nest computes, and its cost."""

    puller: Puller
    roots: tuple[Node, ...]
    places: tuple[Place, ...]
    axes: axes.Axes
    extents: tuple[Size, ...]
    lanes: int
    element: float
    """Nanoseconds per element."""

    @property
    def total(self) -> Size:
        return cost.scale(self.roots[0].type.size, self.element)

    def write(self, flats: Sequence[Expr]) -> None:
        """Store every root at the position that the flat index of each group of axes gives."""
        shape = self.roots[0].type.shape
        index = loops.spread(self.puller, shape, self.axes.groups, flats)
        for root, place in zip(self.roots, self.places, strict=True):
            value = self.puller.pull(root, index)
            at = place.index(index, self.puller)
            self.puller.store(place.output, at, value, nontemporal=self._is_streamed(place))

    def _is_streamed(self, place: Place) -> bool:
        """Whether an output is too large for the caches and its vectors fill whole lines."""
        size, itemsize = place.output.type.size, place.output.type.dtype.itemsize
        if not isinstance(size, int) or size * itemsize <= NONTEMPORAL:
            return False
        if self.roots[0].type.shape != place.output.type.shape:
            return False  # a slice's rows need not begin at a line
        if len(self.extents) == 1:
            return True
        inner = self.extents[-1]
        return isinstance(inner, int) and inner * itemsize % LINE == 0


def lower_pointwise(kernel: Kernel, target: Target, name: str) -> Lowered:
    """The loops of a POINTWISE kernel."""
    builder = Builder(name)
    puller = Puller(kernel, builder)
    total: Size = 0
    found = nests(kernel)
    unrolled = sum(map(_parts, found)) <= MANY
    for roots, places in found:
        nest = _plan(kernel, puller, roots, places, target, unrolled)
        total = total + nest.total
        _lower(nest)
    return Lowered(
        builder.function(),
        (*kernel.inputs, *kernel.outputs),
        puller.indices.sizes,
        (),
        puller.sites,
        total,
    )


def nests(kernel: Kernel) -> list[_Results]:
    """What each loop nest computes, and where that goes: a concat's pieces of equal shape together
    where they share what is computed, other outputs where they share what they read."""
    joined = [o for o in kernel.outputs if o.op.name == "concat" and o not in kernel.inputs]
    pieces = [found for output in joined for found in axes.places(output, kernel)]
    whole = [(output, Place.whole(output)) for output in kernel.outputs if output not in joined]
    inputs = set(kernel.inputs)

    def is_computed(node: Node) -> bool:
        return node.op.family is Family.POINTWISE and node not in inputs

    found = _sharing([p for p in pieces if p[0].type.size != 0], kernel, is_computed)
    return [*found, *_sharing(whole, kernel, lambda node: True)]


def _parts(results: _Results) -> int:
    """One for the nest of whole outputs, one for each piece of a concat."""
    roots, places = results
    return 1 if places[0].output is roots[0] else len(roots)


def _sharing(
    results: Sequence[tuple[Node, Place]], kernel: Kernel, counts: Callable[[Node], bool]
) -> list[_Results]:
    """The results, in groups of equal shape that share a node of more than one element that
    `counts`."""
    groups: list[tuple[list[tuple[Node, Place]], set[Node]]] = []
    for root, place in results:
        reach = {n for n in axes.cone([root], kernel) if n.type.size != 1 and counts(n)}
        group = [(root, place)]
        rest = []
        for other, reached in groups:
            if not reach.isdisjoint(reached) and other[0][0].type.shape == root.type.shape:
                group, reach = other + group, reach | reached
            else:
                rest.append((other, reached))
        groups = [*rest, (group, reach)]
    return [(tuple(root for root, _ in group), tuple(at for _, at in group)) for group, _ in groups]


def _plan(
    kernel: Kernel,
    puller: Puller,
    roots: tuple[Node, ...],
    places: tuple[Place, ...],
    target: Target,
    unrolled: bool,
) -> _Nest:
    nodes = axes.cone(roots, kernel)
    size = roots[0].type.size
    full = [n for n in nodes if n.type.size == size or n.type.size != 1]
    found = axes.analyze(roots, places, nodes, kernel)
    touched = [n for n in full if n in puller.buffers] + list(roots)
    extents = tuple(loops.merged(roots[0].type.shape, found.groups))
    lanes = cost.lanes(full, target, size)
    if not unrolled:
        lanes = max(lanes // cost.UNROLL, 1)
    if extents and isinstance(extents[-1], int):
        lanes = min(lanes, 1 << max(extents[-1] - 1, 0).bit_length())
    element = cost.element(full, touched, target)
    return _Nest(puller, roots, places, found, extents, lanes, element)


def _lower(nest: _Nest) -> None:
    if not nest.extents:
        nest.write(())
    elif (partner := _strided(nest)) is not None:
        _tiled(nest, partner)
    elif len(nest.extents) == 1:
        _flat(nest)
    else:
        _rows(nest)


def _flat(nest: _Nest) -> None:
    """One loop, cut into chunks where threads pay."""
    (extent,) = nest.extents
    if cost.is_serial(nest.total):
        with loops.axis_loop(nest.puller, extent, nest.lanes) as i:
            nest.write([i])
        return
    chunk = _chunk(nest.element)
    count = loops.size_blocks(nest.puller, extent, chunk)
    with (
        loops.parallel(nest.puller, count, chunk * nest.element, nest.total) as p,
        loops.block_loop(nest.puller, p, chunk, extent, nest.lanes) as i,
    ):
        nest.write([i])


def _chunk(element: float) -> int:
    """Elements of a chunk: a power of two, about a quarter of what a thread is woken for."""
    wanted = max(1, int(cost.GRAIN / 4 / max(element, 0.01)))
    return min(max(1 << (wanted.bit_length() - 1), 1024), 32768)


def _rows(nest: _Nest) -> None:
    """Threads over the outermost axes, vectors along the innermost."""
    *outer, inner = nest.extents
    puller = nest.puller
    shared = 1 if not isinstance(outer[0], int) or outer[0] >= FEW else len(outer)
    if cost.is_serial(nest.total):
        shared = 0
    pieces = product(outer[:shared])
    few = isinstance(pieces, int) and pieces < TILE and isinstance(product(outer), int)
    if shared and few and (not isinstance(inner, int) or inner > LONG):
        _few_rows(nest)
        return
    piece: Size = product([*outer[shared:], inner])
    ns = nest.element * (piece if isinstance(piece, int) else 1024)
    if not shared:
        with loops.serial(puller, outer) as flats, loops.axis_loop(puller, inner, nest.lanes) as i:
            nest.write([*flats, i])
        return
    with loops.parallel(puller, puller.indices.size(pieces), ns, nest.total) as p:
        first = puller.indices.split(p, tuple(outer[:shared]))
        with (
            loops.serial(puller, outer[shared:]) as flats,
            loops.axis_loop(puller, inner, nest.lanes) as i,
        ):
            nest.write([*first, *flats, i])


def _few_rows(nest: _Nest) -> None:
    """A few long rows: every row is cut into chunks, and threads share the chunks of all rows."""
    *outer, inner = nest.extents
    puller = nest.puller
    chunk = _chunk(nest.element)
    count = loops.size_blocks(puller, inner, chunk)
    rows = product(outer)
    assert isinstance(rows, int)
    with loops.parallel(
        puller, loops.times(puller, count, rows), chunk * nest.element, nest.total
    ) as p:
        row, block = loops.divided(puller, p, count, rows)
        first = puller.indices.split(row, tuple(outer))
        with loops.block_loop(puller, block, chunk, inner, nest.lanes) as i:
            nest.write([*first, i])


def _strided(nest: _Nest) -> int | None:
    """The group of axes that some read walks contiguously though it is not the innermost."""
    last = len(nest.extents) - 1
    for factors in nest.axes.reads:
        if factors is None or factors[last] in (0, 1):
            continue
        for group in range(last):
            if factors[group] == 1:
                return group
    return None


def _tiled(nest: _Nest, partner: int) -> None:
    """Tiles of TILE rows of the axis `partner` by TILE columns of the innermost. What transposes
    is first copied to the stack, along the rows it is contiguous in."""
    puller = nest.puller
    *outer, inner = nest.extents
    others = [e for k, e in enumerate(outer) if k != partner]
    blocks = loops.size_blocks(puller, outer[partner], TILE)
    ns = nest.element * TILE * (inner if isinstance(inner, int) else 1024)
    count = loops.times(puller, blocks, product(others))
    with loops.parallel(puller, count, ns, nest.total) as p:
        rest, block = loops.divided(puller, p, blocks, product(others))
        flats = list(puller.indices.split(rest, tuple(others)))
        columns = loops.size_blocks(puller, inner, TILE)
        with puller.loop(puller.builder.for_("tile", 0, columns)) as column:
            tile = _Tile(nest, partner, flats, block, column)
            tile.stage()
            tile.write()


@dataclass(frozen=True)
class _Tile:
    """Tile (`block`, `column`) of the axes (`partner`, innermost)."""

    nest: _Nest
    partner: int
    others: list[Expr]
    block: Expr
    column: Expr
    staged: dict[Node, Buffer] = field(default_factory=dict)

    def _flats(self, i: Expr, j: Expr) -> list[Expr]:
        return [*self.others[: self.partner], i, *self.others[self.partner :], j]

    def _place(self, i: Expr, j: Expr) -> Expr:
        """Where element (i, j) is on the stack. An odd stride spreads a column over the cache."""
        row = apply(Scalar.SUB, i, mul(self.block, const(TILE)))
        column = apply(Scalar.SUB, j, mul(self.column, const(TILE)))
        return add(mul(column, const(TILE + 1)), row)

    def stage(self) -> None:
        nest, puller = self.nest, self.nest.puller
        shape = nest.roots[0].type.shape
        for node in _transposes(nest.roots, puller):
            buffer = puller.builder.alloc("tile", node.type.dtype, TILE * (TILE + 1))
            self.staged[node] = buffer
        if not self.staged:
            return
        *outer, inner = nest.extents
        lanes = min(nest.lanes, TILE)
        with (
            loops.block_loop(puller, self.column, TILE, inner) as j,
            loops.block_loop(puller, self.block, TILE, outer[self.partner], lanes) as i,
        ):
            index = loops.spread(puller, shape, nest.axes.groups, self._flats(i, j))
            for node, buffer in self.staged.items():
                puller.builder.store(buffer, self._place(i, j), puller.pull(node, index))

    def write(self) -> None:
        nest, puller = self.nest, self.nest.puller
        shape = nest.roots[0].type.shape
        *outer, inner = nest.extents
        lanes = min(nest.lanes, TILE)
        with (
            loops.block_loop(puller, self.block, TILE, outer[self.partner]) as i,
            loops.block_loop(puller, self.column, TILE, inner, lanes) as j,
        ):
            flats = self._flats(i, j)
            index = loops.spread(puller, shape, nest.axes.groups, flats)
            for node, buffer in self.staged.items():
                puller.recall(node, index, load(buffer, self._place(i, j)))
            nest.write(flats)


def _transposes(roots: Sequence[Node], puller: Puller) -> list[Node]:
    """The transposes that `roots` read at their own index."""
    found: dict[Node, None] = {}
    pending = list(roots)
    seen = set(pending)
    while pending:
        node = pending.pop()
        if node.op.name == "transpose":
            found[node] = None
        elif node.op.family is Family.POINTWISE and node not in puller.buffers:
            new = [i for i in node.inputs if i not in seen]
            seen.update(new)
            pending += new
    return list(found)
