"""A content-addressed store of bytes in a folder: an aid, never a need.

An entry is a file `<root>/<two hex digits>/<key>`: a magic word, the SHA-256 of the content, the
content. Writes are atomic (a temporary file, renamed); reads are checked. Whatever goes wrong with
the disk, the caller sees a miss, and the user one line on standard error.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from weftrt import knobs

try:
    import fcntl
except ImportError:  # Windows: processes started together may compile the same kernel twice
    fcntl = None  # type: ignore[assignment]

_MAGIC = b"weft0001"
_HEAD = len(_MAGIC) + 32
_LOCK_SECONDS = 5.0  # a kernel compiles in far less; past this, compile without the lock
_POLL_SECONDS = 0.002


@dataclass(frozen=True)
class Stats:
    """What a store holds, and what this process did with it."""

    root: Path | None
    entries: int
    bytes: int
    hits: int
    misses: int


class Store:
    """The store at `root`; None is a store that never holds anything."""

    def __init__(self, root: Path | None, limit_bytes: int = 1 << 30) -> None:
        self.root = root
        self._limit = limit_bytes
        self._said: set[str] = set()
        self._written = 0
        self._hits = 0
        self._misses = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The bytes under `key`, None if there are none or they are damaged."""
        path = self._path(key)
        data = _read(path) if path is not None else None
        content = _content(data) if data is not None else None
        if path is not None and data is not None and content is None:
            self._say_once(
                "damaged", f"{path} is damaged; such entries are removed and built again"
            )
            _remove(path)
        if content is None:
            self._misses += 1
        else:
            self._hits += 1
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep `content` under `key`; without effect where the folder cannot be written."""
        path = self._path(key)
        if path is None:
            return
        data = _MAGIC + hashlib.sha256(content).digest() + content
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_atomically(path, data)
        except OSError as error:
            problem = f"{self.root} cannot be written: {error.strerror or error}"
            self._say_once(
                "unwritable", f"{problem}; going on without (WEFT_CACHE=off silences this)"
            )
            return
        self._make_room(len(data))

    @contextmanager
    def building(self, key: str) -> Iterator[None]:
        """Held by one process at a time while it makes the entry `key`; never waits for long."""
        path = self._path(key)
        handle = _lock(path.with_name(f"{key}.lock")) if path is not None else None
        try:
            yield
        finally:
            if handle is not None and path is not None:
                _remove(path.with_name(f"{key}.lock"))
                os.close(handle)

    def stats(self) -> Stats:
        entries = self._entries()
        size = sum(size for _, size, _ in entries)
        return Stats(self.root, len(entries), size, self._hits, self._misses)

    def describe(self) -> str:
        """One line for people."""
        stats = self.stats()
        if stats.root is None:
            return "off"
        return f"{stats.root}: {stats.entries} entries, {stats.bytes / 1e6:.1f} MB"

    def problem(self) -> str | None:
        """Why the folder cannot be written, None if it can."""
        if self.root is None:
            return None
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                return None
        except OSError as error:
            return error.strerror or str(error)

    def clear(self) -> int:
        """Remove every entry; how many there were."""
        entries = self._entries()
        for _, _, path in entries:
            _remove(path)
        return len(entries)

    def _path(self, key: str) -> Path | None:
        return None if self.root is None else self.root / key[:2] / key

    def _make_room(self, added: int) -> None:
        """Keep the folder below the limit, oldest entries first; looked at now and then only."""
        with self._lock:
            self._written += added
            if self._written < self._limit // 16:
                return
            self._written = 0
        entries = sorted(self._entries())
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total <= self._limit:
                return
            _remove(path)
            total -= size

    def _entries(self) -> list[tuple[float, int, Path]]:
        """(time, bytes, path) of every entry."""
        found: list[tuple[float, int, Path]] = []
        if self.root is None:
            return found
        for path in self.root.glob("??/*"):
            with suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        return found

    def _say_once(self, topic: str, message: str) -> None:
        if topic not in self._said:
            self._said.add(topic)
            print(f"weft: the cache: {message}", file=sys.stderr)


@cache
def _store_at(root: Path | None, limit: int) -> Store:
    return Store(root, limit)


def default_store() -> Store:
    """The store that WEFT_CACHE and WEFT_CACHE_MB name."""
    return _store_at(knobs.cache(), knobs.cache_megabytes() << 20)


def _read(path: Path) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _content(data: bytes) -> bytes | None:
    """What follows a correct head, None if anything is wrong."""
    content = data[_HEAD:]
    head = _MAGIC + hashlib.sha256(content).digest()
    return content if data[:_HEAD] == head else None


def _write_atomically(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        _remove(Path(temporary))
        raise


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _lock(path: Path) -> int | None:
    """An open, locked file; None where locks do not work or another holds it for too long. The
    system drops the lock of a process that dies."""
    if fcntl is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        except OSError:
            break
    os.close(handle)
    return None
