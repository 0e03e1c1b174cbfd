"""Mistakes in branches and loops are told with both sides and their lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged

import weft as wf
from weft import cond, fori_loop, switch, while_loop
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError, TraceError, UsageError

X = np.arange(4, dtype=np.float32) - 1


def both(x: Any) -> Any:
    return x, x


MISTAKES: dict[str, tuple[Callable[..., Any], type[Exception], str]] = {
    "a vector as predicate": (
        lambda x: cond(x > 0, lambda: x, lambda: x),
        ShapeError,
        r"cond: pred is bool\[4\], not a scalar; wf.where",
    ),
    "a float as predicate": (
        lambda x: cond(x.sum(), lambda: x, lambda: x),
        DTypeError,
        r"cond: pred is float32\[\], not a bool",
    ),
    "branches of other structure": (
        lambda x: cond(x.sum() > 0, lambda: both(x), lambda: {"a": x}),
        UsageError,
        r"(?s)trees that differ:\n    true_fn returns \(float32\[4\], float32\[4\]\).*test_control"
        r".*\n    false_fn returns {'a': float32\[4\]}.*test_control",
    ),
    "branches of other shapes": (
        lambda x: cond(x.sum() > 0, lambda: (x, x), lambda: (x, x[:2])),
        ShapeError,
        r"(?s)different types at \[1\]:\n    true_fn returns float32\[4\].*false_fn .*float32\[2\]",
    ),
    "branches of other dtypes": (
        lambda x: cond(x.sum() > 0, lambda: x.astype("int32"), lambda: x),
        DTypeError,
        r"(?s)true_fn returns int32\[4\].*false_fn returns float32\[4\]",
    ),
    "a float beside integers": (
        lambda x: switch(0, [lambda: 0.5, lambda: x.astype("int32")[0]]),
        DTypeError,
        r"(?s)branch 1 returns int32\[\].*branch 0 returns a Python float",
    ),
    "a bool as index": (
        lambda x: switch(x.sum() > 0, [lambda: x]),
        DTypeError,
        r"switch: index is bool\[\], not an integer; wf.cond",
    ),
    "no branches": (lambda x: switch(0, []), UsageError, "switch: branches is a list of functions"),
    "no function": (
        lambda x: cond(True, x, x),
        UsageError,
        "cond: true_fn is a function, not a tr",
    ),
    "a string as result": (
        lambda x: cond(True, lambda: "a", lambda: x),
        TraceError,
        "true_fn returns a str \\('a'\\); it may return arrays",
    ),
    "a state of another shape": (
        lambda x: while_loop(lambda s: s.sum() < 3, lambda s: s[1:], x * 2),
        ShapeError,
        r"(?s)state changes its type:\n    init is float32\[4\]  \(.*x \* 2\)\n    body .*\[3\]",
    ),
    "a state of another dtype": (
        lambda x: fori_loop(0, 3, lambda i, s: (s[0], s[1] * 0.5), (x, x.astype("int32"))),
        DTypeError,
        r"(?s)changes its type at \[1\]:\n    init is int32\[4\].*body returns float32\[4\]",
    ),
    "a state of another structure": (
        lambda x: fori_loop(0, 3, lambda i, s: (s, s), x),
        UsageError,
        r"(?s)structure:\n    init is float32\[4\]\n    body returns \(float32\[4\], float32.*\)",
    ),
    "a number that alternates": (
        lambda x: fori_loop(0, 3, lambda i, s: s.astype(ALTERNATE[s.dtype]), 0),
        DTypeError,
        r"(?s)init is a Python int.*body returns float32",
    ),
    "a number in branches that differ whatever it is": (
        lambda x: fori_loop(
            0, 3, lambda i, s: cond(i > 1, lambda: s * x[0], lambda: s.astype("float64")), 0.0
        ),
        DTypeError,
        r"(?s)cond: the branches.*true_fn returns float32\[\].*false_fn returns float64\[\]",
    ),
    "a condition that is a vector": (
        lambda x: while_loop(lambda s: s < 3, lambda s: s, x),
        DTypeError,
        r"while_loop: cond returns bool\[4\], not a scalar bool",
    ),
    "a condition that is a tuple": (
        lambda x: while_loop(lambda s: (True,), lambda s: s, x),
        DTypeError,
        r"cond returns \(a Python bool,\), not a scalar bool",
    ),
    "a float as bound": (
        lambda x: fori_loop(0, 2.5, lambda i, s: s, x),
        DTypeError,
        "fori_loop: upper is a Python float, not an integer",
    ),
    "a vector as bound": (
        lambda x: fori_loop(x, 2, lambda i, s: s, x),
        ShapeError,
        r"fori_loop: lower is float32\[4\], not a scalar",
    ),
    "a loop of Python's over a traced count": (
        lambda x: fori_loop(0, 3, lambda i, s: s + len(range(i)), x),
        TraceError,
        "use wf.fori_loop",
    ),
    "a branch of Python's in a body": (
        lambda x: fori_loop(0, 3, lambda i, s: s if i > 1 else -s, x),
        TraceError,
        "a branch on a traced value",
    ),
    "a slice from a counter on": (
        lambda x: fori_loop(0, 3, lambda i, s: s + x[i:].sum(), x),
        TraceError,
        r"Python integer from a traced value .*; use wf.take\(x, i \+ wf.arange\(count\)\)",
    ),
    "a body that takes no such arguments": (
        lambda x: fori_loop(0, 3, lambda s: s, x),
        TypeError,
        r"fori_loop calls body\(i, state\), but body is a function of \(s\)$",
    ),
    "a condition of two arguments": (
        lambda x: while_loop(lambda i, s: i < 3, lambda s: s, (0, x)),
        TypeError,
        r"while_loop calls cond\(state\), but cond is a function of \(i, s\)$",
    ),
    "a branch that does not take its operand": (
        lambda x: cond(x.sum() > 0, lambda y: y, lambda: x, x),
        TypeError,
        r"cond calls false_fn\(operand 0\), but false_fn is a function of \(\)$",
    ),
}
ALTERNATE = {
    dtypes.int64: wf.float64,
    dtypes.float64: wf.float32,
    dtypes.float32: wf.float64,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_with_both_sides_and_lines(mistake: str) -> None:
    function, kind, message = MISTAKES[mistake]
    with pytest.raises(kind, match=message):
        staged.stage(function, X)


def test_a_value_that_leaks_out_of_a_body_is_told() -> None:
    def f(x: Any) -> Any:
        kept = []

        def body(i: Any, s: Any) -> Any:
            kept.append(s * 2)
            return s

        fori_loop(0, 3, body, x)
        return kept[0] + x

    with pytest.raises(TraceError, match=r"made at .*s \* 2, is used after the trace of body has"):
        staged.stage(f, X)


def test_an_error_in_a_body_leaves_the_trace_around_it_whole() -> None:
    def f(x: Any) -> Any:
        with pytest.raises(ZeroDivisionError):
            cond(x.sum() > 0, lambda: 1 / 0, lambda: x)
        return x + 1

    assert_same_bits(staged.run(f, X), X + 1)
