"""Every op through fusion, its schedule and widening: loops give the bits of the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.registry.cases import Case, op_cases

from weftc.fusion.clusters import fuse
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import OpDef
from weftc.ir.types import Dim, static_shape
from weftc.loop import interpret as loops
from weftc.loop.ir import LoopFunction
from weftc.loop.simplify import simplify
from weftc.loop.widen import widen
from weftc.ops import TABLE
from weftc.schedule import lower
from weftrt.target import Target

TARGET = Target("x86_64-unknown-linux-gnu", ("avx2", "fma"), 256)
STAGES: dict[str, Callable[[LoopFunction], LoopFunction]] = {
    "written": lambda function: function,
    "widened": lambda function: simplify(widen(function, TARGET)),
}


def run_kernels(graph: Graph, arrays: list[Any], stage: str) -> list[Any]:
    """The outputs of `graph`, kernel by kernel, by the interpreter of loops."""
    values: dict[Node, Any] = dict(zip(graph.inputs, arrays, strict=True))
    for number, kernel in enumerate(fuse(graph).kernels):
        lowered = lower(kernel, TARGET, f"kernel_{number}")
        for node in kernel.outputs:
            values[node] = np.empty(static_shape(node.type.shape), node.type.dtype.dtype)
        sizes = [s for s in lowered.sizes if not isinstance(s, Dim)]
        assert len(sizes) == len(lowered.sizes)
        function = STAGES[stage](lowered.function)
        status = loops.interpret(function, [values[n] for n in lowered.buffers], sizes)
        assert status == loops.NO_REPORT
    return [values[o] for o in graph.outputs]


def graph_of(op: OpDef, case: Case) -> Graph:
    inputs = tuple(
        TABLE["input"](index=i, name=f"x{i}", dtype=t.dtype, shape=t.shape)
        for i, t in enumerate(case.types)
    )
    return Graph(op.name, inputs, (op(*inputs, **case.attrs),))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("op", [o for o in TABLE.all() if o.name != "input"], ids=lambda o: o.name)
def test_kernels_give_the_bits_of_the_reference(op: OpDef, stage: str) -> None:
    for case in op_cases(op):
        if sum(array.size for array in case.arrays) > 1500:
            continue
        graph = graph_of(op, case)
        expected = op.reference(case.arrays, case.attrs, graph.outputs[0].type)
        arrays = [np.array(a, order="C") for a in case.arrays]
        (found,) = run_kernels(graph, arrays, stage)
        assert_same_bits(found, np.asarray(expected))
