"""Branches and loops as instructions: the bits of the graph interpreter, and what runs per turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.assembly.graphs import INT, choose, full, graph, integer, loop, repeat
from tests.registry.test_compiled import run

from weftc import pipeline
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim
from weftc.ir.types import TensorType
from weftc.ops.contraction import contract
from weftc.ops.movement import broadcast, flip
from weftc.ops.pointwise import add, div, lt, mul, neg, sub
from weftc.ops.reduction import sum as total
from weftc.validate import FormValidator
from weftrt import array, dtypes
from weftrt.cpu.executable import load
from weftrt.cpu.host import host, host_options
from weftrt.dtypes import DType
from weftrt.options import Options
from weftrt.program import Branch, Copy, Launch, Next, Point, Program, Rotate

VECTOR = TensorType(dtypes.float32, (100,))
INTS = TensorType(dtypes.int64, (3,))
BOUNDS = [(0, 0), (0, 1), (0, 2), (0, 7), (3, 5), (2, -3), (-(1 << 63), -(1 << 63) + 2)]


def check(graph: Graph, *arrays: Any) -> None:
    """The compiled program gives what the interpreter gives."""
    given = [np.asarray(a) for a in arrays]
    for found, wanted in zip(run(graph, given), interpret(graph, given), strict=True):
        assert_same_bits(found, wanted)


def check_turns(graph: Graph, *arrays: Any) -> None:
    """The same for loops from input 0 to input 1, of many lengths."""
    for lower, upper in BOUNDS:
        check(graph, np.int64(lower), np.int64(upper), *arrays)


def over(i: Node, x: Node) -> Node:
    """A scalar for every element of `x`."""
    return broadcast(i, shape=x.type.shape, axes=())


def newton(x: Node) -> list[Node]:
    """20 turns towards the root of each element."""

    def body(root: Node, turns: Node, x: Node) -> Sequence[Node]:
        half = full(0.5, dtypes.float32, x.type.shape)
        return mul(add(root, div(x, root)), half), add(turns, integer(1))

    def condition(root: Node, turns: Node, x: Node) -> Sequence[Node]:
        return (lt(turns, integer(20)),)

    return repeat(condition, [x, integer(0)], body, x)[:1]


def test_while() -> None:
    check(graph("newton", newton, VECTOR), np.linspace(0.1, 9, 100, dtype=np.float32))


def turn_of(program: Program) -> list[type]:
    """The instructions of the last loop of a program."""
    steps = list(program.steps)
    last = max(k for k, step in enumerate(steps) if isinstance(step, Branch | Next))
    again = steps[last]
    if isinstance(again, Branch):
        return [type(step) for step in steps[again.targets[1] : last]]
    assert isinstance(again, Next)
    return [type(step) for step in steps[again.target : last]]


def test_a_turn_of_while_is_one_kernel_that_updates_its_state_in_place() -> None:
    program = pipeline.compile(graph("newton", newton, VECTOR), host_options())
    assert turn_of(program) == [Launch, Point, Point]
    state = 64 + 448  # the count of the turns and whether to go on
    assert isinstance(program.arena, int) and program.arena <= state


def test_state_that_a_turn_still_reads_moves_between_two_buffers() -> None:
    def body(i: Node, x: Node, y: Node) -> Sequence[Node]:
        return add(x, flip(x, axes=(0,))), add(y, y)

    def whole(a: Node, b: Node, x: Node) -> Sequence[Node]:
        return loop(a, b, [x, x], body)

    program = graph("flips", whole, INT, INT, INTS)
    assert turn_of(pipeline.compile(program, host_options())) == [Launch, Rotate, Point]
    check_turns(program, np.arange(3))


def test_state_that_is_written_after_it_was_read_for_the_last_time() -> None:
    """A product reads it, something else is made of that, and the state of that in turn."""

    def body(i: Node, x: Node, w: Node) -> Sequence[Node]:
        product = contract(x, w, batch=((), ()), contracted=((1,), (0,)))
        return (add(contract(product, w, batch=((), ()), contracted=((1,), (0,))), w),)

    square = TensorType(dtypes.float32, (5, 5))

    def whole(a: Node, b: Node, x: Node, w: Node) -> Sequence[Node]:
        return loop(a, b, [x], body, w)

    program = graph("products", whole, INT, INT, square, square)
    assert turn_of(pipeline.compile(program, host_options())) == [Launch, Launch, Point]
    random = np.random.default_rng(0)
    x, w = random.random((2, 5, 5), np.float32)
    check_turns(program, x, w)


def test_the_condition_may_fail_at_once() -> None:
    def never(x: Node) -> Sequence[Node]:
        return (lt(integer(1), integer(0)),)

    program = graph("never", lambda x: repeat(never, [x], lambda x: [neg(x)]), INTS)
    check(program, np.arange(3))


def test_fori() -> None:
    def body(i: Node, x: Node) -> Sequence[Node]:
        return (add(x, over(i, x)),)

    check_turns(graph("sums", lambda a, b, x: loop(a, b, [x], body), INT, INT, INTS), np.arange(3))


def test_state_changes_places() -> None:
    def body(i: Node, a: Node, b: Node) -> Sequence[Node]:
        return b, add(a, b)

    for kept in (slice(0, 2), slice(1, 2), slice(0, 1)):

        def whole(a: Node, b: Node, x: Node, kept: slice = kept) -> Sequence[Node]:
            return loop(a, b, [x, x], body)[kept]

        check_turns(graph("fibonacci", whole, INT, INT, INTS), np.arange(3))


def test_results_that_are_one_value_or_a_constant() -> None:
    def body(i: Node, a: Node, b: Node, c: Node, d: Node) -> Sequence[Node]:
        value = add(a, over(i, a))
        return value, value, full(7, dtypes.int64, (3,)), d

    def whole(a: Node, b: Node, x: Node) -> Sequence[Node]:
        return loop(a, b, [x, x, neg(x), add(x, x)], body)

    check_turns(graph("results", whole, INT, INT, INTS), np.arange(3))


def test_state_of_no_arrays() -> None:
    def body(i: Node) -> Sequence[Node]:
        return ()

    check_turns(graph("nothing", lambda a, b: [*loop(a, b, [], body), add(a, b)], INT, INT))


def test_rest_is_read_in_place_and_results_are_read_on() -> None:
    def body(i: Node, x: Node, y: Node) -> Sequence[Node]:
        return (mul(x, y),)

    def whole(a: Node, b: Node, x: Node) -> Sequence[Node]:
        (result,) = loop(a, b, [x], body, add(x, x))
        return total(result, axes=(0,)), sub(result, x)

    check_turns(graph("rest", whole, INT, INT, INTS), np.arange(1, 4))


@pytest.mark.parametrize(
    "dtype", [dtypes.int64, dtypes.int32, dtypes.uint8, dtypes.uint64, dtypes.bool_], ids=str
)
def test_branch(dtype: DType) -> None:
    def same(x: Node) -> Sequence[Node]:
        return x, x

    def twice(x: Node) -> Sequence[Node]:
        return add(x, x), full(1, dtypes.int64, (3,))

    def known(x: Node) -> Sequence[Node]:
        return full(3, dtypes.int64, (3,)), sub(add(x, x), total_of(x))

    def total_of(x: Node) -> Node:
        return over(total(x, axes=(0,)), x)

    def whole(index: Node, x: Node) -> Sequence[Node]:
        first, second = choose(index, [add(x, x)], same, twice, known)
        return add(first, x), second

    program = graph("branches", whole, TensorType(dtype, ()), INTS)
    for index in (-(1 << 40), -1, 0, 1, 2, 3, 1 << 40):
        check(program, np.array(index).astype(dtype.dtype), np.arange(3))


def test_results_that_nobody_reads() -> None:
    def body(i: Node, a: Node, b: Node) -> Sequence[Node]:
        return add(a, b), mul(b, over(i, b))

    def whole(a: Node, b: Node, x: Node) -> Sequence[Node]:
        return loop(a, b, [x, x], body)[:1]

    check_turns(graph("unread", whole, INT, INT, INTS), np.arange(3))
    index, two = TensorType(dtypes.bool_, ()), [neg, lambda x: add(x, x)]
    bodies = [lambda x, f=f: (f(x), f(f(x))) for f in two]
    program = graph("unread", lambda p, x: choose(p, [x], *bodies)[1:], index, INTS)
    for choice in (False, True):
        check(program, np.array(choice), np.arange(3))


def nested(depth: int, i: Node, x: Node) -> Node:
    """Loops and branches in one another, `depth` deep."""
    if depth == 0:
        return add(x, over(i, x))

    def body(j: Node, x: Node, i: Node) -> Sequence[Node]:
        odd = [lambda x, i: [nested(depth - 1, i, x)], lambda x, i: [sub(x, over(i, x))]]
        return choose(lt(j, integer(1)), [x, i], *odd)

    (inner,) = loop(integer(0), add(i, integer(2)), [add(x, x)], body, i)
    return sub(inner, x)


def test_nesting_five_deep() -> None:
    def whole(a: Node, b: Node, x: Node) -> Sequence[Node]:
        return loop(a, b, [x], lambda i, x: [nested(5, i, x)])

    program = graph("nested", whole, INT, INT, INTS)
    for upper in range(3):
        check(program, np.int64(0), np.int64(upper), np.arange(3))


def test_no_elements() -> None:
    def body(i: Node, x: Node) -> Sequence[Node]:
        return (add(x, over(i, x)),)

    nothing = TensorType(dtypes.int64, (0, 3))
    program = graph("nothing", lambda a, b, x: loop(a, b, [x], body), INT, INT, nothing)
    check_turns(program, np.ones((0, 3), np.int64))


def test_equal_kernels_of_bodies_are_one() -> None:
    def body(i: Node, x: Node) -> Sequence[Node]:
        return (add(x, over(i, x)),)

    def whole(a: Node, b: Node, x: Node) -> Sequence[Node]:
        once = loop(a, b, [x], body)
        return loop(a, b, once, body)

    program = pipeline.compile(graph("twice", whole, INT, INT, INTS), host_options())
    assert len(program.kernels) == 1
    assert sum(isinstance(step, Launch) for step in program.steps) == 2


def test_loops_and_branches_whose_memory_is_checked() -> None:
    """Pointers that move from buffer to buffer, and bodies that run many times, or never."""

    def whole(a: Node, b: Node, x: Node) -> Sequence[Node]:
        fibonacci = loop(a, b, [x, x], lambda i, x, y: (y, add(x, y)))
        (inner,) = loop(a, b, fibonacci[:1], lambda i, x: [nested(2, i, x)])
        return *fibonacci, neg(inner)

    program = graph("watched", whole, INT, INT, INTS)
    executable = load(pipeline.compile(program, Options(host(), watched=True)))
    for upper in range(4):
        given = [np.asarray(np.int64(0)), np.asarray(np.int64(upper)), np.arange(3)]
        found = executable.run([array.from_numpy(a, True) for a in given])
        for one, wanted in zip(found, interpret(program, given), strict=True):
            assert_same_bits(array.to_numpy(one), wanted)


N = Dim.symbol("n")


@pytest.mark.parametrize("size", [0, 1, 2, 7, 70])
def test_symbolic_sizes(size: int) -> None:
    """A body with values of its own, of several element sizes, in an arena of unknown size."""

    def body(i: Node, x: Node, y: Node) -> Sequence[Node]:
        mean = total(mul(x, x), axes=(0,))
        low = lt(x, over(mean, x))
        return add(x, over(mean, x)), choose(lt(i, integer(2)), [y, low], flip, keep)[0]

    def flip(y: Node, low: Node) -> Sequence[Node]:
        return (neg(y),)

    def keep(y: Node, low: Node) -> Sequence[Node]:
        return (add(y, y),)

    def whole(a: Node, b: Node, x: Node, y: Node) -> Sequence[Node]:
        return loop(a, b, [x, y], body)

    types = TensorType(dtypes.float32, (N,)), TensorType(dtypes.float64, (N, 3))
    program = graph("symbolic", whole, INT, INT, *types)
    random = np.random.default_rng(0)
    x, y = random.random(size, np.float32), random.random((size, 3))
    for upper in range(4):
        check(program, np.int64(0), np.int64(upper), x, y)


def test_results_end_in_the_outputs() -> None:
    """One copy at most, after the loop, of a result that another buffer holds by then."""
    program = pipeline.compile(graph("newton", newton, VECTOR), host_options(), FormValidator())
    copies = [step for step in program.steps if isinstance(step, Copy)]
    assert [step.target for step in copies if step.elements == 100] == [1]
