"""What every stage's result computes: the validator of level 2.

On samples of the inputs, the graph interpreter gives the value of every node. Against it, by bits
(NaN payloads aside), stand
  passes    the outputs of the graph after each;
  fusion    the kernels' nodes, kernel by kernel, from what earlier kernels wrote;
  schedule  the written loops of each kernel, in the loop interpreter, on the kernel's inputs;
  widening  the widened loops, before and after they are simplified;
  emission  the native kernel, on the same inputs;
  assembly  the native program, on the graph's inputs;
  binding   the loops for blocks and threads, in the loop interpreter, which also sees races;
  CUDA C    run by whoever can.
A read or write out of bounds, a read of memory that nobody wrote, and a value that is not written
are mistakes of the stage that made the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np

from weftc.fusion.kernel import Kernel, KernelPlan, Step
from weftc.ir.interpret import evaluate
from weftc.ir.node import Graph, Node
from weftc.loop.interpret import Order, interpret
from weftc.loop.ir import LoopFunction
from weftc.loop.memory import LoopFault
from weftc.schedule.lowered import Lowered
from weftc.validate import plans, samples
from weftc.validate.buffers import difference
from weftc.validate.form import FormValidator, Miscompiled
from weftc.validate.samples import Array, Sample
from weftc.validate.trials import Run, Trial
from weftrt.errors import CheckError, LinAlgError, OutOfBoundsError
from weftrt.program import KernelCode, Program, Report

_SMALL: Final = 1 << 8
"""Steps up to which iterations are also run one by one."""

KernelRun: TypeAlias = Callable[[KernelCode, Sequence[Array], Sequence[int]], Report]
"""Runs a native kernel on its buffers, scratch last, and sizes."""
ProgramRun: TypeAlias = Callable[[Program, Sequence[Array]], Sequence[Array]]
"""Runs a program on inputs; an array for each output of the graph."""
CudaKernel: TypeAlias = Callable[[LoopFunction, Sequence[Array], Sequence[int]], Report]
CudaModule: TypeAlias = Callable[[str, Sequence[LoopFunction]], CudaKernel]
"""Compiles CUDA C; what it gives runs one of its functions, as KernelRun does."""
_Launch: TypeAlias = Callable[[Sequence[Array], Sequence[int]], Report]


@dataclass(frozen=True)
class Native:
    """How to run what was compiled; None: there is no machine for it."""

    kernel: KernelRun | None = None
    program: ProgramRun | None = None
    cuda: CudaModule | None = None


class ValueValidator(FormValidator):
    """Level 2. `tell` is told, once each, what was too large or had no valid indices to be
    tried."""

    def __init__(
        self, native: Native | None = None, tell: Callable[[str], None] = lambda text: None
    ) -> None:
        self._native = native or Native()
        self._tell = tell
        self._said: set[str] = set()
        self._samples: list[Sample] = []
        self._outputs: tuple[Node, ...] = ()
        self._runs: list[Run] = []

    # -- graphs -------------------------------------------------------------------------------

    def nested(self) -> ValueValidator:
        return ValueValidator(self._native, self._say)

    def begin(self, graph: Graph) -> None:
        super().begin(graph)
        self._samples, self._outputs = samples.draw(graph), graph.outputs
        if not self._samples:
            why = "is too large or too long, needs indices or calls Python"
            self._say(f"{graph.name} {why}: form only")

    def after(self, name: str, graph: Graph) -> None:
        super().after(name, graph)
        self._same_outputs(f"pass {name}", f"the pass {name} changed the", graph)

    def _same_outputs(self, stage: str, changed: str, graph: Graph) -> None:
        if graph.outputs == self._outputs:
            return
        self._outputs = graph.outputs
        for sample in self._samples:
            found = samples.outputs(graph, sample)
            if len(found) != len(sample.outputs):
                raise Miscompiled(stage, f"{changed} number of outputs")
            for position, (new, old) in enumerate(zip(found, sample.outputs)):
                where = None if old is None else difference(new, old)  # a token
                if where is not None:
                    node = plans.describe(graph.outputs[position])
                    text = f"{changed} value of output {position}, {node}: {where}"
                    raise Miscompiled(stage, text)

    def fusion(self, plan: KernelPlan) -> None:
        super().fusion(plan)
        self._same_outputs("fusion", "fusion changed the", plan.graph)
        self._runs = [Run(s, samples.node_values(plan.graph, s)) for s in self._samples]
        for run in self._runs:
            self._kernels_in_turn(plan, run)

    def _kernels_in_turn(self, plan: KernelPlan, run: Run) -> None:
        buffers = dict(zip(plan.graph.inputs, run.sample.inputs, strict=True))
        for step in plan.steps:
            values: dict[Node, Any] = {node: buffers[node] for node in step.inputs}
            with np.errstate(all="ignore"):
                for node in _computed(step):
                    if node not in values:
                        operands = [values.get(i) for i in node.inputs]  # None for a token
                        values[node] = evaluate(node, operands, run.sample.sizes)
            for node in step.outputs:
                buffers[node] = values[node]
                if node not in run.values:
                    raise Miscompiled("fusion", f"the graph has no {plans.describe(node)}")
                where = difference(values[node], run.values[node])
                if where is not None:
                    raise Miscompiled("fusion", f"{plans.describe(node)}: {where}")

    # -- kernels ------------------------------------------------------------------------------

    def loops(self, stage: str, kernel: Kernel, low: Lowered, function: LoopFunction) -> None:
        super().loops(stage, kernel, low, function)
        for run in self._runs:
            self._interpreted(stage, Trial(kernel, low, run), function)

    def _interpreted(self, stage: str, trial: Trial, function: LoopFunction) -> None:
        """Small loops also with what may run in any order in reverse."""
        if trial.steps > samples.LARGEST_LOOPS:
            self._say(f"the loops of {trial.name} are too long to be interpreted")
            return
        orders = (Order.TOGETHER, Order.REVERSE) if trial.steps <= _SMALL else (Order.TOGETHER,)
        for order in orders:
            arrays, fresh = trial.arrays(), function.buffers[trial.outputs]
            try:
                with np.errstate(all="ignore"):
                    report = interpret(function, arrays, trial.sizes, order, fresh)
            except LoopFault as fault:
                raise Miscompiled(stage, f"the kernel {trial.name}: {fault}") from None
            _compare(stage, trial, report, arrays[trial.outputs])

    def emission(self, kernel: Kernel, low: Lowered, code: KernelCode) -> None:
        if self._native.kernel is None:
            return
        for run in self._runs:
            trial = Trial(kernel, low, run)
            small = trial.steps <= samples.LARGEST_LOOPS
            stage = "emission" if small else "schedule, widening or emission"
            _launch(stage, trial, partial(self._native.kernel, code))

    # -- programs -----------------------------------------------------------------------------

    def program(self, program: Program, stage: str = "assembly") -> None:
        super().program(program, stage)
        if self._native.program is None:
            return
        for sample in self._samples:
            try:
                found = self._native.program(program, sample.inputs)
            except (CheckError, LinAlgError, OutOfBoundsError) as error:
                raise Miscompiled(stage, f"the program, and it alone, says: {error}") from None
            wanted = [output for output in sample.outputs if output is not None]
            for position, (new, old) in enumerate(zip(found, wanted, strict=True)):
                where = difference(new, old)
                if where is not None:
                    raise Miscompiled(stage, f"output {position} of the program: {where}")

    # -- CUDA ---------------------------------------------------------------------------------

    def cuda(
        self, plan: KernelPlan, lowered: Sequence[Lowered], bound: Sequence[object], text: str
    ) -> None:
        rows = zip(plan.kernels, lowered, bound, strict=True)
        fitting = [(k, low, f) for k, low, f in rows if isinstance(f, LoopFunction)]
        trials = [(Trial(k, low, run), f) for k, low, f in fitting for run in self._runs]
        for trial, function in trials:
            self._interpreted("binding", trial, function)
        if self._native.cuda is None:
            return
        module = self._native.cuda(text, [function for _, _, function in fitting])
        for trial, function in trials:
            _launch("CUDA emission", trial, partial(module, function))

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._tell(text)


def _computed(step: Step) -> tuple[Node, ...]:
    """What a step computes, in order."""
    return step.nodes if isinstance(step, Kernel) else (step.node, *step.outputs)


def _launch(stage: str, trial: Trial, launch: _Launch) -> None:
    """Run native code between guards."""
    guarded = trial.guarded()
    report = launch([memory.array for memory in guarded], trial.sizes)
    outside = trial.written_outside(guarded)
    if outside is not None:
        raise Miscompiled(stage, f"the kernel {trial.name} writes outside of {outside}")
    _compare(stage, trial, report, [memory.array for memory in guarded[trial.outputs]])


def _compare(stage: str, trial: Trial, report: Report, outputs: Sequence[Array]) -> None:
    if report is not None:
        raise Miscompiled(stage, f"the kernel {trial.name} refuses valid indices")
    where = trial.difference(outputs)
    if where is not None:
        raise Miscompiled(stage, f"the kernel {trial.name} computes {where}")
