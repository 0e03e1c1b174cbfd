"""Plans without barriers: what was computed behind one reads what was in front of it.

    kernel 3: exp(%x) -> %1                            kernel 3: exp(%x) -> %1
    ...                                                ...
    kernel 7: -> %g                              ->    kernel 7: -> %g
    region 8: barrier(%x, %g) -> %2                    kernel 9: mul(exp(%x), %g)
    kernel 9: mul(exp(%2), %g)

Which nodes share a kernel, and which kernel comes when, is settled then: a barrier is a step that
reads its operands from memory, so that no kernel reaches across it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from weftc.fusion.kernel import Kernel, KernelPlan, Region, Step
from weftc.ir.node import Graph, Node
from weftc.ops.recomputation import barrier
from weftc.ops.structure import project


def without_barriers(plan: KernelPlan) -> KernelPlan:
    """`plan` over a graph that has none."""
    if not _has_barrier(plan.graph):
        return plan
    new: dict[Node, Node] = {}
    for node in plan.graph.nodes():
        inputs = tuple([new[i] for i in node.inputs])
        is_passed = node.op is project and node.inputs[0].op is barrier
        new[node] = inputs[0].inputs[node["index"]] if is_passed else node.rebuilt(inputs)
    graph = plan.graph.returning([new[o] for o in plan.graph.outputs])
    steps = [_step(step, new) for step in plan.steps if not _is_barrier(step)]
    needed = set(graph.nodes())
    steps = [step for step in steps if not needed.isdisjoint(step.outputs) or step.outputs == ()]
    return KernelPlan(graph, tuple(steps))


def _has_barrier(graph: Graph) -> bool:
    return barrier in graph.ops() and any(node.op is barrier for node in graph.nodes())


def _is_barrier(step: Step) -> bool:
    return isinstance(step, Region) and step.node.op is barrier


def _step(step: Step, new: Mapping[Node, Node]) -> Step:
    if isinstance(step, Kernel):
        parts = (_replaced(nodes, new) for nodes in (step.nodes, step.inputs, step.outputs))
        return Kernel(step.kind, *parts)
    results = tuple([None if r is None else new[r] for r in step.results])
    return replace(step, node=new[step.node], inputs=_replaced(step.inputs, new), results=results)


def _replaced(nodes: tuple[Node, ...], new: Mapping[Node, Node]) -> tuple[Node, ...]:
    return tuple(dict.fromkeys(new[node] for node in nodes))


def barriers_before(graph: Graph) -> dict[Node, int]:
    """For each node of a graph the bits of the barriers that it is behind. What is behind different
    ones runs at different times: it belongs in no common kernel, unless one reads the other."""
    if not _has_barrier(graph):
        return dict.fromkeys(graph.nodes(), 0)
    masks: dict[Node, int] = {}
    count = 0
    for node in graph.nodes():
        mask = 0
        for operand in node.inputs:
            mask |= masks[operand]
        if node.op is barrier:
            mask |= 1 << count
            count += 1
        masks[node] = mask
    return masks
