"""Schedules: a kernel and a target -> written loops. One table from kernel kinds to schedules."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final, TypeAlias

from weftc.fusion.kernel import Kernel, KernelKind
from weftc.schedule.lowered import Lowered
from weftrt.target import Target

Schedule: TypeAlias = Callable[[Kernel, Target, str], Lowered]

_CPU: Final = {
    KernelKind.POINTWISE: ("pointwise", "lower_pointwise"),
    KernelKind.ROWWISE: ("rowwise", "lower_rowwise"),
    KernelKind.REDUCTION: ("reduction", "lower_reduction"),
    KernelKind.CONTRACTION: ("contraction", "lower_contraction"),
    KernelKind.SCATTER: ("scatter", "lower_scatter"),
}
"""The module of weftc.schedule.cpu and the function in it that lowers each kind."""


def lower(kernel: Kernel, target: Target, name: str) -> Lowered:
    """The loop function `name` that computes `kernel` on `target`."""
    module, function = _CPU[kernel.kind]
    schedule: Schedule = getattr(import_module(f"weftc.schedule.cpu.{module}"), function)
    return schedule(kernel, target, name)
