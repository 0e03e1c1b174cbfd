"""Files and folders that nobody else can have written: what may be loaded into this process.

An entry holds machine code, and a checksum finds damage, not intent. So a folder or an entry is
used only if the effective user owns it and no other user may write it; nothing is opened through a
symbolic link; and a pipe or a device in the place of an entry is never waited for.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress

_QUICK = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_QUICK |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags of every open: not through a link, not inherited, and without waiting."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


_NO_FILE = (errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EISDIR)
"""Why a link, a socket or a folder does not open as a file."""


class UnsafeError(Exception):
    """Something here may be the work of another user."""


class DamagedError(Exception):
    """What is in the place of an entry is none."""


def check_folder(path: str) -> None:
    """Raise UnsafeError unless `path` is a folder that only this user writes. A link is followed
    if this user made it; OSError where there is nothing."""
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        _check_owner(path, status)
        status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    _check_owner(path, status)
    _check_mode(path, status)


def make_folder(path: str) -> None:
    """check_folder, of a folder that is made where there is none, with its parents."""
    try:
        check_folder(path)
    except FileNotFoundError:
        _make(path)
        check_folder(path)


def read(path: str, most: int) -> bytes | None:
    """The content of an entry, None where there is none. DamagedError for what is no plain file of
    at most that many bytes, UnsafeError for one that others could have written."""
    try:
        handle, size = open_checked(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if size > most:
            raise DamagedError
        with suppress(OSError):  # the time of last use, by which old entries go
            os.utime(handle if os.utime in os.supports_fd else path)
        return _read_all(handle, size)
    finally:
        os.close(handle)


def open_checked(path: str, flags: int) -> tuple[int, int]:
    """The handle and size of a plain file that only this user writes; errors as of `read`."""
    try:
        handle = os.open(path, flags | _QUICK, 0o600)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise DamagedError from None
        raise
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedError
        _check_owner(path, status)
        _check_mode(path, status)
    except BaseException:
        os.close(handle)
        raise
    return handle, status.st_size


def write(path: str, data: bytes) -> None:
    """Put a file there, for this user only, in one step: all of it or nothing."""
    handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=os.path.dirname(path))
    try:
        with open(handle, "wb") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(handle, 0o600)  # a umask may take rights from mkstemp
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def remove(path: str) -> None:
    """Without effect where there is nothing, or it cannot be removed."""
    with suppress(OSError):
        os.unlink(path)


def _make(path: str) -> None:
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        _make(parent)
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)  # a umask may take rights from mkdir


def _check_owner(path: str, status: os.stat_result) -> None:
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        raise UnsafeError(f"{path} belongs to another user")


def _check_mode(path: str, status: os.stat_result) -> None:
    if hasattr(os, "geteuid") and status.st_mode & _OTHERS_WRITE:
        raise UnsafeError(f"{path} can be written by other users")


def _read_all(handle: int, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := os.read(handle, size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
