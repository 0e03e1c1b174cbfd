"""Every planted fault is found by the checks of level 2, which name the stage that has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.compiler.codegen.cuda_host import Module, compiler
from tests.compiler.schedule.kernels import Inputs
from tests.faults.fault import Build, Fault
from tests.faults.plant import planted
from tests.faults.table import FAULTS

from weftc import pipeline
from weftc.ir.node import Graph
from weftc.loop.ir import LoopFunction
from weftc.validate import Miscompiled
from weftc.validate.values import CudaKernel, Native, ValueValidator
from weftrt.cpu import trial
from weftrt.cpu.host import host
from weftrt.options import Options

ALL = [(stage, fault) for stage, faults in FAULTS.items() for fault in faults]
CUDA = {"binding", "CUDA emission"}
KERNELS = {"schedule", "widening", "simplify", "emission", "schedule, widening or emission"}
BLOCKS = 3


def _graph(program: Build) -> Graph:
    x = Inputs()
    outputs = program(x)
    return x.graph(*(outputs if isinstance(outputs, tuple) else (outputs,)))


def _compile(graph: Graph, stage: str, folder: Path, donated: tuple[int, ...] = ()) -> None:
    """Compile at level 2, for CUDA too where a stage of it is tried."""

    def module(text: str, functions: Sequence[LoopFunction]) -> CudaKernel:
        folder.mkdir()  # a library is loaded once by its path
        compiled = Module(text, functions, folder)

        def run(function: LoopFunction, arrays: Sequence[Any], sizes: Sequence[int]) -> int:
            return compiled.run(function, arrays, sizes, BLOCKS)

        return run

    on_threads = module if stage == "CUDA emission" else None
    native = Native(trial.run_kernel, trial.run_program, on_threads)
    stages = pipeline.stages(graph, Options(host(), donated), ValueValidator(native))
    assert stages.program.outputs
    if stage in CUDA:
        assert "__global__" in stages.cuda


def test_every_stage_has_faults_and_each_its_name() -> None:
    passes = {f"pass {run.__name__}" for run in pipeline.PASSES}
    assert set(FAULTS) == passes | {"fusion", *KERNELS, "memory", "assembly", *CUDA}
    assert len({fault.name for _, fault in ALL}) == len(ALL)


@pytest.mark.parametrize(("stage", "fault"), ALL, ids=[f"{s}: {f.name}" for s, f in ALL])
def test_a_fault_is_found_and_its_stage_named(stage: str, fault: Fault, tmp_path: Path) -> None:
    if stage == "CUDA emission" and compiler() is None:
        pytest.skip("no C++ compiler")
    graph = _graph(fault.program)
    _compile(graph, stage, tmp_path / "right", fault.donated)
    with (
        planted(fault.place, fault.right, fault.wrong),
        pytest.raises(Miscompiled) as caught,
    ):
        _compile(graph, stage, tmp_path / "wrong", fault.donated)
    assert caught.value.stage == stage, str(caught.value)
