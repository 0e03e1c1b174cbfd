"""Every public function against NumPy, for fixed and for symbolic sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.staged import assert_close, run

import weft as wf

RNG = np.random.default_rng(7)
X = RNG.standard_normal((3, 4, 5)).astype("f4")
Y = RNG.standard_normal((4, 1)).astype("f4")
POSITIVE = np.abs(X) + np.float32(0.1)
INSIDE = np.tanh(X)
I = RNG.integers(-9, 9, (3, 4), dtype="i4")
INDICES = np.array([2, 0, -1])
LABELS = np.array([0, 4, 2, 1])
EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1.5, 2.5], "f4")

Function = Callable[..., Any]


def check(function: Function, reference: Function, *args: Any, tolerance: float = 1e-5) -> None:
    with np.errstate(all="ignore"):
        expected = reference(*args)
    found = run(function, *args)
    assert_close(found, expected, tolerance)
    symbolic = run(function, *args, symbolic=True)
    if symbolic is not None:
        assert_same_bits(symbolic, found)


def erf(x: Any) -> Any:
    return np.vectorize(math.erf)(x)


UNARY: list[tuple[str, Any, Any]] = [
    *((name, getattr(np, name), X) for name in ("exp", "expm1", "sin", "cos", "tan", "tanh")),
    *((name, getattr(np, name), X) for name in ("sinh", "cosh", "floor", "ceil", "trunc", "sign")),
    *((name, getattr(np, name), POSITIVE) for name in ("log", "log1p", "log2", "sqrt")),
    *((name, getattr(np, name), EDGES) for name in ("isnan", "isinf", "isfinite", "negative")),
    *((name, getattr(np, name), I) for name in ("square", "negative", "sign", "logical_not")),
    ("abs", np.abs, EDGES),
    ("round", np.round, EDGES),
    ("positive", np.positive, X),
    ("reciprocal", np.reciprocal, POSITIVE),
    ("rsqrt", lambda x: 1 / np.sqrt(x), POSITIVE),
    ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), X),
    ("erf", erf, X),
    ("asin", np.arcsin, INSIDE),
    ("acos", np.arccos, INSIDE),
    ("atan", np.arctan, X),
    ("bitwise_invert", np.invert, I),
    ("isnan", np.isnan, I),
    ("isfinite", np.isfinite, I),
    ("exp", np.exp, I),
    ("floor", np.floor, I),
]


@pytest.mark.parametrize(("name", "reference", "x"), UNARY)
def test_unary(name: str, reference: Function, x: Any) -> None:
    check(getattr(wf, name), reference, x, tolerance=1e-4 if x is I else 2e-6)


BINARY: list[tuple[str, Any, Any, Any]] = [
    *(
        (name, getattr(np, name), X, Y)
        for name in ("add", "subtract", "multiply", "divide", "floor_divide", "remainder")
    ),
    *(
        (name, getattr(np, name), EDGES[:, None], EDGES)
        for name in ("maximum", "minimum", "equal", "not_equal", "less", "less_equal")
    ),
    *(
        (name, getattr(np, name), I, I[:1])
        for name in ("greater", "greater_equal", "bitwise_and", "bitwise_or", "bitwise_xor")
    ),
    *((name, getattr(np, name), I, Y[:, 0]) for name in ("logical_and", "logical_or")),
    ("logical_xor", np.logical_xor, I, I > 0),
    ("bitwise_left_shift", np.left_shift, I, np.abs(I)),
    ("bitwise_right_shift", np.right_shift, I, np.abs(I)),
    ("atan2", np.arctan2, X, Y),
    ("pow", np.power, POSITIVE, Y),
]


@pytest.mark.parametrize(("name", "reference", "x", "y"), BINARY)
def test_binary_broadcasts(name: str, reference: Function, x: Any, y: Any) -> None:
    check(getattr(wf, name), reference, x, y)


@pytest.mark.parametrize("power", [0, 1, 2, 3, 4, 5, 8, -1, 0.5, -0.5, 2.0, 1.5, 9])
def test_literal_power(power: float) -> None:
    check(lambda x: x**power, lambda x: x**power, POSITIVE, tolerance=1e-4)


def test_small_powers_are_multiplications() -> None:
    cube = run(lambda x: x**3, X)
    assert_same_bits(cube, X * (X * X))
    assert_same_bits(run(lambda x: x**0.5, POSITIVE), np.sqrt(POSITIVE))


@pytest.mark.parametrize("exponent", [-1, -2])
def test_integers_have_no_negative_powers(exponent: int) -> None:
    for function in (lambda x: x**exponent, wf.jit(lambda x: x**exponent)):
        with pytest.raises(wf.errors.DTypeError, match="negative powers"):
            function(wf.asarray(I))


@pytest.mark.parametrize("exponent", [*range(10), 2.0, 0.5, -0.5, -1, -2, 1.5])
@pytest.mark.parametrize("x", [np.concatenate([X.ravel(), EDGES]), X.astype("f8")])
def test_a_power_is_the_same_wherever_its_exponent_comes_from(exponent: float, x: Any) -> None:
    def total(x: Any, exponent: Any) -> Any:
        return wf.sum(x**exponent)

    x = wf.asarray(x)
    passed = wf.jit(lambda x, exponent: x**exponent)(x, exponent)
    assert_same_bits(np.asarray(passed), np.asarray(x**exponent))
    assert_same_bits(np.asarray(passed), run(lambda x: x**exponent, x))
    assert_same_bits(np.asarray(passed), np.asarray(x ** wf.full_like(x, exponent)))
    gradient = np.asarray(wf.grad(total)(x, exponent))
    assert_same_bits(np.asarray(wf.jit(wf.grad(total))(x, exponent)), gradient)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "var", "std", "any", "all"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (1, 2), (0, 1, 2), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reduction(name: str, axis: Any, keepdims: bool) -> None:
    check(
        lambda x: getattr(wf, name)(x, axis=axis, keepdims=keepdims),
        lambda x: getattr(np, name)(x, axis=axis, keepdims=keepdims),
        X,
        tolerance=1e-4,
    )


def test_reductions_of_integers_and_bools() -> None:
    for x in (I, I > 0, I.astype("u1"), I.astype("u4")):
        assert_same_bits(run(wf.sum, x), np.asarray(np.sum(x)))
        assert_same_bits(run(wf.prod, x), np.asarray(np.prod(x)))
    assert run(wf.mean, I).dtype == np.float32
    check(
        lambda x: wf.var(x, axis=1, correction=1), lambda x: np.var(x, axis=1, ddof=1), X,
        tolerance=1e-4,
    )  # fmt: skip
    assert run(lambda x: wf.sum(x, dtype=wf.float64), X).dtype == np.float64


def test_empty_reductions() -> None:
    empty = np.zeros((0, 3), "f4")
    assert_same_bits(run(lambda x: wf.sum(x, axis=0), empty), np.zeros(3, "f4"))
    assert np.isnan(run(wf.mean, empty))
    with pytest.raises(wf.errors.ShapeError):
        run(lambda x: wf.max(x, axis=0), empty)


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("keepdims", [False, True])
def test_arg_extremes(axis: int | None, keepdims: bool) -> None:
    tied = np.round(X)
    with_nan = X.copy()
    with_nan[1, 2, 3] = with_nan[2, 1, 0] = np.nan
    for x in (X, tied, with_nan, I[:, :, None], X > 0):
        for name in ("argmax", "argmin"):
            check(
                lambda x, name=name: getattr(wf, name)(x, axis=axis, keepdims=keepdims),
                lambda x, name=name: getattr(np, name)(x, axis=axis, keepdims=keepdims),
                x,
            )


MOVEMENT: list[tuple[Function, Function, tuple[Any, ...]]] = [
    (lambda x: wf.reshape(x, (4, -1)), lambda x: x.reshape(4, -1), (X,)),
    (lambda x: x.reshape(3, 20), lambda x: x.reshape(3, 20), (X,)),
    (lambda x: x.T, lambda x: x.T, (X,)),
    (lambda x: x.mT, lambda x: x.swapaxes(-1, -2), (X,)),
    (lambda x: x.transpose(1, 0, 2), lambda x: x.transpose(1, 0, 2), (X,)),
    (lambda x: wf.permute_dims(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1), (X,)),
    (lambda y: wf.broadcast_to(y, (3, 4, 5)), lambda y: np.broadcast_to(y, (3, 4, 5)), (Y,)),
    (lambda x: wf.expand_dims(x, axis=(0, -1)), lambda x: x[None, ..., None], (X,)),
    (wf.squeeze, np.squeeze, (Y,)),
    (lambda y: wf.squeeze(y, axis=1), lambda y: np.squeeze(y, 1), (Y,)),
    (wf.flip, np.flip, (X,)),
    (lambda x: wf.flip(x, axis=1), lambda x: np.flip(x, 1), (X,)),
    (lambda a, b: wf.concat([a, b], axis=1), lambda a, b: np.concatenate([a, b], 1), (X, X[:, :2])),
    (lambda a, b: wf.concat((a, b), axis=None), lambda a, b: np.append(a, b), (X, Y)),
    (lambda a, b: wf.stack([a, b], axis=-1), lambda a, b: np.stack([a, b], -1), (X, X)),
    (
        lambda x: wf.pad(x, ((1, 2), (0, 1), (3, 0)), constant_values=7),
        lambda x: np.pad(x, ((1, 2), (0, 1), (3, 0)), constant_values=7),
        (X,),
    ),
    (lambda x: wf.astype(x, wf.int32), lambda x: x.astype("i4"), (X,)),
    (lambda c, x, y: wf.where(c, x, y), np.where, (X > 0, X, Y)),
    (lambda x: wf.clip(x, -1, max=0.5), lambda x: np.clip(x, -1, 0.5), (X,)),
    (wf.zeros_like, np.zeros_like, (I,)),
    (lambda x: wf.full_like(x, 2.5), lambda x: np.full_like(x, 2.5), (X,)),
    (lambda x, i: wf.take(x, i, axis=1), lambda x, i: np.take(x, i, axis=1), (X, INDICES)),
    (lambda i: wf.one_hot(i, 5), lambda i: np.eye(5, dtype="f4")[i], (LABELS,)),
]


@pytest.mark.parametrize("number", range(len(MOVEMENT)))
def test_movement(number: int) -> None:
    function, reference, args = MOVEMENT[number]
    check(function, reference, *args)


KEYS: list[Any] = [
    0, -1, slice(1, 3), slice(None, None, -1), (1, slice(None, None, 2)), (..., 0), (None, 1),
    (slice(None), slice(3, 0, -2)), (..., None, -1), slice(5, 2), (0, 1, 2), (), ...,
    (slice(None), slice(None), slice(4, None, -1)), (slice(-2, None), None, slice(-9, 99)),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_basic_index(key: Any) -> None:
    check(lambda x: x[key], lambda x: x[key], X)
    assert_same_bits(np.asarray(wf.asarray(X)[key]), X[key])


def test_index_with_an_array() -> None:
    check(lambda x, i: x[i], lambda x, i: x[i], X, INDICES)
    check(lambda x, i: x[1:, ..., i], lambda x, i: x[1:, ..., i], X, INDICES)
    check(lambda x, i: x[i], lambda x, i: x[i], X, np.array(1))
    check(lambda x, i: x[i, None], lambda x, i: x[i, None], X, INDICES)
    with pytest.raises(wf.errors.IndexingError, match=r"wf\.where"):
        run(lambda x: x[x > 0], X)


MATMULS = [
    ((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)), ((3, 4), (2, 4, 5)), ((4,), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)),
    ((3, 4), (4, 1)), ((2, 3, 4), (2, 4, 1)), ((2, 3, 4), (4,)), ((1, 4), (4, 5)),
    ((0, 4), (4, 5)), ((3, 0), (0, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), MATMULS)
def test_matmul(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = (RNG.standard_normal(shape).astype("f4") for shape in (left, right))
    check(lambda a, b: a @ b, lambda a, b: a @ b, a, b)


def test_matrix_vector_is_the_sum_of_products() -> None:
    a, v = X[0], X[1, 0]
    assert_same_bits(run(lambda a, v: a @ v, a, v), run(lambda a, v: wf.sum(a * v, axis=1), a, v))
    column = run(lambda a, v: a @ v[:, None], a, v)
    assert_same_bits(column[:, 0], run(lambda a, v: a @ v, a, v))


EINSUMS: list[tuple[str, tuple[Any, ...]]] = [
    ("ij,jk->ik", (X[0], X[0].T.copy())),
    ("bij,bjk->bik", (X, np.swapaxes(X, 1, 2).copy())),
    ("ijk->kj", (X,)),
    ("ij->ij", (X[0],)),
    ("ijk,k->ij", (X, X[0, 0])),
    ("ij,jk,kl", (X[0], X[0].T.copy(), X[0])),
    ("...j,j->...", (X, X[0, 0])),
    ("...ij->...ji", (X,)),
    ("ij,kl->", (X[0], X[0])),
    ("i,j->ji", (X[0, 0], X[0, :, 0])),
    ("bqh,bkh->bkq", (X, X)),
]


@pytest.mark.parametrize(("subscripts", "operands"), EINSUMS)
def test_einsum(subscripts: str, operands: tuple[Any, ...]) -> None:
    check(
        lambda *xs: wf.einsum(subscripts, *xs),
        lambda *xs: np.einsum(subscripts, *xs),
        *operands,
        tolerance=1e-4,
    )


@pytest.mark.parametrize("subscripts", ["ii->i", "ij->ijk", "ij,jk->ik", "i->i", "ij->ii"])
def test_einsum_rejects(subscripts: str) -> None:
    with pytest.raises(wf.errors.UsageError, match="einsum"):
        run(lambda x: wf.einsum(subscripts, x), X[0])


def test_products() -> None:
    b = RNG.standard_normal((4, 5, 6)).astype("f4")
    axes = ((1, 2), (0, 1))
    check(lambda a, b: wf.tensordot(a, b, axes=axes), lambda a, b: np.tensordot(a, b, axes), X, b)
    check(lambda a, b: wf.tensordot(a, b, axes=0), lambda a, b: np.tensordot(a, b, 0), X[0], Y)
    check(wf.outer, np.outer, X[0, 0], X[1, :, 0])
    check(wf.vecdot, lambda a, b: (a * b).sum(-1), X, X)
    check(lambda a: a @ a.T, lambda a: a @ a.T, I)


def log_sum(x: Any, axis: int) -> Any:
    largest = x.max(axis, keepdims=True)
    return (np.log(np.exp(x - largest).sum(axis, keepdims=True)) + largest).squeeze(axis)


@pytest.mark.parametrize("function", [wf.nn.softmax, wf.nn.log_softmax])
def test_softmax_over_no_elements_has_none(function: Any) -> None:
    empty = np.zeros((2, 0), "f4")
    assert run(function, empty).shape == (2, 0)
    assert run(lambda x: function(x, axis=0), empty.T).shape == (0, 2)
    assert run(wf.grad(lambda x: wf.sum(function(x) ** 2)), empty).shape == (2, 0)
    compiled = wf.jit(lambda q, k: function(q @ k.T) @ k)
    for n in (3, 5, 0):
        assert compiled(np.ones((n, 4), "f4"), np.ones((n, 4), "f4")).shape == (n, 4)


def test_cross_entropy_over_no_classes_is_an_error() -> None:
    with pytest.raises(wf.errors.ShapeError, match="x has no classes"):
        run(lambda x, i: wf.nn.cross_entropy(x, i), np.zeros((2, 0), "f4"), np.zeros(2, "i8"))
    nothing = run(wf.nn.cross_entropy, np.zeros((0, 3), "f4"), np.zeros(0, "i8"))
    assert nothing.shape == (0,)


def test_neural() -> None:
    check(lambda x: wf.logsumexp(x, axis=1), lambda x: log_sum(x, 1), X)
    check(wf.nn.softmax, lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), X)
    check(wf.nn.log_softmax, lambda x: x - log_sum(x, -1)[..., None], X)
    check(wf.nn.relu, lambda x: np.maximum(x, 0), X)
    check(wf.nn.silu, lambda x: x / (1 + np.exp(-x)), X)
    check(wf.nn.gelu, lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))), X, tolerance=1e-3)
    check(
        lambda x: wf.nn.gelu(x, approximate=False),
        lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))),
        X,
    )
    check(
        wf.nn.cross_entropy,
        lambda x, i: log_sum(x, 1) - x[np.arange(4), i],
        X[0],
        LABELS,
    )
    check(
        lambda x, w: wf.nn.layer_norm(x, w, w),
        lambda x, w: (
            (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w + w
        ),
        X,
        X[0, 0],
        tolerance=1e-4,
    )


def test_logsumexp_of_infinities() -> None:
    x = np.array([[-np.inf, -np.inf], [np.inf, 0], [1000, 1000]], "f4")
    expected = np.array([-np.inf, np.inf, 1000 + np.log(2)], "f4")
    assert_close(run(lambda x: wf.logsumexp(x, axis=1), x), expected)


CREATION: list[tuple[Function, Any]] = [
    (lambda: wf.zeros((2, 3)), np.zeros((2, 3))),
    (lambda: wf.ones(4, dtype=wf.int32), np.ones(4)),
    (lambda: wf.full((2,), 7), np.full((2,), 7)),
    (lambda: wf.eye(3, 4, k=1), np.eye(3, 4, k=1)),
    *(
        (lambda a=a: wf.arange(*a), np.arange(*a))
        for a in [(5,), (2, 7), (2, 9, 3), (5, 0, -2), (0.0, 1.0, 0.25), (3, 3)]
    ),
    (lambda: wf.linspace(-2, 3.3, 9), np.linspace(-2, 3.3, 9)),
    (lambda: wf.linspace(0, 1, 4, endpoint=False), np.linspace(0, 1, 4, endpoint=False)),
    (lambda: wf.linspace(2, 5, 1), np.linspace(2, 5, 1)),
]


@pytest.mark.parametrize("number", range(len(CREATION)))
def test_creation_is_the_same_staged_and_outside(number: int) -> None:
    function, expected = CREATION[number]
    outside = np.asarray(function())
    assert_close(outside, expected, 1e-6)
    assert_same_bits(run(function), outside)


def test_linspace_ends_exactly() -> None:
    line = np.asarray(wf.linspace(0.1, 0.7, 11))
    assert line[0] == np.float32(0.1) and line[-1] == np.float32(0.7)
