"""What users are told on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from weftrt import knobs


def say(text: str) -> None:
    """Write a line; where standard error is closed, or there is none, that is no error."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(f"weft: {text}", file=sys.stderr)


def log(topic: str, text: Callable[[], str]) -> None:
    """Say `text()` if WEFT_LOG asks for `topic`."""
    if topic in knobs.log():
        say(text())
