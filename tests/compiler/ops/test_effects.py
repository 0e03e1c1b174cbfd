"""callback and check by the graph interpreter: order, errors, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import HostFunction
from weftc.ir.verify import verify
from weftc.ops import TABLE
from weftc.transforms.vjp import vjp
from weftrt import dtypes
from weftrt.errors import CheckError, DTypeError, TraceError, VerifyError

TYPES = ((dtypes.float32, (2,)),)


def _input(index: int, dtype: Any = dtypes.float32, shape: tuple[int, ...] = (2,)) -> Node:
    return TABLE["input"](index=index, name=f"x{index}", dtype=dtype, shape=shape)


def _call(token: Node, function: Any, *arrays: Node) -> tuple[Node, Node]:
    node = TABLE["callback"](token, *arrays, function=HostFunction(function), types=TYPES)
    return TABLE["project"](node, index=0), TABLE["project"](node, index=1)


def test_effects_run_in_the_order_of_their_tokens() -> None:
    seen: list[str] = []

    def double(x: Any) -> list[Any]:
        seen.append("double")
        return [x * 2]

    def negate(x: Any) -> list[Any]:
        seen.append("negate")
        x *= -1  # a copy: nobody else sees it
        return [x]

    x = _input(0)
    first, token = _call(TABLE["token"](), negate, x)
    second, token = _call(token, double, x)
    graph = Graph("both", (x,), (second, first, token))
    verify(graph)
    given = np.array([1, 2], np.float32)
    doubled, negated, none = interpret(graph, [given])
    assert seen == ["negate", "double"] and none is None
    np.testing.assert_array_equal(doubled, [2, 4])
    np.testing.assert_array_equal(negated, [-1, -2])
    np.testing.assert_array_equal(given, [1, 2])


def test_a_check_that_fails_says_its_message_whatever_is_in_it() -> None:
    holds = _input(0, dtypes.bool_, ())
    check = TABLE["check"](TABLE["token"](), holds, message="{x} is not 100%")
    graph = Graph("checked", (holds,), (check,))
    assert interpret(graph, [np.asarray(True)]) == [None]
    with pytest.raises(CheckError, match=r"\{x\} is not 100%"):
        interpret(graph, [np.asarray(False)])
    assert check.op.fails is not None
    assert check.op.fails(check).message == "{x} is not 100%"


def test_effects_take_a_token_first_and_a_check_one_bool() -> None:
    with pytest.raises(VerifyError, match="token"):
        TABLE["check"](_input(0, dtypes.bool_, ()), message="")
    with pytest.raises(DTypeError, match=r"check takes one bool, but was given f32\[2\]"):
        TABLE["check"](TABLE["token"](), _input(0), message="")


def test_no_gradient_goes_through_a_callback() -> None:
    x = _input(0)
    y, _ = _call(TABLE["token"](), lambda x: [x], x)
    with pytest.raises(TraceError, match="callback has no gradient"):
        vjp([y], [x], [x])
