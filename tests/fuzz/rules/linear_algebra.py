"""Rules that append a function of matrices, which are made so that it has a value."""

from __future__ import annotations

from tests.fuzz.drawer import Drawer, broadcasts
from tests.fuzz.program import Operand
from tests.fuzz.reference.linear_algebra import CALLS
from tests.fuzz.reference.values import Bounded
from tests.fuzz.rules.operands import an_axis, required

SIDE, MOST = 12, 1500
"""Of one matrix, and elements of all of them."""


def linear_algebra(d: Drawer) -> None:
    """A system, a factorization, a spectrum, a norm, ..."""
    call = d.rng.choice([name for name, c in CALLS.items() if c.smooth or not d.smooth])
    wanted = CALLS[call]
    value = _matrix(d)
    rows, columns = d.values[value].shape[-2:]
    if wanted.square and rows != columns:
        value = _square(d, value)
    elif wanted.tall and rows < columns:
        value = d.emit("matrix_transpose", value)
    operands: list[Operand] = [value]
    if "{b}" in call:
        operands.append(_right(d, value))
    d.emit("linear_algebra", *operands, call=call, made=d.rng.choice(wanted.made))


def _matrix(d: Drawer) -> int:
    def fits(value: Bounded) -> bool:
        some = value.ndim and max(value.shape[-2:]) <= SIDE and value.size <= MOST
        return bool(some) and (value.is_float or (value.dtype != "bool" and not d.smooth))

    value = required(d.pick(fits))
    if d.values[value].ndim == 1:
        return d.emit("outer", value, value)
    return value


def _square(d: Drawer, value: int) -> int:
    """Square matrices: the products with their transposes, or what is left of a cut."""
    if d.chance(0.4):
        return d.emit("matmul", value, d.emit("matrix_transpose", value, form="property"))
    side = min(d.values[value].shape[-2:])
    return d.emit("index", value, key=(Ellipsis, slice(None, side), slice(None, side)))


def _right(d: Drawer, value: int) -> int:
    """Right sides for matrices, or these themselves."""
    shape = d.values[value].shape

    def fits(other: Bounded) -> bool:
        if not other.is_float or not other.ndim or other.size > MOST:
            return False
        if other.ndim == 1:
            return other.shape == shape[-2:-1]
        return other.shape[-2] == shape[-2] and broadcasts(other.shape[:-2], shape[:-2])

    if d.chance(0.3) and d.values[value].is_float:
        return value
    return required(d.pick(fits))


def diagonal(d: Drawer) -> None:
    """A diagonal, or its sum."""
    value = required(d.pick(lambda v: v.ndim >= 2 and v.dtype != "bool"))
    rows, columns = d.values[value].shape[-2:]
    options = {"offset": d.rng.randint(-rows, columns)} if d.chance(0.5) else {}
    d.emit(d.rng.choice(("linalg.diagonal", "linalg.trace")), value, **options)


def cross(d: Drawer) -> None:
    """The product of vectors of three."""
    value = required(d.pick(lambda v: max(v.shape, default=0) >= 3 and v.dtype != "bool"))
    axis = an_axis(d, value)
    if d.values[value].shape[axis] != 3:
        lead = (slice(None),) * (axis % d.values[value].ndim)
        value = d.emit("index", value, key=(*lead, slice(0, 3)))
    wanted = d.values[value]
    other = d.pick(lambda v: v.shape == wanted.shape and v.dtype == wanted.dtype)
    d.emit("linalg.cross", value, value if other is None else other, axis=axis)
