"""What runs along an axis on bounded values: each result is a reduction of what came before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.fuzz.reference import reductions
from tests.fuzz.reference.values import Bounded, Invalid, as_float, bounded, moved


def _flat(x: Bounded, axis: Any) -> tuple[Bounded, int]:
    if axis is None:
        return moved(lambda v: v.reshape(-1), x), 0
    if not -x.ndim <= axis < x.ndim:
        raise Invalid("no such axis")
    return x, axis % x.ndim


def _running(reduce: Callable[..., Bounded]) -> Callable[..., Bounded]:
    """Each result by `reduce` of the part that it is made of; in one part for an axis of none. The
    sums and products of a part take a rounding for each element, more than `reduce` allows for."""

    def apply(x: Bounded, axis: Any = None, reverse: bool = False) -> Bounded:
        x, place = _flat(x, axis)
        count = x.shape[place]
        if count > 64 or x.size * count > 1 << 20:
            raise Invalid("too long an axis for this reference")
        extreme = reduce in (reductions.max, reductions.min)
        if extreme and x.dtype == "bool":
            raise Invalid("extremes of numbers")
        if count == 0:
            return x if extreme else _typed(reduce, x, place)
        parts = [slice(k, None) if reverse else slice(k + 1) for k in range(count)]
        found = [_part(reduce, x, place, part) for part in parts]
        return moved(lambda *values: np.concatenate(values, place), *found)

    return apply


def _part(reduce: Callable[..., Bounded], x: Bounded, axis: int, part: slice) -> Bounded:
    return reduce(moved(lambda v: v[(*(slice(None),) * axis, part)], x), axis, True)


def _typed(reduce: Callable[..., Bounded], x: Bounded, axis: int) -> Bounded:
    """`x`, of no elements, in the dtype of its sums."""
    dtype = reduce(x, axis, True).dtype
    return Bounded(x.value.astype("float64" if dtype[0] == "f" else dtype), x.error, dtype)


def _logsumexp(x: Bounded, axis: int, keepdims: bool) -> Bounded:
    """With the roundings of the factors that rescale what came before: one for each element."""
    found = reductions.logsumexp(x, axis, keepdims)
    size = np.where(np.isfinite(x.value), np.abs(x.value), 0).max(axis, keepdims=True, initial=0)
    factors = bounded(size + 1, np.zeros(size.shape), found.dtype, 16.0 * x.shape[axis]).error
    return Bounded(found.value, np.where(found.exact, 0.0, found.error + factors), found.dtype)


cumsum, cumprod = _running(reductions.sum), _running(reductions.prod)
cummax, cummin = _running(reductions.max), _running(reductions.min)


def logcumsumexp(x: Bounded, axis: Any = None, reverse: bool = False) -> Bounded:
    x = as_float(x)
    return _running(_logsumexp)(x, axis, reverse) if x.size else _flat(x, axis)[0]


def diff(x: Bounded, n: int = 1, axis: int = -1) -> Bounded:
    x, place = _flat(x, axis)
    if x.dtype == "bool" or not x.ndim:
        raise Invalid("differences of numbers along an axis")
    lead = (slice(None),) * place
    for _ in range(n):
        later, earlier = (
            moved(lambda v, part=part: v[(*lead, part)], x)
            for part in (slice(1, None), slice(None, -1))
        )
        x = reductions.elementwise.subtract(later, earlier)
    return x
