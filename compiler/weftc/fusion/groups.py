"""Grouping: which nodes are computed in one kernel, decided producers first.

A computing node joins a group that one of its operands is in, when the loops of that group visit it
at the right index and nothing it needs is computed after that group (else the kernels would wait
for one another). Movement belongs to no group: it is index arithmetic in whatever reads through it.
A region (control flow, a routine of the runtime, an effect) is a group of its own, with the results
that are projected from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from weftc.fusion import views
from weftc.fusion.frames import Frame
from weftc.fusion.group import LARGEST, Group
from weftc.fusion.kernel import KernelKind
from weftc.fusion.views import View, squeezed
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import ON_TENSORS, Family

DEEPEST: Final = 24
"""Movement nodes that may follow one another before a value is written to memory."""
MOST_PIECES: Final = 8
"""Values that an element may be chosen from (by nested concats) before it is written to memory."""
MOST_SOURCES: Final = 8
"""Arrays that a value is known to be computed from, element by element."""


class Groups:
    """The groups of a graph, whose nodes in order are `order`."""

    def __init__(self, graph: Graph, order: Sequence[Node]) -> None:
        self.all: list[Group] = []
        self.of: dict[Node, Group] = {}
        self.views: dict[Node, tuple[View, ...]] = {}
        """How a node reads through the movement that ends in it: what its readers read."""
        self.depth: dict[Node, int] = {}
        """How many movement nodes a reader of a movement node looks through."""
        self._pieces: dict[Node, int] = {}
        self._sources: dict[Node, frozenset[Node]] = {}
        """What values of POINTWISE groups are computed from, which readers may do too."""
        self._framed: dict[Frame, list[Group]] = {}
        """The groups that visit a frame."""
        self._awaited = 0
        """The bits of all groups for which some group waits."""
        self.written = {*graph.outputs, *read_by_regions(order)}
        """What has to be in memory, whoever else reads it."""
        self._multiplied = set(concats_multiplied(order))
        for node in order:
            _PLACE[node.op.family](self, node)

    def reads(self, node: Node) -> list[View]:
        """What a computing `node` reads, through movement."""
        if node.op.family not in ON_TENSORS:
            return [views.direct(i) for i in node.inputs if i.is_tensor]
        return [view for operand in node.inputs for view in self.views[operand]]

    def stops(self, node: Node) -> bool:
        """Whether readers of a written `node` read it from memory. They look through movement
        that is written only because it is an output."""
        return any(view.base is node for view in self.views[node])

    # -- one rule per family --------------------------------------------------------------------

    def source(self, node: Node) -> None:
        if node.op.name == "input":
            self.views[node] = _itself(node)
            return
        self.views[node] = ()
        if node in self.written:
            self._start(KernelKind.POINTWISE, node)

    def movement(self, node: Node) -> None:
        seen = views.through(node, [self.views[operand] for operand in node.inputs])
        depth = 1 + max([self.depth.get(i, 0) for i in node.inputs], default=0)
        joined = node.inputs if node.op.name == "concat" else node.inputs[:1]
        pieces = sum([self._pieces.get(i, 1) for i in joined])
        cut = node in self._multiplied or _takes_divisions(node, seen)
        if cut or depth > DEEPEST or pieces > MOST_PIECES:
            self.views[node] = (views.direct(node),)
            self._start(KernelKind.POINTWISE, node).closed = True
            return
        if node in self.written and not self._adopt(node, seen):
            self._start(KernelKind.POINTWISE, node).closed = True
        self.views[node] = seen
        self.depth[node], self._pieces[node] = depth, pieces

    def pointwise(self, node: Node) -> None:
        self.views[node] = (views.direct(node),)
        reads = self.reads(node)
        candidates = self._candidates(reads)
        for group in candidates:
            if len(group.members) < LARGEST and self._may_join(group, node, reads):
                self._unite(group, candidates, node, reads)
                self._join(group, node, reads, self._waits(reads))
                return
        self._start(KernelKind.POINTWISE, node)

    def indexing(self, node: Node) -> None:
        self.views[node] = (views.direct(node),)
        scatter = node.op.name == "scatter_add"
        self._start(KernelKind.SCATTER if scatter else KernelKind.POINTWISE, node)

    def cumulative(self, node: Node) -> None:
        self.views[node] = (views.direct(node),)
        self._start(KernelKind.CUMULATIVE, node)

    def contraction(self, node: Node) -> None:
        self.views[node] = (views.direct(node),)
        self._start(KernelKind.CONTRACTION, node)

    def reduction(self, node: Node) -> None:
        self.views[node] = (views.direct(node),)
        frame = Frame.of(node)
        reads = self.reads(node)
        waits = self._waits(reads)
        home = self._home_of_reduction(node, frame, reads, waits)
        if home is None:
            kind = KernelKind.ROWWISE if frame.is_rowwise else KernelKind.REDUCTION
            self._visit(self._start(kind, node), frame)
            return
        if home.kind is KernelKind.POINTWISE:
            home.kind = KernelKind.ROWWISE
            self._visit(home, frame)
        self._join(home, node, reads, waits)

    def _visit(self, group: Group, frame: Frame) -> None:
        group.frame = frame
        self._framed.setdefault(frame, []).append(group)

    def region(self, node: Node) -> None:
        group = Group(len(self.all), None, (), closed=True)
        self.all.append(group)
        self._place_result(group, node)

    def structure(self, node: Node) -> None:
        """A result belongs to what it is projected from; the first token to nothing."""
        if node.inputs:
            self._place_result(self.of[node.inputs[0]], node)

    def _place_result(self, group: Group, node: Node) -> None:
        self.views[node] = _itself(node)
        self._join(group, node, self.reads(node), self._behind(node.inputs))

    # -- joining ----------------------------------------------------------------------------------

    def _home_of_reduction(
        self, node: Node, frame: Frame, reads: Sequence[View], waits: int
    ) -> Group | None:
        """The group whose loops already visit what a reduction reads."""
        if not frame.is_rowwise:
            return self._sharing(node, frame, reads, waits)
        if len(reads) != 1:
            return None
        own = self._own_rows(frame, reads[0])
        if own is not None and own.kind is KernelKind.ROWWISE:
            return own
        shared = self._sharing(node, frame, reads, waits)
        if own is None or shared is None:
            return own or shared
        if own.bit & shared.before or len(own.members) + len(shared.members) > LARGEST:
            return own
        self._merge(own, shared)
        return shared

    def _own_rows(self, frame: Frame, view: View) -> Group | None:
        """The group that computes what a reduction over rows reads, if its loops will do."""
        group = self.of.get(view.base)
        whole = squeezed(view.base.type.shape) == frame.full
        if group is None or not whole or not view.how.is_ordered:
            return None
        if group.kind is KernelKind.ROWWISE and group.frame == frame:
            return group
        fits = group.kind is KernelKind.POINTWISE and not group.closed and not group.reports
        return group if fits else None

    def _sharing(self, node: Node, frame: Frame, reads: Sequence[View], waits: int) -> Group | None:
        """A group that makes a pass over an array that the reduction is computed from too."""
        whole = {source for source in self._made_of(reads) if source.type.size == frame.size}
        for group in self._framed.get(frame, ()) if whole else ():
            if waits & group.bit or whole.isdisjoint(group.sources):
                continue
            if group.kind is KernelKind.ROWWISE or group.is_alike(node):
                return group
        return None

    def _made_of(self, reads: Iterable[View]) -> frozenset[Node]:
        """What a reader of `reads` is computed from, itself if need be."""
        found: set[Node] = set()
        for view in reads:
            found |= self._sources.get(view.base) or {view.base}
        return frozenset(found)

    def _candidates(self, reads: Sequence[View]) -> list[Group]:
        """Groups that a reader might join, those that wait for most others first."""
        found = {g.number: g for v in reads if (g := self.of.get(v.base)) and not g.closed}
        if len(found) < 2:
            return list(found.values())
        return sorted(found.values(), key=lambda g: (_RANK[g.kind], g.number), reverse=True)

    def _may_join(self, group: Group, node: Node, reads: Sequence[View]) -> bool:
        for view in reads:
            other = self.of.get(view.base)
            if other is group:
                if not group.visits(node, view):
                    return False
            elif other is not None and other.before & group.bit:
                return False
        return True

    def _adopt(self, node: Node, seen: Sequence[View]) -> bool:
        """Let the group of a reduction write a movement output too (a kept axis of size 1)."""
        if len(seen) != 1 or node.op.name != "reshape":
            return False
        group = self.of.get(seen[0].base)
        if group is None or group.kind not in (KernelKind.ROWWISE, KernelKind.REDUCTION):
            return False
        if not group.visits(node, seen[0]):
            return False
        self._join(group, node, self.reads(node), self._waits(seen))
        return True

    def _start(self, kind: KernelKind, node: Node) -> Group:
        group = Group(len(self.all), kind, node.type.shape)
        self.all.append(group)
        reads = self.reads(node)
        self._join(group, node, reads, self._waits(reads))
        return group

    def _waits(self, reads: Iterable[View]) -> int:
        """The bits of every group that a reader of `reads` waits for."""
        return self._behind([view.base for view in reads])

    def _behind(self, nodes: Iterable[Node]) -> int:
        """The bits of every group that what comes after `nodes` waits for."""
        mask = 0
        for node in nodes:
            group = self.of.get(node)
            if group is not None:
                mask |= group.bit | group.before
        return mask

    def _join(self, group: Group, node: Node, reads: Sequence[View], waits: int) -> None:
        group.members[node] = None
        self.of[node] = group
        sources = self._made_of(reads)
        group.sources |= sources
        if group.kind is KernelKind.POINTWISE and len(sources) <= MOST_SOURCES:
            self._sources[node] = sources
        self._wait(group, waits)

    def _wait(self, group: Group, waits: int) -> None:
        """Let `group`, and all that waits for it, wait for more."""
        new = waits & ~group.before & ~group.bit
        if not new:
            return
        group.before |= new
        self._awaited |= new
        for other in self._waiting(group):
            other.before |= group.before

    def _waiting(self, group: Group) -> list[Group]:
        """The groups that wait for `group`."""
        bit = group.bit & self._awaited
        return [other for other in self.all if other.before & bit] if bit else []

    def _unite(
        self, group: Group, candidates: Sequence[Group], node: Node, reads: Sequence[View]
    ) -> None:
        """Merge into `group` what else `node` reads, where the loops are the same and no third
        kernel would have to run in between."""
        for other in candidates:
            if other is group:
                continue
            mine = [view for view in reads if self.of.get(view.base) is other]
            between = group.before
            for third in {self.of[view.base] for view in reads if view.base in self.of}:
                between |= 0 if third is group or third is other else third.before
            if between & other.bit or other.before & group.bit:
                continue
            if all(group.takes(other, node, view) for view in mine):
                self._merge(other, group)

    def _merge(self, old: Group, new: Group) -> None:
        for member in old.members:
            new.members[member] = None
            self.of[member] = new
        new.sources |= old.sources
        old.members = {}
        for group in self._waiting(old):
            self._wait(group, new.bit | new.before)
        self._wait(new, old.before)
        if old.kind is KernelKind.ROWWISE:
            self._framed[old.frame].remove(old)


def _itself(node: Node) -> tuple[View, ...]:
    """What reading a node in memory reads."""
    return (views.direct(node),) if node.is_tensor else ()


_RANK: Final[dict[KernelKind | None, int]] = {
    KernelKind.POINTWISE: 0,
    KernelKind.SCATTER: 0,
    KernelKind.CUMULATIVE: 1,
    KernelKind.CONTRACTION: 1,
    KernelKind.REDUCTION: 2,
    KernelKind.ROWWISE: 3,
}

_PLACE: Final = {
    Family.SOURCE: Groups.source,
    Family.MOVEMENT: Groups.movement,
    Family.POINTWISE: Groups.pointwise,
    Family.INDEXING: Groups.indexing,
    Family.REDUCTION: Groups.reduction,
    Family.CUMULATIVE: Groups.cumulative,
    Family.CONTRACTION: Groups.contraction,
    Family.STRUCTURE: Groups.structure,
    Family.CONTROL: Groups.region,
    Family.EXTERN: Groups.region,
    Family.EFFECT: Groups.region,
}


def is_region(node: Node) -> bool:
    """Whether `node` is a step of its own, which reads whole arrays."""
    return node.op.family not in ON_TENSORS and node.op.family is not Family.STRUCTURE


def read_by_regions(order: Iterable[Node]) -> Iterator[Node]:
    """The arrays that regions read."""
    return (i for node in order if is_region(node) for i in node.inputs if i.is_tensor)


def concats_multiplied(order: Iterable[Node]) -> Iterator[Node]:
    """The concats that contractions read, which want rows that lie in one place."""
    for node in order:
        for operand in node.inputs if node.op.family is Family.CONTRACTION else ():
            while operand.op.family is Family.MOVEMENT and operand.op.name != "concat":
                operand = operand.inputs[0]
            if operand.op.name == "concat":
                yield operand


def _takes_divisions(node: Node, seen: Sequence[View]) -> bool:
    """Whether to read what a movement `node` sees takes divisions for each element."""
    if seen and all(view.how.is_flat for view in seen):
        return False
    return any(map_.splits for map_ in node.maps)
