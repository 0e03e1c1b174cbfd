"""Rules of drawing that append what people write in several calls, and the tables of all rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fuzz.drawer import Drawer
from tests.fuzz.program import Literal, Operand
from tests.fuzz.reference.values import Bounded, Invalid
from tests.fuzz.rules import control, transforms
from tests.fuzz.rules.checks import check
from tests.fuzz.rules.complex_numbers import complex_numbers
from tests.fuzz.rules.cumulative import cumulative, differences
from tests.fuzz.rules.elementwise import (
    activation,
    binary,
    bits,
    cast,
    choice,
    clip,
    comparison,
    logic,
    power,
    simple_unary,
    unary,
)
from tests.fuzz.rules.fourier import fourier_transform, spectrum_shift
from tests.fuzz.rules.linear_algebra import cross, diagonal, linear_algebra
from tests.fuzz.rules.movement import (
    array_index,
    concat,
    element,
    expand,
    flip,
    indexing,
    pad,
    reshape,
    roll,
    size,
    stack,
    tile,
    transpose,
    windows,
)
from tests.fuzz.rules.operands import an_axis, required
from tests.fuzz.rules.products import (
    creation,
    cross_entropy,
    einsum,
    matmul,
    one_hot,
    product,
    scalars,
)
from tests.fuzz.rules.reductions import reduction, rowwise
from tests.fuzz.rules.sorting import rows_in_order, sorting


def normalize(d: Drawer) -> None:
    """(x - mean) / std and its like: a reduced value meets what it was reduced from."""
    value = required(d.pick(lambda v: v.ndim >= 1 and v.is_float))
    name = d.rng.choice(("mean", "sum", "max", "min", "logsumexp", "std", "var", "prod"))
    reduced = d.emit(name, value, axis=an_axis(d, value), keepdims=True)
    if d.chance(0.3):
        reduced = d.emit(d.rng.choice(("exp", "square", "abs")), reduced)
    if d.chance(0.3):
        reduced = d.emit("add", reduced, Literal(1.0), form="operator")
    name = d.rng.choice(("subtract", "divide", "multiply", "maximum"))
    d.emit(name, value, reduced)


def reduced_arithmetic(d: Drawer) -> None:
    """sum(x / y), mean((x - y) ** 2), max(abs(x * 2)): a reduction of what is computed for it."""
    value = required(d.pick(lambda v: v.ndim >= 1 and v.dtype != "bool"))
    names = ("divide", "divide", "multiply", "subtract", "add", "maximum")
    name = d.rng.choice(names if d.smooth else (*names, "remainder", "floor_divide", "pow"))
    made = d.emit(name, value, d.operand(value))
    if d.chance(0.4):
        made = d.emit(d.rng.choice(("square", "abs", "exp", "sqrt", "negative")), made)
    axes: dict[str, Any] = {"axis": an_axis(d, made)} if d.chance(0.5) else {}
    d.emit(d.rng.choice(("sum", "sum", "mean", "prod", "max", "min", "std")), made, **axes)


def nested_reductions(d: Drawer) -> None:
    """A reduction of a reduction, with an axis of size 1 or an elementwise call between."""
    value = required(d.pick(lambda v: v.ndim >= 1 and v.is_float))
    if d.chance(0.5):
        value = d.emit("expand_dims", value, axis=d.rng.randint(0, d.values[value].ndim))
    for _ in range(2):
        name = d.rng.choice(("sum", "sum", "mean", "max", "prod", "var"))
        value = d.emit(name, value, axis=an_axis(d, value), keepdims=d.chance(0.3))
        if d.chance(0.3):
            value = d.emit(d.rng.choice(("square", "exp", "negative")), value)
    if d.chance(0.4):
        d.emit("square", value)


def stack_of_parts(d: Drawer) -> None:
    """stack or concat of computed elements or rows: x[0] * 2, x[1] * 3, ..."""
    value = required(d.pick(lambda v: v.ndim >= 1 and v.dtype != "bool" and v.shape[0] > 0))
    size = d.values[value].shape[0]
    axis = d.rng.randrange(d.values[value].ndim)
    size = d.values[value].shape[axis]
    if not size:
        raise Invalid("no part")
    parts = []
    for _ in range(d.rng.randint(2, 4)):
        place: Any = d.rng.randrange(-size, size)
        part = d.emit("index", value, key=(*(slice(None),) * axis, place))
        if d.chance(0.8):
            name = d.rng.choice(("multiply", "add", "subtract", "maximum"))
            other: Operand = (
                d.literal(d.values[value].dtype) if d.chance(0.6) else parts[-1:] or part
            )  # type: ignore[assignment]
            part = d.emit(name, part, other[0] if isinstance(other, list) else other)
        parts.append(part)
    rank = d.values[parts[0]].ndim
    if rank and d.chance(0.3):
        d.emit("concat", *parts, axis=d.rng.randrange(rank))
    else:
        d.emit("stack", *parts, axis=d.rng.randint(0, rank))


def stencil(d: Drawer) -> None:
    """x[1:-1] + c * (x[:-2] - 2 * x[1:-1] + x[2:]), with borders joined on."""
    value = required(d.pick(lambda v: v.ndim in (1, 2) and v.is_float and v.shape[0] >= 3))
    axis = d.rng.randrange(d.values[value].ndim)
    lead = (slice(None),) * axis

    def part(start: int | None, stop: int | None) -> int:
        return d.emit("index", value, key=(*lead, slice(start, stop)))

    for _ in range(d.rng.choice((1, 1, 2, 3))):
        left, middle, right = part(None, -2), part(1, -1), part(2, None)
        total = d.emit("add", left, right, form="operator")
        total = d.emit("subtract", total, middle, form="operator")
        total = d.emit("multiply", Literal(0.25), total, form="operator")
        inner = d.emit("add", middle, total, form="operator")
        kind = d.rng.random()
        if kind < 0.4:
            value = d.emit("concat", part(None, 1), inner, part(-1, None), axis=axis)
        elif kind < 0.7:
            width = tuple((1, 1) if a == axis else (0, 0) for a in range(d.values[value].ndim))
            value = d.emit("pad", inner, Literal(0), pad_width=width)
        else:
            return


def pooling(d: Drawer) -> None:
    """Windows, and what is in each, reduced."""
    found = windows(d)
    taps = len(d.instructions[-1].options["size"])
    if d.chance(0.3):
        return
    name = d.rng.choice(("max", "sum", "min", "mean"))
    d.emit(name, found, axis=tuple(range(-taps, 0)), keepdims=d.chance(0.2))


def correlation(d: Drawer) -> None:
    """A convolution: windows of an array along one or two axes, padded or not, multiplied with
    weights; each channel with its own where the first axes are of one size."""
    value = required(d.pick(lambda v: v.ndim in (1, 2, 3) and v.dtype != "bool" and v.size > 0))
    if d.chance(0.5):
        value = d.emit("pad", value, Literal(0), pad_width=d.rng.randint(1, 2))
    dtype, shape = d.values[value].dtype, d.values[value].shape
    count = d.rng.randint(1, min(2, len(shape)))
    weight = required(d.pick(lambda v: count <= v.ndim <= 3 and v.dtype == dtype and v.size > 0))
    taps, sizes = d.values[weight].shape[-count:], shape[-count:]
    if any(tap > size for tap, size in zip(taps, sizes, strict=True)):
        raise Invalid("no place for a window")
    stride = tuple(d.rng.choice((1, 1, 2)) for _ in taps)
    apart = [2 if 2 * (tap - 1) < size and d.chance(0.3) else 1 for tap, size in zip(taps, sizes)]
    options: dict[str, Any] = {"size": taps, "axes": tuple(range(-count, 0)), "stride": stride}
    found = d.emit("nn.windows", value, **options, dilation=tuple(apart))
    letters = "abcde"[: d.values[found].ndim]
    other = "zyx"[: d.values[weight].ndim - count]
    if other and len(shape) > count and d.values[weight].shape[0] == shape[0] and d.chance(0.5):
        other = letters[0] + other[1:]
    kept = [*dict.fromkeys((*letters[:-count], *other))]
    d.rng.shuffle(kept)
    operands = (found, weight) if d.chance(0.5) else (weight, found)
    names = [letters, other + letters[-count:]]
    terms = ",".join(names if operands[0] == found else names[::-1])
    d.emit("einsum", *operands, subscripts=f"{terms}->{''.join(kept)}")


def pairwise(d: Drawer) -> None:
    """x[:, None] - y[None], and what is done with all pairs."""
    value = required(d.pick(lambda v: v.ndim in (1, 2) and v.dtype != "bool"))
    rank, dtype = d.values[value].ndim, d.values[value].dtype
    last = d.values[value].shape[1:]
    other = required(d.pick(lambda v: v.ndim == rank and v.shape[1:] == last and v.dtype == dtype))
    left = d.emit("index", value, key=(slice(None), None))
    right = d.emit("index", other, key=(None,))
    pair = d.emit(d.rng.choice(("subtract", "multiply", "add")), left, right, form="operator")
    if d.chance(0.5):
        pair = d.emit("square", pair)
    d.emit(d.rng.choice(("sum", "max", "min")), pair, axis=d.rng.choice((-1, 0, 1)))


def recurrence(d: Drawer) -> None:
    """The last few instructions over again on their own result: an unrolled loop."""
    count = d.rng.randint(1, min(4, len(d.instructions) or 1))
    first = len(d.values) - count
    body = d.instructions[-count:]
    sources = {s for i in body for s in i.sources() if s < first}
    last = d.values[-1]
    fits = [s for s in sources if _same_type(d.values[s], last)]
    if not fits or not body:
        raise Invalid("no value to go round")
    carried = d.rng.choice(fits)
    for _ in range(d.rng.randint(1, 5 if count < 3 else 2)):
        start, result = len(d.values), len(d.values) - 1

        def numbers(n: int, start: int = start, result: int = result) -> int:
            return n - first + start if n >= first else result if n == carried else n

        for instruction in body:
            again = instruction.renumbered(numbers)
            options: dict[str, Any] = {"form": again.form, "blocks": again.blocks}
            d.emit(again.name, *again.operands, **options, **again.options)


def _same_type(a: Bounded, b: Bounded) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and not a.weak


def branch(d: Drawer) -> None:
    control.branch(d, rules_of(d))


def loop(d: Drawer) -> None:
    loops = [control.counted_loop, control.scanned_loop]
    if not d.reverse:  # others have no gradients
        loops.insert(1, control.conditional_loop)
    d.rng.choice(loops)(d, rules_of(d))


def transform(d: Drawer) -> None:
    transforms.transform(d, rules_of(d))


def rules_of(d: Drawer) -> tuple[Rule, ...]:
    """What a program, or a block, is grown by."""
    rules = SMOOTH if d.smooth else ALL
    return (*rules, *TRANSFORMED, *LIBRARIES) if d.transforms else rules


Rule = Callable[[Drawer], Any]

COMMON: tuple[Rule, ...] = (
    *(unary,) * 4,
    *(binary,) * 6,
    *(reduction,) * 5,
    *(indexing,) * 4,
    *(choice,) * 2,
    *(reshape, transpose, expand, concat, stack, pad) * 2,
    *(normalize, stack_of_parts, reduced_arithmetic, nested_reductions) * 2,
    *(simple_unary, activation, power, clip, cast, rowwise, element, array_index),
    *(array_index, cross_entropy),
    *(flip, roll, tile, matmul, matmul, einsum, product, creation),
    *(stencil, pairwise, recurrence, recurrence),
    *(pooling, correlation),
    *(sorting, sorting, rows_in_order, cumulative, cumulative, differences),
    *(fourier_transform, fourier_transform, spectrum_shift),
    *(branch, branch, loop, check, size, complex_numbers),
    *(linear_algebra,) * 4,
    *(diagonal, cross),
)
ALL: tuple[Rule, ...] = (
    *COMMON,
    comparison,
    comparison,
    logic,
    bits,
    bits,
    one_hot,
    scalars,
    scalars,
    loop,
    loop,
)
SMOOTH: tuple[Rule, ...] = COMMON
TRANSFORMED: tuple[Rule, ...] = (*(transform,) * 40, *(branch, loop) * 8)
"""As often as all others together."""
LIBRARIES: tuple[Rule, ...] = (
    *(linear_algebra,) * 4,
    *(complex_numbers, fourier_transform, cumulative) * 3,
)
"""More often among transforms than elsewhere: what is not made of elements alone."""
