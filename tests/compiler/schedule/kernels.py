"""Runs a graph through fusion and schedules in the loop interpreter, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from tests.constrained import constrained

from weftc import schedule
from weftc.fusion.clusters import fuse
from weftc.fusion.kernel import Kernel, KernelPlan
from weftc.fusion.reasons import unfused
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Shape, Size, concrete_shape, value_of
from weftc.loop.interpret import interpret
from weftc.loop.simplify import simplify
from weftc.loop.widen import widen
from weftc.ops import TABLE
from weftc.schedule.lowered import Lowered
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.program import Report
from weftrt.target import Target

Array: TypeAlias = "np.ndarray[Any, Any]"

TARGET = Target("x86_64-unknown-linux-gnu", ("avx512f",), 512)


class Inputs:
    """Makes the inputs of a graph, numbered as they come."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def __call__(self, *shape: Size, dtype: DType = dtypes.float32) -> Node:
        number = len(self.nodes)
        node = TABLE["input"](index=number, name=f"x{number}", dtype=dtype, shape=shape)
        self.nodes.append(node)
        return node

    def graph(self, *outputs: Node) -> Graph:
        return constrained(Graph("test", tuple(self.nodes), outputs))


def draw(shape: Shape, dtype: DType, sizes: dict[str, int], seed: int) -> Array:
    """Random values, with a few special ones."""
    random = np.random.default_rng(seed)
    concrete = concrete_shape(shape, sizes)
    if dtype is dtypes.bool_:
        return random.random(concrete) < 0.5
    if dtype.is_integer:
        return random.integers(0, 3, concrete).astype(dtype.dtype)
    return random.normal(size=concrete).astype(dtype.dtype)


def run(
    graph: Graph, arrays: Sequence[Array], sizes: dict[str, int] | None = None, wide: bool = False
) -> list[Array]:
    """The outputs of `graph`, kernel by kernel; `wide` widens the loops first."""
    sizes = sizes or {}
    plan = fuse(graph)
    values: dict[Node, Array] = dict(zip(graph.inputs, arrays, strict=True))
    for number, kernel in enumerate(plan.kernels):
        low = schedule.lower(kernel, TARGET, f"{kernel.kind.value}_{number}")
        report = _run_kernel(low, values, sizes, wide)
        if report is not None:
            raise IndexError(low.sites[report[0]], report[1])
    return [values[o] for o in graph.outputs]


def _run_kernel(
    low: Lowered, values: dict[Node, Array], sizes: dict[str, int], wide: bool
) -> Report:
    function = low.function
    if wide:
        function = simplify(widen(function, TARGET))
    buffers = []
    for node in low.buffers:
        if node not in values:
            shape = concrete_shape(node.type.shape, sizes)
            values[node] = np.full(shape, 77, node.type.dtype.dtype)
        buffers.append(values[node])
    return interpret(function, buffers, [value_of(s, sizes) for s in low.sizes])


def kinds(plan: KernelPlan) -> list[str]:
    """The kernel kinds of a plan, in order."""
    return [kernel.kind.value for kernel in plan.kernels]


def _check_whole(kernel: Kernel) -> None:
    known = set(kernel.inputs)
    for node in kernel.nodes:
        assert known.issuperset(node.inputs), "a node comes before what it needs"
        known.add(node)
    assert set(kernel.nodes).issuperset(kernel.outputs)


def check_plan(plan: KernelPlan) -> None:
    """Every output is written once, before it is read, by a step that is whole."""
    written = set(plan.graph.inputs)
    for step in plan.steps:
        assert written.issuperset(step.inputs), "a value is read before it is written"
        if isinstance(step, Kernel):
            _check_whole(step)
        assert not written.intersection(step.outputs), "a value is written twice"
        written.update(step.outputs)
    assert written.issuperset(plan.graph.outputs)
    kernel_values = {n for k in plan.kernels for n in k.outputs}
    reads = {(n, k) for k in plan.kernels for n in k.inputs if n in kernel_values}
    edges = list(unfused(plan.kernels))
    assert len(edges) == len(reads)
    assert all(": " in edge.reason for edge in edges)
