"""associative_scan: any associative function, trees, gradients, maps, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import staged

import weft as wf
from weft.errors import DTypeError, ShapeError, UsageError

COUNTS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 100]


def draw(*shape: int) -> Any:
    return np.random.default_rng(len(shape)).standard_normal(shape)


@pytest.mark.parametrize("count", COUNTS)
def test_sums_forward_and_backward(count: int) -> None:
    x = draw(count, 3)
    found = np.asarray(wf.associative_scan(wf.add, x))
    np.testing.assert_allclose(found, np.cumsum(x, 0), rtol=1e-12, atol=1e-12)
    found = np.asarray(wf.associative_scan(wf.add, x, reverse=True))
    np.testing.assert_allclose(found, np.cumsum(x[::-1], 0)[::-1], rtol=1e-12, atol=1e-12)
    found = np.asarray(wf.associative_scan(wf.add, x.T, axis=-1))
    np.testing.assert_allclose(found, np.cumsum(x, 0).T, rtol=1e-12, atol=1e-12)


def test_the_order_is_the_documented_one() -> None:
    """Every element notes how it was made."""
    made: list[str] = []

    def noted(names: list[str]) -> list[str]:
        if len(names) < 2:
            return names
        pairs = [f"({a}{b})" for a, b in zip(names[::2], names[1::2])]
        odd = noted(pairs)
        even = [names[0], *(f"({a}{b})" for a, b in zip(odd, names[2::2]))]
        return [name for both in zip(even, odd) for name in both] + even[len(odd) :]

    made = noted(list("abcdefg"))
    values = dict(zip("abcdefg", draw(7).astype(np.float32) * 1e3))

    def value(name: str) -> np.float32:
        """(xy) is x + y, rounded."""
        stack: list[Any] = []
        for letter in name:
            if letter == ")":
                b, a = stack.pop(), stack.pop()
                stack.append(a + b)
            elif letter != "(":
                stack.append(values[letter])
        return stack[0]

    x = np.array(list(values.values()))
    assert_same_bits(np.asarray(wf.associative_scan(wf.add, x)), np.array(list(map(value, made))))


def affine(a: Any, b: Any) -> Any:
    """First x -> a x, then b: matrices and vectors along the first axis."""
    matrix = b["matrix"] @ a["matrix"]
    return {"matrix": matrix, "shift": (b["matrix"] @ a["shift"][..., None])[..., 0] + b["shift"]}


@pytest.mark.parametrize("count", [1, 2, 6, 13])
def test_trees_and_functions_that_do_not_commute(count: int) -> None:
    xs = {"matrix": draw(count, 2, 2), "shift": draw(count, 2)}
    f = wf.jit(lambda xs: wf.associative_scan(affine, xs))
    states, state = [], np.zeros(2)
    for matrix, shift in zip(xs["matrix"], xs["shift"]):
        state = matrix @ state + shift
        states.append(state)
    np.testing.assert_allclose(np.asarray(f(xs)["shift"]), states, rtol=1e-10, atol=1e-12)
    single = wf.associative_scan(wf.vmap(affine), xs)
    assert_same_bits(np.asarray(single["shift"]), np.asarray(f(xs)["shift"]))
    later = wf.associative_scan(lambda a, b: affine(b, a), xs, reverse=True)
    np.testing.assert_allclose(
        np.asarray(later["matrix"][0]), np.asarray(f(xs)["matrix"][-1]), rtol=1e-10, atol=1e-12
    )


def test_eager_compiled_and_interpreted_give_the_same_bits() -> None:
    x = draw(37, 2).astype(np.float32)

    def f(x: Any) -> Any:
        return wf.associative_scan(lambda a, b: a * b + a + b, x)

    eager = np.asarray(f(x))
    assert_same_bits(np.asarray(wf.jit(f)(x)), eager)
    assert_same_bits(np.asarray(staged.run(f, x)), eager)


def test_derivatives_and_maps() -> None:
    x = draw(9)

    def f(x: Any) -> Any:
        return wf.sum(wf.sin(wf.associative_scan(wf.multiply, x)))

    def same(x: Any) -> Any:
        return wf.sum(wf.sin(wf.cumprod(x)))

    np.testing.assert_allclose(wf.grad(f)(x), wf.grad(same)(x), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(
        np.asarray(wf.hessian(f)(x)), np.asarray(wf.hessian(same)(x)), rtol=1e-9, atol=1e-12
    )
    rows = draw(4, 9)
    mapped = wf.vmap(lambda row: wf.associative_scan(wf.maximum, row))(rows)
    np.testing.assert_array_equal(np.asarray(mapped), np.maximum.accumulate(rows, 1))


def test_a_program_of_any_size_is_one_for_each_number_of_elements() -> None:
    f = wf.jit(lambda x: wf.associative_scan(wf.add, x))
    for count in (4, 5, 6):
        assert f(np.ones((count, 2))).shape == (count, 2)
    assert "associative_scan" in str(f.cache_report())  # the line that fixes the size


Call = Callable[[], Any]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: wf.associative_scan(lambda a, b: (a, b), np.ones(4)), UsageError, "structure"),
        (lambda: wf.associative_scan(lambda a, b: a[:1], np.ones(4)), ShapeError, "float64[1]"),
        (lambda: wf.associative_scan(lambda a, b: a > b, np.ones(4)), DTypeError, "bool[2]"),
        (lambda: wf.associative_scan(lambda a, b: "a", np.ones(4)), TypeError, "returns a str"),
        (lambda: wf.associative_scan(lambda a: a, np.ones(4)), TypeError, "calls f(a, b)"),
        (lambda: wf.associative_scan(3, np.ones(4)), UsageError, "f is a function, not an int"),
        (lambda: wf.associative_scan(wf.add, 1.0), ShapeError, "has no axis 0"),
        (lambda: wf.associative_scan(wf.add, [np.ones(2)], axis=1), ShapeError, "xs[0]"),
        (lambda: wf.associative_scan(wf.add, np.ones(2), axis="a"), UsageError, "an integer"),
        (lambda: wf.associative_scan(wf.add, ()), UsageError, "no array"),
        (
            lambda: wf.associative_scan(affine, (np.ones(4), np.ones(3))),
            ShapeError,
            "xs[0] has 4 elements, but xs[1] has 3",
        ),
        (lambda: wf.associative_scan(wf.add, np.ones(2), 1), UsageError, "True or False, not 1"),
    ],
)
def test_mistakes_are_named(call: Call, kind: type[Exception], words: str) -> None:
    for run in (call, wf.jit(call)):
        with pytest.raises(kind) as error:
            run()
        assert words in str(error.value)
