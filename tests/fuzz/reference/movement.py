"""Movement, indexing, products and creation on bounded values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tests.fuzz.reference import elementwise, reductions
from tests.fuzz.reference.reductions import depth
from tests.fuzz.reference.values import (
    FLOATS,
    INTEGERS,
    LARGEST,
    Array,
    Bounded,
    Invalid,
    bounded,
    carrier,
    cast,
    discrete,
    exactly,
    largest,
    meet,
    moved,
    promote,
    tiny,
)


def _moving(function: Callable[..., Array]) -> Any:
    """A function of one array that moves elements; what NumPy refuses is invalid."""

    def apply(x: Bounded, *args: Any, **options: Any) -> Bounded:
        try:
            return moved(lambda v: function(v, *args, **options), x)
        except (ValueError, IndexError, TypeError) as error:
            raise Invalid(str(error)) from None

    return apply


def _broadcast_to(x: Array, shape: Any) -> Array:
    if np.prod(shape, dtype=np.float64) > LARGEST:
        raise Invalid("too large")
    return np.broadcast_to(x, shape)


def _flip(x: Array, axis: Any = None) -> Array:
    return np.flip(x, axis)


reshape = _moving(np.reshape)
transpose = _moving(lambda x, axes=None: np.transpose(x, axes))
permute_dims = _moving(np.transpose)
matrix_transpose = _moving(np.matrix_transpose)
broadcast_to = _moving(_broadcast_to)
expand_dims = _moving(lambda x, axis=0: np.expand_dims(x, axis))
squeeze = _moving(lambda x, axis=None: np.squeeze(x, axis))
flip = _moving(_flip)


def _joined(function: Callable[..., Array], arrays: Sequence[Bounded], **options: Any) -> Bounded:
    dtype = promote(*arrays)
    cast_all = [cast(a, dtype) for a in arrays]
    try:
        return moved(lambda *values: function(values, **options), *cast_all)
    except ValueError as error:
        raise Invalid(str(error)) from None


def concat(*arrays: Bounded, axis: Any = 0) -> Bounded:
    return _joined(np.concatenate, arrays, axis=axis)


def stack(*arrays: Bounded, axis: int = 0) -> Bounded:
    return _joined(np.stack, arrays, axis=axis)


def pad(x: Bounded, fill: Bounded, pad_width: Any) -> Bounded:
    filler = cast(fill, x.dtype)
    if fill.is_float and not x.is_float:
        raise Invalid("a fraction in an array of integers")
    try:
        pairs = np.broadcast_to(pad_width, (x.ndim, 2))
    except ValueError as error:
        raise Invalid(str(error)) from None
    if not x.ndim:
        return x
    value = np.pad(x.value, pairs, constant_values=filler.value)
    return Bounded(value, np.pad(x.error, pairs, constant_values=filler.error), x.dtype)


def _windows(x: Array, size: Any, axes: Any, stride: Any, dilation: Any) -> Array:
    spans = [(taps - 1) * apart + 1 for taps, apart in zip(size, dilation)]
    places: list[Any] = [slice(None)] * x.ndim
    for axis, step in zip(axes, stride):
        places[axis] = slice(None, None, step)
    taps = (slice(None, None, apart) for apart in dilation)
    return np.lib.stride_tricks.sliding_window_view(x, spans, axes)[(*places, *taps)]


windows = _moving(_windows)


def astype(x: Bounded, dtype: str) -> Bounded:
    return cast(x, dtype)


def size(x: Bounded, axis: int) -> Bounded:
    """x.shape[axis], a number of Python's."""
    return exactly(x.shape[axis], "int64", weak=True)


def index(x: Bounded, *arrays: Bounded, key: tuple[Any, ...]) -> Bounded:
    """x[key]; `key` holds Place(n) for the n-th of `arrays`."""
    items = tuple(arrays[k.number].value if isinstance(k, Place) else k for k in key)
    for array in arrays:
        _check_indices(array)
    try:
        return moved(lambda v: v[items], x)
    except (IndexError, ValueError) as error:
        raise Invalid(str(error)) from None


class Place:
    """Where an index array stands in a key."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"Place({self.number})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and other.number == self.number

    def __hash__(self) -> int:
        return self.number


def _check_indices(indices: Bounded) -> None:
    if indices.dtype not in INTEGERS or not indices.exact.all():
        raise Invalid("these are no indices")


def take(x: Bounded, indices: Bounded, axis: int | None = None) -> Bounded:
    _check_indices(indices)
    if axis is None and x.ndim != 1:
        raise Invalid("an axis is needed")
    try:
        return moved(lambda v: np.take(v, indices.value, axis=0 if axis is None else axis), x)
    except (IndexError, ValueError) as error:
        raise Invalid(str(error)) from None


def one_hot(indices: Bounded, num_classes: int, dtype: str = "float32", axis: int = -1) -> Bounded:
    if indices.dtype not in INTEGERS or not -indices.ndim - 1 <= axis <= indices.ndim:
        raise Invalid("no indices or no axis")
    hot = np.expand_dims(indices.value, axis)
    shape = [1] * hot.ndim
    shape[axis] = num_classes
    if hot.size * num_classes > LARGEST:
        raise Invalid("too large")
    found = hot == np.arange(num_classes).reshape(shape)
    known = np.broadcast_to(np.expand_dims(indices.exact, axis), found.shape)
    return Bounded(found.astype(carrier(dtype)), np.where(known, 0.0, np.inf), dtype)


# -- products -----------------------------------------------------------------------------------


def _product(
    function: Callable[[Array, Array], Array], x: Bounded, y: Bounded, count: int, shared: int
) -> Bounded:
    """A bilinear function that adds at most `count` products for each element; the operands have
    axes of `shared` elements in common."""
    dtype = promote(x, y)
    if dtype == "bool":
        raise Invalid("bools have no products")
    a, b = cast(x, dtype), cast(y, dtype)
    try:
        sizes = math.prod(size or 1 for size in a.shape + b.shape)  # of no products, too
        if sizes / max(shared, 1) > 20 * LARGEST:
            raise Invalid("too large")
        value = np.asarray(function(a.value, b.value))
    except ValueError as error:
        raise Invalid(str(error)) from None
    if dtype not in FLOATS:
        return discrete(value, a.exact.all() and b.exact.all(), dtype)
    small = function(np.abs(a.value), np.abs(b.value))
    big = function(_most(a), _most(b))
    ulps = depth(0) + 2 * count
    error = big - small + count * tiny(dtype)
    own = bounded(big, np.zeros(np.shape(big)), dtype, ulps).error
    # NumPy's own products may take 0 * inf for 0; and what is summed first, they do not say.
    finite = function(1.0 * ~np.isfinite(a.value), np.ones(b.shape)) == 0
    finite &= function(np.ones(a.shape), 1.0 * ~np.isfinite(b.value)) == 0
    if 0 in a.shape + b.shape:
        finite &= np.isfinite(a.value).all() and np.isfinite(b.value).all()
    parts = (big, function(_most(a), np.ones(b.shape)), function(np.ones(a.shape), _most(b)))
    fine = finite & np.all([np.asarray(part) < largest(dtype) * 0.9 for part in parts], axis=0)
    return Bounded(value, np.where(fine, error + own, np.inf), dtype)


def _most(x: Bounded) -> Array:
    """The largest magnitudes that the elements may have."""
    return np.abs(x.value) + x.error


def matmul(x: Bounded, y: Bounded) -> Bounded:
    if not x.ndim or not y.ndim:
        raise Invalid("scalars have no matrix product")
    return _product(np.matmul, x, y, x.shape[-1], x.shape[-1])


def outer(x: Bounded, y: Bounded) -> Bounded:
    if x.ndim != 1 or y.ndim != 1:
        raise Invalid("vectors have outer products")
    column = Bounded(x.value[:, None], x.error[:, None], x.dtype)
    return elementwise.multiply(column, y)


def tensordot(x: Bounded, y: Bounded, axes: Any = 2) -> Bounded:
    if isinstance(axes, int) and (axes > x.ndim or axes > y.ndim):
        raise Invalid("too many axes")
    try:
        shared = math.prod(x.shape[x.ndim - axes :])
        return _product(lambda a, b: np.tensordot(a, b, axes), x, y, shared, shared)
    except IndexError as error:
        raise Invalid(str(error)) from None


def vecdot(x: Bounded, y: Bounded, axis: int = -1) -> Bounded:
    a, b = meet(x, y)
    if not -min(x.ndim, y.ndim) <= axis < 0 or x.shape[axis] != y.shape[axis]:
        raise Invalid("no such axis, or axes of two sizes")
    return reductions.sum(elementwise.multiply(a, b), axis, dtype=a.dtype)


def einsum(*operands: Bounded, subscripts: str) -> Bounded:
    terms, arrow, result = subscripts.partition("->")
    if not arrow:
        result = "".join(c for c in sorted(terms) if c != "," and terms.count(c) == 1)
    subscripts = f"{terms}->{result}"
    if len(operands) == 1:
        axes = tuple(i for i, c in enumerate(terms) if c not in result)
        rest = [c for c in terms if c in result]
        summed = reductions.sum(operands[0], axes, dtype=operands[0].dtype)
        return transpose(summed, [rest.index(c) for c in result])
    first, second = operands
    left, right = terms.split(",")
    shared = math.prod(s for s, c in zip(first.shape, left) if c in right)
    count = math.prod(s for s, c in zip(first.shape, left) if c not in result)
    count *= math.prod(s for s, c in zip(second.shape, right) if c not in result)
    return _product(lambda a, b: np.einsum(subscripts, a, b), first, second, count, shared)


# -- creation -----------------------------------------------------------------------------------


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: str = "int64") -> Bounded:
    return exactly(np.arange(start, stop, step).astype(dtype), dtype)


def linspace(start: float, stop: float, num: int, dtype: str) -> Bounded:
    line = np.linspace(start, stop, num)
    return bounded(line, np.zeros(num), dtype, 4)


def full(shape: Any, value: Any, dtype: str) -> Bounded:
    return exactly(np.full(shape, value, dtype), dtype)


def full_like(x: Bounded, fill: Any) -> Bounded:
    return exactly(np.full(x.shape, fill, x.dtype), x.dtype)


def eye(rows: int, columns: int, k: int = 0) -> Bounded:
    return exactly(np.eye(rows, columns, k), "float32")
