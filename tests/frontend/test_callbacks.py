"""wf.callback: eager and in programs, what it hands over, what may come back, errors."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft as wf
from weft.errors import DTypeError, ShapeError, TraceError, UsageError

X = np.arange(3, dtype="f4")


def like(shape: Any = (3,), dtype: Any = wf.float32) -> Any:
    return wf.ShapeDtypeStruct(shape, dtype)


def both(function: Callable[..., Any], *args: Any) -> list[Callable[[], Any]]:
    """Ways to run a function of arrays."""
    arrays = [wf.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
    return [lambda: function(*arrays), lambda: wf.jit(function)(*args)]


def test_results_are_those_of_the_function() -> None:
    def program(x: Any) -> Any:
        y = wf.callback(np.cumsum, x, x + 1)
        return y * 2

    for run in both(program, X):
        np.testing.assert_array_equal(run(), [2, 6, 12])


def test_trees_go_in_and_out() -> None:
    def host(pair: Any, name: str, scale: Any) -> Any:
        assert type(pair["a"]) is np.ndarray and name == "n"
        return {"sum": pair["a"] + pair["b"], "scaled": (pair["a"] * scale, 1.5)}

    def program(x: Any) -> Any:
        types = {"sum": x, "scaled": (like(), like((), wf.float64))}
        return wf.callback(host, types, {"a": x, "b": x}, "n", 2)

    for run in both(program, X):
        found = run()
        np.testing.assert_array_equal(found["sum"], X * 2)
        np.testing.assert_array_equal(found["scaled"][0], X * 2)
        assert found["scaled"][1].dtype == wf.float64 and found["scaled"][1] == 1.5


def test_numbers_are_numbers_of_python_wherever_they_come_from() -> None:
    def host(*numbers: Any) -> None:
        assert [type(n) for n in numbers] == [int, float, bool, float, int]
        assert numbers == (2, 0.1, True, 2.5, 3)

    def program(x: Any, number: Any) -> Any:
        return wf.callback(host, None, 2, 0.1, True, np.float32(2.5), number)

    for number in (3, np.int32(3)):
        for run in both(program, X, number):
            assert run() is None


def test_calls_are_in_order_and_happen_though_nobody_reads_their_results() -> None:
    seen: list[Any] = []

    def program(x: Any) -> Any:
        wf.callback(lambda x: seen.append(("first", x.tolist())), None, x)
        y = wf.callback(lambda x: (seen.append("second"), x)[1], x, x)
        wf.callback(lambda: seen.append("third"), None)
        del y
        return x + 1

    for run in both(program, X):
        for _ in range(2):
            seen.clear()
            run()
            assert seen == [("first", [0, 1, 2]), "second", "third"]


def test_what_the_function_is_given_is_its_own() -> None:
    kept: list[Any] = []

    def host(x: Any) -> Any:
        kept.append(x)
        x += 100
        return x

    def program(x: Any) -> Any:
        y = x * 2
        z = wf.callback(host, y, y)
        return y, z

    for run in both(program, X):
        y, z = run()
        np.testing.assert_array_equal(y, X * 2)
        np.testing.assert_array_equal(z, X * 2 + 100)
    for array in kept:
        np.testing.assert_array_equal(array, X * 2 + 100)


def test_functions_of_weft_can_be_called_back() -> None:
    inner = wf.jit(lambda x: wf.sum(x) * 2)

    def program(x: Any) -> Any:
        return wf.callback(lambda x: inner(x), like(()), x) + 1

    for run in both(program, X):
        assert run() == 7


def test_what_a_function_raises_comes_out_whole() -> None:
    def broken(x: Any) -> Any:
        raise KeyError("mine")

    def program(x: Any) -> Any:
        return wf.callback(broken, x, x)

    for run in both(program, X):
        with pytest.raises(KeyError, match="mine") as caught:
            run()
        text = "".join(traceback.format_exception(caught.value))
        assert "in broken" in text and 'raise KeyError("mine")' in text
        (note,) = caught.value.__notes__
        assert "broken, called by wf.callback at" in note and "test_callbacks.py" in note
        assert "wf.callback(broken, x, x)" in note
        assert "frontend/weft" not in text and "runtime/weftrt" not in text


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (lambda x: x.astype("f8"), DTypeError, r"dtype float64 and shape \(3,\), but .* float32"),
        (lambda x: x[:2], ShapeError, r"dtype float32 and shape \(2,\), but .* \(3,\)"),
        (lambda x: None, UsageError, "gives None, but result_types says an array"),
        (
            lambda x: (x, x),
            UsageError,
            r"gives \(\*, \*\), but result_types says an array",
        ),
        (lambda x: "text", UsageError, "gives a str, which is no array"),
    ],
)
def test_what_comes_back_is_checked(given: Any, kind: type[Exception], message: str) -> None:
    def program(x: Any) -> Any:
        return wf.callback(given, x, x)

    for run in both(program, X):
        with pytest.raises(kind, match=message) as caught:
            run()
        assert "wf.callback(given, x, x)" in str(caught.value)


def test_what_is_refused_while_tracing() -> None:
    for run in both(lambda x: wf.callback(3, x, x), X):
        with pytest.raises(UsageError, match="callback takes a function, not an int"):
            run()
    for run in both(lambda x: wf.callback(np.sin, (wf.float32, (3,)), x), X):
        with pytest.raises(UsageError, match=r"result_types\[0\] has a shape and a dtype"):
            run()


def test_a_gradient_that_reaches_a_callback_is_an_error_and_stops_where_told() -> None:
    def through(x: Any) -> Any:
        return wf.sum(wf.callback(np.sin, x, x))

    with pytest.raises(TraceError, match="callback has no gradient"):
        wf.grad(through)(X)

    def around(x: Any) -> Any:
        return wf.sum(x * wf.stop_gradient(wf.callback(np.cos, x, x)))

    np.testing.assert_allclose(wf.grad(around)(X), np.cos(X), rtol=1e-6)


def test_programs_that_differ_in_what_they_call_are_never_mixed_up() -> None:
    def of(function: Any) -> Any:
        return wf.jit(lambda x: wf.callback(function, x, x) + 1)

    functions = [lambda x, k=k: x + k for k in range(20)]
    for k, function in enumerate(functions):
        np.testing.assert_array_equal(of(function)(X), X + k + 1)
    first, second = of(functions[3]), of(functions[4])
    for _ in range(3):
        np.testing.assert_array_equal(first(X), X + 4)
        np.testing.assert_array_equal(second(X), X + 5)


def test_sizes_of_results_may_depend_on_those_of_arguments() -> None:
    @wf.jit
    def reversed_(x: Any) -> Any:
        return wf.callback(lambda x: x[::-1].copy(), x, x)

    for size in (1, 2, 5, 9, 0):
        x = np.arange(size, dtype="f4")
        np.testing.assert_array_equal(reversed_(x), x[::-1])


def test_one_program_calls_back_for_any_size() -> None:
    def twice(x: Any, size: Any) -> Any:
        assert type(size) is int and size == len(x)
        return np.concatenate([x, x])

    @wf.jit
    def program(x: Any) -> Any:
        (size,) = x.shape
        return wf.callback(twice, like((2 * size,)), x, size) + 1

    for size in (3, 4, 7, 1, 0):
        x = np.arange(size, dtype="f4")
        np.testing.assert_array_equal(program(x), np.concatenate([x, x]) + 1)
    assert len(program.cache_report()) == 2

    @wf.jit
    def wrong(x: Any) -> Any:
        return wf.callback(lambda x: x[1:], x, x)

    for size in (3, 4, 7):
        with pytest.raises(ShapeError, match=rf"shape \({size - 1},\), .*\({size},\)"):
            wrong(np.arange(size, dtype="f4"))
