"""Regions: nodes that become steps of their own, and the graphs that run within them.

A loop reads its state from one buffer and writes the next to another. `while` runs ONE graph per
turn, the body with the condition on what it returns, so that they share kernels:

    condition(state, rest)                    once, on the initial state
    body(state, rest), condition(that, rest)  per turn
"""

from __future__ import annotations

from typing import Final

BODIES: Final = "bodies"
"""The scratch of a region that is the arena of its bodies, of which one runs at a time."""


def result(number: int) -> str:
    """The scratch of a region that is a result which nobody reads."""
    return f"result_{number}"
