"""scan and map: the same bits eager, staged and interpreted; trees; mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged
from tests.threads import thread_limit

import weft as wf
from weft import tree
from weftrt.errors import DTypeError, ShapeError, TraceError, UsageError

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
XS = {"x": X, "k": (np.arange(4), np.ones((4, 2, 2)))}


def mixed(carry: Any, x: Any) -> Any:
    h = wf.tanh(carry["h"] * 0.5 + x["x"])
    count, matrix = x["k"]
    return {"h": h, "n": carry["n"] + count}, (h.sum(), [matrix @ matrix, carry["n"]], 2.5)


def by_hand(body: Callable[..., Any], carry: Any, xs: Any, reverse: bool = False) -> Any:
    """The loop that a scan is."""
    length, made = len(tree.leaves(xs)[0]), []
    for turn in reversed(range(length)) if reverse else range(length):
        carry, y = body(carry, tree.map(lambda leaf, turn=turn: wf.asarray(leaf)[turn], xs))
        made.append(y)
    ordered = made[::-1] if reverse else made
    return carry, tree.map(lambda *ys: wf.stack(list(map(wf.asarray, ys))), *ordered)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_scan_is_the_loop_that_it_is(reverse: bool, threads: int) -> None:
    init = {"h": np.zeros(3, np.float32), "n": 0}
    with thread_limit(threads):
        found = wf.scan(mixed, init, XS, reverse=reverse)
        compiled = wf.jit(lambda i, xs: wf.scan(mixed, i, xs, reverse=reverse))(init, XS)
    expected = by_hand(mixed, {**init, "n": wf.asarray(0)}, XS, reverse)
    assert tree.structure(found) == tree.structure(expected) == tree.structure(compiled)
    for one, other, wanted in zip(*map(tree.leaves, (found, compiled, expected)), strict=True):
        assert_same_bits(np.asarray(one), np.asarray(wanted))
        assert_same_bits(np.asarray(other), np.asarray(wanted))


@pytest.mark.parametrize("symbolic", [False, True])
def test_a_scan_has_the_bits_of_the_interpreter(symbolic: bool) -> None:
    def cumulative(x: Any, step: Any) -> Any:
        def body(carry: Any, row: Any) -> Any:
            low, high = carry
            return (wf.minimum(low, row), high + row * step), (low, high)

        zeros = wf.zeros_like(x[0])
        return wf.scan(body, (zeros, zeros), x), wf.map(lambda row: wf.sum(row) * step, x)

    staged.run(cumulative, X, X[0], symbolic=symbolic)


def test_any_number_of_rows_is_one_program() -> None:
    @wf.jit
    def sums(x: Any) -> Any:
        return wf.scan(lambda c, row: (c + row, c + row), wf.zeros(x.shape[1:]), x)[1]

    for length in (3, 5, 0, 1, 17):
        x = np.ones((length, 2), np.float32)
        assert_same_bits(np.asarray(sums(x)), np.cumsum(x, axis=0))
    assert len(sums.cache_report()) == 2  # of three rows, then of any number


def test_a_length_without_rows() -> None:
    def powers(n: Any) -> Any:
        return wf.scan(lambda c, none: (c * 2, (c, none)), 1, length=n)

    last, (before, none) = powers(5)
    assert none is None and int(last) == 32
    np.testing.assert_array_equal(before, [1, 2, 4, 8, 16])
    doubled = wf.jit(lambda x: wf.scan(lambda c, _: (c + x, c), x * 0, length=2 * x.shape[0])[1])
    for n in (1, 2, 3):
        assert doubled(np.ones(n, np.float32)).shape == (2 * n, n)


def test_numbers_take_the_types_of_arrays() -> None:
    last, ys = wf.scan(lambda c, x: (c + x, 1), 0, X[:, 0])
    assert (last.dtype, ys.dtype) == (wf.float32, wf.int64)
    assert wf.map(lambda x: 1.5, X).dtype == wf.float32


def test_a_number_that_a_branch_returns_takes_the_dtype_of_the_other() -> None:
    def body(c: Any, x: Any) -> Any:
        return wf.cond(x < 3, lambda: c + x, lambda: c), c

    last, sums = staged.run(lambda xs: wf.scan(body, 0.0, xs), np.arange(4.0) + 0.5)
    assert_same_bits(last, np.asarray(4.5))
    assert_same_bits(sums, np.array([0.0, 0.5, 2.0, 4.5]))


def test_what_happens_in_a_body_happens_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    def body(carry: Any, x: Any) -> Any:
        wf.debug.print("{} {}", carry, x)
        return carry + x, wf.map(lambda k: k * x, wf.arange(2))

    xs = np.arange(3)
    for reverse, lines in ((False, "0 0\n0 1\n1 2\n"), (True, "0 2\n2 1\n3 0\n")):
        last, ys = wf.jit(lambda xs, r=reverse: wf.scan(body, 0, xs, reverse=r))(xs)
        assert int(last) == 3
        np.testing.assert_array_equal(ys, np.stack([0 * xs, xs], axis=1))
        assert capsys.readouterr().out == lines


def pair(carry: Any, x: Any) -> Any:
    return carry, x


MISTAKES: dict[str, tuple[Callable[..., Any], type[Exception], str]] = {
    "no pair": (
        lambda x: wf.scan(lambda c, x: (c, x, x), x[0], x),
        UsageError,
        r"body returns \(float32\[3\], float32\[3\], float32\[3\]\), not a pair of the carry and "
        r"a y  \(.*test_scan",
    ),
    "a carry of another structure": (
        lambda x: wf.scan(lambda c, x: ((c, c), x), x[0], x),
        UsageError,
        r"(?s)scan: the carry changes its structure:\n    init is float32\[3\]"
        r"\n    body returns \(float32\[3\], float32\[3\]\)  \(.*test_scan",
    ),
    "a carry of another shape": (
        lambda x: wf.scan(lambda c, x: ({"a": c["a"][1:]}, x), {"a": x[0]}, x),
        ShapeError,
        r"(?s)carry changes its type at \['a'\]:\n    init is float32\[3\].*returns float32\[2\]",
    ),
    "a carry of another dtype": (
        lambda x: wf.scan(lambda c, x: (c * 0.5, x), 0 * x[0].astype("int32"), x),
        DTypeError,
        r"(?s)init is int32\[3\].*body returns float",
    ),
    "lengths that differ": (
        lambda x: wf.scan(pair, 0, {"a": x, "b": (x[:2],)}),
        ShapeError,
        r"scan: xs\['a'\] has 4 rows, but xs\['b'\]\[0\] has 2",
    ),
    "another length": (
        lambda x: wf.scan(pair, 0, x, length=3),
        ShapeError,
        "scan: length is 3, but xs has 4",
    ),
    "a length that is no integer": (
        lambda x: wf.scan(pair, 0, length=2.5),
        ShapeError,
        "a size is an integer, not 2.5",
    ),
    "a negative length": (lambda x: wf.scan(pair, 0, length=-1), ShapeError, "size -1 is negative"),
    "an unroll in the place of reverse": (
        lambda x: wf.scan(pair, 0, x, 4, 2),
        UsageError,
        "scan: reverse is True or False, not 2",
    ),
    "nothing to turn for": (lambda x: wf.scan(pair, 0), UsageError, "no array in xs .*; length"),
    "nothing to map": (lambda x: wf.map(wf.sin, {}), UsageError, "map: there is no array in xs"),
    "no rows": (lambda x: wf.map(wf.sin, x.sum()), ShapeError, r"xs is float32\[\], which has no"),
    "a number as rows": (lambda x: wf.map(wf.sin, 1.0), ShapeError, "xs is a Python float, which"),
    "no function": (lambda x: wf.scan(1, 0, x), UsageError, "scan: body is a function, not an int"),
    "a body of one argument": (
        lambda x: wf.scan(lambda c: c, 0, x),
        TypeError,
        r"scan calls body\(carry, x\), but body is a function of \(c\)",
    ),
    "a function of two arguments": (
        lambda x: wf.map(lambda a, b: a, x),
        TypeError,
        r"map calls f\(x\), but f is a function of \(a, b\)",
    ),
    "a string as y": (
        lambda x: wf.scan(lambda c, x: (c, "a"), 0, x),
        TraceError,
        r"body returns a str at \[1\] \('a'\)",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(what: str) -> None:
    function, kind, words = MISTAKES[what]
    with pytest.raises(kind, match=words):
        wf.jit(function)(X)
    with pytest.raises(kind, match=words):
        function(wf.asarray(X))
