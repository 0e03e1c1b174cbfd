"""Derivatives through complex numbers: PyTorch's convention, and PyTorch itself where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weft as wf

Function = Callable[[Any], Any]

Z = np.array([1 + 2j, 3 - 1j, -0.5j, -2 + 0.25j, 1.5, -2, 1 + 1j])
G = np.array([1j, 1.0, 2 - 1j, 0.5, 1 + 1j, -1j, 0.25])

HOLOMORPHIC: list[tuple[str, Function, Function]] = [
    ("exp", lambda z: wf.exp(z), np.exp),
    ("log", lambda z: wf.log(z), lambda z: 1 / z),
    ("sqrt", lambda z: wf.sqrt(z), lambda z: 0.5 / np.sqrt(z)),
    ("sin", lambda z: wf.sin(z), np.cos),
    ("cos", lambda z: wf.cos(z), lambda z: -np.sin(z)),
    ("tan", lambda z: wf.tan(z), lambda z: 1 / np.cos(z) ** 2),
    ("sinh", lambda z: wf.sinh(z), np.cosh),
    ("cosh", lambda z: wf.cosh(z), np.sinh),
    ("tanh", lambda z: wf.tanh(z), lambda z: 1 / np.cosh(z) ** 2),
    ("square", lambda z: z * z, lambda z: 2 * z),
    ("cube", lambda z: z**3, lambda z: 3 * z**2),
    ("inverse", lambda z: 1 / z, lambda z: -1 / z**2),
    ("power", lambda z: z**1.5, lambda z: 1.5 * np.sqrt(z)),
    ("power of i", lambda z: (2 + 0j) ** z, lambda z: np.log(2) * 2**z),
]


@pytest.mark.parametrize(("name", "function", "slope"), HOLOMORPHIC, ids=lambda v: str(v)[:12])
def test_where_there_is_a_complex_derivative(name: str, function: Function, slope: Any) -> None:
    """Back goes g times the conjugate of it, forward t times it; on the branch cut too."""
    z = wf.asarray(Z)
    _, pull = wf.vjp(function, z)
    np.testing.assert_allclose(pull(wf.asarray(G))[0], G * slope(Z).conj(), rtol=1e-12)
    for tangent in (
        wf.jvp(function, (z,), (wf.asarray(G),))[1],
        wf.linearize(function, z)[1](wf.asarray(G)),
    ):
        np.testing.assert_allclose(tangent, G * slope(Z), rtol=1e-12)


def _second(function: Function, z: Any, way: complex) -> tuple[Any, Any]:
    """The second derivative of a real function along a way from z, by reverse and forward mode."""

    def along(t: Any) -> Any:
        return wf.sum(function(wf.asarray(z) + t * way))

    def slope(t: Any) -> Any:
        return wf.jvp(along, (t,), (wf.ones_like(t),))[1]

    t = wf.asarray(0.0, dtype=wf.float64)
    return wf.grad(wf.grad(along))(t), wf.jvp(slope, (t,), (wf.ones_like(t),))[1]


@pytest.mark.parametrize("way", [1, 1j, 0.6 - 0.8j])
@pytest.mark.parametrize(("name", "function", "slope"), HOLOMORPHIC, ids=lambda v: str(v)[:12])
def test_second_derivatives(name: str, function: Function, slope: Any, way: complex) -> None:
    """On the axes and between them too, where the larger part is not one more than the other."""
    for z in (z for z in Z if z.real > 0 or z.imag):
        h = 1e-5 * way
        expected = way**2 * (slope(z + h) - slope(z - h)) / (2 * h)
        for part, value in ((wf.real, expected.real), (wf.imag, expected.imag)):
            for found in _second(lambda z, part=part: part(function(z)), z, way):
                np.testing.assert_allclose(found, value, rtol=1e-6, atol=1e-8)


def test_second_derivatives_of_absolute_values() -> None:
    for z in Z:
        for way in (1, 1j, 0.6 - 0.8j):
            across = (z * np.conj(way)).imag
            for found in _second(wf.abs, z, way):
                np.testing.assert_allclose(found, across**2 / abs(z) ** 3, rtol=1e-12, atol=1e-15)
            of_angle = -(way**2 / z**2).imag
            for found in _second(wf.angle, z, way):
                np.testing.assert_allclose(found, of_angle, rtol=1e-12, atol=1e-15)


def test_the_gradient_points_where_a_real_result_grows() -> None:
    z = wf.asarray(Z)
    np.testing.assert_allclose(wf.grad(lambda z: wf.sum(wf.abs(z) ** 2))(z), 2 * Z)
    np.testing.assert_allclose(wf.grad(lambda z: wf.sum(wf.real(z)))(z), np.ones(7))
    np.testing.assert_allclose(wf.grad(lambda z: wf.sum(wf.imag(z)))(z), np.full(7, 1j))
    gradient = wf.grad(lambda z: wf.sum(wf.abs(z)))
    np.testing.assert_allclose(gradient(z), Z / np.abs(Z))
    assert gradient(wf.zeros(1, dtype=wf.complex64)).item() == 0


def test_real_arguments_and_complex_steps() -> None:
    x = wf.asarray([0.3, 0.4, -1.0], dtype=wf.float64)

    def power(x: Any) -> Any:
        return wf.sum(wf.abs(wf.exp(1j * x) + x) ** 2)

    wanted = 2 * (np.cos(x) - x * np.sin(x) + x)  # of 1 + 2 x cos x + x^2
    np.testing.assert_allclose(wf.grad(power)(x), wanted, rtol=1e-12)
    second = 2 * (-2 * np.sin(x) - x * np.cos(x) + 1)
    np.testing.assert_allclose(wf.hessian(power)(x), np.diag(second), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        wf.hvp(power, (x,), (wf.ones(3, dtype=wf.float64),))[0], second, rtol=1e-12
    )


def test_through_loops_branches_and_maps() -> None:
    z = wf.asarray(Z)

    def product(z: Any) -> Any:
        return wf.abs(wf.scan(lambda s, r: (s * r, s), wf.ones_like(z[0]), z)[0])

    size = np.abs(np.prod(Z))
    np.testing.assert_allclose(wf.grad(product)(z), size * Z / np.abs(Z) ** 2, rtol=1e-6)
    each = wf.vmap(wf.grad(lambda z: wf.cond(wf.real(z) > 0, lambda z: wf.abs(z) ** 2, wf.imag, z)))
    np.testing.assert_allclose(each(z), np.where(Z.real > 0, 2 * Z, 1j), rtol=1e-12)


def test_complex_numbers_that_only_a_body_knows_of() -> None:
    """What goes in and out is real."""
    x = wf.asarray([0.5, -0.25], dtype=wf.float64)
    inside = lambda x: wf.imag(wf.exp(wf.complex(x, x)))  # noqa: E731
    slope = np.exp(x) * (np.sin(x) + np.cos(x))
    bodies: list[Function] = [
        lambda x: wf.cond(wf.asarray(True), inside, lambda x: x, x),
        lambda x: wf.fori_loop(0, 1, lambda i, x: inside(x), x),
        lambda x: wf.scan(lambda s, r: (s, inside(r)), wf.asarray(0.0), x)[1],
        wf.vmap(inside),
    ]
    for body in bodies:
        gradient = wf.grad(lambda x, body=body: wf.sum(body(x)))(x)
        np.testing.assert_allclose(gradient, slope, rtol=1e-12)
        tangent = wf.jvp(body, (x,), (wf.ones_like(x),))[1]
        np.testing.assert_allclose(tangent, slope, rtol=1e-12)


def test_what_has_no_derivative_says_so() -> None:
    z = wf.asarray(Z)
    with pytest.raises(TypeError, match="needs a float, but the function returns complex"):
        wf.grad(wf.sum)(z)
    for jacobian in (wf.jacfwd, wf.jacrev):
        with pytest.raises(TypeError, match="a Jacobian is one of real numbers"):
            jacobian(wf.abs)(z)
    with pytest.raises(TypeError, match="needs floats, but the function returns complex"):
        wf.jacrev(lambda x: x * 1j)(wf.asarray([1.0]))


TORCH: list[Callable[[Any, Any], Any]] = [
    lambda m, z: m.abs(z),
    lambda m, z: m.angle(z),
    lambda m, z: m.real(z * m.conj(z * z)),
    lambda m, z: m.imag(m.exp(z) / z),
    lambda m, z: m.abs(m.tanh(z) + m.sqrt(z)),
    lambda m, z: m.real(m.log(z) * m.sin(z)),
    lambda m, z: m.abs(m.outer(z, z) @ z),
    lambda m, z: m.abs(z ** (0.5 + 0.25j)),
    lambda m, z: m.real(m.where(m.real(z) > 0, z, z * 1j) ** 2),
]


@pytest.mark.parametrize("number", range(len(TORCH)))
def test_against_torch(number: int) -> None:
    torch = pytest.importorskip("torch")
    function = TORCH[number]
    given = torch.tensor(Z, requires_grad=True)
    (wanted,) = torch.autograd.grad(function(torch, given).sum(), given)
    found = wf.grad(lambda z: wf.sum(function(wf, z)))(wf.asarray(Z))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------------------------------------
# Derivatives that users write
# ---------------------------------------------------------------------------------------------


@wf.custom_vjp
def by_pullback(z: Any) -> Any:
    return wf.exp(z)


by_pullback.defvjp(lambda z: (by_pullback(z), z), lambda z, g: (3 * g * wf.conj(wf.exp(z)),))


@wf.custom_jvp
def by_push(z: Any, factor: Any) -> Any:
    return factor * wf.exp(z)


by_push.defjvp(
    lambda given, moved: (
        by_push(*given),
        3 * given[1] * wf.exp(given[0]) * moved[0] + wf.exp(given[0]) * moved[1],
    )
)

WRITTEN: list[Function] = [by_pullback, lambda z: by_push(z, 1.0)]


@pytest.mark.parametrize("written", WRITTEN, ids=["reverse", "forward"])
def test_rules_of_complex_numbers(written: Function) -> None:
    z, g = wf.asarray(Z), wf.asarray(G)
    value, pull = wf.vjp(written, z)
    np.testing.assert_allclose(value, np.exp(Z), rtol=1e-12)
    np.testing.assert_allclose(pull(g)[0], 3 * G * np.exp(Z).conj(), rtol=1e-12)
    np.testing.assert_allclose(wf.jvp(written, (z,), (g,))[1], 3 * G * np.exp(Z), rtol=1e-12)
    gradient = wf.grad(lambda z: wf.real(written(z)))
    np.testing.assert_allclose(wf.vmap(gradient)(z), 3 * np.exp(Z).conj(), rtol=1e-12)
    found = wf.jvp(wf.grad(lambda z: wf.sum(wf.real(written(z)))), (z,), (g,))[1]
    assert np.asarray(found).dtype == np.complex128
    if written is by_pullback:  # the rule's own derivative
        np.testing.assert_allclose(found, 3 * (G * np.exp(Z)).conj(), rtol=1e-12)


def test_a_number_beside_a_small_array_takes_its_dtype_in_a_rule() -> None:
    x = wf.asarray([1.0, 2.0])
    found = wf.grad(lambda x: wf.sum(by_push(x, 2.0)))(x)
    assert found.dtype is wf.float32
    np.testing.assert_allclose(found, 6 * np.exp(x), rtol=1e-6)


@pytest.mark.parametrize("policy", ["nothing", "dots"])
def test_checkpoints(policy: str) -> None:
    z = wf.asarray(Z)
    size = lambda z: wf.sum(wf.abs(wf.exp(z) * z))  # noqa: E731
    found = wf.grad(wf.checkpoint(size, policy=policy))(z)
    np.testing.assert_allclose(found, wf.grad(size)(z), rtol=1e-12)
