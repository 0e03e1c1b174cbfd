"""Linear algebra on bounded values: NumPy in float64, and how far its result moves where operands
move by their errors, and by the roundings of a backward stable algorithm.

Matrices that have what a function needs are made of any array of floats: diagonals of 3, 6, 9, ...
and less than 1/2 in all beside it are well conditioned, with eigenvalues and singular values that
are far apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tests.fuzz.reference import elementwise, movement, reductions
from tests.fuzz.reference.control import unknown
from tests.fuzz.reference.values import (
    Array,
    Bounded,
    Invalid,
    as_float,
    bounded,
    cast,
    discrete,
    exactly,
    moved,
    promote,
    unit,
)

DIRECTIONS = 8
SAFETY = 12.0
"""How much farther than along some directions a result may move along any other."""
BACKWARD = 16.0
"""Roundings of the largest element, for each row or column, that a matrix may be off by."""
SMALLEST, LARGEST = 1e-12, 1e12
"""Sizes of operands beyond which nothing is said: squares of float32 vanish, or overflow."""
FIRST_ORDER = 0.02
"""How far off a made matrix may be for what is said of it."""

# -- matrices -----------------------------------------------------------------------------------


def plain(x: Bounded) -> Bounded:
    if not x.is_float:
        raise Invalid("powers of integers are integers")
    return _matrices(x)


def spread(x: Bounded) -> Bounded:
    x = _matrices(x)
    sines, finite = elementwise.sin(x), np.isfinite(x.value)
    value = np.where(finite, sines.value, 0.5)
    error = np.where(finite | ~x.exact, np.minimum(sines.error, 2.0), 0.0)
    rows, columns = x.shape[-2:]
    small = elementwise.divide(Bounded(value, error, x.dtype), exactly(rows + columns, x.dtype))
    diagonal = 3.0 * np.eye(rows, columns) * np.arange(1, columns + 1)
    return elementwise.add(small, exactly(diagonal, x.dtype))


def flipped(x: Bounded) -> Bounded:
    return moved(lambda v: v[..., ::-1], spread(x))


def definite(x: Bounded) -> Bounded:
    _square(x)
    made = spread(x)
    total = elementwise.add(made, moved(lambda v: v.swapaxes(-1, -2), made))
    return elementwise.multiply(total, exactly(0.5, total.dtype))


def _matrices(x: Bounded) -> Bounded:
    if x.ndim < 2 or x.weak or x.dtype == "bool":
        raise Invalid("no matrices")
    return as_float(x)


def _square(x: Bounded) -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise Invalid("no square matrices")


MADE: dict[str, Callable[[Bounded], Bounded]] = {
    "{x}": plain,
    "spread({x})": spread,
    "flipped({x})": flipped,
    "definite({x})": definite,
}
"""Matrices by how they are written."""
TEXT = [
    "def spread(x):",
    "    rows, columns = x.shape[-2:]",
    "    small = wf.where(wf.isfinite(x), wf.sin(x), 0.5) / (rows + columns)",
    "    ones = wf.eye(rows, columns, dtype=small.dtype)",
    "    return small + 3 * ones * wf.arange(1, columns + 1)",
    "",
    "",
    "def flipped(x):",
    "    return wf.flip(spread(x), axis=-1)",
    "",
    "",
    "def definite(x):",
    "    return (spread(x) + wf.matrix_transpose(spread(x))) * 0.5",
    "",
    "",
]
PLAIN, SPREAD, GENERAL, DEFINITE = (
    ("{x}", "spread({x})", "flipped({x})"),
    ("spread({x})",),
    ("spread({x})", "flipped({x})"),
    ("definite({x})",),
)

# -- functions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """`value` gives in NumPy what a call gives of matrices that are `made` in one of these ways."""

    value: Callable[..., Any]
    made: tuple[str, ...] = GENERAL
    square: bool = False
    tall: bool = False
    smooth: bool = True
    filled: bool = False
    """Whether it takes no matrices without elements."""
    finite: bool = False
    """Whether a right side that is not finite is an error."""


def linear_algebra(a: Bounded, b: Bounded | None = None, *, call: str, made: str) -> Bounded:
    """What a call gives of the matrices made of `a`, and of `b` as it is."""
    wanted = CALLS[call]
    _check(wanted, a, b, made)
    operands = [MADE[made](a)]
    if b is not None:
        operands.append(_right(a, b))
    dtype = promote(*operands)
    operands = [cast(o, dtype) for o in operands]
    try:
        value = np.asarray(wanted.value(*(o.value for o in operands)))
    except np.linalg.LinAlgError as error:
        raise Invalid(str(error)) from None
    certain = all(map(_is_certain, operands)) and (made == "{x}" or _is_near(operands[0]))
    if value.dtype.kind == "i":
        return discrete(value, certain, "int64")
    if not certain:
        return unknown(Bounded(value, np.zeros(value.shape), dtype))
    return bounded(value, SAFETY * _moves(wanted.value, operands), dtype, 64.0)


def _check(wanted: Call, a: Bounded, b: Bounded | None, made: str) -> None:
    if made not in wanted.made:
        raise Invalid("no such matrices")
    if wanted.finite and b is not None and not (b.known.all() and np.isfinite(b.value).all()):
        raise Invalid("an element may not be finite")
    if a.ndim < 2:
        raise Invalid("no matrices")
    rows, columns = a.shape[-2:]
    if wanted.square:
        _square(a)
    if (wanted.tall and rows < columns) or (wanted.filled and not rows * columns):
        raise Invalid("no such sizes")


def _right(a: Bounded, b: Bounded) -> Bounded:
    """The right sides of a system."""
    if not b.is_float or b.weak or not b.ndim:
        raise Invalid("no right side")
    if b.shape[-1 if b.ndim == 1 else -2] != a.shape[-2]:
        raise Invalid("another number of rows")
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as error:
        raise Invalid(str(error)) from None
    return b


def _is_certain(x: Bounded) -> bool:
    """Whether it is known, and of sizes whose squares are numbers."""
    sizes = np.abs(x.value)[x.value != 0]
    finite = x.known.all() and np.isfinite(x.value).all()
    return bool(finite and (sizes > SMALLEST).all() and (sizes < LARGEST).all())


def _is_near(x: Bounded) -> bool:
    return bool((np.square(x.error).sum((-2, -1)) < FIRST_ORDER**2).all())


def _moves(function: Callable[..., Any], operands: list[Bounded]) -> Array:
    """How far the result moves by the errors of operands, along some directions."""
    rng = np.random.default_rng(0)
    errors = [o.error + _backward(o) for o in operands]
    most = max((float(e.max(initial=0.0)) for e in errors), default=0.0)
    scale = max(1.0, 1e-6 / most) if most else 1.0
    value = np.asarray(function(*(o.value for o in operands)))
    found = np.zeros(value.shape)
    for _ in range(DIRECTIONS):
        steps = [e * rng.choice((-scale, scale), e.shape) for e in errors]
        moved_value = function(*(o.value + step for o, step in zip(operands, steps)))
        found = np.maximum(found, np.abs(moved_value - value) / scale)
    return found


def _backward(x: Bounded) -> Array:
    """What the roundings of an algorithm amount to, in its matrix."""
    axes = (-2, -1) if x.ndim > 1 else -1
    size = np.abs(x.value).max(axes, keepdims=True, initial=0.0)
    roundings = BACKWARD * max(x.shape[-2:]) * (unit(x.dtype) + unit("float64"))
    return np.asarray(roundings * size)


def _columns(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """With a vector as a column."""

    def apply(a: Array, b: Array) -> Array:
        return function(a, b[:, None])[..., 0] if b.ndim == 1 else function(a, b)

    return apply


def _triangular(
    lower: bool = False, transposed: bool = False, unit_diagonal: bool = False
) -> Callable[[Array, Array], Array]:
    def solve(a: Array, b: Array) -> Array:
        triangle = np.tril(a) if lower else np.triu(a)
        if unit_diagonal:
            one = np.eye(a.shape[-1])
            triangle = triangle * (1 - one) + one
        return np.linalg.solve(triangle.swapaxes(-1, -2) if transposed else triangle, b)

    return _columns(solve)


def _least(a: Array, b: Array) -> Array:
    return np.linalg.pinv(a) @ b


def _order(a: Array) -> Array:
    """The row with the largest element of each column, where no two have the same one."""
    return np.abs(a).argmax(-2) if a.size else np.zeros(a.shape[:-1], int)


def _lu(a: Array, part: int) -> Array:
    """P, L or U of P L U = a."""
    size, order = a.shape[-1], _order(a)
    one = np.broadcast_to(np.eye(size), a.shape)
    if part == 0:
        return np.take_along_axis(one, order[..., None], -2).swapaxes(-1, -2)
    upper, lower = np.take_along_axis(a, order[..., None], -2), one.copy()
    for k in range(size):
        factors = upper[..., k + 1 :, k] / upper[..., k, k, None]
        lower[..., k + 1 :, k] = factors
        upper[..., k + 1 :, :] -= factors[..., None] * upper[..., k, None, :]
    return lower if part == 1 else np.triu(upper)


def _expm(a: Array) -> Array:
    halved, halvings = a / 64, 6
    total = term = np.broadcast_to(np.eye(a.shape[-1]), a.shape)
    for k in range(1, 18):
        term = term @ halved / k
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total


def _norm(order: Any) -> Callable[[Array], Array]:
    return lambda a: np.asarray(np.linalg.matrix_norm(a, ord=order))


def _vectors(order: Any) -> Callable[[Array], Array]:
    return lambda a: np.asarray(np.linalg.vector_norm(a, axis=-1, ord=order))


CALLS: dict[str, Call] = {
    "wf.linalg.inv({a})": Call(np.linalg.inv, square=True),
    "wf.linalg.det({a})": Call(np.linalg.det, square=True),
    "wf.linalg.slogdet({a})[0]": Call(lambda a: np.linalg.slogdet(a)[0], square=True, smooth=False),
    "wf.linalg.slogdet({a})[1]": Call(lambda a: np.linalg.slogdet(a)[1], square=True),
    "wf.linalg.lu({a})[0]": Call(lambda a: _lu(a, 0), square=True, smooth=False),
    "wf.linalg.lu({a})[1]": Call(lambda a: _lu(a, 1), square=True),
    "wf.linalg.lu({a})[2]": Call(lambda a: _lu(a, 2), square=True),
    "wf.linalg.matrix_power({a}, 3)": Call(lambda a: np.linalg.matrix_power(a, 3), square=True),
    "wf.linalg.matrix_power({a}, -2)": Call(lambda a: np.linalg.matrix_power(a, -2), square=True),
    "wf.linalg.expm({a} / 9)": Call(lambda a: _expm(a / 9), square=True),
    "wf.linalg.cond({a})": Call(lambda a: _norm(2)(a) / _norm(-2)(a), filled=True),
    "wf.linalg.cond({a}, 1)": Call(
        lambda a: _norm(1)(a) * _norm(1)(np.linalg.inv(a)), square=True, filled=True
    ),
    "wf.linalg.multi_dot([{a}, wf.matrix_transpose({a}), {a}])": Call(
        lambda a: np.linalg.multi_dot([a, a.swapaxes(-1, -2), a])
    ),
    "wf.real(wf.sum(wf.linalg.eigvals({a}) ** 2, axis=-1))": Call(
        lambda a: np.real(np.square(np.linalg.eigvals(a)).sum(-1)), square=True
    ),
    "wf.sum(wf.square(wf.abs(wf.linalg.eig({a})[1])), axis=-1)": Call(
        lambda a: np.square(np.abs(np.linalg.eig(a)[1])).sum(-1), SPREAD, square=True
    ),
    "wf.linalg.cholesky({a})": Call(np.linalg.cholesky, DEFINITE, square=True),
    "wf.linalg.cholesky({a}, upper=True)": Call(
        lambda a: np.linalg.cholesky(a).swapaxes(-1, -2), DEFINITE, square=True
    ),
    "wf.linalg.eigh({a})[0]": Call(np.linalg.eigvalsh, DEFINITE, square=True),
    "wf.square(wf.linalg.eigh({a})[1])": Call(
        lambda a: np.square(np.linalg.eigh(a)[1]), DEFINITE, square=True
    ),
    "wf.linalg.eigvalsh({a})": Call(np.linalg.eigvalsh, DEFINITE, square=True),
    "wf.square(wf.linalg.qr({a})[0])": Call(lambda a: np.square(np.linalg.qr(a)[0]), tall=True),
    "wf.square(wf.linalg.qr({a})[1])": Call(lambda a: np.square(np.linalg.qr(a)[1]), tall=True),
    'wf.square(wf.linalg.qr({a}, mode="complete")[1])': Call(
        lambda a: np.square(np.linalg.qr(a, "complete")[1]), smooth=False
    ),
    "wf.linalg.svd({a})[1]": Call(np.linalg.svdvals),
    "wf.linalg.svdvals({a})": Call(np.linalg.svdvals),
    "wf.square(wf.linalg.svd({a}, full_matrices=False)[0])": Call(
        lambda a: np.square(np.linalg.svd(a, full_matrices=False)[0])
    ),
    "wf.square(wf.linalg.svd({a}, full_matrices=False)[2])": Call(
        lambda a: np.square(np.linalg.svd(a, full_matrices=False)[2])
    ),
    "wf.linalg.pinv({a})": Call(np.linalg.pinv),
    "wf.linalg.matrix_rank({a})": Call(np.linalg.matrix_rank, smooth=False),
    "wf.linalg.matrix_norm({a})": Call(_norm("fro"), PLAIN),
    'wf.linalg.matrix_norm({a}, ord="nuc")': Call(_norm("nuc")),
    "wf.linalg.matrix_norm({a}, ord=2)": Call(_norm(2), filled=True),
    "wf.linalg.matrix_norm({a}, ord=-2)": Call(_norm(-2), filled=True),
    "wf.linalg.matrix_norm({a}, ord=1)": Call(_norm(1), PLAIN, filled=True),
    "wf.linalg.matrix_norm({a}, ord=-inf)": Call(_norm(-np.inf), PLAIN, filled=True),
    "wf.linalg.vector_norm({a}, axis=-1)": Call(_vectors(2), PLAIN),
    "wf.linalg.vector_norm({a}, axis=-1, ord=1)": Call(_vectors(1), PLAIN),
    "wf.linalg.vector_norm({a}, axis=-1, ord=3)": Call(_vectors(3), PLAIN),
    "wf.linalg.vector_norm({a}, axis=-1, ord=inf)": Call(_vectors(np.inf), PLAIN, filled=True),
    "wf.linalg.solve({a}, {b})": Call(_columns(np.linalg.solve), square=True),
    "wf.linalg.solve_triangular({a}, {b})": Call(_triangular(), SPREAD, square=True),
    "wf.linalg.solve_triangular({a}, {b}, lower=True)": Call(
        _triangular(lower=True), SPREAD, square=True
    ),
    "wf.linalg.solve_triangular({a}, {b}, lower=True, transposed=True)": Call(
        _triangular(lower=True, transposed=True), SPREAD, square=True
    ),
    "wf.linalg.solve_triangular({a} / 9, {b}, unit_diagonal=True)": Call(
        lambda a, b: _triangular(unit_diagonal=True)(a / 9, b), SPREAD, square=True
    ),
    "wf.linalg.lstsq({a}, {b})[0]": Call(_columns(_least), finite=True),
}
"""Calls by how they are written. What is unique but for signs or an order is made unique."""

# -- what takes any numbers ---------------------------------------------------------------------


def diagonal(x: Bounded, offset: int = 0) -> Bounded:
    if x.ndim < 2 or not -x.shape[-2] <= offset <= x.shape[-1]:
        raise Invalid("no diagonal there")
    return moved(lambda v: v.diagonal(offset, -2, -1), x)


def trace(x: Bounded, offset: int = 0) -> Bounded:
    return reductions.sum(diagonal(x, offset), -1)


def cross(x: Bounded, y: Bounded, axis: int = -1) -> Bounded:
    if x.shape != y.shape or not -x.ndim <= axis < x.ndim or x.shape[axis] != 3:
        raise Invalid("no vectors of three")
    a, b = ([movement.index(o, key=_component(o, axis, n)) for n in range(3)] for o in (x, y))
    parts = [
        elementwise.subtract(
            elementwise.multiply(a[n - 2], b[n - 1]), elementwise.multiply(a[n - 1], b[n - 2])
        )
        for n in range(3)
    ]
    return movement.stack(*parts, axis=axis % x.ndim)


def _component(x: Bounded, axis: int, number: int) -> tuple[Any, ...]:
    return (*(slice(None),) * (axis % x.ndim), number)
