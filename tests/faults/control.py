"""Wrong turns: faults in what becomes of branches, loops and calls of routines."""

from __future__ import annotations

from collections.abc import Sequence

from tests.compiler.assembly.graphs import choose, full, integer, loop, over_rows, repeat
from tests.compiler.schedule.kernels import Inputs

from weftc.ir.node import Graph, Node
from weftc.ops import build
from weftc.ops.calls import call
from weftc.ops.contraction import contract
from weftc.ops.movement import flip
from weftc.ops.pointwise import add, lt, mul, neg
from weftc.ops.recomputation import barrier
from weftc.ops.reduction import sum as total
from weftc.ops.sorting import sort
from weftc.ops.structure import project
from weftc.ops.systems import solve
from weftrt import dtypes

SIZE = 90


def _count(x: Inputs) -> Node:
    return x(dtype=dtypes.int64)


def sums(x: Inputs) -> tuple[Node, ...]:
    """A loop of a known number of turns over two arrays of state."""

    def body(i: Node, a: Node, b: Node) -> Sequence[Node]:
        return add(a, flip(b, axes=(0,))), add(b, full(1.0, dtypes.float32, (SIZE,)))

    return tuple(loop(integer(0), integer(3), [x(SIZE), x(SIZE)], body))


def odd_turns(x: Inputs) -> tuple[Node, ...]:
    """A loop that ends in the spare buffer, and a program that goes on with its result."""

    def body(i: Node, a: Node) -> Sequence[Node]:
        return (add(a, flip(a, axes=(0,))),)

    (result,) = loop(integer(1), integer(4), [x(SIZE)], body)
    return result, neg(result)


def between_bounds(x: Inputs) -> tuple[Node, ...]:
    """Loops of bounds that are not known: one that turns three times, and one that does not."""
    low = _count(x)
    high = add(low, integer(3))

    def body(i: Node, a: Node) -> Sequence[Node]:
        return (add(a, i),)

    return *loop(low, high, [_count(x)], body), *loop(high, low, [_count(x)], body)


def doubled(x: Inputs) -> tuple[Node, ...]:
    """A loop that runs as long as its state is small."""

    def condition(a: Node, k: Node) -> Sequence[Node]:
        return (lt(k, integer(5)),)

    def body(a: Node, k: Node) -> Sequence[Node]:
        return add(a, a), add(k, integer(1))

    return tuple(repeat(condition, [x(SIZE), integer(0)], body))


def swapped(x: Inputs) -> tuple[Node, ...]:
    """A loop with one result twice, and state that changes places."""

    def body(i: Node, a: Node, b: Node, c: Node) -> Sequence[Node]:
        twice = add(a, b)
        return twice, twice, a

    return tuple(loop(integer(0), integer(3), [x(SIZE), x(SIZE), x(SIZE)], body))


def chosen(x: Inputs) -> tuple[Node, ...]:
    """One of three branches with values of their own in memory."""
    a = x(SIZE)
    some = [lambda a: [neg(a)], lambda a: [add(a, a)], lambda a: [mul(a, a)]]
    return tuple(choose(_count(x), [a], *some))


def computed_twice(x: Inputs) -> tuple[Node, ...]:
    """A branch that computes again two products of the branch before it, on the same index."""
    index, a = _count(x), x(5, 5)

    def products(a: Node) -> list[Node]:
        axes = {"batch": ((), ()), "contracted": ((1,), (0,))}
        return [contract(a, a, **axes), contract(a, neg(a), **axes)]

    def difference(a: Node) -> list[Node]:
        first, second = products(a)
        return [add(first, neg(second))]

    before = choose(index, [a], products, products)
    return *before, *choose(index, [a], difference, difference)


def known_branch(x: Inputs) -> tuple[Node, ...]:
    """The second of two branches."""
    return tuple(choose(integer(1), [x(SIZE)], lambda a: [neg(a)], lambda a: [add(a, a)]))


def kept_beside(x: Inputs) -> tuple[Node, ...]:
    """A loop with state that does not change, of which the other is made."""

    def body(i: Node, a: Node, b: Node) -> Sequence[Node]:
        return add(a, b), b

    return tuple(loop(integer(0), integer(3), [x(SIZE), x(SIZE)], body))


def half_read(x: Inputs) -> Node:
    """One result of a branch that gives two."""

    def both(a: Node, b: Node) -> Sequence[Node]:
        return neg(a), neg(b)

    def swapped(a: Node, b: Node) -> Sequence[Node]:
        return add(a, a), add(b, b)

    return choose(_count(x), [x(SIZE), x(SIZE)], both, swapped)[0]


def sorted_in_loop(x: Inputs) -> tuple[Node, ...]:
    """A body whose values lie in an arena of its own, beside the state of its loop."""

    def body(i: Node, a: Node) -> Sequence[Node]:
        ordered = sort(neg(a), descending=False)
        return (add(a, sort(add(ordered, a), descending=True)),)

    wide = sort(x(SIZE, SIZE), descending=False)
    (result,) = loop(integer(0), integer(3), [total(wide, axes=(1,))], body)
    return (sort(add(wide, build.expand(result, (SIZE, SIZE), (0,))), descending=True),)


def solved(x: Inputs) -> tuple[Node, ...]:
    """Solutions of which one is read with the factors of its matrices."""
    a = x(2, 3, 3)
    alone = solve(a, x(2, 3, 3), factors=True)
    both = solve(a, x(2, 3, 1), factors=True)
    return project(alone, index=0), project(both, index=0), project(both, index=1)


def after_a_loop(x: Inputs) -> tuple[Node, ...]:
    """A kernel that reads what a loop gives, and one that it reads."""
    start = add(x(SIZE), x(SIZE))
    (result,) = loop(integer(0), integer(3), [start], lambda i, a: [mul(a, a)])
    return (add(result, start),)


def rows(x: Inputs) -> tuple[Node, ...]:
    """A scan that reads and writes rows of stacks, from the last one on."""

    def body(a: Node, row: Node) -> Sequence[Node]:
        return add(mul(a, row), row), neg(a)

    return tuple(over_rows([x(SIZE)], [x(3, SIZE)], body, length=3, reverse=True))


def two_scans(x: Inputs) -> tuple[Node, ...]:
    """Scans that make the same state, and other stacks."""
    state, stack = x(SIZE), x(3, SIZE)
    first = over_rows([state], [stack], lambda a, row: (add(a, row), neg(a)), length=3)
    other = over_rows([state], [stack], lambda a, row: (add(a, row), mul(a, row)), length=3)
    return *first, *other


def call_of_two(x: Inputs) -> tuple[Node, ...]:
    """A call whose operands are told apart."""
    a, b = (build.argument(k, f"x{k}", x(SIZE).type) for k in range(2))
    body = Graph("body", (a, b), (add(a, neg(b)),))
    return (project(call(x(SIZE), x(SIZE), body=body, rule=None, instead=None), index=0),)


def behind_a_barrier(x: Inputs) -> tuple[Node, ...]:
    """Two values that wait for a third."""
    behind = barrier(x(SIZE), x(SIZE), neg(x(SIZE)), count=2)
    return (add(project(behind, index=0), neg(project(behind, index=1))),)


def unrolled_scan(x: Inputs) -> tuple[Node, ...]:
    """A scan whose turns are told apart, two of which are to be one."""
    attrs = {"length": 4, "unroll": 2}
    return tuple(over_rows([x(SIZE)], [x(4, SIZE)], lambda a, row: (add(neg(a), row),), **attrs))


def fixed_matrix(x: Inputs) -> tuple[Node, ...]:
    """A loop over products with a matrix whose rows lie the other way."""

    def body(i: Node, a: Node, w: Node) -> Sequence[Node]:
        return (contract(a, w, batch=((), ()), contracted=((1,), (1,))),)

    return tuple(loop(integer(0), integer(3), [x(7, 7)], body, x(7, 7)))
