"""Names and keywords of other libraries, positional axes, Python's functions of traced values."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from math import exp
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import weft as wf
from weft import names

X = np.arange(6, dtype="f4").reshape(2, 3)
PEERS = {
    **dict.fromkeys(("l1_loss", "mean_absolute_error"), lambda x, y: np.mean(np.abs(x - y))),
    **dict.fromkeys(("mse_loss", "mean_squared_error"), lambda x, y: np.mean((x - y) ** 2)),
}
"""What other libraries than NumPy mean by names."""


@pytest.mark.parametrize(
    ("name", "meant"),
    [("concatenate", "concat"), ("power", "pow"), ("arcsin", "asin"), ("softmax", "nn.softmax"),
     ("unsqueeze", "expand_dims"), ("ravel", "reshape"), ("reshpe", "reshape"),
     ("value_and_gard", "value_and_grad"), ("gather", "take"), ("hstack", "concat"),
     ("irfft", "fft.irfft"), ("cross", "linalg.cross"), ("trace", "linalg.trace"),
     ("diag", "linalg.diagonal"), ("norm", "linalg.vector_norm"), ("tree_map", "tree.map"),
     ("remat", "checkpoint"), ("expit", "sigmoid"), ("silu", "nn.silu"),
     ("conv2d", "nn.conv"), ("max_pool2d", "nn.max_pool"), ("unfold", "nn.windows")],
)  # fmt: skip
def test_names_of_functions(name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'; did you mean wf\.{meant}\?"):
        getattr(wf, name)


@pytest.mark.parametrize("name", sorted({*names._IDIOMS} - {"random"}))
def test_what_is_written_instead_of_names_that_are_missing(name: str) -> None:
    call, instead = names._IDIOMS[name]
    with pytest.raises(AttributeError, match=rf"'{name}'; for {re.escape(call)} write .*"):
        getattr(wf, name)
    x = np.arange(12.0, dtype="f4").reshape(3, 4) - 2
    numpy = SimpleNamespace(**vars(np), **PEERS)
    given = {"y": np.float32(0.5) * x, "n": 1, "i": np.array([[1], [0], [2]])}
    compiled = wf.jit(lambda x: eval(instead, {"wf": wf, "x": x, **given}))
    for n in (1, 1, -2):
        given["n"] = n
        wanted = eval(f"np.{call}", {"np": numpy, "x": x, **given})
        found = eval(instead, {"wf": wf, "x": wf.asarray(x), **given})
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(compiled(x)), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ["zzzz", "median", "asinh", "argwhere"])
def test_names_that_resemble_nothing_or_mean_something_else(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'$"):
        getattr(wf, name)


@pytest.mark.parametrize(
    ("module", "name", "meant"),
    [("linalg", "norm", "linalg.vector_norm"), ("linalg", "choleski", "linalg.cholesky"),
     ("linalg", "cho_solve", "linalg.solve_triangular"), ("linalg", "logdet", "linalg.slogdet"),
     ("nn", "swish", "nn.silu"), ("nn", "sum", "sum"), ("fft", "rftt", "fft.rfft"),
     ("tree", "tree_map", "tree.map")],
)  # fmt: skip
def test_names_of_modules(module: str, name: str, meant: str) -> None:
    hint = rf"^module 'weft.{module}' has no attribute '{name}'; did you mean wf\.{meant}\?$"
    with pytest.raises(AttributeError, match=hint):
        getattr(getattr(wf, module), name)
    assert not hasattr(getattr(wf, module), "__wrapped__")


@pytest.mark.parametrize("module", ["fft", "linalg", "nn", "tree"])
def test_modules_list_what_they_are_for(module: str) -> None:
    """And not what they are made with; each with what it says of itself."""
    names = dir(getattr(wf, module))
    assert names and "missing" not in names and "TYPE_CHECKING" not in names
    assert all(getattr(getattr(wf, module), name).__doc__ for name in names)


@pytest.mark.parametrize("name", ["lax", "numpy"])
def test_modules_whose_functions_are_in_weft_itself(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"'{name}'; what it has is in Weft itself, as wf\."):
        getattr(wf, name)


@pytest.mark.parametrize(
    ("use", "hint"),
    [
        (lambda x: x.cumsum(0), "; write wf.cumsum(x, ...)"),
        (lambda x: x.flatten(), "; write wf.reshape(x, ...)"),
        (lambda x: x.at[0].set(1), "write wf.where(wf.arange(n) == i, v, x)"),
        (lambda x: x.backward(), "wf.grad(f) is the function of the gradient of f"),
        (lambda x: x.shapes, "no attribute 'shapes'"),
    ],
)
def test_methods_that_arrays_do_not_have(use: Callable[[Any], Any], hint: str) -> None:
    for run in (lambda: wf.jit(use)(X), lambda: wf.grad(wf.jit(use))(X)):
        with pytest.raises(AttributeError) as caught:
            run()
        assert str(caught.value).endswith(hint)


def test_what_is_meant_exists() -> None:
    for meant in names._FUNCTIONS.values():
        module, _, name = meant.rpartition(".")
        assert hasattr(getattr(wf, module) if module else wf, name), meant
    for name in names._FUNCTIONS:
        assert name not in wf.ops.__all__


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda x: wf.sum(x, dim=0), "did you mean axis=?"),
        (lambda x: wf.sum(x, keepdim=True), "did you mean keepdims=?"),
        (lambda x: wf.flip(x, axes=0), "did you mean axis=?"),
        (lambda x: wf.var(x, ddof=1), "did you mean correction=?"),
        (lambda x: wf.clip(x, a_min=0), "did you mean min=?"),
        (lambda x: wf.nn.softmax(x, dim=-1), "did you mean axis=?"),
        (lambda x: wf.nn.layer_norm(x, eps=1e-3), "did you mean epsilon=?"),
        (lambda x: wf.exp(x, out=None), "its arguments have no names"),
        (lambda x: wf.ones((2, 3), wf.float64), "; by keyword it takes dtype="),
        (lambda x: wf.jit(lambda x: x, static_argnums=0), "did you mean static_argnames=?"),
    ],
)
def test_keywords(call: Callable[[Any], Any], hint: str) -> None:
    for run in (lambda: call(wf.asarray(X)), lambda: wf.jit(call)(X)):
        with pytest.raises(TypeError) as caught:
            run()
        assert str(caught.value).endswith(hint) and str(caught.value).count("did you mean") <= 1


@pytest.mark.parametrize("use", [lambda x: x.flatten(), lambda x: {x: 1}, lambda x: round(x)])
def test_python_calls_traced_values_so(use: Callable[[Any], Any]) -> None:
    with pytest.raises((AttributeError, TypeError), match="traced value"):
        wf.jit(use)(X)


def test_errors_of_other_functions_keep_their_words() -> None:
    def mine(x: Any) -> Any:
        return x

    with pytest.raises(TypeError, match=r"unexpected keyword argument 'dim'$"):
        wf.jit(lambda x: mine(x, dim=0))(X)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min", "any", "all", "std", "var"])
def test_axis_may_be_positional(name: str) -> None:
    expected = getattr(np, name)(X, 1)
    for found in (getattr(wf, name)(X, 1), wf.jit(lambda x: getattr(wf, name)(x, 1))(X)):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)


def test_axis_may_be_positional_elsewhere() -> None:
    for found, expected in (
        (wf.argmax(X, 1), X.argmax(1)), (wf.argmin(X, 0), X.argmin(0)), (wf.flip(X, 1), X[:, ::-1]),
        (wf.concat([X, X], 1), np.concatenate([X, X], 1)),
        (wf.stack([X, X], 1), np.stack([X, X], 1)),
        (wf.expand_dims(X, 1), X[:, None]), (wf.squeeze(X[None], 0), X),
        (wf.take(X, np.array([0]), 1), X[:, [0]]), (wf.tensordot(X, X.T, 1), X @ X.T),
        (wf.nn.softmax(X, 0), np.exp(X) / np.exp(X).sum(0)),
    ):  # fmt: skip
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("run", "instead"),
    [
        (lambda x: math.exp(x), "use wf.exp"),
        (lambda x: exp(x), "use wf.exp"),
        (lambda x: math.floor(x), "use wf.floor"),
        (lambda x: float(x), "use x.astype(wf.float32)"),
        (lambda x: np.arcsin(x), "use wf.asin"),
        (lambda x: np.abs(x), "use wf.abs"),
        (lambda x: np.concatenate([x, x]), "use wf.concat"),
        (lambda x: np.linalg.norm(x), "use wf.linalg.vector_norm"),
        (lambda x: np.linalg.cholesky(x), "use wf.linalg.cholesky"),
        (lambda x: np.linalg.tensorinv(x), "use the functions of weft"),
    ],
)
def test_python_of_traced_values_points_to_ours_on_the_users_line(run: Any, instead: str) -> None:
    with pytest.raises(wf.errors.TraceError) as caught:
        wf.jit(run)(1.5)
    assert "test_names.py:" in str(caught.value) and str(caught.value).endswith(instead)


@dataclasses.dataclass(slots=True)
class Parts:
    """A dataclass that is not registered."""

    x: Any


@pytest.mark.parametrize(
    "run",
    [
        lambda: wf.jit(lambda p: p.x)(Parts(1.0)), lambda: wf.jit(lambda: Parts(1.0))(),
        lambda: wf.grad(lambda p: p.x)(Parts(1.0)),
        lambda: wf.jit(lambda: wf.grad(lambda p: p.x)(Parts(1.0)))(),
    ],
)  # fmt: skip
def test_dataclasses_that_are_not_registered(run: Callable[[], Any]) -> None:
    with pytest.raises(wf.errors.TraceError, match=r"Parts.*; wf\.tree\.register makes a tree"):
        run()
