"""A plan with all that it takes to run: what the stages of a graph hand to `assemble`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from weftc.fusion.kernel import Kernel, KernelPlan, MemoryPlan, Region
from weftc.loop.ir import LoopFunction
from weftc.schedule.lowered import Lowered
from weftrt.program import KernelCode


@dataclass(frozen=True, eq=False)
class Compiled:
    """The kernels of `plan` as the schedules write them, as final loops and as code; where its
    values live; and the same for the bodies of each region."""

    plan: KernelPlan
    memory: MemoryPlan
    lowered: Mapping[Kernel, Lowered]
    loops: Mapping[Kernel, LoopFunction]
    codes: Mapping[Kernel, KernelCode]
    bodies: Mapping[Region, tuple[Compiled, ...]]
