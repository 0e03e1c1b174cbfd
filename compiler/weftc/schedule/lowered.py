"""What a schedule returns: a written loop function and what its parameters stand for."""

from __future__ import annotations

from dataclasses import dataclass

from weftc.ir.node import Node
from weftc.ir.sizes import Size
from weftc.loop.ir import LoopFunction


@dataclass(frozen=True, eq=False)
class Lowered:
    """`function.buffers` are one GLOBAL buffer per node of `buffers`, in that order, then SCRATCH
    buffers of `scratch` bytes; `function.sizes` have the values `sizes`; site k of its reports is
    node `sites[k]`; `work` estimates the nanoseconds of one run on one thread."""

    function: LoopFunction
    buffers: tuple[Node, ...]
    sizes: tuple[Size, ...]
    scratch: tuple[Size, ...]
    sites: tuple[Node, ...]
    work: Size
