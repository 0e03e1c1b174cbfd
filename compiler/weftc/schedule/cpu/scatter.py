"""Scatters: updates are added to a copy of the base, in index order.

parallel for (index before the axis, strip of the axes after it)
  copy the strip of the base
  for k in 0..indices
    report the index if it is out of bounds, else
    vector for column of the strip: out[place, column] += updates[k, column]
"""

from __future__ import annotations

from typing import Final

from weftc.fusion.kernel import Kernel
from weftc.ir.sizes import Size, product
from weftc.loop.build import Builder, load
from weftc.loop.ir import Expr, Scalar, apply
from weftc.ops.indexing import resolve, shared_axes
from weftc.schedule.cpu import cost, loops
from weftc.schedule.lowered import Lowered
from weftc.schedule.pull import Puller
from weftrt.target import Target

STRIP: Final = 256
"""Columns that one thread updates."""


def lower_scatter(kernel: Kernel, target: Target, name: str) -> Lowered:
    """The loops of a SCATTER kernel."""
    schedule = _Schedule(kernel, target, name)
    return schedule.lower()


class _Schedule:
    def __init__(self, kernel: Kernel, target: Target, name: str) -> None:
        self._kernel = kernel
        self._builder = Builder(name)
        self._puller = Puller(kernel, self._builder)
        (self._node,) = kernel.outputs
        self._base, self._indices, self._updates = self._node.inputs
        axis: int = self._node["axis"]
        self._shared = shared_axes(self._node.attrs)
        shape = self._node.type.shape
        self._outer, self._rows, self._inner = shape[:axis], shape[axis], shape[axis + 1 :]
        self._lanes = cost.lanes([self._node], target)
        columns = product(self._inner)
        if isinstance(columns, int):
            self._lanes = min(self._lanes, 1 << max(columns - 1, 0).bit_length())
        self._element = cost.element([*kernel.nodes], [self._base, self._updates], target)
        size = self._node.type.size + self._updates.type.size
        self._total = cost.scale(size, self._element)

    def lower(self) -> Lowered:
        puller = self._puller
        columns = product(self._inner)
        strips = loops.size_blocks(puller, columns, STRIP)
        pieces = loops.times(puller, strips, product(self._outer))
        ns = self._element * STRIP * 64
        with loops.parallel(puller, pieces, ns, self._total) as piece:
            outer, strip = loops.divided(puller, piece, strips, product(self._outer))
            self._copy(outer, strip, columns)
            self._update(outer, strip, columns)
        return Lowered(
            self._builder.function(),
            (*self._kernel.inputs, *self._kernel.outputs),
            puller.indices.sizes,
            (),
            puller.sites,
            self._total,
        )

    def _copy(self, outer: Expr, strip: Expr, columns: Size) -> None:
        puller = self._puller
        with (
            loops.serial(puller, [self._rows]) as (row,),
            loops.block_loop(puller, strip, STRIP, columns, self._lanes) as column,
        ):
            index = self._index(outer, row, column)
            puller.store(self._node, index, puller.pull(self._base, index))

    def _update(self, outer: Expr, strip: Expr, columns: Size) -> None:
        puller, shape = self._puller, self._indices.type.shape
        own, before = shape[self._shared :], puller.indices.split(outer, self._outer)
        with loops.serial(puller, [product(own)]) as (k,):
            position = puller.indices.split(k, own)
            which = (*before[: self._shared], *position)
            raw = puller.pull(self._indices, which)
            place, outside = resolve(raw, puller.indices.size(self._rows))
            place, outside = puller.name("place", place), puller.name("outside", outside)
            element = puller.indices.linearize(which, shape) if self._shared else k
            puller.report(self._node, outside, element)
            with (
                self._builder.if_(apply(Scalar.NOT, outside)),
                loops.block_loop(puller, strip, STRIP, columns, self._lanes) as column,
            ):
                inner = puller.indices.split(column, self._inner)
                update = puller.pull(self._updates, (*before, *position, *inner))
                index = self._index(outer, place, column)
                at = puller.indices.linearize(index, self._node.type.shape)
                old = self._builder.let("old", load(puller.outputs[self._node], at))
                puller.store(self._node, index, apply(Scalar.ADD, old, update))

    def _index(self, outer: Expr, row: Expr, column: Expr) -> tuple[Expr, ...]:
        split = self._puller.indices.split
        return (*split(outer, self._outer), row, *split(column, self._inner))
