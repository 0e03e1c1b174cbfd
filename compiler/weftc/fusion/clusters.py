"""Fusion: a graph -> kernels and regions in order.

groups     which nodes share loops (weftc.fusion.groups)
recompute  which values are written, which are computed where they are read
merge      independent pointwise kernels become one kernel of several loop nests
order      producers first
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

from weftc.fusion.barriers import barriers_before, without_barriers
from weftc.fusion.group import Group
from weftc.fusion.groups import Groups
from weftc.fusion.kernel import Kernel, KernelKind, KernelPlan, Step
from weftc.fusion.memory import typical_size
from weftc.fusion.recompute import Recompute
from weftc.fusion.regions import region_of
from weftc.ir.node import Graph, Node

MOST_OUTPUTS: Final = 64
"""Outputs of a merged kernel."""


@dataclass(frozen=True, eq=False)
class _Draft:
    """A step before its order is known; `outputs` in graph order. A region has no kind, is its own
    first output, and reads tokens too."""

    kind: KernelKind | None
    outputs: tuple[Node, ...]
    nodes: frozenset[Node]
    inputs: frozenset[Node]


def fuse(graph: Graph) -> KernelPlan:
    """The steps that compute `graph`, in execution order."""
    order = graph.nodes()
    place = {node: position for position, node in enumerate(order)}
    groups = Groups(graph, order)
    kept = Recompute(order, groups).kept
    behind = barriers_before(graph)
    drafts = _merge(_drafts(groups, kept, place), place, behind)
    in_order = _sparing(drafts, place, graph) if any(behind.values()) else _sorted(drafts, place)
    steps = tuple(_step(draft, place) for draft in in_order)
    return without_barriers(KernelPlan(graph, steps))


def _drafts(groups: Groups, kept: set[Node], place: dict[Node, int]) -> list[_Draft]:
    drafts = []
    stops = {node: groups.of[node] for node in kept if groups.stops(node)}
    for group in groups.all:
        outputs = tuple(sorted((n for n in group.members if n in kept), key=place.__getitem__))
        if group.kind is None:
            node = outputs[0]
            drafts.append(_Draft(None, outputs, frozenset(group.members), frozenset(node.inputs)))
        elif outputs:
            nodes, inputs = _cone(outputs, group, stops)
            drafts.append(_Draft(group.kind, outputs, nodes, inputs))
    return drafts


def _cone(
    outputs: Iterable[Node], group: Group, stops: Mapping[Node, Group]
) -> tuple[frozenset[Node], frozenset[Node]]:
    """What the kernel of `group` computes for `outputs`, and what it reads of what others write."""
    nodes: set[Node] = set(outputs)
    inputs: set[Node] = set()
    pending = list(nodes)
    while pending:
        for operand in pending.pop().inputs:
            if stops.get(operand, group) is not group or operand.op.name == "input":
                inputs.add(operand)
            elif operand not in nodes:
                nodes.add(operand)
                pending.append(operand)
    return frozenset(nodes), frozenset(inputs)


def _readers(drafts: Sequence[_Draft]) -> list[set[int]]:
    """For each draft, the numbers of those that read it."""
    producer = {node: number for number, draft in enumerate(drafts) for node in draft.outputs}
    readers: list[set[int]] = [set() for _ in drafts]
    for number, draft in enumerate(drafts):
        for node in draft.inputs:
            if node in producer:
                readers[producer[node]].add(number)
    return readers


def _merge(
    drafts: list[_Draft], place: dict[Node, int], behind: Mapping[Node, int]
) -> list[_Draft]:
    """Merge pointwise drafts of one height, the longest way to the end, behind the same barriers:
    none of two waits for the other. All parameter updates of an optimizer step have height 0."""
    heights = _heights(_readers(drafts))
    merged: list[_Draft] = []
    rows: dict[tuple[int, int], list[_Draft]] = {}
    for number, draft in enumerate(drafts):
        if draft.kind is KernelKind.POINTWISE:
            mask = reduce(or_, (behind[node] for node in draft.outputs))
            rows.setdefault((heights[number], mask), []).append(draft)
        else:
            merged.append(draft)
    for row in rows.values():
        merged += _joined(row, place)
    return merged


def _heights(readers: Sequence[set[int]]) -> dict[int, int]:
    """How many readers may follow one another from each draft on."""
    heights: dict[int, int] = {}
    for first in range(len(readers)):
        pending = [first]
        while pending:
            reading = readers[pending[-1]]
            missing = [reader for reader in reading if reader not in heights]
            if missing:
                pending += missing
            else:
                heights[pending.pop()] = 1 + max([heights[r] for r in reading], default=-1)
    return heights


def _joined(row: Sequence[_Draft], place: dict[Node, int]) -> list[_Draft]:
    result: list[list[_Draft]] = []
    for draft in row:
        if result and sum(len(d.outputs) for d in (*result[-1], draft)) <= MOST_OUTPUTS:
            result[-1].append(draft)
        else:
            result.append([draft])
    return [_united(some, place) for some in result]


def _united(drafts: Sequence[_Draft], place: dict[Node, int]) -> _Draft:
    if len(drafts) == 1:
        return drafts[0]
    return _Draft(
        KernelKind.POINTWISE,
        tuple(sorted((n for d in drafts for n in d.outputs), key=place.__getitem__)),
        frozenset().union(*(d.nodes for d in drafts)),
        frozenset().union(*(d.inputs for d in drafts)),
    )


def _sorted(drafts: Sequence[_Draft], place: dict[Node, int]) -> list[_Draft]:
    """Producers first, otherwise in graph order."""
    readers = _readers(drafts)
    waiting = [0] * len(drafts)
    for reading in readers:
        for number in reading:
            waiting[number] += 1
    ready = [(place[d.outputs[0]], k) for k, d in enumerate(drafts) if not waiting[k]]
    heapq.heapify(ready)
    result = []
    while ready:
        _, number = heapq.heappop(ready)
        result.append(drafts[number])
        for reader in readers[number]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, (place[drafts[reader].outputs[0]], reader))
    assert len(result) == len(drafts), "kernels wait for one another"
    return result


def _sparing(drafts: Sequence[_Draft], place: dict[Node, int], graph: Graph) -> list[_Draft]:
    """Producers first; as soon as they can run, those that give memory back: what they read and
    nobody reads after them takes more than what they write. Otherwise in graph order."""
    readers = _readers(drafts)
    waiting = [0] * len(drafts)
    for reading in readers:
        for number in reading:
            waiting[number] += 1
    unread = Counter(node for draft in drafts for node in draft.inputs)
    elsewhere = {*graph.inputs, *graph.outputs}

    def growth(number: int) -> int:
        draft = drafts[number]
        freed = (n for n in draft.inputs if unread[n] == 1 and n not in elsewhere)
        made = (n for n in draft.outputs if n not in elsewhere)
        return sum(map(_bytes, made)) - sum(map(_bytes, freed))

    ready = {k for k in range(len(drafts)) if not waiting[k]}
    result = []
    while ready:
        number = min(ready, key=lambda k: (growth(k) > 0, place[drafts[k].outputs[0]]))
        ready.remove(number)
        result.append(drafts[number])
        unread.subtract(drafts[number].inputs)
        for reader in readers[number]:
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.add(reader)
    assert len(result) == len(drafts), "kernels wait for one another"
    return result


def _bytes(node: Node) -> int:
    """The memory that a value takes, about, where its sizes are symbols."""
    return typical_size(node.type.size) * node.type.dtype.itemsize if node.is_tensor else 0


def _step(draft: _Draft, place: dict[Node, int]) -> Step:
    if draft.kind is None:
        return region_of(draft.outputs[0], draft.outputs[1:])
    key = place.__getitem__
    nodes, inputs = sorted(draft.nodes, key=key), sorted(draft.inputs, key=key)
    return Kernel(draft.kind, tuple(nodes), tuple(inputs), draft.outputs)
