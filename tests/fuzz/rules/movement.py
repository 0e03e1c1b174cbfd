"""Rules that append movement: indices, shapes, axes, several arrays as one."""

from __future__ import annotations

import math
from typing import Any

from tests.fuzz.drawer import SIDES, Drawer
from tests.fuzz.program import Literal
from tests.fuzz.reference.movement import Place
from tests.fuzz.reference.values import INTEGERS, Bounded, Invalid
from tests.fuzz.rules.operands import an_axis, any_value, required, some_axes, with_axis


def _slice(d: Drawer, size: int) -> slice:
    ends: list[int | None] = [None, 0, 1, -1, 2, -2, size // 2, size, size + 3]
    steps: tuple[int | None, ...] = (None, None, None, 1, 2, -1, -1, -2, 3)
    return slice(d.rng.choice(ends), d.rng.choice(ends), d.rng.choice(steps))


def _key_item(d: Drawer, size: int) -> Any:
    kind = d.rng.random()
    if kind < 0.3 and size:
        return d.rng.randrange(-size, size)
    return slice(None) if kind < 0.45 else _slice(d, size)


def indexing(d: Drawer) -> None:
    """Integers, slices, None and Ellipsis."""
    value = with_axis(d)
    shape = d.values[value].shape
    count = d.rng.randint(1, len(shape))
    key = [_key_item(d, size) for size in shape[:count]]
    if count < len(shape) and d.chance(0.3):
        key = [Ellipsis, *(_key_item(d, size) for size in shape[len(shape) - count :])]
    if d.chance(0.25):
        key.insert(d.rng.randint(0, len(key)), None)
    d.emit("index", value, key=tuple(key))


def element(d: Drawer) -> None:
    """One element, by integers alone."""
    value = required(d.pick(lambda v: v.ndim >= 1 and v.size > 0))
    d.emit("index", value, key=tuple(d.rng.randrange(-s, s) for s in d.values[value].shape))


def array_index(d: Drawer) -> None:
    """Rows by an array of integers, by take or in brackets."""
    value = with_axis(d)
    shape = d.values[value].shape
    axis = an_axis(d, value)
    indices = d.pick(lambda v: are_indices(v, shape[axis]))
    if indices is None:
        _several_arrays(d, value)
    elif d.chance(0.5):
        d.emit("take", value, indices, axis=axis)
    else:
        key = (*[slice(None)] * (axis % len(shape)), Place(0))
        d.emit("index", value, indices, key=key)


def are_indices(value: Bounded, size: int) -> bool:
    if value.dtype not in INTEGERS or not value.exact.all():
        return False
    numbers = value.value.astype("float64")
    return bool(((numbers >= -size) & (numbers < size)).all())


def _several_arrays(d: Drawer, value: int) -> None:
    """Lists of integers beside slices, integers and None."""
    count = d.rng.choice((0, 1, 2, 3, 3, 4))
    key: list[Any] = []
    for size in d.values[value].shape[: d.rng.randint(1, d.values[value].ndim)]:
        length = d.rng.choice((count, count, 1))
        kind = d.rng.random()
        if kind < 0.6 and (size or not length):
            key.append([d.rng.randrange(-size, size) for _ in range(length)])
        elif kind < 0.75 and size:
            key.append(d.rng.randrange(-size, size))
        else:
            key.append(_slice(d, size))
    if d.chance(0.15):
        key.insert(d.rng.randint(0, len(key)), None)
    d.emit("index", value, key=tuple(key))


def _factors(d: Drawer, size: int) -> tuple[int, ...]:
    """A shape of `size` elements."""
    shape: list[int] = []
    while size > 1 and len(shape) < 3:
        divisors = [n for n in range(2, min(size, 300) + 1) if size % n == 0]
        if not divisors:
            break
        shape.append(d.rng.choice(divisors))
        size //= shape[-1]
    shape.append(size)
    for _ in range(d.rng.choice((0, 0, 1, 1, 2))):
        shape.insert(d.rng.randint(0, len(shape)), 1)
    return tuple(shape[:4]) if math.prod(shape[:4]) == math.prod(shape) else tuple(shape)


def reshape(d: Drawer) -> None:
    value = any_value(d)
    size, shape = d.values[value].size, d.values[value].shape
    kind = d.rng.random()
    if kind < 0.2 and size:
        new: tuple[int, ...] = (-1,)
    elif kind < 0.4 and len(shape) >= 2:
        first = d.rng.randrange(len(shape) - 1)
        new = (*shape[:first], shape[first] * shape[first + 1], *shape[first + 2 :])
    elif kind < 0.5 and size and shape:
        new = (shape[0], -1)
    else:
        new = _factors(d, size)
    d.emit("reshape", value, shape=new, form="method" if d.chance(0.4) else "function")


def transpose(d: Drawer) -> None:
    value = with_axis(d)
    rank, kind = d.values[value].ndim, d.rng.random()
    if kind < 0.3:
        d.emit("transpose", value, form="property")
    elif kind < 0.6:
        d.emit("permute_dims", value, axes=tuple(d.rng.sample(range(rank), rank)))
    elif kind < 0.8:
        if rank < 2:
            raise Invalid("no two axes")
        d.emit("matrix_transpose", value, form=d.rng.choice(("property", "function")))
    else:
        d.emit("transpose", value, axes=tuple(d.rng.sample(range(rank), rank)))


def expand(d: Drawer) -> None:
    """New axes of size 1, their removal, and repetition along them."""
    value, kind = any_value(d), d.rng.random()
    shape = d.values[value].shape
    if kind < 0.35:
        d.emit("expand_dims", value, axis=d.rng.randint(-len(shape) - 1, len(shape)))
    elif kind < 0.6:
        d.emit("squeeze", value)
    else:
        lead = tuple(d.rng.choice(SIDES) for _ in range(d.rng.choice((0, 1, 1, 2))))
        sides = tuple(d.rng.choice(SIDES) if s == 1 else s for s in shape)
        d.emit("broadcast_to", value, shape=(*lead, *sides))


def flip(d: Drawer) -> None:
    value = with_axis(d)
    axis = some_axes(d, value)
    d.emit("flip", value, **({} if axis is None else {"axis": axis}))


def concat(d: Drawer) -> None:
    """Pieces of one rank along an axis; the same piece may come twice."""
    value = with_axis(d)
    shape, dtype = d.values[value].shape, d.values[value].dtype
    axis = an_axis(d, value)

    def fits(v: Bounded) -> bool:
        return (
            v.ndim == len(shape)
            and v.dtype == dtype
            and _without(v.shape, axis) == _without(shape, axis)
        )

    pieces = [value, *(required(d.pick(fits)) for _ in range(d.rng.choice((1, 1, 2, 3))))]
    d.rng.shuffle(pieces)
    d.emit("concat", *pieces, axis=axis if d.chance(0.95) else None)


def _without(shape: tuple[int, ...], axis: int) -> list[int]:
    sides = list(shape)
    del sides[axis]
    return sides


def stack(d: Drawer) -> None:
    value = any_value(d)
    shape, dtype = d.values[value].shape, d.values[value].dtype

    def fits(v: Bounded) -> bool:
        return v.shape == shape and v.dtype == dtype

    pieces = [value, *(required(d.pick(fits)) for _ in range(d.rng.choice((1, 2, 2, 3))))]
    d.rng.shuffle(pieces)
    d.emit("stack", *pieces, axis=d.rng.randint(-len(shape) - 1, len(shape)))


def pad(d: Drawer) -> None:
    value = with_axis(d)
    rank, kind = d.values[value].ndim, d.rng.random()
    width: Any = tuple((d.rng.randint(0, 2), d.rng.randint(0, 2)) for _ in range(rank))
    if kind < 0.3:
        width = d.rng.randint(0, 2)
    elif kind < 0.5:
        width = (d.rng.randint(0, 2), d.rng.randint(0, 3))
    fill = Literal(d.rng.choice((0, 1))) if d.chance(0.7) else d.literal(d.values[value].dtype)
    d.emit("pad", value, fill, pad_width=width)


def windows(d: Drawer) -> int:
    """Windows along some axes, of sizes, strides and dilation that fit."""
    value = required(d.pick(lambda v: 1 <= v.ndim <= 3 and v.size > 0))
    shape = d.values[value].shape
    axes = sorted(d.rng.sample(range(len(shape)), d.rng.randint(1, min(2, len(shape)))))
    each = [_window(d, shape[axis]) for axis in axes]
    sizes, strides, dilation = zip(*each)
    options = {"size": sizes, "axes": tuple(axes), "stride": strides, "dilation": dilation}
    return d.emit("nn.windows", value, **options)


def _window(d: Drawer, size: int) -> tuple[int, int, int]:
    taps = d.rng.randint(1, min(size, 4))
    most = (size - 1) // (taps - 1) if taps > 1 else 3
    return taps, d.rng.choice((1, 1, 2, 3)), d.rng.randint(1, min(most, 3))


def roll(d: Drawer) -> None:
    value = required(d.pick(lambda v: v.ndim >= 1 and v.size > 0))
    axis = d.rng.randrange(d.values[value].ndim)
    lead = (slice(None),) * axis
    by = d.rng.randint(1, max(d.values[value].shape[axis] - 1, 1))
    parts = [d.emit("index", value, key=(*lead, s)) for s in (slice(by, None), slice(None, by))]
    d.emit("concat", *parts, axis=axis)


def tile(d: Drawer) -> None:
    """Repetition: a new axis, broadcast, and merged with its neighbour."""
    value = with_axis(d)
    shape, times = d.values[value].shape, d.rng.randint(2, 3)
    place = d.rng.randint(0, len(shape))
    new = d.emit("expand_dims", value, axis=place)
    wide = (*shape[:place], times, *shape[place:])
    new = d.emit("broadcast_to", new, shape=wide)
    first = max(place - 1, 0) if place == len(shape) or d.chance(0.5) else place
    merged = (*wide[:first], wide[first] * wide[first + 1], *wide[first + 2 :])
    d.emit("reshape", new, shape=merged)


def size(d: Drawer) -> None:
    """x.shape[axis], which is a symbol in a program for any size."""
    value = required(d.pick(lambda v: v.ndim >= 1))
    d.emit("size", value, axis=d.rng.randrange(d.values[value].ndim))
