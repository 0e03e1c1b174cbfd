"""Public functions outside a trace: each is compiled once per kind of arguments.

A kind is the static arguments, the dtypes, the ranks, which axes have size 1 and which sizes had
to be equal; the sizes themselves are symbols, so that a new size needs no compile. Functions
that need the sizes (reshape with -1) are compiled for fixed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from weft.dispatch import Dispatcher


def compiled(body: Callable[..., Any], static: Sequence[str]) -> Any:
    """The native callable of a public function, whose body builds nodes."""
    return Dispatcher(body, static, symbolic=True).compiled
