"""Every op through fusion, its schedule and widening: loops give the bits of the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.registry.cases import ON_ARRAYS, Case, op_cases, symbolic

from weftc.fusion.clusters import fuse
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import OpDef
from weftc.ir.sizes import concrete_shape
from weftc.loop import interpret as loops
from weftc.loop.ir import LoopFunction
from weftc.loop.simplify import simplify
from weftc.loop.widen import widen
from weftc.ops import TABLE
from weftc.schedule import lower
from weftc.schedule.cuda.bind import bind
from weftrt.target import Target

TARGET = Target("x86_64-unknown-linux-gnu", ("avx2", "fma"), 256)
Sizes = Mapping[str, int]
Stage = Callable[[LoopFunction], LoopFunction]


def widened(function: LoopFunction) -> LoopFunction:
    return simplify(widen(function, TARGET))


def written(function: LoopFunction) -> LoopFunction:
    return function


def bound(function: LoopFunction) -> LoopFunction:
    """For blocks and threads; as it is, if it has no CUDA schedule."""
    found = bind(function)
    return found if isinstance(found, LoopFunction) else function


def run_kernels(graph: Graph, arrays: list[Any], sizes: Sizes, stage: Stage) -> list[Any]:
    """The outputs of `graph`, kernel by kernel, by the interpreter of loops."""
    values: dict[Node, Any] = dict(zip(graph.inputs, arrays, strict=True))
    for number, kernel in enumerate(fuse(graph).kernels):
        lowered = lower(kernel, TARGET, f"kernel_{number}")
        for node in kernel.outputs:
            shape = concrete_shape(node.type.shape, sizes)
            values[node] = np.empty(shape, node.type.dtype.dtype)
        function = stage(lowered.function)
        buffers = [values[node] for node in lowered.buffers]
        counts = concrete_shape(lowered.sizes, sizes)
        assert loops.interpret(function, buffers, counts) is None
    return [values[o] for o in graph.outputs]


def check(op: OpDef, case: Case, given: Case, sizes: Sizes, stage: Stage) -> None:
    """The kernels of `given`, which is `case` or its symbolic form, on the arrays of `case`."""
    named = enumerate(given.types)
    make = TABLE["input"]
    inputs = tuple(make(index=i, name=f"x{i}", dtype=t.dtype, shape=t.shape) for i, t in named)
    graph = Graph(op.name, inputs, (op(*inputs, **given.attrs),))
    expected = op.reference(case.arrays, case.attrs, op.infer(case.types, case.attrs))
    arrays = [np.array(a, order="C") for a in case.arrays]
    (found,) = run_kernels(graph, arrays, sizes, stage)
    assert_same_bits(found, np.asarray(expected))


def small_cases(op: OpDef) -> list[Case]:
    return [c for c in op_cases(op) if sum(array.size for array in c.arrays) <= 1500]


@pytest.mark.parametrize("stage", [written, widened, bound])
@pytest.mark.parametrize("op", ON_ARRAYS, ids=lambda op: op.name)
def test_kernels_give_the_bits_of_the_reference(op: OpDef, stage: Stage) -> None:
    for case in small_cases(op):
        check(op, case, case, {}, stage)


@pytest.mark.parametrize(
    "op", [o for o in ON_ARRAYS if o.name != "reshape"], ids=lambda op: op.name
)
def test_kernels_for_symbolic_sizes_give_the_same_bits(op: OpDef) -> None:
    for case in small_cases(op):
        given, sizes = symbolic(case)
        check(op, case, given, sizes, widened)
