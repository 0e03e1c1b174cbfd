"""Frames: what the loops of a reduction visit, and which reductions one pass serves.

    rows x reduced x columns        x[row, j, column], j reduced

A reduction over its operand's last axes has no columns, one over the first no rows, one over
everything neither. Reductions of one frame that read the same array run in one pass over it: one
kernel, with a term for each. Where the frame is rows alone (ROWWISE) a kernel goes over each row in
several stages, since a row stays in the caches: reductions that wait for others, and what is
computed of all elements. In any other (REDUCTION) there is one stage: what waits for a result has
to bring the operand anew, in a kernel of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from weftc.fusion.views import squeezed
from weftc.ir.node import Node
from weftc.ir.sizes import Shape, Size, product
from weftrt.lazy import lazy

SHORT_ROW: Final = 16384
"""Elements below which one thread may as well reduce everything."""
FEW_ROWS: Final = 8


@dataclass(frozen=True)
class Frame:
    """Shapes without axes of size 1."""

    rows: Shape
    reduced: Shape
    columns: Shape

    @staticmethod
    def of(node: Node) -> Frame:
        """The frame of a reduction."""
        shape, axes = node.inputs[0].type.shape, node["axes"]
        first, last = axes[0], axes[-1] + 1
        return Frame(*map(squeezed, (shape[:first], shape[first:last], shape[last:])))

    @lazy
    def full(self) -> Shape:
        """The shape of what is reduced."""
        return self.rows + self.reduced + self.columns

    @lazy
    def size(self) -> Size:
        """The elements of what is reduced."""
        return product(self.full)

    @lazy
    def is_rowwise(self) -> bool:
        """Whether each row is best reduced by one thread, as a whole: not by columns, and not all
        rows at once."""
        if not self.reduced or self.columns:
            return False
        count, length = product(self.rows), product(self.reduced)
        if isinstance(count, int) and count < FEW_ROWS:
            return isinstance(length, int) and length <= SHORT_ROW
        return True


NO_FRAME: Final = Frame((), (), ())
"""That of what is not reduced."""
