"""What every stage's result looks like: the validator that checks nothing, and that of level 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from weftc.fusion.kernel import Kernel, KernelPlan, MemoryPlan
from weftc.ir import verify as graphs
from weftc.ir.node import Graph
from weftc.loop import verify as loops
from weftc.loop.ir import LoopFunction
from weftc.schedule.lowered import Lowered
from weftc.validate.constraints import check_constraints
from weftc.validate.plans import Room, check_memory, check_plan
from weftc.validate.programs import check_program
from weftrt.errors import VerifyError
from weftrt.program import KernelCode, Program


class Miscompiled(VerifyError):
    """A stage of the compiler made something wrong. `stage` is "tracing", "pass NAME", "fusion",
    "schedule", "widening", "simplify" (of loops), "emission", "memory", "assembly", "binding" and
    "CUDA emission" (of CUDA kernels), or "cache"."""

    def __init__(self, stage: str, complaint: str) -> None:
        super().__init__(f"after {stage}: {complaint}")
        self.stage = stage


class Validator:
    """What the pipeline tells about each stage. This one checks nothing."""

    checks: ClassVar[bool] = False
    """Whether anything is checked."""

    def nested(self) -> Validator:
        """A validator of the same level for a graph within the graph."""
        return self

    def begin(self, graph: Graph) -> None:
        """Take `graph` as what every later stage has to mean."""

    def after(self, name: str, graph: Graph) -> None:
        """Check `graph`, which the pass `name` made."""

    def fusion(self, plan: KernelPlan) -> None:
        """Check the kernels of the last graph."""

    def loops(self, stage: str, kernel: Kernel, low: Lowered, function: LoopFunction) -> None:
        """Check `function`, what `stage` made of the kernel: "schedule" writes `low.function`,
        every other stage a widened one."""

    def memory(self, plan: KernelPlan, scratch: Sequence[Room], memory: MemoryPlan) -> None:
        """Check where values live, and the scratch of each step."""

    def emission(self, kernel: Kernel, low: Lowered, code: KernelCode) -> None:
        """Check the code of a kernel."""

    def program(self, program: Program, stage: str = "assembly") -> None:
        """Check the whole program, which `stage` made or found."""

    def cuda(
        self, plan: KernelPlan, lowered: Sequence[Lowered], bound: Sequence[object], text: str
    ) -> None:
        """Check the kernels bound to blocks and threads (LoopFunction or Unbound), and the CUDA C
        of them all."""


class FormValidator(Validator):
    """Level 1: whether what a stage made is well formed."""

    checks = True

    def nested(self) -> FormValidator:
        return FormValidator()

    def begin(self, graph: Graph) -> None:
        self._begun = graph
        self._graph("tracing", graph)

    def after(self, name: str, graph: Graph) -> None:
        self._graph(f"pass {name}", graph)

    def fusion(self, plan: KernelPlan) -> None:
        complaint = check_plan(plan)
        if complaint is not None:
            raise Miscompiled("fusion", complaint)

    def loops(self, stage: str, kernel: Kernel, low: Lowered, function: LoopFunction) -> None:
        try:
            loops.verify(function, widened=stage != "schedule")
        except VerifyError as error:
            raise Miscompiled(stage, str(error)) from None

    def memory(self, plan: KernelPlan, scratch: Sequence[Room], memory: MemoryPlan) -> None:
        complaint = check_memory(plan, scratch, memory)
        if complaint is not None:
            raise Miscompiled("memory", complaint)

    def program(self, program: Program, stage: str = "assembly") -> None:
        complaint = check_program(program) or check_constraints(self._begun, program)
        if complaint is not None:
            raise Miscompiled(stage, complaint)

    def _graph(self, stage: str, graph: Graph) -> None:
        try:
            graphs.verify(graph)
        except VerifyError as error:
            raise Miscompiled(stage, str(error)) from None
