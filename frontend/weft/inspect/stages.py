"""The stages of one compiled call: as objects, as text, as files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from weft import diagnostics
from weft.inspect.explanation import explain
from weftc import pipeline
from weftc.fusion.kernel import Kernel, KernelPlan
from weftc.ir.node import Graph
from weftc.ir.print import print_graph
from weftc.loop.ir import LoopFunction
from weftc.loop.print import print_function
from weftrt.cpu import linker
from weftrt.cpu.host import host_options
from weftrt.errors import UsageError
from weftrt.options import Options
from weftrt.program import Program


class Lowered:
    """Every stage of compiling one graph, computed when first looked at."""

    def __init__(self, graph: Graph, options: Options) -> None:
        self._stages = pipeline.stages(graph, options)

    @property
    def graph(self) -> Graph:
        """What the trace recorded."""
        return self._stages.graph

    @property
    def optimized(self) -> Graph:
        """The graph after all passes."""
        return self._stages.optimized

    @property
    def plan(self) -> KernelPlan:
        """The steps in order, and why values go through memory between kernels."""
        return self._stages.plan

    @property
    def explanation(self) -> str:
        """The kernels, the lines of source that each computes, and why values go through memory."""
        return explain(self._stages)

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The clusters that become one kernel each; after those of the graph, those of branches
        and loops, as in all that is said of kernels here."""
        return tuple(kernel for stages in self._stages.all() for kernel in stages.kernels)

    @property
    def loops(self) -> tuple[LoopFunction, ...]:
        """Each kernel as its schedule wrote it."""
        return tuple(loop for stages in self._stages.all() for loop in stages.loops)

    @property
    def widened(self) -> tuple[LoopFunction, ...]:
        """Each kernel with vectors in place of vector loops."""
        return tuple(loop for stages in self._stages.all() for loop in stages.widened)

    @property
    def llvm(self) -> tuple[str, ...]:
        """LLVM IR per kernel."""
        return tuple(text for stages in self._stages.all() for text in stages.llvm)

    @property
    def asm(self) -> tuple[str, ...]:
        """Machine code of this CPU per kernel, as text."""
        return tuple(linker.default().assembly(text) for text in self.llvm)

    @property
    def cuda(self) -> str:
        """CUDA C of every kernel that has a CUDA schedule."""
        return self._stages.cuda

    @property
    def program(self) -> Program:
        """What the runtime runs."""
        return self._stages.program

    def text(self, stage: str) -> str:
        """One stage as text; UsageError for an unknown one."""
        return _writer(stage)(self)

    def write(self, folder: Path) -> list[Path]:
        """Write every stage to `folder`, a file each; returns the files in the order of the stages.
        UsageError where the folder cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return [self._write(folder, position, name) for position, name in enumerate(STAGES)]
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error.strerror}") from None

    def _write(self, folder: Path, position: int, stage: str) -> Path:
        file = folder / f"{position}_{stage}.{_SUFFIXES.get(stage, 'txt')}"
        file.write_text(self.text(stage), encoding="utf-8")
        return file

    def __repr__(self) -> str:
        return f"<stages of {self.graph.name}: {', '.join(STAGES)}>"


def _join(texts: Iterable[str]) -> str:
    return "\n\n".join(text.rstrip() for text in texts) + "\n"


STAGES: dict[str, Callable[[Lowered], str]] = {
    "graph": lambda low: print_graph(low.graph, diagnostics.short_place),
    "optimized": lambda low: print_graph(low.optimized, diagnostics.short_place),
    "kernels": lambda low: low.explanation,
    "loops": lambda low: _join(map(print_function, low.loops)),
    "widened": lambda low: _join(map(print_function, low.widened)),
    "llvm": lambda low: _join(low.llvm),
    "asm": lambda low: _join(low.asm),
    "cuda": lambda low: low.cuda,
}
"""Names of stages, in order, and how to write each."""


def _writer(stage: str) -> Callable[[Lowered], str]:
    if not isinstance(stage, str) or stage not in STAGES:
        raise UsageError(f"there is no stage {stage!r:.40}; there are {', '.join(STAGES)}")
    return STAGES[stage]


_SUFFIXES = {"llvm": "ll", "asm": "s", "cuda": "cu"}


def dump(low: Lowered, folder: Path, key: str) -> None:
    """Write every stage to `folder`/name-key."""
    name = re.sub(r"\W+", "_", low.graph.name)
    low.write(folder / f"{name}-{key[:12]}")


def lower(compiled: Any, *args: Any, **kwargs: Any) -> Lowered:
    """The stages of compiling this function for these arguments. Nothing is run."""
    dispatcher = compiled._dispatcher
    call = dispatcher.read(args, kwargs)
    traced = dispatcher.trace(call)
    if call.named and traced.fixed:
        needed = "; ".join(traced.fixed)
        raise UsageError(f"{dispatcher.name} cannot be compiled for any size: {needed}")
    return Lowered(traced.graph, host_options(call.donated))


def ir(compiled: Any, *args: Any, stage: str = "graph", **kwargs: Any) -> str:
    """One stage of compiling this function for these arguments, as text."""
    _writer(stage)
    return lower(compiled, *args, **kwargs).text(stage)


def explained(compiled: Any, *args: Any, **kwargs: Any) -> str:
    """Kernels with the lines of source that they compute, and why values go through memory."""
    return lower(compiled, *args, **kwargs).explanation
