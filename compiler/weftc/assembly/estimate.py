"""How long a compiled graph runs, about: the GIL is let go, and signals are looked for, by it."""

from __future__ import annotations

from typing import Final

from weftc.assembly.compiled import Compiled
from weftc.fusion.kernel import Region
from weftc.ir.node import Node
from weftc.ir.sizes import Size

FEW: Final = 16
"""Turns of a loop whose number is not known; one that turns more often notices it itself."""
STEP_NANOSECONDS: Final = 20
"""What a region takes besides its bodies."""


def work(compiled: Compiled) -> Size:
    """The estimate for all steps, in nanoseconds."""
    total: Size = sum((low.work for low in compiled.lowered.values()), start=0)
    for region, bodies in compiled.bodies.items():
        total = total + _own(region.node) + sum(map(work, bodies), start=0) * _turns(region)
    return total


def _own(node: Node) -> Size:
    return STEP_NANOSECONDS if node.op.extern is None else node.op.extern(node).work


def _turns(region: Region) -> Size:
    """How often a region runs its bodies."""
    loop = region.node.op.loop
    turns = 1 if loop is None else loop.turns(region.node)
    return FEW if turns is None else turns
