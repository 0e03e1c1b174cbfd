"""The stages of one compiled call: as objects, as text, as files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from weft import diagnostics
from weftc import pipeline
from weftc.fusion.kernel import Kernel, KernelPlan
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Family
from weftc.ir.print import print_graph
from weftc.ir.sizes import static_shape
from weftc.loop.ir import LoopFunction
from weftc.loop.print import print_function
from weftrt.cpu import linker
from weftrt.cpu.host import host
from weftrt.errors import UsageError
from weftrt.program import Program
from weftrt.sizes import scaled


class Lowered:
    """Every stage of compiling one graph, computed when first looked at."""

    def __init__(self, graph: Graph) -> None:
        self._stages = pipeline.stages(graph, host())

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
        """The kernels in order, and why values go through memory between them."""
        return self._stages.plan

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The clusters that become one kernel each."""
        return self._stages.kernels

    @property
    def loops(self) -> tuple[LoopFunction, ...]:
        """Each kernel as its schedule wrote it."""
        return self._stages.loops

    @property
    def widened(self) -> tuple[LoopFunction, ...]:
        """Each kernel with vectors in place of vector loops."""
        return self._stages.widened

    @property
    def llvm(self) -> tuple[str, ...]:
        """LLVM IR per kernel."""
        return self._stages.llvm

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
    "kernels": lambda low: explain(low),
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


def explain(low: Lowered) -> str:
    """The kernels, the lines of source that each computes, and why values go through memory."""
    plan = low.plan
    number = {node: i for i, kernel in enumerate(plan.kernels) for node in kernel.nodes}
    lines = [f"{plan.graph.name}: {_count(len(plan.kernels), 'kernel')}"]
    for index, kernel in enumerate(plan.kernels):
        lines.append("")
        lines.append(f"kernel {index}, {kernel.kind.value}: {_ops(kernel.nodes)}")
        lines += [f"  reads  {_value(n, number)}" for n in kernel.inputs]
        lines += [f"  writes {n.type}" for n in kernel.outputs]
        lines += _work(kernel)
        lines += [f"  {line}" for line in _source(kernel.nodes)]
    for edge in plan.unfused:
        lines.append("")
        lines.append(f"not fused: {_value(edge.producer, number)} -> {edge.consumer.op.name}")
        lines.append(f"  {edge.reason}")
    return "\n".join(lines) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _ops(nodes: Iterable[Node]) -> str:
    names: dict[str, int] = {}
    for node in nodes:
        if node.op.family is not Family.SOURCE:
            names[node.op.name] = names.get(node.op.name, 0) + 1
    return ", ".join(name if n == 1 else f"{name} x{n}" for name, n in names.items()) or "copy"


def _work(kernel: Kernel) -> list[str]:
    """Bytes moved and operations done, where the sizes are known. An operation is one of the
    primitives on one element; a multiplication and addition of a contraction are two."""
    if not all(n.type.is_static for n in (*kernel.nodes, *kernel.inputs)):
        return []
    read, written = (sum(map(_bytes, nodes)) for nodes in (kernel.inputs, kernel.outputs))
    operations = sum(_OPERATIONS.get(n.op.family, _none)(n) for n in kernel.nodes)
    return [f"  moves  {scaled(read)}B in, {scaled(written)}B out; {scaled(operations)}op"]


def _elements(node: Node) -> int:
    return math.prod(static_shape(node.type.shape))


def _bytes(node: Node) -> int:
    itemsize: int = node.type.dtype.itemsize
    return _elements(node) * itemsize


def _none(node: Node) -> int:
    return 0


def _multiplications(node: Node) -> int:
    shape = static_shape(node.inputs[0].type.shape)
    inner: int = math.prod(shape[axis] for axis in node["contracted"][0])
    return 2 * _elements(node) * inner


_OPERATIONS: dict[Family, Callable[[Node], int]] = {
    Family.POINTWISE: _elements,
    Family.REDUCTION: lambda node: _elements(node.inputs[0]),
    Family.CONTRACTION: _multiplications,
}


def _value(node: Node, number: dict[Node, int]) -> str:
    if node.op.name == "input":
        return f"{node.type} {node['name']}"
    source = f" of kernel {number[node]}" if node in number else ""
    return f"{node.type} {node.op.name}{source}"


def _source(nodes: Iterable[Node]) -> list[str]:
    """The lines of the user's code that nodes come from, each once, in program order."""
    return list(
        dict.fromkeys(diagnostics.short_place(n.location) for n in nodes if n.location is not None)
    )


def dump(low: Lowered, folder: Path, key: str) -> None:
    """Write every stage to `folder`/name-key."""
    name = re.sub(r"\W+", "_", low.graph.name)
    low.write(folder / f"{name}-{key[:12]}")


def lower(compiled: Any, *args: Any, **kwargs: Any) -> Lowered:
    """The stages of compiling this function for these arguments. Nothing is run."""
    dispatcher = compiled._dispatcher
    return Lowered(dispatcher.trace(dispatcher.read(args, kwargs)).graph)


def ir(compiled: Any, *args: Any, stage: str = "graph", **kwargs: Any) -> str:
    """One stage of compiling this function for these arguments, as text."""
    _writer(stage)
    return lower(compiled, *args, **kwargs).text(stage)


def explained(compiled: Any, *args: Any, **kwargs: Any) -> str:
    """Kernels with the lines of source that they compute, and why values go through memory."""
    return explain(lower(compiled, *args, **kwargs))


def cache_report(compiled: Any) -> list[Any]:
    """The compiles of this function so far: for which call, why, for how long."""
    return list(compiled._dispatcher.records)


def clear_cache(compiled: Any) -> None:
    """Forget the compiled programs; the next call traces the function again."""
    compiled._dispatcher.clear()
