"""What WEFT_LOG asks to be told, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from weftrt import knobs


def log(topic: str, text: Callable[[], str]) -> None:
    """Write `text()` if `topic` is asked for; a closed standard error is no error."""
    if topic in knobs.log():
        with suppress(OSError, ValueError, AttributeError):
            print(f"weft: {text()}", file=sys.stderr)
