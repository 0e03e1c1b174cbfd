"""A rule that makes complex numbers of arrays, computes with them, and takes a part of that."""

from __future__ import annotations

from tests.fuzz.drawer import Drawer
from tests.fuzz.reference.complex_numbers import BY_ROWS, CUT, STEPS
from tests.fuzz.reference.control import MOST_TURNS
from tests.fuzz.rules.operands import floating, required


def complex_numbers(d: Drawer) -> None:
    x = floating(d)
    value = d.values[x]
    y = required(d.pick(lambda v: v.shape == value.shape and v.dtype == value.dtype))
    names = [name for name in STEPS if not (d.smooth and name in CUT)]
    if not (value.ndim and 0 < value.shape[0] <= MOST_TURNS):
        names = [name for name in names if name not in BY_ROWS]
    steps = tuple(d.rng.choice(names) for _ in range(d.rng.choice((1, 1, 2, 3))))
    part = d.rng.choice(("real", "imag") if d.smooth else ("real", "imag", "abs"))
    d.emit("complex_part", x, y, steps=steps, part=part)
