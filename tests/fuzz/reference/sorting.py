"""Sorts on bounded values: an element in order is as uncertain as the most uncertain of its row."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.fuzz.reference.values import Array, Bounded, Invalid, discrete


def _axis(x: Bounded, axis: int) -> int:
    if not -x.ndim <= axis < x.ndim:
        raise Invalid("no such axis")
    return axis % x.ndim


def _places(x: Bounded, axis: int, descending: bool, nan_first: bool = False) -> Array:
    """The stable order: -0.0 before +0.0, NaN at one end, equal elements as they stand."""
    nan = np.isnan(x.value) if x.is_float else np.zeros(x.shape, bool)
    value = np.where(nan, 0, x.value)
    keys = [-np.signbit(value).astype(int) if x.is_float else np.zeros(x.shape, int)]
    keys.append(np.unique(value, return_inverse=True)[1].reshape(x.shape))
    if descending:
        keys = [-key for key in keys]
    return np.lexsort((*keys, nan.astype(int) * (-1 if nan_first else 1)), axis=axis)


def _first(x: Array, count: int, axis: int) -> Array:
    return x[(*(slice(None),) * axis, slice(count))]


def _ordered(x: Bounded, places: Array, axis: int) -> Bounded:
    value = np.take_along_axis(x.value, places, axis)
    worst = x.error.max(axis, keepdims=True, initial=0)
    return Bounded(value, np.broadcast_to(worst, value.shape), x.dtype)


def _numbered(x: Bounded, places: Array, axis: int, kept: int | None = None) -> Bounded:
    """The places; known in rows that are exact, or whose elements lie apart."""
    known = x.exact.all(axis, keepdims=True)
    if x.is_float:
        value = np.take_along_axis(x.value, places, axis)
        worst = x.error.max(axis, keepdims=True, initial=0)
        gaps = np.abs(np.diff(value, axis=axis))
        finite = np.isfinite(value).all(axis, keepdims=True)
        known = known | (finite & (gaps > 2 * worst).all(axis, keepdims=True))
    first = places if kept is None else _first(places, kept, axis)
    return discrete(first, known, "int64")


def sort(x: Bounded, axis: int = -1, descending: bool = False, stable: bool = True) -> Bounded:
    place = _axis(x, axis)
    return _ordered(x, _places(x, place, descending), place)


def argsort(x: Bounded, axis: int = -1, descending: bool = False, stable: bool = True) -> Bounded:
    place = _axis(x, axis)
    return _numbered(x, _places(x, place, descending), place)


def top_k(x: Bounded, k: int, axis: int = -1, part: int = 0) -> Any:
    """Part 0 of top_k is the values, part 1 the places."""
    place = _axis(x, axis)
    if k > x.shape[place]:
        raise Invalid("so many there are not")
    places = _places(x, place, descending=True, nan_first=True)
    if part:
        return _numbered(x, places, place, k)
    ordered = _ordered(x, places, place)
    return Bounded(_first(ordered.value, k, place), _first(ordered.error, k, place), x.dtype)
