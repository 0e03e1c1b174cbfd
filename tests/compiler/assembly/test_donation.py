"""Which results lie in the memory of donated inputs, and that they hold what they should."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.assembly.graphs import full, graph, integer, loop
from tests.threads import thread_limit

from weftc import pipeline
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim
from weftc.ir.types import TensorType
from weftc.ops.contraction import contract
from weftc.ops.elementary import exp
from weftc.ops.movement import broadcast, flip, transpose
from weftc.ops.pointwise import add, div, mul, neg, sub
from weftc.ops.reduction import sum as total
from weftrt import array, dtypes
from weftrt.cpu.executable import load
from weftrt.cpu.host import host
from weftrt.errors import DonatedError
from weftrt.options import Options

F32 = dtypes.float32
SQUARE = TensorType(F32, (300, 300))
LONG = TensorType(F32, (100_003,))
SYMBOLIC = TensorType(F32, (Dim.symbol("n"), 40))


def aliases(g: Graph, *donated: int) -> tuple[tuple[int, int], ...]:
    return pipeline.compile(g, Options(host(), donated)).aliases


def check(g: Graph, *donated: int, size: int = 64) -> tuple[tuple[int, int], ...]:
    """The aliases of a program, whose results are right, and in whose memory they lie."""
    executable = load(pipeline.compile(g, Options(host(), donated)))
    shapes = [
        tuple(size if isinstance(n, Dim) else n for n in node.type.shape) for node in g.inputs
    ]
    rng = np.random.default_rng(7)
    arrays = [rng.standard_normal(shape).astype("f4") for shape in shapes]
    given = [array.from_numpy(a) for a in arrays]
    places = [array.to_numpy(a).ctypes.data for a in given]
    found = executable.run(given)
    for result, wanted in zip(found, interpret(g, arrays), strict=True):
        assert_same_bits(array.to_numpy(result), wanted)
    outputs = dict(zip(executable.program.results, found))
    for output, number in executable.program.aliases:
        assert array.to_numpy(outputs[output]).ctypes.data == places[number]
        with pytest.raises(DonatedError):
            array.to_numpy(given[number])
    return executable.program.aliases


def adam(p: Node, m: Node, v: Node, g: Node) -> Sequence[Node]:
    shape = p.type.shape
    m = add(mul(m, full(0.9, F32, shape)), mul(g, full(0.1, F32, shape)))
    v = add(mul(v, full(0.99, F32, shape)), mul(mul(g, g), full(0.01, F32, shape)))
    return sub(p, div(m, add(v, full(1e-3, F32, shape)))), m, v


@pytest.mark.parametrize("type_", [SQUARE, LONG, SYMBOLIC, TensorType(F32, ())], ids=str)
@pytest.mark.parametrize("thread_count", [1, 3])
def test_a_step_of_adam_needs_no_memory(type_: TensorType, thread_count: int) -> None:
    with thread_limit(thread_count):
        assert check(graph("adam", adam, *[type_] * 4), 0, 1, 2) == ((0, 0), (1, 1), (2, 2))


def test_only_what_is_donated() -> None:
    g = graph("adam", adam, *[SQUARE] * 4)
    assert aliases(g) == ()
    assert check(g, 1) == ((0, 1),), "any result may lie there"
    assert check(g, 3) == ((0, 3),)


CASES: dict[str, tuple[Callable[..., Sequence[Node]], bool]] = {
    "another order of elements": (lambda x: [flip(x, axes=(0,))], False),
    "another axis": (lambda x: [transpose(x, permutation=(1, 0))], False),
    "a row that is read twice": (lambda x: [div(x, rows(total(x, axes=(1,))))], False),
    "a product with itself": (lambda x: [product(x, x)], False),
    "two results": (lambda x: [neg(x), exp(x)], True),
    "the input itself": (lambda x: [x], True),
    "another dtype": (lambda x: [total(x, axes=(1,))], False),
}


def rows(x: Node) -> Node:
    return broadcast(x, shape=(300, 300), axes=(0,))


def product(a: Node, b: Node) -> Node:
    return contract(a, b, batch=((), ()), contracted=((1,), (0,)))


@pytest.mark.parametrize("name", CASES)
def test_what_a_kernel_can_write_in_place(name: str) -> None:
    build, may = CASES[name]
    assert bool(check(graph("f", build, SQUARE), 0)) is may


def test_an_input_that_is_read_later_stays() -> None:
    """x + y is written by the first kernel, and x is read by the second."""

    def build(x: Node, y: Node) -> Sequence[Node]:
        first = product(add(x, y), y)
        return first, product(first, x)

    assert check(graph("f", build, SQUARE, SQUARE), 0) == ()


def test_an_input_that_was_read_before_is_free() -> None:
    """The product of x is in memory before the last kernel writes."""

    def build(x: Node, y: Node) -> Sequence[Node]:
        return [exp(product(product(x, y), y))]

    assert check(graph("f", build, SQUARE, SQUARE), 0) == ((0, 0),)


def test_no_memory_is_taken_twice() -> None:
    def build(x: Node, y: Node) -> Sequence[Node]:
        return neg(x), exp(x), add(x, y)

    found = check(graph("f", build, SQUARE, SQUARE), 0, 1)
    assert sorted(number for _, number in found) == [0, 1]


LOOPS: dict[str, Callable[..., Sequence[Node]]] = {
    "in place": lambda i, x, y: [mul(x, y)],
    "between two buffers": lambda i, x, y: [product(flip(x, axes=(0,)), y)],
}


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_ends_where_its_state_began(name: str, turns: int) -> None:
    def build(x: Node, y: Node) -> Sequence[Node]:
        return loop(integer(0), integer(turns), [x], LOOPS[name], y)

    g = graph("f", build, SQUARE, SQUARE)
    assert check(g, 0) == ((0, 0),)
    assert check(g, 1) == (), "every turn reads it"


def test_a_loop_in_a_loop_ends_where_its_state_began() -> None:
    def build(x: Node, y: Node) -> Sequence[Node]:
        def outer(i: Node, x: Node, y: Node) -> Sequence[Node]:
            return loop(integer(0), add(i, integer(1)), [x], inner, y)

        return loop(integer(0), integer(3), [x], outer, y)

    def inner(i: Node, x: Node, y: Node) -> Sequence[Node]:
        return [product(flip(x, axes=(0,)), y)]

    g = graph("f", build, *[TensorType(F32, (30, 30))] * 2)
    assert check(g, 0) == ((0, 0),)
    assert check(g) == ()


def test_two_parts_of_a_state_that_begin_alike_end_apart() -> None:
    def build(x: Node) -> Sequence[Node]:
        return loop(integer(0), integer(3), [x, x], lambda i, a, b: [add(a, b), neg(a)])

    assert check(graph("f", build, SQUARE), 0) == ()
