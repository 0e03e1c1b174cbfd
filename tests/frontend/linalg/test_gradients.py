"""Gradients of linear algebra against torch, and by differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.frontend.linalg.draws import Array, definite, matrices

import weft as wf
from weftrt.program import Extern

Function = Callable[[Any, Any, Any], Any]
"""Of a module, which is wf or torch, a square matrix and one of two columns."""


def _expm(m: Any, x: Any) -> Any:
    return m.linalg.expm(x) if m is wf else m.linalg.matrix_exp(x)


def _rotating(m: Any, x: Any) -> Any:
    """A matrix that has complex eigenvalues."""
    turn = np.array([[0, -9, 0, 0], [9, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, -7.0]])
    return x + (turn if m is wf else m.tensor(turn))


def _squares(z: Any) -> Any:
    """Those of the sizes of complex numbers."""
    return z.real * z.real + z.imag * z.imag


SYMMETRIC: list[Function] = [
    lambda m, a, b: m.linalg.cholesky(a),
    lambda m, a, b: m.linalg.eigh(a)[0],
    lambda m, a, b: abs(m.linalg.eigh(a)[1]),
]
GENERAL: list[Function] = [
    lambda m, a, b: m.linalg.solve(a, b),
    lambda m, a, b: m.linalg.solve(a, b[..., 0]),
    lambda m, a, b: m.linalg.inv(a),
    lambda m, a, b: m.linalg.det(a / 8),
    lambda m, a, b: m.linalg.slogdet(a)[1],
    lambda m, a, b: m.linalg.lu(a)[1],
    lambda m, a, b: m.linalg.lu(a)[2],
    lambda m, a, b: m.linalg.lu(b)[1] @ m.linalg.lu(b)[2],
    lambda m, a, b: m.linalg.lu(b.T)[1] @ m.linalg.lu(b.T)[2],
    lambda m, a, b: m.linalg.svd(b, full_matrices=False)[1],
    lambda m, a, b: abs(m.linalg.svd(b, full_matrices=False)[0]),
    lambda m, a, b: abs(m.linalg.svd(b, full_matrices=False)[2]),
    lambda m, a, b: abs(m.linalg.svd(a)[0]),
    lambda m, a, b: m.linalg.qr(a)[0],
    lambda m, a, b: m.linalg.qr(b)[0],
    lambda m, a, b: m.linalg.qr(b)[1],
    lambda m, a, b: m.linalg.qr(b.T)[0],
    lambda m, a, b: m.linalg.qr(b.T)[1],
    lambda m, a, b: m.linalg.qr(b.T, mode="complete")[0] @ m.linalg.qr(b.T)[1],
    lambda m, a, b: m.linalg.lstsq(b, a)[0],
    lambda m, a, b: m.linalg.lstsq(b.T, a[:2])[0],
    lambda m, a, b: m.linalg.pinv(b),
    lambda m, a, b: m.linalg.pinv(b.T),
    lambda m, a, b: m.linalg.pinv(b @ b.T),  # of rank 2
    lambda m, a, b: _expm(m, a / 9),
    lambda m, a, b: _expm(m, -a),
    lambda m, a, b: abs(m.linalg.eigvals(_rotating(m, a))),
    lambda m, a, b: m.linalg.eigvals(_rotating(m, a)).imag,
    lambda m, a, b: _squares(m.linalg.eig(_rotating(m, a))[1]),
    lambda m, a, b: m.linalg.cond(a),
    lambda m, a, b: m.linalg.matrix_norm(m.linalg.inv(a), ord=1),
    lambda m, a, b: m.linalg.multi_dot([a, b, b.T]),
    lambda m, a, b: m.linalg.matrix_norm(b),
    lambda m, a, b: m.linalg.matrix_norm(b, ord="nuc"),
    lambda m, a, b: m.linalg.matrix_norm(b, ord=2),
    lambda m, a, b: m.linalg.vector_norm(b, ord=3),
    lambda m, a, b: m.linalg.matrix_power(a, -2),
]


def _drawn(function: Function) -> tuple[Array, Array, Array]:
    """A matrix, one of two columns, and weights for the result."""
    a, b = (definite if function in SYMMETRIC else matrices)(4), matrices(4)[:, :2]
    return a, b, np.asarray(function(wf, a, b)) + 0.5


@pytest.mark.parametrize("function", SYMMETRIC + GENERAL)
def test_gradients_are_torchs(function: Function) -> None:
    torch = pytest.importorskip("torch")
    a, b, weights = _drawn(function)
    found = wf.grad(lambda a, b: wf.sum(wf.sin(function(wf, a, b)) * weights), argnums=(0, 1))(a, b)
    given = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    (torch.sin(function(torch, *given)) * torch.tensor(weights)).sum().backward()
    for value, source in zip(found, given, strict=True):
        wanted = np.zeros(source.shape) if source.grad is None else source.grad.numpy()
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(np.asarray(value), wanted, rtol=1e-8, atol=1e-11 * scale)


@pytest.mark.parametrize("function", SYMMETRIC + GENERAL)
def test_second_derivatives(function: Function) -> None:
    a, b, weights = _drawn(function)
    directions = definite(4) / 50, b[::-1] / 50
    loss = lambda a, b: wf.sum(wf.sin(function(wf, a, b)) * weights)  # noqa: E731
    gradient = wf.grad(loss, argnums=(0, 1))
    step = 1e-5
    high, low = (
        gradient(*(x + sign * step * t for x, t in zip((a, b), directions))) for sign in (1, -1)
    )
    for found, one, other in zip(wf.hvp(loss, (a, b), directions), high, low, strict=True):
        slope = (np.asarray(one) - np.asarray(other)) / (2 * step)
        scale = np.abs(slope).max()
        np.testing.assert_allclose(np.asarray(found), slope, rtol=1e-5, atol=1e-6 * scale)


def _routines(function: Any, *args: Any) -> list[str]:
    """What a program calls besides kernels."""
    steps = wf.jit(function).lower(*args).program.steps
    return [step.function for step in steps if isinstance(step, Extern)]


def test_a_gradient_uses_the_factors_of_the_solution() -> None:
    a, b = np.eye(3), np.ones((3, 2))
    both = wf.value_and_grad(lambda a, b: wf.sum(wf.linalg.solve(a, b)), (0, 1))
    first, *rest = _routines(both, a, b)
    assert first == "weft_lapack_gesv_LU_f64"
    assert [name.split("_")[2] for name in rest] == ["trtrs", "trtrs"]
    assert _routines(wf.linalg.solve, a, b) == ["weft_lapack_gesv_f64"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: sum(wf.sum(wf.sin(part)) for part in wf.linalg.svd(x, full_matrices=False)),
        lambda x: wf.sum(wf.sin(wf.linalg.pinv(x))),
        lambda x: sum(wf.sum(wf.sin(part)) for part in wf.linalg.qr(x)),
    ],
)
@pytest.mark.parametrize("first", [(3, 3), (4, 3)])
def test_gradients_for_any_size_have_the_bits_of_each(
    function: Function, first: tuple[int, int]
) -> None:
    """Whether there are more rows than columns is another program's."""
    gradient = wf.grad(function)
    for_any = wf.jit(gradient, dynamic={"x": {0: "m", 1: "n"}})
    for shape in (first, (3, 3), (3, 4)):
        x = np.random.default_rng(0).normal(size=shape)
        expected = np.asarray(wf.jit(gradient, dynamic=False)(x))
        np.testing.assert_array_equal(np.asarray(for_any(x)), expected)


def test_gradients_that_do_not_exist_are_not_finite_or_errors() -> None:
    for function in (
        wf.linalg.det,
        lambda x: wf.linalg.slogdet(x)[1],
        lambda x: wf.sum(wf.linalg.lu(x)[2]),
    ):
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            wf.grad(function)(np.zeros((2, 2)))
    twice = wf.grad(lambda x: wf.sum(wf.linalg.eigh(x)[1]))(np.eye(2))
    assert not np.isfinite(np.asarray(twice)).all()
    values = wf.grad(lambda x: wf.sum(wf.linalg.eigh(x)[0]))(np.eye(2))
    np.testing.assert_allclose(np.asarray(values), np.eye(2))
