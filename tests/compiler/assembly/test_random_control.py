"""Random graphs of loops and branches in one another, compiled, against the interpreter."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.assembly.graphs import choose, full, graph, integer, loop, repeat

from weftc import pipeline
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim, Shape, value_of
from weftc.ir.types import TensorType
from weftc.ops.movement import broadcast, flip, reshape
from weftc.ops.pointwise import add, convert, lt, maximum, mul, neg, sub
from weftc.ops.reduction import sum as total
from weftc.ops.sorting import sort
from weftc.validate import FormValidator
from weftrt import array, dtypes
from weftrt.cpu.executable import load
from weftrt.cpu.host import host
from weftrt.options import Options

N, M = Dim.symbol("n"), Dim.symbol("m")
SHAPES: dict[str, tuple[Shape, ...]] = {
    "fixed": ((), (5,), (3, 5), (70,)),
    "symbolic": ((), (N,), (3, N), (M,)),
}
SIZES = ({"n": 5, "m": 70}, {"n": 1, "m": 2}, {"n": 7, "m": 0})
PROGRAMS = 10


class Drawer:
    """Draws values from those there are; loops and branches only so deep."""

    def __init__(self, seed: int, shapes: Sequence[Shape]) -> None:
        self.random = random.Random(seed)
        self.shapes = shapes

    def step(self, known: list[Node], depth: int) -> list[Node]:
        """A few more values, from those that are known."""
        kinds = [self.pointwise] * 4 + [self.moved, self.reduced]
        if depth:
            kinds += [self.counting, self.repeated, self.branched] * 2
        return self.random.choice(kinds)(known, depth)

    def values(self, known: Sequence[Node], depth: int, count: int) -> list[Node]:
        """What `count` steps add to what is known."""
        found = list(known)
        for _ in range(count):
            found += self.step(found, depth)
        return found

    def pick(self, known: Sequence[Node]) -> Node:
        """One of the values, rather a new one."""
        return known[-1 - min(int(self.random.expovariate(0.5)), len(known) - 1)]

    def alike(self, known: Sequence[Node], node: Node) -> Node:
        """A value of the same type: one that is known, or a constant."""
        fitting = [k for k in known if k.type == node.type]
        if fitting and self.random.random() < 0.9:
            return self.pick(fitting)
        return full(self.random.choice((1, 2, 3)), dtypes.int64, node.type.shape)

    def pointwise(self, known: list[Node], depth: int) -> list[Node]:
        x = self.pick(known)
        if self.random.random() < 0.2:
            return [neg(x)]
        return [self.random.choice((add, sub, mul, maximum))(x, self.alike(known, x))]

    def moved(self, known: list[Node], depth: int) -> list[Node]:
        x = self.pick(known)
        if not x.type.shape:
            return [broadcast(x, shape=self.random.choice(self.shapes[1:]), axes=())]
        return [self.random.choice((self._flipped, self._sorted, self._turned))(x)]

    def _flipped(self, x: Node) -> Node:
        return flip(x, axes=(0,))

    def _sorted(self, x: Node) -> Node:
        return sort(x, descending=self.random.random() < 0.5)

    def _turned(self, x: Node) -> Node:
        size = x.type.size
        return reshape(flip(reshape(x, shape=(size,)), axes=(0,)), shape=x.type.shape)

    def reduced(self, known: list[Node], depth: int) -> list[Node]:
        x = self.pick(known)
        if not x.type.shape:
            return [add(x, x)]
        axis = self.random.randrange(len(x.type.shape))
        return [total(x, axes=(axis,))]

    def state(self, known: list[Node]) -> list[Node]:
        return [self.pick(known) for _ in range(self.random.randint(1, 4))]

    def next_state(self, known: Sequence[Node], state: Sequence[Node], depth: int) -> list[Node]:
        """What a body makes of a state: anything of the same types, the state itself included."""
        found = self.values(known, depth - 1, self.random.randint(0, 4))
        return [self.alike(found, part) for part in state]

    def counting(self, known: list[Node], depth: int) -> list[Node]:
        state, rest = self.state(known), self.state(known)

        def body(i: Node, *operands: Node) -> list[Node]:
            return self.next_state((i, *operands), operands[: len(state)], depth)

        turns = integer(self.random.randint(0, 3))
        if self.random.random() < 0.3:
            turns = lowered(self.pick(known))
        return loop(integer(self.random.randint(-1, 1)), turns, state, body, *rest)

    def repeated(self, known: list[Node], depth: int) -> list[Node]:
        state, rest = [integer(0), *self.state(known)], self.state(known)
        last = integer(self.random.randint(0, 3))

        def condition(turn: Node, *operands: Node) -> list[Node]:
            return [lt(turn, last)]

        def body(turn: Node, *operands: Node) -> list[Node]:
            parts = operands[: len(state) - 1]
            return [add(turn, integer(1)), *self.next_state((turn, *operands), parts, depth)]

        return repeat(condition, state, body, *rest)

    def branched(self, known: list[Node], depth: int) -> list[Node]:
        operands, wanted = self.state(known), self.state(known)

        def body(*given: Node) -> list[Node]:
            return self.next_state(given, wanted, depth)

        bodies = [body] * self.random.randint(1, 3)
        return choose(lowered(self.pick(known)), operands, *bodies)


def lowered(x: Node) -> Node:
    """A small number that depends on `x`."""
    while x.type.shape:
        x = total(x, axes=(0,))
    odd = convert(lt(mul(x, x), add(x, integer(7))), dtype=dtypes.int64)
    return add(odd, convert(lt(integer(3), x), dtype=dtypes.int64))


def drawn(seed: int, kind: str = "fixed") -> Graph:
    """A graph of a few integers."""
    shapes = SHAPES[kind]
    drawer = Drawer(seed, shapes)

    def whole(*inputs: Node) -> list[Node]:
        found = drawer.values(inputs, 3, drawer.random.randint(2, 8))
        return found[len(inputs) :][-6:]

    return graph(f"drawn_{seed}", whole, *(TensorType(dtypes.int64, shape) for shape in shapes))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_random_graphs(seed: int, kind: str) -> None:
    check(seed, kind)


def check(seed: int, kind: str) -> None:
    """Plain, and with the memory of every kernel checked."""
    program = drawn(seed, kind)
    for watched in (False, True):
        executable = load(
            pipeline.compile(program, Options(host(), watched=watched), FormValidator())
        )
        for sizes in SIZES[: None if kind == "symbolic" else 1]:
            random = np.random.default_rng(seed)
            shapes = [[value_of(size, sizes) for size in shape] for shape in SHAPES[kind]]
            arrays = [np.asarray(random.integers(-5, 6, shape)) for shape in shapes]
            found = executable.run([array.from_numpy(a, True) for a in arrays])
            for one, other in zip(found, interpret(program, arrays), strict=True):
                assert_same_bits(array.to_numpy(one), other)


def test_they_hold_loops_and_branches() -> None:
    ops = {node.op.name for seed in range(PROGRAMS) for node in drawn(seed).all_nodes()}
    assert ops >= {"while", "fori", "branch", "sort", "flip", "sum"}
