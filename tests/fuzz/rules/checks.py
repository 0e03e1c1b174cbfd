"""A rule that appends a check, which seldom fails, and in blocks never."""

from __future__ import annotations

from tests.fuzz.drawer import Drawer
from tests.fuzz.reference.checks import passes
from tests.fuzz.reference.values import Invalid
from tests.fuzz.rules.operands import number


def check(d: Drawer) -> None:
    if d.pure:
        raise Invalid("no effect here")
    value = number(d)
    bound = d.rng.choice((2.0, 100.0, 1e30) if d.values[value].is_float else (2, 9, 100))
    if d.depth:
        d.emit("checked", value, bound=bound, holds=True)
        return
    if not passes(d.values[value], bound) and d.chance(0.4):
        raise Invalid("too many programs would fail")
    d.emit("checked", value, bound=bound)
