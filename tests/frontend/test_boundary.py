"""Tracebacks show the user's frames and not Weft's, unless asked to or at fault."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weft as wf
import weftrt.errors
from weft import boundary, diagnostics
from weftrt import knobs

HERE = Path(__file__).name


def loss(w: Any) -> Any:
    return wf.sum((w @ wf.ones((4,))) ** 2)


def a_mistake_of_my_own(x: Any) -> Any:
    return x + {}["missing"]


CALLS: dict[str, tuple[Callable[[], Any], type[Exception]]] = {
    "operator": (lambda: wf.ones((3,)) + wf.ones((4,)), wf.errors.ShapeError),
    "reflected operator": (lambda: "text" + wf.ones((4,)), TypeError),
    "eager function": (lambda: wf.exp("text"), wf.errors.WeftError),
    "movement": (lambda: wf.reshape(wf.ones((3,)), (4,)), wf.errors.ShapeError),
    "method": (lambda: wf.ones((3,)).reshape(4), wf.errors.ShapeError),
    "item": (lambda: wf.ones((3,))[0, 0, 0], wf.errors.WeftError),
    "creation": (lambda: wf.asarray("text"), wf.errors.DTypeError),
    "nn": (lambda: wf.nn.softmax(wf.ones((3,)), axis=4), wf.errors.ShapeError),
    "jit": (lambda: wf.jit(loss)(wf.ones((3,))), wf.errors.ShapeError),
    "grad": (lambda: wf.grad(loss)(wf.ones((3,))), wf.errors.ShapeError),
    "grad in jit": (lambda: wf.jit(wf.grad(loss))(wf.ones((3,))), wf.errors.ShapeError),
    "jit without an argument": (lambda: wf.jit(loss)(), TypeError),
    "jit of another keyword": (lambda: wf.jit(loss)(wf.ones((4,)), rate=1), TypeError),
    "another keyword": (lambda: wf.sqrt(wf.ones((3,)), axis=1), TypeError),
    "keyword besides nonsense": (lambda: wf.sqrt("text", axis=1), TypeError),
    "unknown name": (lambda: wf.meshgrid(wf.ones((3,))), AttributeError),
    "jit of what is no function": (lambda: wf.jit(3), wf.errors.UsageError),
    "user's mistake": (lambda: wf.jit(a_mistake_of_my_own)(wf.ones((3,))), KeyError),
    "run time": (lambda: wf.take(wf.ones((3,)), np.array([7])), IndexError),
    "tree": (lambda: wf.tree.map(lambda a, b: a, [1, 2], [1]), wf.errors.UsageError),
}


def frames(name: str) -> list[traceback.FrameSummary]:
    call, kind = CALLS[name]
    with pytest.raises(kind) as caught:
        call()
    return list(traceback.extract_tb(caught.value.__traceback__))


@pytest.mark.parametrize("name", sorted(CALLS))
def test_only_the_users_frames_show(name: str) -> None:
    assert {Path(frame.filename).name for frame in frames(name)} == {HERE}


def test_the_users_function_within_weft_shows() -> None:
    assert [f.name for f in frames("user's mistake")][-1] == "a_mistake_of_my_own"
    assert [f.name for f in frames("grad in jit")][-1] == "loss"


@pytest.mark.parametrize("name", ["operator", "grad", "movement"])
def test_all_frames_show_where_asked(name: str) -> None:
    with knobs.scope(full_traceback=1):
        assert any(diagnostics.is_ours(frame.filename) for frame in frames(name))


def test_a_fault_of_weft_shows_all_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.ops.movement.core", None)
    with pytest.raises(AttributeError) as caught:
        wf.expand_dims(wf.ones((3,)))
    found = traceback.extract_tb(caught.value.__traceback__)
    assert any(diagnostics.is_ours(frame.filename) for frame in found)


def test_what_weft_met_on_the_way_is_not_told() -> None:
    for key in (7, "text"):
        with pytest.raises(IndexError) as caught:
            wf.ones((3,))[key]
        assert "another exception" not in "".join(traceback.format_exception(caught.value))


def test_what_the_user_met_on_the_way_is_told() -> None:
    def retry() -> None:
        try:
            a_mistake_of_my_own(1)
        except KeyError:
            wf.reshape(wf.ones((3,)), (4,))

    with pytest.raises(ValueError) as caught:
        retry()
    assert "KeyError: 'missing'" in "".join(traceback.format_exception(caught.value))


def test_a_filter_that_fails_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knobs, "full_traceback", None)
    with pytest.raises(wf.errors.ShapeError, match="elements"):
        wf.reshape(wf.ones((3,)), (4,))


def test_a_public_function_is_like_a_function() -> None:
    def double(x: int, y: int = 2) -> int:
        """Doc."""
        return x * y

    public = boundary.public(double)
    assert (public(3), public(3, y=5), public(x=4)) == (6, 15, 8)
    assert public.__name__ == "double" and public.__doc__ == "Doc."
    assert type("C", (), {"m": public})().m.__self__ is not None
    assert pickle.loads(pickle.dumps(wf.reshape)) is wf.reshape
    assert boundary.public(int) is int


def test_errors_are_named_where_users_find_them() -> None:
    assert f"{wf.errors.ShapeError.__module__}.{wf.errors.ShapeError.__name__}" == (
        "weft.errors.ShapeError"
    )
    raised = [e for e in vars(weftrt.errors).values() if isinstance(e, type)]
    assert {e.__module__ for e in raised} == {"weft.errors"}
    again = pickle.loads(pickle.dumps(wf.errors.ShapeError("sizes")))
    assert type(again) is wf.errors.ShapeError
