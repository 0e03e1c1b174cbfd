"""Rules of drawing that append one call each: elementwise, reductions, movement, products."""

from __future__ import annotations

import math
from typing import Any

from tests.fuzz.drawer import SIDES, Drawer, broadcasts
from tests.fuzz.program import Literal, Operand
from tests.fuzz.reference import namespace
from tests.fuzz.reference.movement import Place
from tests.fuzz.reference.values import DTYPES, FLOATS, INTEGERS, Bounded, Invalid

# -- elementwise and reductions ------------------------------------------------------------------


def required(value: int | None) -> int:
    if value is None:
        raise Invalid("no value fits")
    return value


def any_value(d: Drawer) -> int:
    return required(d.pick())


def number(d: Drawer) -> int:
    return required(d.pick(lambda v: v.dtype != "bool"))


def floating(d: Drawer) -> int:
    return required(d.pick(lambda v: v.is_float))


def with_axis(d: Drawer, least: int = 1) -> int:
    return required(d.pick(lambda v: v.ndim >= least))


def an_axis(d: Drawer, value: int) -> int:
    rank = d.values[value].ndim
    if not rank:
        raise Invalid("no axis")
    return d.rng.randrange(-rank, rank)


def some_axes(d: Drawer, value: int) -> Any:
    """None, one axis, or several."""
    rank, kind = d.values[value].ndim, d.rng.random()
    if kind < 0.25 or not rank:
        return None
    if kind < 0.75:
        return d.rng.randrange(-rank, rank)
    return tuple(sorted(d.rng.sample(range(rank), d.rng.randint(1, rank))))


def unary(d: Drawer) -> None:
    """An elementary function, of integers now and then."""
    value = floating(d) if d.chance(0.85) else any_value(d)
    names = namespace.FLOAT_UNARY
    name = d.rng.choice(names)
    if name in ("log", "sqrt", "rsqrt", "log1p", "log2") and d.chance(0.6):
        value = d.emit("abs", value) if d.chance(0.5) else d.emit("square", value)
        if d.chance(0.5):
            value = d.emit("add", value, Literal(d.rng.choice((1.0, 0.1, 1e-3))), form="operator")
    d.emit(name, value)


def simple_unary(d: Drawer) -> None:
    name = d.rng.choice(namespace.UNARY if not d.smooth else ("abs", "negative", "square"))
    value = any_value(d)
    written = name in ("negative", "positive", "bitwise_invert", "abs") and d.chance(0.7)
    d.emit(name, value, form="operator" if written else "function")


def activation(d: Drawer) -> None:
    name = d.rng.choice(("nn.relu", "nn.silu", "nn.gelu"))
    options = {"approximate": False} if name == "nn.gelu" and d.chance(0.4) else {}
    d.emit(name, number(d), **options)


def _two(d: Drawer, names: tuple[str, ...], value: int) -> int:
    name, other = d.rng.choice(names), d.operand(value)
    left, right = (value, other) if d.chance(0.7) else (other, value)
    if not isinstance(left, int):
        left, right = (left, right) if d.chance(0.5) else (right, left)
    written = name not in ("maximum", "minimum", "atan2") and name not in namespace.LOGICAL
    literal_power = name == "pow" and isinstance(right, Literal)
    if literal_power:
        raise Invalid("powers of literals have a rule of their own")
    form = "operator" if written and d.chance(0.8) else "function"
    return d.emit(name, left, right, form=form)


def binary(d: Drawer) -> None:
    names = ("add", "subtract", "multiply", "add", "subtract", "multiply", "divide")
    if d.chance(0.3):
        names = namespace.ARITHMETIC if not d.smooth else ("atan2", "maximum", "minimum", "divide")
    _two(d, names, number(d))


def power(d: Drawer) -> None:
    exponents: tuple[float, ...] = (2, 3, 2, 0, 1, 4, 5, 8, 2.0, 3.0, 0.5, -1, -0.5, 1.5, -2, 9)
    value = required(d.pick(lambda v: v.dtype != "bool"))
    d.emit("literal_power", value, exponent=d.rng.choice(exponents))


def comparison(d: Drawer) -> None:
    _two(d, namespace.COMPARISONS, any_value(d))


def logic(d: Drawer) -> None:
    if d.chance(0.3):
        d.emit("logical_not", any_value(d))
    else:
        _two(d, namespace.LOGICAL, any_value(d))


def bits(d: Drawer) -> None:
    value = required(d.pick(lambda v: not v.is_float))
    if d.chance(0.3) and d.values[value].dtype != "bool":
        name = d.rng.choice(("bitwise_left_shift", "bitwise_right_shift"))
        d.emit(name, value, Literal(d.rng.choice((0, 1, 3, 7, 31))), form="operator")
    else:
        _two(d, namespace.BITWISE[:3], value)


def choice(d: Drawer) -> None:
    """where(test, x, y), with a test of one of the two or an earlier one."""
    value = any_value(d)
    shape = d.values[value].shape
    test = d.pick(lambda v: v.dtype == "bool" and broadcasts(v.shape, shape))
    if test is None or d.chance(0.5):
        name = d.rng.choice(("greater", "less", "greater_equal", "not_equal"))
        test = d.emit(name, value, d.operand(value), form="operator")
    branches: list[Operand] = [value, d.operand(value)]
    if d.chance(0.15):
        branches = [d.literal("float32"), d.literal("float32")]
    d.rng.shuffle(branches)
    d.emit("where", test, *branches)


def clip(d: Drawer) -> None:
    value = number(d)
    low, high = d.rng.choice(((-1, 1), (0, None), (None, 2), (0.0, 6.0), (-0.5, 0.5), (1, 3)))
    if d.values[value].dtype not in FLOATS and isinstance(low or high, float):
        raise Invalid("fractions limit floats")
    ends = [None if end is None else Literal(end) for end in (low, high)]
    d.emit("clip", value, *ends)


def cast(d: Drawer) -> None:
    dtypes = FLOATS if d.smooth else DTYPES
    form = "method" if d.chance(0.5) else "function"
    d.emit("astype", any_value(d), dtype=d.rng.choice(dtypes), form=form)


def reduction(d: Drawer) -> None:
    names = namespace.REDUCTIONS
    if d.smooth:
        names = ("sum", "mean", "prod", "max", "min", "var", "std", "logsumexp", "sum", "mean")
    elif d.chance(0.4):
        names = ("sum", "mean", "max", "sum")
    name = d.rng.choice(names)
    value = with_axis(d) if d.chance(0.95) else any_value(d)
    axis: Any = some_axes(d, value)
    if name in ("argmax", "argmin") and isinstance(axis, tuple):
        axis = axis[0]
    options: dict[str, Any] = {} if axis is None else {"axis": axis}
    if d.chance(0.35):
        options["keepdims"] = True
    if name in ("sum", "prod") and d.chance(0.1):
        options["dtype"] = d.rng.choice(FLOATS if d.smooth else DTYPES[1:])
    if name in ("var", "std") and d.chance(0.3):
        options["correction"] = 1
    method = name != "logsumexp" and d.chance(0.4)
    d.emit(name, value, form="method" if method else "function", **options)


def rowwise(d: Drawer) -> None:
    value = required(d.pick(lambda v: v.ndim >= 1 and v.is_float))
    name = d.rng.choice(namespace.ROWWISE)
    axis = an_axis(d, value)
    options = {"axis": axis} if d.chance(0.5) else {}
    operands: list[Operand] = [value]
    if name == "layer_norm" and not options and d.chance(0.5):
        last = d.values[value].shape[-1:]
        weight = d.pick(lambda v: v.shape == last and v.is_float)
        if weight is not None:
            operands += [weight, weight][: d.rng.randint(1, 2)]
    d.emit(name, *operands, **options)


# -- movement ----------------------------------------------------------------------------


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
    indices = d.pick(lambda v: _are_indices(v, shape[axis]))
    if indices is None:
        _several_arrays(d, value)
    elif d.chance(0.5):
        d.emit("take", value, indices, axis=axis)
    else:
        key = (*[slice(None)] * (axis % len(shape)), Place(0))
        d.emit("index", value, indices, key=key)


def _are_indices(value: Bounded, size: int) -> bool:
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


# -- products, creation ------------------------------------------------------------------


def matmul(d: Drawer) -> None:
    """With what fits, or with its own transpose."""
    value = required(d.pick(lambda v: v.ndim >= 1 and v.dtype != "bool"))
    inner, dtype = d.values[value].shape[-1], d.values[value].dtype

    def fits(v: Bounded) -> bool:
        return v.ndim >= 1 and v.dtype == dtype and v.shape[-2:][0] == inner

    other = d.pick(fits)
    if other is None or (d.chance(0.3) and d.values[value].ndim >= 2):
        other = d.emit("matrix_transpose", value, form="property")
    d.emit("matmul", value, other, form=d.rng.choice(("function", "operator")))


def einsum(d: Drawer) -> None:
    """Subscripts drawn for two values by giving one letter to axes of one size."""
    value = required(d.pick(lambda v: 1 <= v.ndim <= 4 and v.dtype != "bool"))
    dtype = d.values[value].dtype
    letters = "ijklmnop"
    first = letters[: d.values[value].ndim]
    sizes = dict(zip(first, d.values[value].shape))
    if d.chance(0.25):
        kept = [c for c in first if d.chance(0.6)]
        d.rng.shuffle(kept)
        d.emit("einsum", value, subscripts=f"{first}->{''.join(kept)}")
        return
    other = required(d.pick(lambda v: v.dtype == dtype and v.ndim <= 4))
    second = ""
    for size in d.values[other].shape:
        shared = [c for c in first if sizes[c] == size and c not in second]
        new = [c for c in letters if c not in first and c not in second][:1]
        letter = d.rng.choice(shared) if shared and d.chance(0.75) else new[0]
        second += letter
    present = list(dict.fromkeys(first + second))
    kept = [c for c in present if d.chance(0.35 if c in first and c in second else 0.75)]
    d.rng.shuffle(kept)
    implicit = d.chance(0.1)
    result = "" if implicit else f"->{''.join(kept)}"
    d.emit("einsum", value, other, subscripts=f"{first},{second}{result}")


def product(d: Drawer) -> None:
    kind = d.rng.random()
    if kind < 0.4:
        value = required(d.pick(lambda v: v.ndim == 1 and v.dtype != "bool"))
        dtype = d.values[value].dtype
        other = required(d.pick(lambda v: v.ndim == 1 and v.dtype == dtype))
        d.emit("outer", value, other)
    elif kind < 0.7:
        value = required(d.pick(lambda v: v.ndim >= 1 and v.dtype != "bool"))
        shape, dtype = d.values[value].shape, d.values[value].dtype
        other = required(
            d.pick(lambda v: v.dtype == dtype and v.shape[-1:] == shape[-1:]
                   and broadcasts(v.shape, shape))
        )  # fmt: skip
        d.emit("vecdot", value, other)
    else:
        value, other = number(d), number(d)
        d.emit("tensordot", value, other, axes=d.rng.choice((0, 1, 1, 2)))


def creation(d: Drawer) -> None:
    """Ranges, constants and masks beside an array: the last axis' index, the identity, ..."""
    value, kind = any_value(d), d.rng.random()
    shape = d.values[value].shape or (3,)
    dtype = d.rng.choice(("int64", "float32", "int32", "float64"))
    if kind < 0.35:
        d.emit("arange", start=0, stop=shape[-1], step=1, dtype=dtype)
    elif kind < 0.45:
        d.emit("arange", start=shape[-1], stop=-2, step=-3, dtype=dtype)
    elif kind < 0.65 and len(shape) >= 2:
        d.emit("eye", rows=shape[-2], columns=shape[-1], k=d.rng.choice((0, 0, 1, -1)))
    elif kind < 0.75:
        d.emit("linspace", start=-1.0, stop=2.5, num=shape[-1], dtype=d.rng.choice(FLOATS))
    elif kind < 0.85:
        d.emit("full", shape=shape, value=d.rng.choice((0, 1, 3)), dtype=dtype)
    else:
        d.emit("full_like", value, fill=d.rng.choice((0, 1)))


def cross_entropy(d: Drawer) -> None:
    value = required(d.pick(lambda v: v.ndim >= 1 and v.is_float and v.shape[-1] > 0))
    shape = d.values[value].shape

    def fits(v: Bounded) -> bool:
        return v.shape == shape[:-1] and _are_indices(v, shape[-1]) and bool((v.value >= 0).all())

    labels = d.pick(fits)
    if labels is None:
        labels = d.emit("full", shape=shape[:-1], value=d.rng.randrange(shape[-1]), dtype="int64")
    d.emit("nn.cross_entropy", value, labels)


def scalars(d: Drawer) -> None:
    """Arithmetic among scalars alone, then with an array."""
    weak = [n for n, v in enumerate(d.values) if v.weak and v.dtype != "bool"]
    if not weak:
        raise Invalid("no scalar")
    name = d.rng.choice(("add", "subtract", "multiply"))
    scalar = d.emit(name, d.rng.choice(weak), Literal(d.rng.choice((2, 0.5, 3))), form="operator")
    d.emit(d.rng.choice(("add", "multiply", "maximum")), number(d), scalar)


def one_hot(d: Drawer) -> None:
    value = required(d.pick(lambda v: v.dtype in INTEGERS and v.ndim <= 2))
    dtype = d.rng.choice(("float32", "float64", "int32", "bool"))
    axis = d.rng.choice((-1, -1, 0))
    d.emit("one_hot", value, num_classes=d.rng.choice((1, 3, 5)), dtype=dtype, axis=axis)
