"""Equal kernels are found before they are scheduled, and share all but nodes and names."""

from __future__ import annotations

import pytest
from tests.compiler.schedule.kernels import TARGET, Inputs
from tests.compiler.schedule.networks import full, layer_norm, matmul, op, softmax

from weftc import cluster, pipeline, schedule
from weftc.fusion.clusters import fuse
from weftc.fusion.kernel import Kernel
from weftc.ir.node import Node
from weftc.ir.sizes import Dim
from weftc.ir.types import TensorType
from weftc.ops import build
from weftc.validate import FormValidator
from weftrt import dtypes
from weftrt.options import Options

N = Dim.symbol("n")


def _kernels(x: Inputs, *outputs: Node) -> tuple[Kernel, ...]:
    return fuse(x.graph(*outputs)).kernels


def _layers(count: int) -> tuple[Inputs, Node]:
    x = Inputs()
    value = x(20, 64)
    for _ in range(count):
        value = softmax(matmul(layer_norm(value, x(64), x(64)), x(64, 64)))
    return x, value


def test_equal_layers_are_scheduled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduled: list[str] = []
    lower = schedule.lower

    def counted(kernel: Kernel, *rest: object) -> object:
        scheduled.append(kernel.kind.value)
        return lower(kernel, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(schedule, "lower", counted)
    x, value = _layers(6)
    stages = pipeline.stages(x.graph(value), Options(TARGET), FormValidator())
    assert len(stages.program.kernels) == len(scheduled) == 4  # the first and last are alone
    assert len(stages.kernels) == 13


def test_what_differs_is_the_kernels_own() -> None:
    x, value = _layers(2)
    stages = pipeline.stages(x.graph(value), Options(TARGET))
    first, second = stages.lowered[1], stages.lowered[3]
    assert first.function.body is second.function.body
    assert (first.function.name, second.function.name) == ("contraction_1", "contraction_3")
    for kernel, low in ((stages.kernels[1], first), (stages.kernels[3], second)):
        assert low.buffers == (*kernel.inputs, *kernel.outputs)


def test_sites_are_the_kernels_own() -> None:
    x = Inputs()
    a, i, j = x(9), x(4, dtype=dtypes.int64), x(4, dtype=dtypes.int64)
    first, second = op("take", a, i, axis=0), op("take", a, j, axis=0)
    twice = op("take", op("exp", first), j, axis=0)
    stages = pipeline.stages(x.graph(first, second, twice), Options(TARGET))
    for kernel, low in zip(stages.kernels, stages.lowered, strict=True):
        assert low.sites
        assert set(low.sites) <= set(kernel.nodes)


def test_a_kernel_that_may_fail_is_not_one_that_may_not() -> None:
    """Nothing is computed of no elements: the text of both is the same."""
    none = full(0.0, (0,))
    nowhere = build.full(0, TensorType(dtypes.int64, (0,)))
    kernels = [_kernels(Inputs(), value)[0] for value in (none, op("take", none, nowhere, axis=0))]
    first, second = (cluster.Clusters().of(kernel, TARGET).code for kernel in kernels)
    assert (first.sites, second.sites) == (0, 1)
    assert first.symbol[-24:] != second.symbol[-24:]


def test_programs_share_what_nobody_checks() -> None:
    (x, value), (y, other) = _layers(1), _layers(1)
    graphs = x.graph(value), y.graph(other)
    shared = [pipeline.stages(graph, Options(TARGET)).clusters for graph in graphs]
    assert shared[0] == shared[1]
    checked = [
        pipeline.stages(graph, Options(TARGET), FormValidator()).clusters for graph in graphs
    ]
    assert not set(checked[0]) & set(checked[1])
    assert not set(checked[0]) & set(shared[0])


def test_the_text_tells_kernels_apart() -> None:
    def text(*outputs: Node, x: Inputs) -> str:
        (kernel,) = _kernels(x, *outputs)
        return cluster.text(kernel)

    found = []
    for name, value in (("add", 0.0), ("add", -0.0), ("sub", 0.0)):
        for shape, dtype in ((8, dtypes.float32), (N, dtypes.float32), (8, dtypes.float64)):
            x = Inputs()
            constant = op("constant", value=value, dtype=dtype)
            a = x(shape, dtype=dtype)
            found.append(text(op(name, a, op("broadcast", constant, shape=(shape,), axes=())), x=x))
    x = Inputs()
    a, b = x(8), x(8)
    found.append(text(op("sub", a, b), x=x))
    found.append(text(op("sub", b, a), x=x))
    found.append(text(op("sub", b, a), op("exp", a), x=x))
    assert len(set(found)) == len(found)


def test_a_cluster_does_not_hold_the_graph() -> None:
    x, value = _layers(2)
    stages = pipeline.stages(x.graph(value), Options(TARGET))
    for shared in stages.clusters:
        assert not set(shared.kernel.nodes) & set(stages.optimized.nodes())
        assert all(node.op.name == "input" for node in shared.kernel.inputs)


def test_the_longest_unused_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "MOST_CLUSTERS", 2)
    known = cluster.Clusters()

    def of(size: int) -> cluster.Cluster:
        x = Inputs()
        (kernel,) = _kernels(x, op("exp", x(size)))
        return known.of(kernel, TARGET)

    one, two = of(1), of(2)
    assert of(1) is one
    assert of(3) is not two
    assert of(1) is one
    assert of(2) is not two
