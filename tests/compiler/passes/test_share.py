"""Branches read what others on their index have computed, and mean the same."""

from __future__ import annotations

from collections import Counter
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
from weftc.passes.cse import eliminate_common_subexpressions
from weftc.passes.inline import inline_calls
from weftc.passes.share import share_branches

X = np.arange(9.0).reshape(3, 3) / 8 - 0.4
W = np.cos(X) + np.eye(3)


def shared(function: Callable[..., Any], *args: Any) -> tuple[Graph, Graph]:
    """The graph of `function` before and after the pass: well formed, and with the same bits for
    either branch."""
    found = staged.stage(function, *args)
    assert found is not None
    before = eliminate_common_subexpressions(inline_calls(found.traced.graph))
    after = share_branches(before)
    verify(after)
    for index in (0, 1):
        arrays = found.inputs((index, *args[1:]))
        for one, other in zip(interpret(after, arrays), interpret(before, arrays), strict=True):
            assert_same_bits(one, other)
    assert share_branches(after).outputs == after.outputs
    return before, after


def branches(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes() if node.op.name == "branch"]


def ops(graph: Graph) -> Counter[str]:
    return Counter(node.op.name for node in graph.all_nodes())


def of_cond(one: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
    """The value and the gradient by w of a choice."""

    def whole(n: Any, x: Any, w: Any) -> Any:
        return wf.value_and_grad(lambda w: wf.cond(n > 0, one, other, x, w))(w)

    return whole


def layers(x: Any, w: Any) -> Any:
    return wf.sum(wf.tanh(wf.tanh(x @ w) @ w))


def cheap(x: Any, w: Any) -> Any:
    return x[0, 0] * w[0, 0]


def test_a_gradient_reads_what_its_branch_has_multiplied() -> None:
    before, after = shared(of_cond(layers, cheap), 1, X, W)
    assert ops(before)["contract"] == 2 + 5 and ops(after)["contract"] == 2 + 3
    first, second = branches(after)
    assert len(first["branches"][0].outputs) == 1 + 2
    assert not {"dot", "contract"} & ops(second["branches"][0]).keys()
    assert len(second.inputs) == len(branches(before)[1].inputs) + 2


def test_branches_share_the_room_of_what_they_keep() -> None:
    def other(x: Any, w: Any) -> Any:
        return wf.sum(wf.sin(w @ x))

    _, after = shared(of_cond(layers, other), 1, X, W)
    first, _ = branches(after)
    assert [len(graph.outputs) for graph in first["branches"]] == [1 + 2] * 2


def test_what_is_a_result_anyway_is_not_kept_beside_it() -> None:
    def products(n: Any, x: Any, w: Any) -> Any:
        y = wf.cond(n > 0, lambda: x @ w, lambda: x)
        z = wf.cond(n > 0, lambda: wf.exp(x @ w), lambda: x)
        return y, z

    _, after = shared(products, 1, X, W)
    first, second = branches(after)
    assert ops(after)["contract"] == 1
    assert len(first["branches"][0].outputs) == 1 and first in [
        i for p in second.inputs for i in p.inputs
    ]


def test_parts_that_the_first_has_no_use_for_are_read_too() -> None:
    def solved(x: Any, w: Any) -> Any:
        return wf.sum(wf.linalg.solve(w, x))

    before, after = shared(of_cond(solved, cheap), 1, X, W)
    assert ops(before)["solve"] == 2 and ops(after)["solve"] == 1


def test_what_costs_little_is_computed_again() -> None:
    before, after = shared(of_cond(lambda x, w: wf.sum(wf.exp(x * w)), cheap), 1, X, W)
    assert after is before


@pytest.mark.parametrize("same", ["index", "operands"])
def test_of_other_indices_and_operands_nothing_is_shared(same: str) -> None:
    def whole(n: Any, x: Any, w: Any) -> Any:
        first = wf.cond(n > 0, lambda: wf.exp(x @ w), lambda: x)
        if same == "index":
            return first, wf.cond(n > 0, lambda: wf.log(w @ x), lambda: x)
        return first, wf.cond(n > 1, lambda: wf.log(x @ w), lambda: x)

    before, after = shared(whole, 1, X, W)
    assert after is before


def test_a_later_one_reads_what_all_before_it_have_computed() -> None:
    def whole(n: Any, x: Any, w: Any) -> Any:
        def loss(w: Any) -> Any:
            return wf.cond(n > 0, layers, cheap, x, w)

        value, gradient = wf.value_and_grad(loss)(w)
        return value, gradient, wf.grad(lambda w: wf.sum(wf.grad(loss)(w) ** 2))(w)

    before, after = shared(whole, 1, X, W)
    assert len(branches(before)) == 4 and ops(after)["contract"] < ops(before)["contract"]


def test_branches_in_branches_share_too() -> None:
    def inner(x: Any, w: Any) -> Any:
        return wf.cond(wf.sum(w) > 0, layers, cheap, x, w) ** 2

    before, after = shared(of_cond(inner, cheap), 1, X, W)
    assert ops(after)["contract"] < ops(before)["contract"]


def test_elements_of_any_size_are_kept() -> None:
    function = wf.jit(of_cond(layers, cheap))
    for rows in (3, 4, 5, 6):
        x = np.arange(3.0 * rows).reshape(rows, 3) / 8
        for n in (0, 1):
            value, gradient = function(n, x, W)
            wanted = wf.value_and_grad((cheap, layers)[n], argnums=1)(x, W)
            assert_same_bits(np.asarray(value), np.asarray(wanted[0]))
            assert_same_bits(np.asarray(gradient), np.asarray(wanted[1]))
