"""wf.debug: print and check, eager, compiled and under gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf
from weft.errors import CheckError, UsageError

X = np.array([1.5, 2.5], np.float32)


def both(function: Callable[..., Any], *args: Any) -> list[Callable[[], Any]]:
    arrays = [wf.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
    compiled = wf.jit(function)
    return [lambda: function(*arrays), lambda: compiled(*args), lambda: compiled(*args)]


def test_print_formats_as_str_format_does(capsys: Any) -> None:
    def program(x: Any) -> Any:
        wf.debug.print("x = {} {{}} {name!r}", x, name="n")
        wf.debug.print("{0:.3f} {0.dtype} {y.shape} {tree[k]}", x[0] / 3, y=x, tree={"k": x})
        wf.debug.print("no arguments")
        return x

    for run in both(program, X):
        run()
        assert capsys.readouterr().out == (
            "x = [1.5 2.5] {} 'n'\n0.500 float32 (2,) [1.5 2.5]\nno arguments\n"
        )


def test_a_format_is_for_each_element(capsys: Any) -> None:
    for run in both(lambda x: wf.debug.print("{:6.2f} {!s:>12}", x / 3, x), X):
        run()
        assert capsys.readouterr().out == "[  0.50   0.83]    [1.5 2.5]\n"


def test_a_format_that_does_not_fit_the_values_is_told_on_its_line() -> None:
    for text in ("{:d}", "{.shapes}", "{[a]}"):
        for run in both(lambda x, text=text: wf.debug.print(text, x), X):
            with pytest.raises(UsageError, match=r"debug.print: the format .* does not fit") as c:
                run()
            assert "test_debug.py" in str(c.value) and not hasattr(c.value, "__notes__")


def test_prints_are_in_order(capsys: Any) -> None:
    def program(x: Any) -> Any:
        for k in range(5):
            wf.debug.print("{}: {}", k, x[0])
            x = x + 1
        return x

    for run in both(program, X):
        run()
        lines = capsys.readouterr().out.splitlines()
        assert lines == [f"{k}: {1.5 + k}" for k in range(5)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: wf.debug.print("{} {}", x), "there is no argument 1"),
        (lambda x: wf.debug.print("{x}", y=x), "there is no argument 'x'"),
        (lambda x: wf.debug.print("{", x), "does not fit"),
        (lambda x: wf.debug.print(x), "the format is a str, not"),
        (lambda x: wf.debug.check(x[0] > 0, x), "the message is a str, not"),
    ],
)
def test_mistakes_are_told_on_their_line(call: Callable[[Any], Any], message: str) -> None:
    for run in both(call, X):
        with pytest.raises(UsageError, match=message) as caught:
            run()
        assert "test_debug.py" in str(caught.value)


def test_a_gradient_is_that_without_the_print(capsys: Any) -> None:
    def silent(x: Any) -> Any:
        return wf.sum(wf.exp(x) * x)

    def loud(x: Any) -> Any:
        y = wf.exp(x)
        wf.debug.print("y = {}", y)
        wf.debug.check(wf.isfinite(y), "y overflows")
        return wf.sum(y * x)

    value, gradient = wf.value_and_grad(loud)(X)
    assert capsys.readouterr().out.startswith("y = [ 4.48")
    expected_value, expected = wf.value_and_grad(silent)(X)
    assert_same_bits(np.asarray(value), np.asarray(expected_value))
    assert_same_bits(np.asarray(gradient), np.asarray(expected))


def test_check_passes_or_raises_on_its_line() -> None:
    def program(x: Any) -> Any:
        wf.debug.check(x > 0, "x has {negative} elements")
        return x * 2

    for run, failing in zip(both(program, X), both(program, -X), strict=True):
        np.testing.assert_array_equal(run(), X * 2)
        with pytest.raises(CheckError, match=r"x has \{negative\} elements$") as caught:
            failing()
        assert "test_debug.py" in str(caught.value) and isinstance(caught.value, AssertionError)


def test_what_comes_after_a_check_that_fails_does_not_happen(capsys: Any) -> None:
    def program(x: Any) -> Any:
        wf.debug.print("before")
        wf.debug.check(wf.sum(x) < 0, "never")
        wf.debug.print("after")
        return x

    for run in both(program, X):
        with pytest.raises(CheckError, match="never"):
            run()
        assert capsys.readouterr().out == "before\n"


def test_the_first_check_that_fails_is_told() -> None:
    def program(x: Any) -> Any:
        wf.debug.check(x > 1, "first")
        wf.debug.check(x > 2, "second")
        wf.debug.check(x > 3, "third")
        return x

    for run in both(program, X):
        with pytest.raises(CheckError, match="second"):
            run()


def test_a_condition_may_be_a_bool_or_a_number() -> None:
    for run in both(lambda x: wf.debug.check(True, "fine"), X):
        assert run() is None
    for condition in (False, 0, np.False_, np.array([True, False])):
        for run in both(lambda x, condition=condition: wf.debug.check(condition, "not fine"), X):
            with pytest.raises(CheckError, match="not fine"):
                run()


def test_equal_conditions_with_other_messages_are_other_programs() -> None:
    programs = [wf.jit(lambda x, m=message: wf.debug.check(x < 0, m)) for message in ("one", "two")]
    for program, message in zip(programs, ("one", "two"), strict=True):
        with pytest.raises(CheckError, match=message):
            program(X)
