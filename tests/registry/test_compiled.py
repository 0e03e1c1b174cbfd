"""Every op as a native kernel, against its reference by bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.constrained import constrained
from tests.registry.cases import ON_ARRAYS, Case, op_cases

from weftc import pipeline
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import OpDef
from weftc.ops import TABLE
from weftrt import array
from weftrt.cpu.executable import load
from weftrt.cpu.host import host_options


def graph_of(op: OpDef, cases: Sequence[Case]) -> Graph:
    """One graph that applies `op` to the inputs of every case: one program, many kernels."""
    inputs: list[Node] = []
    outputs = []
    for case in cases:
        first = len(inputs)
        for position, type_ in enumerate(case.types, first):
            name, dtype, shape = f"x{position}", type_.dtype, type_.shape
            inputs.append(TABLE["input"](index=position, name=name, dtype=dtype, shape=shape))
        outputs.append(op(*inputs[first:], **case.attrs))
    return constrained(Graph(op.name, tuple(inputs), tuple(outputs)))


def run(graph: Graph, arrays: Sequence[Any]) -> list[Any]:
    executable = load(pipeline.compile(graph, host_options()))
    given = [array.from_numpy(np.array(a, order="C"), True) for a in arrays]
    return [array.to_numpy(o) for o in executable.run(given)]


@pytest.mark.parametrize("op", ON_ARRAYS, ids=lambda op: op.name)
def test_compiled_ops_give_the_bits_of_the_reference(op: OpDef) -> None:
    cases = [c for c in op_cases(op) if sum(a.size for a in c.arrays) < 1500]
    found = run(graph_of(op, cases), [a for case in cases for a in case.arrays])
    for case, value in zip(cases, found, strict=True):
        type_ = op.infer(case.types, case.attrs)
        assert_same_bits(value, np.asarray(op.reference(case.arrays, case.attrs, type_)))
