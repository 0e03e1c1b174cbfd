"""Figures as people read them."""

from __future__ import annotations

SCALES = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
    "B": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
}


def figure(value: float, unit: str) -> str:
    """1.23 ms, 4.56 MB, 2 programs"""
    for scale, name in SCALES.get(unit, ()):
        if value >= scale:
            return f"{value / scale:.3g} {name}" if value < 1000 * scale else f"{value:.0f} {name}"
    return f"{value:g} {unit}"
