"""Which values are written to memory, and which anew by every reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from weftc.fusion.group import LARGEST, Group
from weftc.fusion.groups import DEEPEST, Groups
from weftc.fusion.kernel import KernelKind
from weftc.fusion.views import View, Way
from weftc.ir.node import Node
from weftc.ir.opdef import Family

CHEAP: Final = 6
"""Work that is done again rather than written and read back: a few instructions and loads."""
CHEAP_PER_ELEMENT: Final = 3
"""The same for a value that would be computed for every element it is broadcast to."""
CHEAP_SCALAR: Final = 64
"""The same for a single element, computed once per kernel, in all but one of these."""
MOST_AGAIN: Final = 48
"""Nodes that are computed in two kernels rather than written by one and read by the other: each
value of a chain of such would be made of all that came before it."""
ENDLESS: Final = 1 << 30


class Use(NamedTuple):
    """`reader`, of another group than the value, reads it through `operand`."""

    reader: Node
    position: int
    operand: Node
    view: View


class Again(NamedTuple):
    """What computing one element of a value again takes: its work and that of all it is made of, in
    so many nodes, behind `depth` steps of movement; whether all of it is read at one row-major
    position, and whether some of it may fail."""

    cost: int
    nodes: int
    depth: int
    flat: bool
    reports: bool


class Recompute:
    """`kept` holds the nodes that are written to memory, regions and their results among them. The
    other computing nodes are part of every kernel that reads them."""

    def __init__(self, order: Sequence[Node], groups: Groups) -> None:
        self._groups = groups
        self.kept: set[Node] = {n for n in order if n in groups.of and not groups.of[n].kind}
        self._again: dict[Node, Again] = {}
        order = [n for n in order if n in groups.of and n not in self.kept]
        self._uses: dict[Node, list[Use]] = {n: [] for n in groups.of}
        self._at_home: set[Node] = set()
        """Values that their own group reads too."""
        for node in order:
            self._collect(node)
        for node in order:
            self._again[node] = self._measure(node)
            if node in groups.written or self._is_kept(node):
                self.kept.add(node)

    def _collect(self, reader: Node) -> None:
        groups = self._groups
        for position, operand in enumerate(reader.inputs):
            for view in groups.views[operand]:
                group = groups.of.get(view.base)
                if group is groups.of[reader]:
                    self._at_home.add(view.base)
                elif group is not None:
                    self._uses[view.base].append(Use(reader, position, operand, view))

    def _measure(self, node: Node) -> Again:
        """What computing one element of `node` from memory takes."""
        cost, count, depth = node.op.cost, 1, 0
        flat, looks_up = True, node.op.family is Family.INDEXING
        reports = node.op.fails is not None
        for operand in node.inputs:
            steps = self._groups.depth.get(operand, 0) + looks_up
            for base, how in self._groups.views[operand]:
                flat = flat and (how.is_flat or how.is_single)
                again = None if base in self.kept else self._again.get(base)
                if again is None:
                    cost, depth = cost + 1, max(depth, steps)
                    continue
                cost, count = cost + again.cost, count + again.nodes
                depth = max(depth, steps + again.depth)
                flat, reports = flat and again.flat, reports or again.reports
        return Again(min(cost, ENDLESS), min(count, ENDLESS), depth, flat, reports)

    def _is_kept(self, node: Node) -> bool:
        uses, group = self._uses[node], self._groups.of[node]
        if not uses:
            return False
        if group.kind is not KernelKind.POINTWISE or group.closed:
            return True
        again = self._again[node]
        if again.depth > DEEPEST or again.nodes > LARGEST:
            return True
        if node in self._at_home and again.nodes > MOST_AGAIN:
            return True
        if any(self._is_barrier(node, use) for use in uses):
            return True
        cost = again.cost
        if node.type.size == 1:
            return cost * max(1, self._places(node) - 1) > CHEAP_SCALAR
        if any(self._expands(node, use) for use in uses):
            return cost > CHEAP_PER_ELEMENT
        return cost * (self._places(node) - 1) > CHEAP

    def _places(self, node: Node) -> int:
        """At how many indices readers want an element. Of two neighbours in a stencil, one may be
        read at home, by what is computed again beside the other."""
        uses = self._uses[node]
        shifted = any(use.view.how.way is Way.OTHER for use in uses)
        return len({self._at(use) for use in uses}) + (shifted and node in self._at_home)

    def _is_barrier(self, node: Node, use: Use) -> bool:
        """Whether the reader needs the value in memory, whatever it costs."""
        family = use.reader.op.family
        if family is Family.CONTRACTION or (family is Family.INDEXING and use.position == 0):
            return True
        if self._again[node].reports:
            kind = self._groups.of[use.reader].kind
            return kind is not KernelKind.POINTWISE or use.view.how.way is Way.OTHER
        return use.view.how.way is Way.FLAT and not self._again[node].flat

    def _expands(self, node: Node, use: Use) -> bool:
        """Whether the reader's loops visit elements of the value again and again."""
        size, wanted = node.type.size, use.reader.type.size
        if use.reader.op.family is Family.REDUCTION or use.reader.op.name == "concat":
            wanted = use.operand.type.size
        if size == wanted or use.view.how.way is Way.FLAT:
            return False
        if use.view.how.way is Way.OTHER:
            return isinstance(size, int) and isinstance(wanted, int) and wanted > 2 * size
        return not _leads(use, self._groups.of[use.reader])

    def _at(self, use: Use) -> tuple[object, ...]:
        """Uses with the same answer share one computation."""
        where: object = use.view.how.axes if use.view.how.way is Way.AXES else use.operand
        return self._groups.of[use.reader].number, where


def _leads(use: Use, group: Group) -> bool:
    """Whether the value is broadcast along inner loops only, so that it is computed outside."""
    if group.kind not in (KernelKind.POINTWISE, KernelKind.ROWWISE):
        return False
    if use.reader.op.family is not Family.POINTWISE:
        return False
    if group.kind is KernelKind.ROWWISE and len(use.view.how.followed) > len(group.frame.rows):
        return False
    return use.view.how.is_leading
