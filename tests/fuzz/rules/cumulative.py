"""Rules that append what runs along an axis, one after another, and differences of neighbours."""

from __future__ import annotations

from typing import Any

from tests.fuzz.drawer import Drawer
from tests.fuzz.reference import namespace
from tests.fuzz.rules.operands import an_axis, number, with_axis


def cumulative(d: Drawer) -> None:
    """One, or a chain of two along the same or other axes."""
    value = with_axis(d)
    for _ in range(d.rng.choice((1, 1, 2))):
        value = d.emit(d.rng.choice(namespace.CUMULATIVE), value, **_options(d, value))


def _options(d: Drawer, value: int) -> dict[str, Any]:
    options: dict[str, Any] = {"axis": an_axis(d, value)} if d.chance(0.85) else {}
    if d.chance(0.4):
        options["reverse"] = True
    return options


def differences(d: Drawer) -> None:
    value = number(d)
    options: dict[str, Any] = {"axis": an_axis(d, value)} if d.chance(0.6) else {}
    if d.chance(0.3):
        options["n"] = d.rng.randint(0, 2)
    d.emit("diff", value, **options)
