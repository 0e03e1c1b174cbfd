"""Branches and loops lose what nobody reads and what is known, and mean the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged

import weft as wf
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.verify import verify
from weftc.passes.control import trim_control

X = np.arange(3, dtype=np.float32) - 1


def trimmed(function: Callable[..., Any], *args: Any) -> Graph:
    """The graph of `function` after the pass, which is well formed and gives the same bits."""
    found = staged.stage(function, *args)
    assert found is not None
    graph = trim_control(found.traced.graph)
    verify(graph)
    arrays = found.inputs(args)
    for one, other in zip(interpret(graph, arrays), interpret(found.traced.graph, arrays)):
        assert_same_bits(one, other)
    assert trim_control(graph).outputs == graph.outputs
    return graph


def only(graph: Graph, op: str) -> Node:
    (node,) = [node for node in graph.nodes() if node.op.name == op]
    return node


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes()]


@pytest.mark.parametrize("index", [-3, 0, 1, 7])
def test_a_branch_whose_index_is_known_is_its_nodes(index: int) -> None:
    graph = trimmed(lambda x: wf.switch(index, [wf.sin, wf.cos], x), X)
    assert ops(graph) == ["input", "sin" if index < 1 else "cos"]


def test_a_branch_in_a_branch_is_trimmed_too() -> None:
    def f(x: Any, n: Any) -> Any:
        return wf.cond(n > 0, lambda: wf.cond(True, lambda: wf.sin(x), lambda: x), lambda: x)

    branch = only(trimmed(f, X, 1), "branch")
    assert [ops(g) for g in branch["branches"]] == [["input"], ["input", "sin"]]


def test_results_that_nobody_reads_go_with_what_they_need() -> None:
    def f(x: Any, y: Any, n: Any) -> Any:
        return wf.cond(n > 0, lambda: (wf.sin(x), wf.exp(y)), lambda: (x, wf.log(y)))[0]

    branch = only(trimmed(f, X, X, 1), "branch")
    assert len(branch.inputs) == 2
    assert [ops(g) for g in branch["branches"]] == [["input"], ["input", "sin"]]


def both(x: Any, y: Any, n: Any) -> tuple[Any, Any]:
    """Two values that take two branches together, and do not depend on each other."""
    first = wf.cond(n > 0, lambda: (wf.sin(x), wf.exp(y)), lambda: (x * 2, wf.cos(y)))
    return wf.cond(n > 1, lambda: (first[0] * 2, first[1]), lambda: (first[0], first[1] * 3))


def turned(x: Any, y: Any, n: Any) -> tuple[Any, Any]:
    """The same in each turn of a loop."""
    return wf.fori_loop(0, 3, lambda i, state: both(*state, i), (x, y))


KEPT: dict[str, Callable[[Any, Any, Any], Any]] = {
    "branches": lambda x, y, n: both(x, y, n)[0],
    "turns": lambda x, y, n: turned(x, y, n)[0],
    "within a branch": lambda x, y, n: wf.cond(
        n > 2, lambda: both(x, y, n), lambda: turned(x, y, n)
    )[0],
    "within one that is known": lambda x, y, n: wf.cond(
        True, lambda: wf.cond(n > 2, lambda: both(x, y, n), lambda: (x, y)), lambda: (x, y)
    )[0],
    "within turns": lambda x, y, n: wf.scan(
        lambda state, row: (turned(*both(*state, n), n), row), (x, y), X
    )[0][0],
}


@pytest.mark.parametrize("name", KEPT)
def test_values_that_go_together_are_told_apart(name: str) -> None:
    """Of what follows another branch or turn, too, only what is read is computed."""
    graph = trimmed(KEPT[name], X, X + 1, 1)
    assert {node.op.name for node in graph.all_nodes()}.isdisjoint({"exp", "cos"})
    y = graph.inputs[1]
    assert all(y not in node.inputs for node in graph.nodes())


def test_a_result_that_all_branches_pass_on_is_the_operand() -> None:
    def f(x: Any, y: Any, n: Any) -> Any:
        return wf.cond(n > 0, lambda: (wf.sin(x), y), lambda: (x, y))

    graph = trimmed(f, X, X, 1)
    assert graph.outputs[1] is graph.inputs[1]
    assert len(only(graph, "branch").inputs) == 2
    both = trimmed(lambda y, n: wf.cond(n > 0, lambda: y, lambda: y), X, 1)
    assert ops(both) == ["input", "input"]


def test_state_that_does_not_change_is_no_state() -> None:
    def f(x: Any, y: Any, n: Any) -> Any:
        return wf.fori_loop(0, n, lambda i, s: (s[0] + s[1], s[1], s[2]), (x, y, y * 2))

    graph = trimmed(f, X, X, 4)
    loop = only(graph, "fori")
    assert loop["carried"] == 1 and len(loop.inputs) == 4
    assert graph.outputs[1] is graph.inputs[1] and graph.outputs[2].op.name == "mul"


def test_a_limit_in_the_state_is_read_by_the_condition_still() -> None:
    def f(x: Any, n: Any) -> Any:
        start = (0, n, x)
        return wf.while_loop(lambda s: s[0] < s[1], lambda s: (s[0] + 1, s[1], s[2] * 2), start)[2]

    loop = only(trimmed(f, X, 4), "while")
    assert loop["carried"] == 2 and len(loop.inputs) == 3


def test_state_that_nobody_needs_goes() -> None:
    def f(x: Any, y: Any, n: Any) -> Any:
        def body(i: Any, s: Any) -> Any:
            a, b, c, d = s
            return a + b, b * 2, c + d, wf.sin(d) + c

        return wf.fori_loop(0, n, body, (x, y, x, y))[0]

    loop = only(trimmed(f, X, X, 3), "fori")
    assert loop["carried"] == 2 and len(loop.inputs) == 4
    assert "sin" not in ops(loop["body"])


def test_a_loop_that_gives_back_what_it_took_goes() -> None:
    def f(x: Any, n: Any) -> Any:
        return wf.fori_loop(0, n, lambda i, s: (s[0], s[1] + 1), (x, x))[0]

    assert ops(trimmed(f, X, 3)) == ["input", "input"]


def test_what_is_all_needed_stays_as_it_is() -> None:
    def f(x: Any, y: Any, n: Any) -> Any:
        y = wf.fori_loop(0, n, lambda i, s: s + x, y)
        return wf.cond(n > 1, lambda: y + x, lambda: y)

    found = staged.stage(f, X, X, 3)
    assert found is not None
    assert trim_control(found.traced.graph) is found.traced.graph
