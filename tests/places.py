"""Index maps by brute force: every index of the reader, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.index_linear import Atom, Axis, Linear
from weftc.ir.index_map import IndexMap
from weftc.ir.node import Node
from weftc.ir.sizes import concrete_shape, value_of

Array: TypeAlias = "np.ndarray[Any, Any]"
Sizes: TypeAlias = Mapping[str, int]


def value(linear: Linear, index: Sequence[Array], sizes: Sizes) -> Array:
    """A form at each index: `index` has an array for each axis."""
    total = np.zeros_like(index[0]) if index else np.zeros((), np.int64)
    for atom, coefficient in linear.terms:
        total = total + _atom(atom, index, sizes) * value_of(coefficient, sizes)
    return total + value_of(linear.offset, sizes)


def _atom(atom: Atom, index: Sequence[Array], sizes: Sizes) -> Array:
    if isinstance(atom, Axis):
        return index[atom.number]
    quotient = value(atom.linear, index, sizes) // value_of(atom.divisor, sizes)
    return quotient if atom.extent is None else quotient % value_of(atom.extent, sizes)


def every_index(shape: Sequence[int]) -> list[Array]:
    """All indices of a shape: an array of it for each axis."""
    return list(np.indices(shape))


def inside(map_: IndexMap, sizes: Sizes) -> Array:
    """Where all guards hold."""
    shape = concrete_shape(map_.shape, sizes)
    index, holds = every_index(shape), np.ones(shape, bool)
    for guard in map_.guards:
        form = value(guard.linear, index, sizes)
        holds &= (form >= 0) & (form < value_of(guard.extent, sizes))
    return holds


def read(map_: IndexMap, operand: Array, sizes: Sizes, fill: Any) -> Array:
    """What is read of `operand` through the map; where no guard lets it, `fill`. A read that is
    out of bounds is a failure."""
    shape, holds = concrete_shape(map_.shape, sizes), inside(map_, sizes)
    assert concrete_shape(map_.operand, sizes) == operand.shape
    index = every_index(shape)
    places = [np.broadcast_to(value(form, index, sizes), shape)[holds] for form in map_.axes]
    for place, size in zip(places, operand.shape, strict=True):
        assert np.all((place >= 0) & (place < size)), (str(map_), sizes)
    result = np.full(shape, fill, operand.dtype)
    if holds.any():
        result[holds] = operand[tuple(places)]
    return result


def is_wholly_read(map_: IndexMap) -> bool:
    """Whether every element of the operand is read; by a reader that has none, it need not be."""
    operand = np.arange(np.prod(map_.operand, dtype=int)).reshape(concrete_shape(map_.operand, {}))
    found = read(map_, operand, {}, -1)
    return not found.size or set(found.flat) >= set(operand.flat)


def moved(node: Node, arrays: Sequence[Array]) -> Array:
    """The value of a movement node by its `view`: each element is that of the first operand whose
    guards hold, and there is one for every element."""
    result = np.zeros(concrete_shape(node.type.shape, {}), node.type.dtype.dtype)
    left = np.ones(result.shape, bool)
    for map_, array in zip(node.maps, arrays, strict=True):
        here = left & inside(map_, {})
        result[here] = read(map_, array, {}, 0)[here]
        left &= ~here
    assert not left.any(), "an element that no operand has"
    return result
