"""A wrong rewrite, with a small program that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.compiler.schedule.kernels import Inputs

Build = Callable[[Inputs], Any]
"""The outputs of a program, a node or a tuple of nodes."""


@dataclass(frozen=True)
class Fault:
    """In the function `place`, `right` becomes `wrong`. The program may have the memory of the
    inputs number `donated`."""

    name: str
    place: str
    right: str
    wrong: str
    program: Build
    donated: tuple[int, ...] = ()
