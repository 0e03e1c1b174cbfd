"""Errors while tracing: they name the line, the expression and what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.frontend.staged import run

import weft as wf
from weftrt.errors import DTypeError, ShapeError, TraceError

X = np.ones((3, 4), "f4")


def stores(x: Any) -> None:
    kept = np.zeros(X.shape)
    kept[:] = x


VALUE_DEPENDENT: list[tuple[Callable[[Any], Any], str, str]] = [
    (lambda x: 1 if x.sum() > 0 else 2, r"x\.sum\(\) > 0", r"wf\.where"),
    (lambda x: not x[0, 0], r"not x\[0, 0\]", r"wf\.logical_not"),
    (lambda x: int(x.sum()), r"int\(x\.sum\(\)\)", "astype"),
    (lambda x: float(x.sum()), r"float\(x\.sum\(\)\)", "astype"),
    (lambda x: x.sum().item(), r"x\.sum\(\)\.item\(\)", "item"),
    (lambda x: 1 if wf.any(x > 0) else 2, r"wf\.any\(x > 0\)", r"use wf\.cond"),
    (lambda x: any(x[0] > 0), r"any\(x\[0\] > 0\)", r"use wf\.any$"),
    (lambda x: max(x[0, 0], x[0, 1]), r"max\(x\[0, 0\], x\[0, 1\]\)", r"use wf\.maximum\(x, y\)"),
    (lambda x: sorted(x[0]), r"sorted\(x\[0\]\)", r"use wf\.sort$"),
    (lambda x: list(range(x.sum())), r"range\(x\.sum\(\)\)", "use wf.fori_loop.*static_argnames"),
    (lambda x: np.asarray(x), r"np\.asarray\(x\)", "a NumPy array of a traced value"),
    (lambda x: np.exp(x), r"np\.exp\(x\)", r"use wf\.exp"),
    (lambda x: X[:, wf.argmax(x)], r"X\[:", r"use wf\.asarray\(X\)\[:, wf\.argmax\(x\)\]"),
    (stores, r"kept\[:\]", "use the functions of weft"),
    (lambda x: len(x.sum()), r"len\(x\.sum\(\)\)", "no length"),
    (lambda x: list(x.sum()), r"list\(x\.sum\(\)\)", "no elements"),
    (lambda x: wf.arange(x.sum()), r"wf\.arange\(x\.sum\(\)\)", "static_argnames"),
    (lambda x: wf.sum(x, axis=x.sum()), r"wf\.sum\(x, axis=x\.sum\(\)\)", "static_argnames"),
]


@pytest.mark.parametrize(("function", "expression", "instead"), VALUE_DEPENDENT)
def test_value_dependent_python(
    function: Callable[[Any], Any], expression: str, instead: str
) -> None:
    with pytest.raises(TraceError, match=rf"test_tracing\.py:\d+: .*{expression}[\s\S]*{instead}"):
        run(function, X)


def test_unrolling_over_the_first_axis() -> None:
    assert run(lambda x: sum(row.sum() for row in x), X) == 12
    assert run(lambda x: [len(x), x.ndim, x.size], X) == [3, 2, 12]


def test_leaked_tracer_names_both_places() -> None:
    kept: list[Any] = []

    def leaks(x: Any) -> Any:
        kept.append(x * 2)
        return x

    run(leaks, X)
    with pytest.raises(
        TraceError, match=r"kept\[0\] \+ y[\s\S]*made at .*x \* 2[\s\S]*(leaks|function)"
    ):
        run(lambda y: kept[0] + y, X)


def test_leaked_argument() -> None:
    kept: list[Any] = []
    wf.jit(lambda x: kept.append(x))(X)
    with pytest.raises(TraceError, match="a traced value is used after the trace of <lambda>"):
        wf.jit(lambda y: kept[0] + y)(X)
    with pytest.raises(TraceError, match="is a traced value, and its trace has ended; return it"):
        kept[0] + 1


WRONG: list[tuple[Callable[[Any, Any], Any], type[Exception], str]] = [
    (
        lambda x, w: x @ w,
        ShapeError,
        r"x @ w\n  matmul: x has shape \(3, 4\) and w has shape \(3, 2\): "
        r"the last axis of x \(4\) must equal the first axis of w \(3\)",
    ),
    (lambda x, w: x + w, ShapeError, r"add: x has shape \(3, 4\).*sizes 4 and 2 of axis -1"),
    (lambda x, w: wf.multiply(x.T, w), ShapeError, r"multiply: x\.T has shape \(4, 3\) and w has"),
    (lambda x, w: wf.concat([x, w]), ShapeError, "concat: .*all axes but 0"),
    (lambda x, w: x.reshape(5, -1), ShapeError, "12 elements, which do not make shape"),
    (lambda x, w: wf.sum(x, axis=2), ShapeError, "no axis 2; x has 2 axes"),
    (lambda x, w: x[5], IndexError, "index 5 is out of bounds for axis 0 of size 3"),
    (lambda x, w: x[0, 0, 0], IndexError, "3 indices for 2 axes"),
    (lambda x, w: x & w[0, 0], DTypeError, "bitwise_and takes bools or integers"),
    (lambda x, w: wf.broadcast_to(x, (3,)), ShapeError, "does not broadcast"),
    (lambda x, w: wf.add(x, "text"), TraceError, "must be an array or a number, not a str"),
    (lambda x, w: wf.add(x, [1.0]), TraceError, r"wf\.asarray makes one"),
]


@pytest.mark.parametrize(("function", "kind", "message"), WRONG)
def test_wrong_operands(
    function: Callable[[Any, Any], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=rf"(?s)test_tracing\.py:\d+: .*{message}"):
        run(function, X, np.ones((3, 2), "f4"))


def test_operands_of_a_composition_are_not_misnamed() -> None:
    with pytest.raises(ShapeError) as caught:
        run(lambda x, w: wf.nn.layer_norm(x, w), X, np.ones(3, "f4"))
    assert "w has shape (3,)" in str(caught.value)
    assert "x has shape (3,)" not in str(caught.value)


@pytest.mark.parametrize("result", ["text", object(), {1, 2}])
def test_result_that_is_no_array(result: Any) -> None:
    with pytest.raises(TraceError, match=r"returns an? \w+ at \['a'\]\[0\]"):
        run(lambda x: {"a": (result, x)}, X)


def test_closed_over_arrays_are_captured_once() -> None:
    from weft import specialize
    from weft.calls import Reader

    w = wf.asarray([1.0, 2, 3, 4])

    def function(x: Any) -> Any:
        return x * w + w + X[0]

    call = Reader(function, (), False).read((X,), {})
    traced = specialize.trace(function, "function", call)
    assert [type(a) for a in traced.captured] == [wf.Array, np.ndarray]
    assert traced.captured[0] is w
    assert [n["index"] for n in traced.graph.inputs] == [0, 1, 2]
    np.testing.assert_array_equal(run(function, X), X * np.asarray(w) + np.asarray(w) + 1)


def _repeats(x: Any) -> Any:
    while wf.max(x) > 1:
        x = x / 2
    return x


def _asserts(x: Any) -> Any:
    assert wf.all(x > 0), "negative"
    return x


def _flagged(x: Any, flag: Any) -> Any:
    return x if flag else -x


@pytest.mark.parametrize(
    ("run", "instead"),
    [
        (lambda x: (x > 0) and (x < 2), "use wf.logical_and(x, y), or (...) & (...)"),
        (lambda x: x if x[0] > 0 or x[1] > 0 else -x, "use wf.logical_or(x, y), or (...) | (...)"),
        (lambda x: wf.where(not x > 0, x, 0), "use wf.logical_not(x)"),
        (lambda x: wf.where(0 < x < 2, x, 0), "use (a < x) & (x < b)"),
        (lambda x: x if x[0] > 0 else -x, "for one of elements"),
        (_repeats, "use wf.while_loop(condition, body, state)"),
        (_asserts, "use wf.debug.check(condition, message)"),
        (lambda x: _flagged(x, x[0] > 1), "for one of elements"),
        (lambda x: x[: wf.argmax(x)], "use x[i + wf.arange(count)] for a part of x, or wf.jit(..., "
         "static_argnames=...)"),
    ],
)  # fmt: skip
def test_what_to_write_for_syntax_that_branches(run: Any, instead: str) -> None:
    with pytest.raises(wf.errors.TraceError) as caught:
        wf.jit(run)(np.ones(3, np.float32))
    assert str(caught.value).endswith(instead)


@pytest.mark.parametrize("transform", [wf.jit, wf.grad, wf.value_and_grad])
def test_a_flag_that_is_branched_on_can_be_static(transform: Any) -> None:
    with pytest.raises(wf.errors.TraceError, match=r"; wf.jit\(..., static_argnames='flag'\) choo"):
        transform(_flagged)(1.0, True)


def test_source_that_is_not_there_has_no_hint() -> None:
    names: dict[str, Any] = {}
    exec("def f(x):\n    return x and x", names)
    with pytest.raises(wf.errors.TraceError, match=r"for one of elements$"):
        wf.jit(names["f"])(np.ones(1, np.float32))
