"""Schedules: a kernel and a target -> written loops. One table from kernel kinds to schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from weftc.fusion.kernel import Kernel, KernelKind
from weftc.schedule.cpu.contraction import lower_contraction
from weftc.schedule.cpu.cumulative import lower_cumulative
from weftc.schedule.cpu.pointwise import lower_pointwise
from weftc.schedule.cpu.reduction import lower_reduction
from weftc.schedule.cpu.rowwise import lower_rowwise
from weftc.schedule.cpu.scatter import lower_scatter
from weftc.schedule.lowered import Lowered
from weftrt.target import Target

Schedule: TypeAlias = Callable[[Kernel, Target, str], Lowered]

CPU: Final[dict[KernelKind, Schedule]] = {
    KernelKind.POINTWISE: lower_pointwise,
    KernelKind.ROWWISE: lower_rowwise,
    KernelKind.REDUCTION: lower_reduction,
    KernelKind.CONTRACTION: lower_contraction,
    KernelKind.SCATTER: lower_scatter,
    KernelKind.CUMULATIVE: lower_cumulative,
}


def lower(kernel: Kernel, target: Target, name: str) -> Lowered:
    """The loop function `name` that computes `kernel` on `target`."""
    return CPU[kernel.kind](kernel, target, name)
