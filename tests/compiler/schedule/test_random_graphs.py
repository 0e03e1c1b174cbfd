"""Random graphs: fused, lowered and interpreted, against the graph interpreter, by bits."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bits import assert_same_bits
from tests.compiler.schedule.kernels import Inputs, check_plan, draw, run
from tests.compiler.schedule.networks import op

from weftc.fusion.clusters import fuse
from weftc.ir.interpret import interpret
from weftc.ir.node import Node
from weftc.ops import build
from weftrt import dtypes

UNARY = ("neg", "exp", "tanh", "abs", "sqrt")
BINARY = ("add", "mul", "sub", "maximum")
EXTENTS = (1, 2, 3)


@dataclass
class Grower:
    """Adds one random node at a time to a graph of float32 values of rank <= 3."""

    data: st.DataObject
    inputs: Inputs = field(default_factory=Inputs)
    values: list[Node] = field(default_factory=list)

    def pick(self) -> Node:
        return self.data.draw(st.sampled_from(self.values))

    def axis(self, node: Node) -> int:
        return self.data.draw(st.integers(0, node.type.rank - 1))

    def grow(self) -> None:
        rule = self.data.draw(st.sampled_from(RULES))
        made = rule(self)
        if made is not None and made.type.rank <= 3:
            self.values.append(made)

    def source(self) -> Node:
        shape = self.data.draw(st.lists(st.sampled_from(EXTENTS), max_size=3))
        return self.inputs(*shape)

    def unary(self) -> Node:
        return op(self.data.draw(st.sampled_from(UNARY)), self.pick())

    def binary(self) -> Node:
        left, name = self.pick(), self.data.draw(st.sampled_from(BINARY))
        same = [v for v in self.values if v.type.shape == left.type.shape and v is not left]
        return op(name, left, self.data.draw(st.sampled_from(same or [left])))

    def expand(self) -> Node:
        """Repeated along a new axis; square shapes leave room for confusion."""
        node = self.pick()
        rank = node.type.rank + 1
        new = self.data.draw(st.integers(0, rank - 1))
        axes = [a for a in range(rank) if a != new]
        shape = list(node.type.shape)
        shape.insert(new, self.data.draw(st.sampled_from((*EXTENTS, *node.type.shape))))
        return build.expand(node, tuple(shape), axes)

    def back(self) -> Node | None:
        """A reduced value meets what it was reduced from."""
        node = self.pick()
        if not node.type.rank:
            return None
        axis = self.axis(node)
        reduced = op("sum", node, axes=(axis,))
        self.values.append(reduced)
        axes = [a for a in range(node.type.rank) if a != axis]
        others = [v for v in self.values if v.type.shape == reduced.type.shape]
        reduced = op("mul", reduced, self.data.draw(st.sampled_from(others)))
        return op("sub", node, build.expand(reduced, node.type.shape, axes))

    def reduce(self) -> Node | None:
        node = self.pick()
        if not node.type.rank:
            return None
        low = self.axis(node)
        high = self.data.draw(st.integers(low, node.type.rank - 1))
        name = self.data.draw(st.sampled_from(("sum", "max")))
        return op(name, node, axes=tuple(range(low, high + 1)))

    def transpose(self) -> Node:
        node = self.pick()
        return build.transpose(node, self.data.draw(st.permutations(range(node.type.rank))))

    def reshape(self) -> Node:
        node = self.pick()
        shape = list(node.type.shape)
        if len(shape) >= 2 and self.data.draw(st.booleans()):
            first = self.data.draw(st.integers(0, len(shape) - 2))
            shape[first : first + 2] = [shape[first] * shape[first + 1]]
        else:
            shape.insert(self.data.draw(st.integers(0, len(shape))), 1)
        return build.reshape(node, tuple(shape))

    def flip(self) -> Node:
        node = self.pick()
        return op("flip", node, axes=(self.axis(node),)) if node.type.rank else node

    def slice(self) -> Node | None:
        node = self.pick()
        shape = [s for s in node.type.shape if isinstance(s, int)]
        start = [self.data.draw(st.integers(0, s)) for s in shape]
        step = [self.data.draw(st.integers(1, 2)) for _ in shape]
        if any(a == s for a, s in zip(start, shape, strict=True)):
            return None
        return op("slice", node, start=tuple(start), stop=tuple(shape), step=tuple(step))

    def pad(self) -> Node:
        node = self.pick()
        zero = build.constant(0.5, dtypes.float32)
        low, high, interior = (
            tuple(self.data.draw(st.integers(0, 1)) for _ in node.type.shape) for _ in range(3)
        )
        return op("pad", node, zero, low=low, high=high, interior=interior)

    def concat(self) -> Node | None:
        node = self.pick()
        if not node.type.rank:
            return None
        return op("concat", node, op("neg", node), axis=self.axis(node))

    def take(self) -> Node | None:
        node = self.pick()
        if not node.type.rank:
            return None
        axis = self.axis(node)
        size = node.type.shape[axis]
        assert isinstance(size, int)
        indices = op("iota", shape=(3,), axis=0, dtype=dtypes.int64)
        limit = build.full(size, indices.type)
        return op("take", node, op("remainder", indices, limit), axis=axis)

    def scatter(self) -> Node | None:
        node = self.pick()
        if not node.type.rank:
            return None
        axis = self.axis(node)
        taken = self.take_of(node, axis)
        return op("scatter_add", node, taken.inputs[1], op("exp", taken), axis=axis)

    def take_of(self, node: Node, axis: int) -> Node:
        indices = build.full(0, op("iota", shape=(2,), axis=0, dtype=dtypes.int64).type)
        return op("take", node, indices, axis=axis)

    def contract(self) -> Node | None:
        left = self.pick()
        if left.type.rank != 2:
            return None
        fits = [
            v for v in self.values if v.type.rank == 2 and v.type.shape[0] == left.type.shape[1]
        ]
        if not fits:
            return None
        right = self.data.draw(st.sampled_from(fits))
        return op("contract", left, right, batch=((), ()), contracted=((1,), (0,)))


RULES = (
    Grower.source,
    Grower.unary,
    Grower.unary,
    Grower.binary,
    Grower.binary,
    Grower.expand,
    Grower.back,
    Grower.back,
    Grower.back,
    Grower.reduce,
    Grower.transpose,
    Grower.reshape,
    Grower.flip,
    Grower.slice,
    Grower.pad,
    Grower.concat,
    Grower.take,
    Grower.scatter,
    Grower.contract,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_graphs(data: st.DataObject) -> None:
    grower = Grower(data)
    grower.values.append(grower.inputs(3, data.draw(st.sampled_from((3, 5)))))
    for _ in range(data.draw(st.integers(1, 20))):
        grower.grow()
    small = [v for v in grower.values if v.type.size <= 4000 and v.op.name != "input"]
    if not small:
        return
    outputs = data.draw(st.lists(st.sampled_from(small), min_size=1, max_size=3, unique=True))
    graph = grower.inputs.graph(*outputs)
    check_plan(fuse(graph))
    arrays = [draw(n.type.shape, n.type.dtype, {}, k) for k, n in enumerate(graph.inputs)]
    expected = interpret(graph, arrays)
    for found, wanted in zip(run(graph, arrays, {}), expected, strict=True):
        assert_same_bits(found, wanted)
