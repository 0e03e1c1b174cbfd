"""A group of nodes in the making, and what its loops can take in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from weftc.fusion.frames import NO_FRAME, Frame
from weftc.fusion.kernel import KernelKind
from weftc.fusion.views import View, squeezed
from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Shape
from weftrt.lazy import lazy

LARGEST: Final = 512
"""Nodes in a group."""
MOST_REDUCTIONS: Final = 8
"""Reductions of one pass over everything: each takes 64 accumulators."""


@dataclass(eq=False)
class Group:
    """A step in the making: a kernel, or a region, which has no kind. `before` has the bit of every
    group it waits for.

    A ROWWISE or REDUCTION group visits its `frame`; any other the elements of one `shape`.
    """

    number: int
    kind: KernelKind | None
    shape: Shape
    frame: Frame = NO_FRAME
    members: dict[Node, None] = field(default_factory=dict)
    sources: set[Node] = field(default_factory=set)
    """What its members are computed from."""
    before: int = 0
    closed: bool = False
    """Whether nothing may join: its loops are not those of its shape."""

    @lazy
    def bit(self) -> int:
        return 1 << self.number

    @property
    def reports(self) -> bool:
        """Whether it checks indices, which a reduction's inner loop cannot."""
        return any(n.op.fails is not None for n in self.members)

    def visits(self, node: Node, view: View) -> bool:
        """Whether the loops have `view.base` at hand when they compute `node`."""
        if self.kind is KernelKind.SCATTER:
            return False
        if self.kind is KernelKind.REDUCTION and node.op.name == "reshape":
            return view.how.is_flat
        if self.kind is not KernelKind.ROWWISE:
            return node.type.shape == self.shape and view.how.is_identity
        frame = self.frame
        return squeezed(node.type.shape) in (frame.rows, frame.full) and view.how.is_leading

    def is_alike(self, node: Node) -> bool:
        """Whether a reduction has the operand's shape and the axes of those of this REDUCTION
        group, which has room for it."""
        found = [n for n in self.members if n.op.family is Family.REDUCTION]
        if len(found) >= MOST_REDUCTIONS:
            return False
        same = found[0].inputs[0].type.shape == node.inputs[0].type.shape
        return same and found[0]["axes"] == node["axes"]

    def takes(self, other: Group, node: Node, view: View) -> bool:
        """Whether `other`, which `node` of this group reads by `view`, can run in these loops."""
        if len(self.members) + len(other.members) > LARGEST:
            return False
        if self.kind is KernelKind.POINTWISE is other.kind:
            return self.shape == other.shape and view.how.is_identity
        if self.kind is not KernelKind.ROWWISE or other.reports:
            return False
        if other.kind is KernelKind.ROWWISE:
            return self.frame == other.frame and self.visits(node, view)
        fits = other.kind is KernelKind.POINTWISE and squeezed(other.shape) == self.frame.full
        return fits and self.visits(node, view)
