"""Regions as instructions: branches and loops over the steps of their bodies."""

from __future__ import annotations

from typing import Final

from weftc.assembly.compiled import Compiled
from weftc.assembly.instructions import Emit
from weftc.ir.sizes import Size

CONTROL: Final[dict[str, Emit]] = {}
"""How each op that is a region is written."""


def work(compiled: Compiled) -> Size:
    """The estimate for all steps, in nanoseconds."""
    return sum((low.work for low in compiled.lowered.values()), start=0)
