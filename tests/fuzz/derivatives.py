"""What has to agree of a transform that a program applies: derivatives of both modes, differences,
maps and loops.

A program runs eagerly with `Watched` in the place of `wf`. Where it applies a transform, and not
within another one, the function is at hand: it is asked again, in other ways.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from tests.bits import assert_same_bits
from tests.frontend.staged import Staged, stage
from tests.fuzz import maps
from tests.fuzz.differences import STEP, Slope, largest
from tests.fuzz.tangents import ROUNDINGS

import weft as wf
from weft.tracing import state
from weftc.ir.types import TensorType

Array: TypeAlias = "np.ndarray[Any, Any]"
Function: TypeAlias = "Callable[..., Any]"

AGREEMENT = 1e-4
"""Relative disagreement of two step sizes at which a slope is no slope."""
TOLERANCE = 1e-3


class Watched:
    """weft, whose transforms are checked where they are applied to arrays."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def __getattr__(self, name: str) -> Any:
        found = getattr(wf, name)
        checks = CHECKS.get(name)
        if checks is None or state.trace is not None:
            return found
        return lambda *args, **kwargs: checks(self._counts, found, *args, **kwargs)


# -- derivatives --------------------------------------------------------------------------------


class Moving:
    """A function of arrays of floats, of which it is asked how its value moves along a direction,
    weighted by `weights`: by the program's own derivative, `told`, and by others."""

    def __init__(self, function: Function, primals: Sequence[Any], counts: Counter[str]) -> None:
        self.function, self.counts = function, counts
        self.primals = [np.asarray(p) for p in primals]
        staged = stage(function, *self.primals)
        assert staged is not None
        self.staged: Staged = staged
        self.value = np.asarray(staged.run(*self.primals))
        self._random = np.random.default_rng(len(self.value.shape))
        self.weights = self._drawn(self.value) if self.value.dtype.kind in "fc" else None

    def directions(self) -> list[Array]:
        """One for each primal."""
        return [self._drawn(p) for p in self.primals]

    def _drawn(self, like: Array) -> Array:
        drawn = np.zeros(like.shape, np.result_type(like.dtype, "f8"))
        for turn in (1, 1j) if like.dtype.kind == "c" else (1,):
            signs = self._random.choice((-1.0, 1.0), like.shape)
            drawn += turn * signs * self._random.uniform(0.5, 1, like.shape)
        return drawn.astype(like.dtype)

    def check(self, told: Array, tangents: Sequence[Array], weights: Array) -> None:
        """Slope unless <weights, derivative along tangents> is `told`, which is summed here."""
        self._check_forward(told, tangents, weights)
        self._check_reverse(told, tangents, weights)
        self._check_differences(float(_wide(told).sum()), tangents, weights)

    @cached_property
    def pushed(self) -> Staged:
        """(value, tangent) of primals and tangents."""
        way = lambda ps, ts: wf.jvp(self.function, tuple(ps), tuple(ts))  # noqa: E731
        staged = stage(way, self.primals, self.primals)
        assert staged is not None
        return staged

    def _check_forward(self, told: Array, tangents: Sequence[Array], weights: Array) -> None:
        leaves = [*self.primals, *tangents]
        value, tangent = self.pushed.run(*leaves)
        assert_same_bits(np.asarray(value), self.value)
        self._compare("the tangent", told, _products(weights, tangent), self.pushed, leaves)

    def _check_reverse(self, told: Array, tangents: Sequence[Array], weights: Array) -> None:
        way = lambda ps, g: wf.vjp(self.function, *ps)[1](g)  # noqa: E731
        try:
            staged = stage(way, self.primals, weights)
        except wf.errors.TraceError as error:  # what only forward mode goes through
            self.counts[f"no gradient: {str(error).rpartition('(at')[0][-40:]}"] += 1
            return
        assert staged is not None
        leaves = [*self.primals, weights]
        parts = [_products(g, t) for g, t in zip(staged.run(*leaves), tangents, strict=True)]
        found = np.concatenate([part.ravel() for part in parts])
        self._compare("the gradient", told, found, staged, leaves)

    def _compare(
        self, what: str, told: Array, found: Array, staged: Staged, leaves: list[Any]
    ) -> None:
        if not (np.isfinite(told).all() and np.isfinite(found).all()):
            self.counts["not finite"] += 1
            return
        size = max(largest(staged, leaves), largest(self.staged, self.primals))
        size = max(size, float(np.abs(told).sum()), float(np.abs(found).sum()), 1e-300)
        coarse = _is_coarse(staged) or _is_coarse(self.staged)
        unit = 2.0**-24 if coarse else 2.0**-53
        one, other = float(_wide(told).sum()), float(found.sum())
        if abs(one - other) > ROUNDINGS * unit * size:
            raise Slope(f"along a direction the program says {one:.9g}, {what} {other:.9g}")
        self.counts[what] += 1

    def _check_differences(self, told: float, tangents: Sequence[Array], weights: Array) -> None:
        if _is_coarse(self.staged):  # differences would see the steps of float32
            return

        def moved(step: float) -> list[Array]:
            pairs = zip(self.primals, tangents, strict=True)
            return [np.asarray(p + step * t) for p, t in pairs]

        def at(step: float) -> float:
            return float(_products(weights, self.staged.run(*moved(step))).sum())

        def near(found: float, other: float) -> bool:
            return abs(found - other) <= TOLERANCE * abs(other) + 1e-6 + 10 * doubt + rounding

        slopes = [(at(h) - at(-h)) / (2 * h) for h in (STEP, STEP / 2)]
        sides = [(at(STEP / 2) - at(0.0)) / (STEP / 2), (at(0.0) - at(-STEP / 2)) / (STEP / 2)]
        best = (4 * slopes[1] - slopes[0]) / 3
        doubt = max(abs(best - slopes[1]), 1e-2 * abs(best - sides[0]), 1e-2 * abs(best - sides[1]))
        if not (math.isfinite(told) and doubt <= AGREEMENT * abs(best) + 1e-8):
            self.counts["not smooth"] += 1
            return
        rounding = 1e3 * 2.0**-53 * largest(self.staged, self.primals) / STEP
        if not near(told, best):
            for step in (STEP, -STEP):  # is it this, or another at this one point: x == x0 is
                tangent = self.pushed.run(*moved(step), *tangents)[1]
                if not near(told, float(_products(weights, tangent).sum())):
                    self.counts["not smooth"] += 1
                    return
            raise Slope(f"along a direction the program says {told:.9g}, differences {best:.9g}")
        self.counts["differences"] += 1


def _is_coarse(staged: Staged) -> bool:
    """Whether something in a graph is rounded to float32."""
    types = [n.value_type for n in staged.traced.graph.all_nodes()]
    coarse = (wf.float32, wf.complex64)
    return any(isinstance(t, TensorType) and t.dtype in coarse for t in types)


def _wide(x: Any) -> Array:
    return np.asarray(x).astype("f8")


def _products(one: Any, other: Any) -> Array:
    """Of which the sum is the product of two vectors; of complex ones as pairs of real numbers."""
    one, other = np.asarray(one), np.asarray(other)
    if "c" not in (one.dtype.kind, other.dtype.kind):
        return _wide(one) * other
    return np.asarray((one.conj().astype("c16") * other).real)


def _grad(counts: Counter[str], found: Function, function: Function, argnums: Any) -> Function:
    def checked(*primals: Any) -> Any:
        gradients = found(function, argnums=argnums)(*primals)
        moving = Moving(function, primals, counts)
        tangents = moving.directions()
        told = [_products(g, t) for g, t in zip(gradients, tangents, strict=True)]
        moving.check(np.concatenate([t.ravel() for t in told]), tangents, np.ones((), "f8"))
        return gradients

    return checked


def _vjp(counts: Counter[str], found: Function, function: Function, *primals: Any) -> Any:
    value, pull = found(function, *primals)
    moving = Moving(function, primals, counts)
    assert_same_bits(np.asarray(value), moving.value)

    def checked(cotangent: Any) -> Any:
        gradients, tangents = pull(cotangent), moving.directions()
        told = [_products(g, t) for g, t in zip(gradients, tangents, strict=True)]
        moving.check(np.concatenate([t.ravel() for t in told]), tangents, np.asarray(cotangent))
        return gradients

    return value, checked


def _jvp(counts: Counter[str], found: Function, function: Function, primals: Any, ts: Any) -> Any:
    value, tangent = found(function, primals, ts)
    _check_tangent(counts, function, primals, ts, value, tangent)
    return value, tangent


def _linearize(counts: Counter[str], found: Function, function: Function, *primals: Any) -> Any:
    value, push = found(function, *primals)

    def checked(*tangents: Any) -> Any:
        tangent = push(*tangents)
        _check_tangent(counts, function, primals, tangents, value, tangent)
        return tangent

    return value, checked


def _check_tangent(
    counts: Counter[str], function: Function, primals: Any, ts: Any, value: Any, tangent: Any
) -> None:
    moving = Moving(function, primals, counts)
    assert_same_bits(np.asarray(value), moving.value)
    if moving.weights is not None:
        told = _products(moving.weights, tangent)
        moving.check(told, [np.asarray(t) for t in ts], moving.weights)


def _hvp(counts: Counter[str], found: Function, function: Function, primals: Any, ts: Any) -> Any:
    product = found(function, primals, ts)
    gradient = lambda *given: wf.grad(function)(*given)  # noqa: E731
    _check_tangent(counts, gradient, primals, ts, wf.grad(function)(*primals), product[0])
    return product


def _jacobian(counts: Counter[str], found: Function, function: Function) -> Function:
    def checked(primal: Any) -> Any:
        jacobian = found(function)(primal)
        _check_jacobian(counts, function, primal, np.asarray(jacobian))
        return jacobian

    return checked


def _hessian(counts: Counter[str], found: Function, function: Function) -> Function:
    def checked(primal: Any) -> Any:
        hessian = found(function)(primal)
        _check_jacobian(counts, wf.grad(function), primal, np.asarray(hessian))
        return hessian

    return checked


def _check_jacobian(counts: Counter[str], function: Function, primal: Any, found: Array) -> None:
    moving = Moving(function, [primal], counts)
    (tangent,), weights = moving.directions(), moving.weights
    assert weights is not None and found.shape == (*moving.value.shape, *tangent.shape)
    with np.errstate(all="ignore"):
        told = _wide(found) * weights.reshape(weights.shape + (1,) * tangent.ndim) * tangent
    moving.check(told, [tangent], weights)


# -- maps ---------------------------------------------------------------------------------------


def _vmap(counts: Counter[str], found: Function, function: Function, **axes: Any) -> Function:
    def checked(*args: Any) -> Any:
        whole = found(function, **axes)(*args)
        check_map(function, args, axes["in_axes"], axes["out_axes"], np.asarray(whole))
        counts["vmap"] += 1
        return whole

    return checked


def check_map(function: Function, args: Any, in_axes: Any, out_axis: int, whole: Array) -> None:
    """The map has what a loop has."""
    arrays = [np.asarray(a) for a in args]
    (size,) = {a.shape[axis] for a, axis in zip(arrays, in_axes) if axis is not None}
    rows = [
        [np.asarray(a if axis is None else a.take(place, axis)) for a, axis in zip(arrays, in_axes)]
        for place in range(size)
    ]
    if not rows:
        return
    compiled = wf.jit(lambda *row: function(*row))
    staged = stage(function, *rows[0])
    assert staged is not None
    comparison = maps.Rows(staged, rows)
    for place, row in enumerate(rows):
        comparison.check(whole.take(place, out_axis), np.asarray(compiled(*row)))


CHECKS: dict[str, Function] = {
    "grad": _grad,
    "vjp": _vjp,
    "jvp": _jvp,
    "linearize": _linearize,
    "jacfwd": _jacobian,
    "jacrev": _jacobian,
    "hessian": _hessian,
    "hvp": _hvp,
    "vmap": _vmap,
}
