"""The key of a kernel: equal for loop functions that differ in names only."""

from __future__ import annotations

from hashlib import sha256

from weftc.loop.ir import LoopFunction
from weftc.loop.print import print_canonical


def digest(function: LoopFunction) -> str:
    """A hexadecimal digest of what `function` does; its name and the names in it do not count."""
    return sha256(print_canonical(function).encode()).hexdigest()
