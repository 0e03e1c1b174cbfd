"""Rules that append a sort, its places, or the largest elements."""

from __future__ import annotations

from typing import Any

from tests.fuzz.drawer import Drawer
from tests.fuzz.rules.operands import an_axis, with_axis


def sorting(d: Drawer) -> None:
    value = with_axis(d)
    axis = an_axis(d, value)
    options: dict[str, Any] = {"axis": axis} if d.chance(0.6) else {}
    name = d.rng.choice(("sort", "sort", "top_k") if d.smooth else ("sort", "argsort", "top_k"))
    if name == "top_k":
        size = d.values[value].shape[options.get("axis", -1)]
        part = 0 if d.smooth else d.rng.choice((0, 0, 1))
        d.emit(name, value, k=d.rng.randint(0, min(size, 40)), **options, part=part)
        return
    if d.chance(0.4):
        options["descending"] = d.chance(0.8)
    d.emit(name, value, **options)


def rows_in_order(d: Drawer) -> None:
    """take(x, argsort(key)): rows of one array in the order of another."""
    key = with_axis(d)
    flat = d.values[key].shape
    if len(flat) != 1:
        key = d.emit("index", key, key=(*(0,) * (len(flat) - 1),)) if 0 not in flat else key
    places = d.emit("argsort", key)
    size = d.values[places].shape[0]
    value = d.pick(lambda v: v.ndim >= 1 and v.shape[0] == size)
    d.emit("take", key if value is None else value, places, axis=0)
