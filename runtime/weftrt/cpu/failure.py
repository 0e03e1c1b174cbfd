"""Keeping what a backend refused, for a bug report."""

from __future__ import annotations

import tempfile
from pathlib import Path

from weftrt import knobs


def dump_failure(symbol: str, llvm: str, reason: str) -> Path:
    """Write the refused module, headed by LLVM's reason, to a file; its path."""
    folder = knobs.dump() or Path(tempfile.mkdtemp(prefix="weft-"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{symbol}.failed.ll"
    head = "".join(f"; {line}\n" for line in reason.splitlines())
    path.write_text(head + llvm)
    return path
