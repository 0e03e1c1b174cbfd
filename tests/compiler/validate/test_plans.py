"""Kernel plans that do not compute their graph, and memory plans that overlap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.compiler.schedule.kernels import TARGET, Inputs
from tests.compiler.schedule.networks import matmul, op, softmax

from weftc import pipeline
from weftc.fusion.clusters import fuse
from weftc.fusion.kernel import Kernel, KernelKind, KernelPlan, MemoryPlan
from weftc.ir.sizes import Dim
from weftc.validate import FormValidator, Miscompiled
from weftc.validate.plans import check_memory, check_plan
from weftrt.options import Options


def _plan() -> KernelPlan:
    x = Inputs()
    a = matmul(x(4, 5), x(5, 6))
    return fuse(x.graph(softmax(matmul(op("exp", a), x(6, 7)))))


def _without(plan: KernelPlan, number: int, **changes: tuple[object, ...]) -> KernelPlan:
    steps = list(plan.kernels)
    steps[number] = replace(steps[number], **changes)  # type: ignore[arg-type]
    return replace(plan, steps=tuple(steps))


def test_a_plan_that_is_right() -> None:
    assert check_plan(_plan()) is None


def test_order_inputs_and_outputs() -> None:
    plan = _plan()
    backwards = replace(plan, steps=plan.steps[::-1])
    assert "before it is written" in str(check_plan(backwards))
    assert "without exp" in str(check_plan(_without(plan, 1, inputs=())))
    first: Kernel = plan.kernels[0]
    assert "without" in str(check_plan(_without(plan, 0, nodes=first.nodes[-1:])))
    assert "no step writes div" in str(check_plan(replace(plan, steps=plan.steps[:-1])))
    twice = replace(plan, steps=(first, *plan.steps))
    assert "a second time" in str(check_plan(twice))
    alien = _without(plan, 0, outputs=plan.graph.outputs)
    assert "does not compute" in str(check_plan(alien))


def test_kernels_have_the_form_of_their_kind() -> None:
    plan = _plan()
    for number, kernel in enumerate(plan.kernels):
        for kind in KernelKind:
            if kind is not kernel.kind:
                assert check_plan(_without(plan, number, kind=kind)), (kernel.kind, kind)


@pytest.mark.parametrize("rows", [40, Dim.symbol("n")])
def test_places_in_the_arena(rows: int | Dim) -> None:
    x = Inputs()
    a, w = x(rows, 30), x(30, 30)
    stages = pipeline.stages(x.graph(matmul(matmul(matmul(a, w), w), w)), Options(TARGET))
    plan, scratch, memory = stages.plan, stages.scratch, stages.memory
    assert check_memory(plan, scratch, memory) is None
    one_place = MemoryPlan(dict.fromkeys(memory.offsets, 0), memory.scratch, memory.arena)
    assert "lies over contract" in str(check_memory(plan, scratch, one_place))
    assert "arena" in str(check_memory(plan, scratch, replace(memory, arena=64)))
    crooked = {node: place + 2 for node, place in memory.offsets.items()}
    assert "aligned" in str(check_memory(plan, scratch, replace(memory, offsets=crooked)))


def test_the_stage_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan()
    backwards = replace(plan, steps=plan.steps[::-1])
    monkeypatch.setattr("weftc.fusion.clusters.fuse", lambda graph: backwards)
    with pytest.raises(Miscompiled, match="after fusion: the kernel rowwise_0") as caught:
        pipeline.compile(plan.graph, Options(TARGET), FormValidator())
    assert caught.value.stage == "fusion"
