"""All wrong rewrites, by the stage that must be named."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.stages import assembly, codegen, fusion, loops, passes, schedule

FAULTS: dict[str, tuple[Fault, ...]] = {
    **passes.FAULTS,
    **fusion.FAULTS,
    **schedule.FAULTS,
    **loops.FAULTS,
    **codegen.FAULTS,
    **assembly.FAULTS,
}
