"""Choosing what a rule works on: a value that fits, an axis of it, several."""

from __future__ import annotations

from typing import Any

from tests.fuzz.drawer import Drawer
from tests.fuzz.reference.values import Invalid


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


def scalar_of(d: Drawer, number: int) -> int:
    """A scalar made of a value of floats."""
    value, kind = d.values[number], d.rng.random()
    if not value.ndim:
        return d.emit("square", number) if kind < 0.5 else d.emit("sin", number)
    if kind < 0.3:
        return d.emit("sum", number)
    if kind < 0.5:
        return d.emit("sum", d.emit("square", number))
    if kind < 0.65 and value.size:
        return d.emit("mean", number)
    if kind < 0.8 and value.size:
        return d.emit("index", number, key=tuple(d.rng.randrange(s) for s in value.shape))
    return d.emit("sum", d.emit("sin", number))


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
