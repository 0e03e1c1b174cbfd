"""Calls with arguments that make no sense: always an error that a Python user knows, in words."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft as wf


@pytest.fixture(autouse=True)
def _unverified(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler is not what is tested here, and most calls never get that far."""
    monkeypatch.setenv("WEFT_VERIFY", "0")


class Odd:
    """Nothing that any function knows."""


VALUES: list[Callable[[], Any]] = [
    lambda: wf.ones((2, 3)), lambda: np.ones((3, 2), "f4"), lambda: wf.asarray([1, 2]), lambda: 0,
    lambda: -1, lambda: 2.5, lambda: True, lambda: None, lambda: "a", lambda: "", lambda: (),
    list, lambda: (0, 1), dict, Odd, lambda: np.float32(1), lambda: np.dtype("c8"),
    lambda: wf.float32, lambda: float("nan"), lambda: 2**70, lambda: slice(1), lambda: Ellipsis,
    lambda: 1j, lambda: wf.ones((0, 3)), lambda: np.array([True, False]), lambda: np.array([None]),
    lambda: len, lambda: {1, 2}, lambda: range(2), lambda: int, lambda: 0.0, lambda: (None, 1),
    lambda: [wf.ones(2), wf.ones(2)], lambda: [[1], [1, 2]], lambda: np.ones((1,) * 9),
    lambda: np.timedelta64(5, "ns"), lambda: np.timedelta64(5, "D"), lambda: np.datetime64(5, "ns"),
]  # fmt: skip
X = wf.ones((2, 3))
KEYWORDS = [
    "axis", "dtype", "keepdims", "copy", "k", "shape", "axes", "correction", "num_classes",
    "pad_width", "constant_values", "endpoint", "approximate", "epsilon", "min", "max", "step",
]  # fmt: skip
FUNCTIONS = [(n, getattr(wf, n)) for n in wf.ops.__all__]
FUNCTIONS += [(n, getattr(wf.nn, n)) for n in wf.nn.__all__]
EXPECTED = (TypeError, ValueError, IndexError, OverflowError, MemoryError)
SIGNATURES = re.compile(r"\(\) (got|takes|missing|too many|multiple)")
"""How Python itself says that a call does not fit its function."""


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_is_refused_in_words(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(300):
        name, function = choose.choice(FUNCTIONS)
        args = [choose.choice(VALUES)() for _ in range(choose.choice([0, 1, 1, 2, 2, 3]))]
        if args and choose.random() < 0.5:
            args[0] = wf.ones((2, 3))
        names = choose.sample(KEYWORDS, choose.choice([0, 0, 1, 2]))
        options = {name: choose.choice(VALUES)() for name in names}
        staged = wf.jit(lambda f=function, a=args, o=options: f(*a, **o))
        for run in (lambda f=function, a=args, o=options: f(*a, **o), staged):
            check(run, f"{name}(*{args}, **{options})")


def check(run: Callable[[], Any], call: str) -> None:
    try:
        run()
    except (wf.errors.VerifyError, wf.errors.CompileError) as error:
        raise AssertionError(call) from error
    except wf.errors.WeftError as error:
        assert "test_bad_calls.py:" in str(error), call
    except EXPECTED as error:
        assert isinstance(error, MemoryError) or SIGNATURES.search(str(error)), call


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: wf.astype(wf.ones(2), 0.0), "0.0 is no dtype"),
        (lambda: wf.zeros(3, dtype=""), "'' is no dtype"),
        (lambda: wf.finfo(()), r"\(\) is no dtype"),
        (lambda: wf.from_dlpack("a"), "a str cannot be read"),
        (lambda: wf.isdtype(wf.ones(2), "numeric"), "is no dtype"),
        (lambda: wf.isdtype(wf.float32, [wf.float32]), "no kind of dtypes"),
        (lambda: wf.permute_dims(wf.ones((2, 3)), None), "a tuple of integers, not None"),
        (lambda: wf.tensordot(wf.ones(2), wf.ones(2), axes=np.dtype("c8")), "is an integer"),
        (lambda: wf.tensordot(wf.ones(2), wf.ones(2), axes=3), "no 3 axes to sum"),
        (lambda: wf.zeros(np.ones(2, bool)), "a size is an integer"),
        (lambda: wf.reshape([1, 2], (2, 1)), "an operand must be an array or a number, not a list"),
        (lambda: wf.vecdot(wf.ones((2, 1)), wf.ones((2, 3))), r"axis -1 of .* must equal"),
        (
            lambda: wf.concat([wf.ones(2), wf.ones(3), wf.ones((1, 1))]),
            r"wf.ones\(2\) has .* wf.ones\(\(1, 1\)\) has",
        ),
        (lambda: wf.ones(2)[int], "is not an index"),
        (lambda: wf.grad(wf.sum, argnums=2.5)(X), "a tuple of them, not 2.5"),
        (lambda: wf.grad(wf.sum, argnums=None)(X), "a tuple of them, not None"),
        (lambda: wf.tree.register(3), "register takes a class, not 3"),
        (lambda: wf.tree.register(Odd), "Odd is no dataclass"),
        (lambda: wf.tree.unflatten(3, [1]), "takes a structure"),
        (lambda: wf.tree.unflatten(wf.tree.structure([1, 2]), [1]), "has 2 leaves, but got 1"),
        (lambda: wf.tree.map(max, [1], [1, 2]), "trees differ"),
    ],
)
def test_messages(run: Callable[[], Any], message: str) -> None:
    with pytest.raises(wf.errors.WeftError, match=message) as caught:
        run()
    assert "test_bad_calls.py:" in str(caught.value)


def test_operands_have_the_names_they_are_written_with() -> None:
    subscripts, left, right = "i,i", wf.ones(4), wf.ones(2)
    whole = np.ones(2, "i8")
    for run, message in (
        (lambda: wf.einsum(subscripts, left, right), r"left has shape \(4,\) and right has"),
        (lambda: wf.einsum("i,i", left, right), r"left has shape \(4,\) and right has"),
        (lambda: wf.einsum(subscripts, *[left, right]), r"einsum: [^s].* has shape \(4,\) and"),
        (lambda: wf.clip(left, None, right), r"left has shape \(4,\) and right has"),
        (lambda: wf.where(left > 0, whole, whole.astype("u8")), "whole has .* and dtype int64"),
        (lambda: wf.clip(left, 0, right), r"left has shape \(4,\), 0 has .* and right has"),
    ):
        with pytest.raises(wf.errors.WeftError, match=message):
            run()
        with pytest.raises(wf.errors.WeftError, match=message):
            wf.jit(run)()
