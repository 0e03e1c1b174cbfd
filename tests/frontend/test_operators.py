"""Operators with what is no array: strangers may answer, the rest is refused in words."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft as wf

X = np.array([[1.0, 2.0], [3.0, 4.0]], "f4")
ARITHMETIC = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.matmul, operator.and_, operator.or_, operator.xor, operator.lshift,
    operator.rshift,
]  # fmt: skip
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


def answer(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: (name, type(other).__name__)


NAMES = [
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor",
    "lshift", "rshift",
]  # fmt: skip
Stranger = type(
    "Stranger",
    (),
    {
        **{f"__{prefix}{name}__": answer(prefix + name) for name in NAMES for prefix in ("", "r")},
        **{f"__{name}__": answer(name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    },
)


class Quantity(list):  # type: ignore[type-arg]
    """A subclass of a type that is refused."""

    def __radd__(self, other: Any) -> str:
        return "mine"


def both(check: Callable[[Any], None]) -> None:
    """Run `check` on an array, and on a traced one."""
    check(wf.asarray(X))

    def traced(x: Any) -> Any:
        check(x)
        return x

    wf.jit(traced)(X)


@pytest.mark.parametrize("apply", ARITHMETIC + COMPARISONS, ids=lambda f: f.__name__)
def test_strangers_answer_on_either_side(apply: Any) -> None:
    def check(x: Any) -> None:
        assert apply(x, Stranger())[1] == type(x).__name__
        assert apply(Stranger(), x)[1] == type(x).__name__

    both(check)


def test_subclasses_of_what_is_refused_may_answer() -> None:
    def check(x: Any) -> None:
        assert x + Quantity() == "mine"

    both(check)


@pytest.mark.parametrize("apply", ARITHMETIC + COMPARISONS[:4], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "other",
    [object(), None, "text", b"x", {}, [1.0], (1.0,)],
    ids=lambda other: type(other).__name__,
)
def test_what_no_one_answers_is_a_type_error(apply: Any, other: Any) -> None:
    def check(x: Any) -> None:
        with pytest.raises(TypeError):
            apply(x, other)
        if not (apply is operator.mod and isinstance(other, (str, bytes))):  # which formats
            with pytest.raises(TypeError):
                apply(other, x)

    both(check)


def test_equality_with_what_is_no_number() -> None:
    def check(x: Any) -> None:
        for other in (None, "text", object(), {}):
            assert (x == other) is False and (x != other) is True
            assert (other == x) is False and (other != x) is True
        with pytest.raises(TypeError, match=r"wf\.asarray"):
            x == [1.0]  # noqa: B015

    both(check)


@pytest.mark.parametrize("apply", ARITHMETIC[:8] + COMPARISONS, ids=lambda f: f.__name__)
def test_numpy_on_the_left_gives_our_arrays(apply: Any) -> None:
    y = X + 1
    found = apply(y, wf.asarray(X))
    assert isinstance(found, wf.Array)
    np.testing.assert_allclose(np.asarray(found), apply(y, X), rtol=1e-6)
    compiled = wf.jit(lambda x: apply(y, x))(X)
    np.testing.assert_array_equal(np.asarray(compiled), np.asarray(found))
    if apply is not operator.matmul:
        scalar = apply(np.float32(3), wf.asarray(X))
        assert isinstance(scalar, wf.Array) and scalar.shape == X.shape
