"""How much the processes that share a folder have written there, without looking at its files.

The ledger is a file with one byte for each block written since the folder was last looked through:
its length is the count. Appending is atomic, so it needs no lock, and a process that dies while it
writes leaves nothing to repair.
"""

from __future__ import annotations

import os

from weftrt.cache import files

BLOCK = 4096
"""Bytes that the count is kept in, and what a file takes at least on most disks."""


def blocks(size: int) -> int:
    """Blocks that a file of `size` bytes takes."""
    return -(-size // BLOCK)


def add(path: str, count: int) -> int | None:
    """Note `count` more blocks; how many there are now, None where there is no ledger."""
    try:
        handle, size = files.open_checked(path, os.O_WRONLY | os.O_APPEND)
    except (FileNotFoundError, files.DamagedError):
        return None
    try:
        os.write(handle, bytes(count))
    finally:
        os.close(handle)
    return size + count


def reset(path: str, count: int) -> None:
    """Start again from the true count."""
    files.write(path, bytes(count))
