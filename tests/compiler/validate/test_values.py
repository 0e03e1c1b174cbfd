"""Every family of ops and the golden networks through all stages, each compared by bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.compiler.assembly.graphs import integer, loop
from tests.compiler.codegen import native
from tests.compiler.schedule.kernels import Inputs
from tests.compiler.schedule.networks import cross_entropy, layer_norm, matmul, op, softmax
from tests.golden.test_golden import CASES as NETWORKS
from tests.registry.cases import ON_ARRAYS, Case, op_cases, symbolic
from tests.registry.test_compiled import graph_of

import weft as wf
from weftc import pipeline
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import OpDef
from weftc.ir.sizes import Dim
from weftc.validate.values import Native, ValueValidator
from weftrt import dtypes
from weftrt.cpu import trial
from weftrt.cpu.host import host, host_options
from weftrt.options import Options
from weftrt.program import KernelCode, Report
from weftrt.target import Target

N = Dim.symbol("n")
WITHOUT_SIZES = [o for o in ON_ARRAYS if o.name not in ("reshape", "slice")]
"""Ops whose attributes name no sizes but the shape of the result."""
COUNT = 4
"""Cases of each op: enough for every dtype kind and for no elements."""


def run_on(target: Target) -> Callable[[KernelCode, Sequence[Any], Sequence[int]], Report]:
    """Kernels compiled for `target`, with the pieces of their parallel loops in reverse order."""

    def run(code: KernelCode, arrays: Sequence[Any], sizes: Sequence[int]) -> Report:
        linked = native.linker(target).link(code.symbol, code.llvm)
        return trial.call_kernel(linked.address, arrays, sizes, code.sites)

    return run


def check(graph: Graph, target: Target | None = None) -> list[str]:
    """Compile at level 2; what was not tried."""
    said: list[str] = []
    if target is None:
        validator = ValueValidator(Native(trial.run_kernel, trial.run_program), said.append)
    else:
        validator = ValueValidator(Native(run_on(target)), said.append)
    assert pipeline.compile(graph, Options(target or host()), validator).outputs
    return said


def sample_of(op: OpDef) -> list[Case]:
    """Cases spread over all of the op's, none large."""
    cases = [c for c in op_cases(op) if sum(a.size for a in c.arrays) < 400]
    return cases[:: max(len(cases) // COUNT, 1)]


@pytest.mark.parametrize("op", ON_ARRAYS, ids=lambda op: op.name)
def test_ops(op: OpDef) -> None:
    assert check(graph_of(op, sample_of(op))) == []


@pytest.mark.parametrize("op", WITHOUT_SIZES, ids=lambda op: op.name)
def test_ops_of_symbolic_sizes(op: OpDef) -> None:
    for case in sample_of(op)[:2]:
        graph = graph_of(op, [symbolic(case)[0]])
        if _symbols(graph.outputs) <= _symbols(graph.inputs):
            assert check(graph) == []


def _symbols(nodes: Sequence[Node]) -> set[str]:
    sizes = [size for node in nodes for size in node.type.shape if isinstance(size, Dim)]
    return {name for size in sizes for name in size.symbols()}


@pytest.mark.parametrize("target", [None, native.baseline()], ids=["host", "baseline"])
@pytest.mark.parametrize("name", NETWORKS)
def test_golden_networks(name: str, target: Target | None) -> None:
    function, arguments = NETWORKS[name]
    assert check(wf.jit(function).lower(*arguments).graph, target) == []


def _attention(x: Inputs) -> Any:
    a = x(6, 8)
    return matmul(softmax(matmul(a, op("transpose", x(6, 8), permutation=(1, 0)))), x(6, 5))


def _embedding(x: Inputs) -> Any:
    rows = op("take", x(11, 8), x(N, dtype=dtypes.int32), axis=0)
    return layer_norm(rows, x(8), x(8))


def _counts(x: Inputs) -> Any:
    return op("scatter_add", x(9, 20), x(N, dtype=dtypes.int64), op("exp", x(N, 20)), axis=0)


SMALL: dict[str, Callable[[Inputs], Any]] = {
    "attention": _attention,
    "embedding": _embedding,
    "counts": _counts,
    "cross_entropy": lambda x: cross_entropy(x(N, 10), x(N, dtype=dtypes.int64)),
    "column_sum": lambda x: op("sum", x(N, 40), axes=(0,)),
    "two_blocks": lambda x: op("sum", x(2, 5000), axes=(1,)),
    "matmul": lambda x: matmul(x(N, 33), x(33, 17)),
    "segments": lambda x: matmul(x(2, 1030), x(1030, 4)),
}


@pytest.mark.parametrize("target", [None, native.baseline()], ids=["host", "baseline"])
@pytest.mark.parametrize("name", SMALL)
def test_kernel_kinds(name: str, target: Target | None) -> None:
    x = Inputs()
    assert check(x.graph(SMALL[name](x)), target) == []


def test_what_is_too_large_is_said() -> None:
    x = Inputs()
    (said, *_) = check(x.graph(op("exp", x(1 << 18))))
    assert said == "the loops of pointwise_0 are too long to be interpreted"
    x = Inputs()
    assert "form only" in check(x.graph(op("exp", x(1 << 22))))[0]


def test_what_is_too_large_is_said_once_for_all_bodies() -> None:
    def turn(i: Node, a: Node) -> Sequence[Node]:
        return (op("exp", a),)

    x = Inputs()
    (once,) = loop(integer(0), integer(1), [x(1 << 22)], turn)
    (twice,) = loop(integer(0), integer(1), [once], turn)
    said = check(x.graph(twice))
    assert len(said) == len(set(said)) == 2


def test_values_of_the_caller_are_not_touched() -> None:
    x = Inputs()
    graph = x.graph(op("neg", x(5)))
    before = np.ones(5, np.float32)
    program = pipeline.compile(graph, host_options())
    (found,) = trial.run_program(program, [before])
    assert found.tolist() == [-1.0] * 5 and before.tolist() == [1.0] * 5
