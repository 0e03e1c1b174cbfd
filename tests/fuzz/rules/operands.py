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
