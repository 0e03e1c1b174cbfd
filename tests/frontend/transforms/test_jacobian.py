"""Jacobians and Hessians: both modes agree, with formulas, over trees, and their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.staged import run
from tests.frontend.transforms.test_reverse import FUNCTIONS, X

import weft as wf
from weft.errors import CheckError

BOTH = [wf.jacfwd, wf.jacrev]
RNG = np.random.default_rng(13)
A = RNG.standard_normal((5, 3))


@pytest.mark.parametrize("jacobian", BOTH)
def test_matrices(jacobian: Any) -> None:
    np.testing.assert_allclose(run(jacobian(lambda x: A @ x), A[0]), A)
    outer = run(jacobian(lambda x: wf.sin(x)[:, None] * x), A[0])
    expected = np.einsum("ik,j->ijk", np.diag(np.cos(A[0])), A[0])
    np.testing.assert_allclose(outer, expected + np.einsum("i,jk->ijk", np.sin(A[0]), np.eye(3)))


@pytest.mark.parametrize("jacobian", BOTH)
def test_trees_numbers_and_aux(jacobian: Any) -> None:
    def function(p: Any, x: Any, n: int, *, scale: Any) -> Any:
        return {"y": p["w"] @ x + p["b"], "s": (x**n).sum() * scale}, ("aux", x)[1]

    w, x = A[:2], A[0]
    taken = jacobian(function, argnums=(0, 1), has_aux=True)
    found, aux = run(lambda p, x: taken(p, x, 2, scale=3.0), {"w": w, "b": np.float64(1)}, x)
    assert_same_bits(aux, x)
    by_p, by_x = found["y"]
    np.testing.assert_allclose(by_p["w"], np.einsum("ij,k->ijk", np.eye(2), x))
    assert by_p["b"].tolist() == [1, 1]
    np.testing.assert_allclose(by_x, w)
    by_p, by_x = found["s"]
    assert by_p["w"].shape == (2, 3) and not by_p["w"].any() and by_p["b"] == 0
    np.testing.assert_allclose(by_x, 6 * x)
    alone = run(jacobian(lambda x, y: x * y, argnums=-1), 2.0, 3.0)
    assert alone == 2.0 and alone.dtype == "f4"


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_modes_agree(number: int) -> None:
    function = FUNCTIONS[number]
    gradient = wf.grad(function)
    forward, reverse = (run(jacobian(gradient), X) for jacobian in BOTH)
    np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(run(wf.hessian(function), X), forward, rtol=1e-9, atol=1e-11)


def test_a_column_does_not_see_what_others_would_give() -> None:
    """0 * inf is NaN: a direction of an argument leaves the others out, it is not zero there."""
    function = lambda x, y: x * wf.sqrt(y)  # noqa: E731
    found = run(wf.jacfwd(function, argnums=(0, 1)), 2.0, 0.0)
    assert found == (0.0, np.inf)


def test_hessians() -> None:
    a = A.T @ A
    found = run(wf.hessian(lambda x: x @ (a @ x) / 2), A[0])
    np.testing.assert_allclose(found, a)
    blocks = run(wf.hessian(lambda x, y: wf.sum(x * y) ** 2, argnums=(0, 1)), A[0], A[1])
    np.testing.assert_allclose(blocks[0][0], 2 * np.outer(A[1], A[1]))
    np.testing.assert_allclose(blocks[0][1], 2 * np.outer(A[1], A[0]) + 2 * A[0] @ A[1] * np.eye(3))
    found, aux = run(wf.hessian(lambda x: ((x**3).sum(), x + 1), has_aux=True), A[0])
    np.testing.assert_allclose(found, np.diag(6 * A[0]))
    assert_same_bits(aux, A[0] + 1)


@pytest.mark.parametrize("jacobian", BOTH)
def test_alone_under_jit_and_mapped(jacobian: Any) -> None:
    function = lambda x: wf.sin(x) * x[0]  # noqa: E731
    x = A.astype("f4")
    alone, jitted = jacobian(function)(x[0]), wf.jit(jacobian(function))(x[0])
    assert_same_bits(np.asarray(alone), np.asarray(jitted))
    mapped = wf.vmap(jacobian(function))(x)
    assert_same_bits(np.asarray(mapped)[0], np.asarray(alone))


@pytest.mark.parametrize("jacobian", BOTH)
def test_empty_arrays_and_any_size(jacobian: Any) -> None:
    assert run(jacobian(lambda x: x * 2), np.zeros((0, 2))).shape == (0, 2, 0, 2)
    assert run(jacobian(lambda x: x), ()) == ()
    compiled = wf.jit(jacobian(lambda x: x * x.sum()), dynamic={"x": {0: "n"}})
    for n in (2, 4):
        x = RNG.standard_normal(n)
        expected = np.eye(n) * x.sum() + x[:, None]
        np.testing.assert_allclose(np.asarray(compiled(x)), expected)


def test_through_control_flow() -> None:
    def function(x: Any) -> Any:
        turned = wf.fori_loop(0, 3, lambda i, y: y * x, x)
        return wf.cond(x.sum() > 0, lambda: turned, lambda: x)

    x = np.array([1.0, 2.0])
    for jacobian in BOTH:
        np.testing.assert_allclose(run(jacobian(function), x), np.diag(4 * x**3))
        assert_same_bits(run(jacobian(function), -x), np.eye(2))


@pytest.mark.parametrize("jacobian", BOTH)
def test_the_function_is_traced_once(jacobian: Any) -> None:
    calls: list[Any] = []

    def function(p: Any) -> Any:
        calls.append(p)
        return wf.exp(p["a"]), p["b"] * p["a"]

    run(jacobian(function), {"a": X, "b": X})
    assert len(calls) == 1


def test_a_hessian_is_one_product() -> None:
    """Of the data and its scaled rows: none with a basis, and no sums of products."""

    def loss(w: Any) -> Any:
        return wf.mean(wf.log(1 + wf.exp(A @ w)))

    compiled = wf.hessian(loss)
    w = np.array([0.1, 0.2, -0.3])
    p = 1 / (1 + np.exp(-A @ w))
    np.testing.assert_allclose(np.asarray(compiled(w)), (A.T * (p * (1 - p))) @ A / 5)
    text = compiled.ir(w, stage="optimized")
    assert text.count(" = contract(") == 1 and text.count(" = iota(") == 0


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: wf.jacfwd(3), wf.errors.UsageError, "jacfwd takes a function"),  # type: ignore[arg-type]
    (lambda: wf.jacrev(wf.sin, argnums="x"), wf.errors.UsageError, "argnums is the number"),  # type: ignore[arg-type]
    (
        lambda: wf.hessian(wf.sum, argnums=1)(X),
        wf.errors.UsageError,
        "hessian: argnums names argument 1",
    ),
    (lambda: wf.jacfwd(wf.argmax)(X), wf.errors.DTypeError, "jacfwd needs floats, but .* int64"),
    (
        lambda: wf.jacrev(lambda x: {"a": x, "b": x > 1})(X),
        wf.errors.DTypeError,
        r"jacrev needs floats, but the function returns bool at \['b'\]",
    ),
    (
        lambda: wf.jacfwd(lambda y, x: x, argnums=1)(X, {"n": np.arange(3)}),
        wf.errors.DTypeError,
        r"jacfwd: argument 1\['n'\] is int64",
    ),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number: int) -> None:
    call, kind, message = ERRORS[number]
    with pytest.raises(kind, match=message):
        call()


def _checked(y: Any) -> Any:
    wf.debug.check(y < 5, "y is too large")
    return y


WITH_CHECKS: dict[str, Callable[[Any, Any], Any]] = {
    "cond": lambda x, y: wf.cond(y > 0, lambda: x + _checked(y), lambda: x),
    "fori_loop": lambda x, y: wf.fori_loop(0, 3, lambda i, s: s + _checked(y), x),
    "scan": lambda x, y: wf.scan(lambda s, t: (s + _checked(y) * t, None), x, np.ones(2))[0],
    "while_loop": lambda x, y: wf.while_loop(
        lambda s: s[0] < 9, lambda s: (s[0] + _checked(y), s[1]), (0.0, x)
    )[1],
}


@pytest.mark.parametrize("name", WITH_CHECKS)
def test_a_check_of_what_all_directions_share_stays(name: str) -> None:
    """It is made once, in a branch and in a loop too."""
    jacobian = wf.jit(lambda x, y: wf.jacfwd(lambda x: WITH_CHECKS[name](x, y))(x))
    assert_same_bits(jacobian(np.ones(3), 2.0), np.eye(3))
    with pytest.raises(CheckError, match="y is too large"):
        jacobian(np.ones(3), 9.0)
