"""Scans as instructions: the bits of the graph interpreter, and rows that nobody copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.compiler.assembly.graphs import full, graph, over_rows
from tests.compiler.assembly.test_control import check, over
from tests.registry.test_compiled import run

from weftc import pipeline
from weftc.fusion import regions
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim, Size
from weftc.ir.types import TensorType
from weftc.ops.movement import flip
from weftc.ops.pointwise import add, mul, neg, sub
from weftc.ops.sorting import sort
from weftc.schedule.cpu.pointwise import NONTEMPORAL
from weftc.validate import FormValidator
from weftrt import array, dtypes
from weftrt.cpu.executable import load
from weftrt.cpu.host import host, host_options
from weftrt.options import Options
from weftrt.program import Copy, Launch, Row

N, M = Dim.symbol("n"), Dim.symbol("m")


def rows(length: Size, width: Size = 5, reverse: bool = False) -> Graph:
    """Two parts of a state, rows of two stacks, and stacks of what is computed, read or kept."""

    def body(h: Node, c: Node, x: Node, k: Node, w: Node) -> Sequence[Node]:
        new = add(mul(h, w), x)
        return (
            new,
            add(c, flip(new, axes=(0,))),
            new,
            sub(c, over(k, c)),
            neg(sort(x, descending=False)),
            x,
            w,
            h,
        )

    vector, scalars = TensorType(dtypes.float32, (width,)), TensorType(dtypes.float32, (length,))
    stack = TensorType(dtypes.float32, (length, width))

    def whole(h: Node, c: Node, xs: Node, ks: Node, w: Node) -> Sequence[Node]:
        return over_rows([h, c], [xs, ks], body, w, length=length, reverse=reverse)

    return graph("rows", whole, vector, vector, stack, scalars, vector)


def arrays(length: int, width: int = 5) -> list[Any]:
    random = np.random.default_rng(0)
    shapes = (width,), (width,), (length, width), (length,), (width,)
    return [random.random(shape, np.float32) for shape in shapes]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 7])
def test_bits(length: int, reverse: bool) -> None:
    check(rows(length, reverse=reverse), *arrays(length))
    for width in (0, 1, 5):
        check(rows(N, M, reverse), *arrays(length, width))


def test_rows_are_read_and_written_where_they_are() -> None:
    program = pipeline.compile(rows(100), host_options(), FormValidator())
    places = [step for step in program.steps if isinstance(step, Row)]
    assert [step.stack for step in places][:2] == [2, 3]
    copies = [step for step in program.steps if isinstance(step, Copy)]
    assert {step.elements for step in copies} == {5}  # the state, once at the end
    assert isinstance(program.arena, int) and program.arena <= 8 * 64


def test_what_nobody_reads_is_not_stacked() -> None:
    whole = rows(100)
    program = pipeline.compile(whole.returning(whole.outputs[1:2]), host_options())
    places = [step for step in program.steps if isinstance(step, Row)]
    assert [step.stack for step in places] == [2]
    known = whole.returning(whole.outputs[5:7])
    assert not any(isinstance(s, Row) for s in pipeline.compile(known, host_options()).steps)
    check(known, *arrays(100))
    check(whole.returning(whole.outputs[1:2]), *arrays(100))


def test_no_state() -> None:
    def whole(xs: Node) -> Sequence[Node]:
        return over_rows([], [xs], lambda x: [neg(x), full(2.0, dtypes.float32, ())], length=3)

    check(graph("map", whole, TensorType(dtypes.float32, (3,))), np.arange(3, dtype=np.float32))


def nested(xs: Node) -> Sequence[Node]:
    """The sums of the sums of rows, from the last row on, and all on the way."""

    def inner(c: Node, x: Node) -> Sequence[Node]:
        return add(c, x), add(c, x)

    def outer(c: Node, row: Node) -> Sequence[Node]:
        total, sums = over_rows([c], [row], inner, length=3)
        return total, sums, neg(total)

    return over_rows([full(0.0, dtypes.float32, ())], [xs], outer, length=4, reverse=True)


def test_a_scan_in_a_scan() -> None:
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    check(graph("nested", nested, TensorType(dtypes.float32, (4, 3))), matrix)


@pytest.mark.parametrize("reverse", [False, True])
def test_memory_is_checked(reverse: bool) -> None:
    for program, given in (
        (rows(N, M, reverse), arrays(3, 7)),
        (graph("nested", nested, TensorType(dtypes.float32, (4, 3))), [arrays(4, 3)[2]]),
    ):
        executable = load(pipeline.compile(program, Options(host(), watched=True)))
        found = executable.run([array.from_numpy(a, True) for a in given])
        for one, wanted in zip(found, interpret(program, given), strict=True):
            assert_same_bits(array.to_numpy(one), wanted)


def test_large_rows_need_not_begin_at_a_cache_line() -> None:
    """Their vectors go past the caches, which takes whole lines: such a row is written elsewhere,
    and copied."""
    assert regions._LARGE_ROW <= NONTEMPORAL
    width = NONTEMPORAL // 4 + 3

    def whole(xs: Node) -> Sequence[Node]:
        return over_rows([], [xs], lambda x: [neg(x)], length=2)

    program = graph("large", whole, TensorType(dtypes.float32, (2, width)))
    compiled = pipeline.compile(program, host_options())
    assert any("!nontemporal" in kernel.llvm for kernel in compiled.kernels)
    assert any(isinstance(step, Copy) and step.elements == width for step in compiled.steps)
    x = np.arange(2 * width, dtype=np.float32).reshape(2, width)
    (found,) = run(program, [x])
    assert_same_bits(found, -x)


def test_a_kernel_that_writes_two_rows_is_one() -> None:
    steps = pipeline.compile(rows(3), host_options()).steps
    start = next(k for k, step in enumerate(steps) if isinstance(step, Row))
    assert sum(isinstance(step, Launch) for step in steps[start:]) <= 4
