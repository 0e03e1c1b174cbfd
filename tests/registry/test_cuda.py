"""Every op as CUDA C on a GPU, against its reference by bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.codegen import cuda_device
from tests.compiler.schedule.kernels import TARGET
from tests.registry.cases import ON_ARRAYS, Array
from tests.registry.test_compiled import graph_of
from tests.registry.test_kernels import small_cases

from weftc import schedule
from weftc.codegen.cuda import emit
from weftc.fusion.clusters import fuse
from weftc.ir.interpret import evaluate
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import OpDef
from weftc.ir.sizes import static_shape
from weftc.loop.ir import LoopFunction
from weftc.schedule.cuda.bind import bind

if cuda_device.missing() is not None:
    pytest.skip(str(cuda_device.missing()), allow_module_level=True)


def run(graph: Graph, arrays: list[Array], folder: Path) -> list[Array]:
    """The outputs of `graph`; kernels that have no CUDA schedule by the interpreter of graphs."""
    kernels = fuse(graph).kernels
    loops = [schedule.lower(k, TARGET, f"kernel_{n}") for n, k in enumerate(kernels)]
    functions = [bind(low.function) for low in loops]
    fitting = [f for f in functions if isinstance(f, LoopFunction)]
    module = cuda_device.Module(emit(fitting), fitting, folder) if fitting else None
    values: dict[Node, Array] = dict(zip(graph.inputs, arrays, strict=True))
    for kernel, low, function in zip(kernels, loops, functions, strict=True):
        if module is None or not isinstance(function, LoopFunction):
            for node in kernel.nodes:
                values[node] = evaluate(node, [values[i] for i in node.inputs], {})
            continue
        for node in kernel.outputs:
            values[node] = np.full(
                [int(str(s)) for s in node.type.shape], 77, node.type.dtype.dtype
            )
        scratch = [np.full(size, 255, np.uint8) for size in static_shape(low.scratch)]
        buffers = [*(values[node] for node in low.buffers), *scratch]
        assert module.run(function, buffers, static_shape(low.sizes), blocks=5) is None
    return [values[o] for o in graph.outputs]


def check(op: OpDef, folder: Path) -> None:
    cases = small_cases(op)
    arrays = [np.array(a, order="C") for case in cases for a in case.arrays]
    for case, found in zip(cases, run(graph_of(op, cases), arrays, folder), strict=True):
        type_ = op.infer(case.types, case.attrs)
        assert_same_bits(found, np.asarray(op.reference(case.arrays, case.attrs, type_)))


@pytest.mark.parametrize("op", ON_ARRAYS, ids=lambda op: op.name)
def test_ops_on_a_gpu_give_the_bits_of_the_reference(op: OpDef, tmp_path: Path) -> None:
    check(op, tmp_path)
