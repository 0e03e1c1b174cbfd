"""A store of bytes by key in a folder: an aid, never a need.

An entry is a file `<root>/<two hex digits>/<key>`: a magic word, the SHA-256 of key and content,
the content. Writes are atomic (a temporary file, renamed); reads are checked, and touch the entry,
so that those longest unused make room. Whatever goes wrong with the disk, the caller sees a miss,
and the user one line on standard error. A folder or an entry that another user could have written
is not used at all (weftrt.cache.files).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from weftrt import knobs
from weftrt.cache import files, ledger
from weftrt.cache.locks import Locks
from weftrt.log import say
from weftrt.sizes import scaled

_MAGIC = b"weft0002"
_HEAD = len(_MAGIC) + 32
_PATIENCE_SECONDS = 10.0
_LEAST_FREE = 1 << 20
_SHARDS = frozenset(f"{number:02x}" for number in range(256))
_OURS = re.compile(r"[0-9a-f]{64,}(\.lock)?|\.tmp-\w+")
"""Names of the store's files: nothing else is ever removed."""


@dataclass(frozen=True)
class Stats:
    """What a store holds, and what this process did with it."""

    root: Path | None
    entries: int
    bytes: int
    hits: int
    misses: int


@dataclass(frozen=True, order=True)
class _Entry:
    """A file of the store, in the order in which files go: the longest unused first."""

    used: float
    bytes: int
    path: str


class Store:
    """The store at `root`; None is a store that never holds anything."""

    def __init__(
        self, root: Path | None, limit_bytes: int = 1 << 30, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self.root = root
        self._limit = limit_bytes
        self._locks = Locks(patience)
        self._said: set[str] = set()
        self._refused: str | None = None
        self._hits = 0
        self._misses = 0

    def get(self, key: str) -> bytes | None:
        """The bytes under `key`, None if there are none or they are damaged."""
        content = self._get(key)
        if content is None:
            self._misses += 1
        else:
            self._hits += 1
        return content

    def holds(self, key: str) -> bool:
        """Whether there is an entry `key`, damaged or not."""
        path = self._path(key)
        return path is not None and os.path.exists(path)

    def put(self, key: str, content: bytes) -> None:
        """Keep `content` under `key`; without effect where the folder cannot be written."""
        data = _head(key, content) + content
        if len(data) > self._limit:
            return
        with self._trouble():
            path = self._made(key)
            if path is not None:
                self._make_room(len(data))
                files.write(path, data)

    def discard(self, key: str) -> None:
        """Remove an entry that is not what it should be, and say so."""
        path = self._path(key)
        if path is not None:
            message = f"{path} is damaged; such entries are removed and built again"
            self._say_once("damaged", message)
            files.remove(path)

    @contextmanager
    def building(self, key: str) -> Iterator[None]:
        """Held by one process at a time while it makes the entry `key`; never waits for long."""
        path = None
        with self._trouble():
            path = self._made(key)
        with self._locks.held(f"{path}.lock") if path is not None else nullcontext():
            yield

    def stats(self) -> Stats:
        """What the folder holds now, and how often this process found what it asked for."""
        entries = [e for e in self._entries() if _is_entry(e.path)]
        return Stats(
            self.root, len(entries), sum(e.bytes for e in entries), self._hits, self._misses
        )

    def describe(self) -> str:
        """One line for people."""
        stats = self.stats()
        if stats.root is None:
            return "off"
        return f"{stats.root}: {stats.entries} entries, {scaled(stats.bytes)}B"

    def problem(self) -> str | None:
        """Why nothing can be kept, None if it can."""
        if self.root is None or self._refused:
            return self._refused or "it is off"
        try:
            files.make_folder(str(self.root))
            if not os.access(self.root, os.W_OK | os.X_OK):
                return "no permission to write"
            if hasattr(os, "statvfs") and _free_bytes(self.root) < _LEAST_FREE:
                return "no space left"
        except files.UnsafeError as error:
            return str(error)
        except OSError as error:
            return _reason(error)
        return None

    def clear(self) -> int:
        """Remove every entry; how many there were."""
        entries = self._entries()
        for entry in entries:
            files.remove(entry.path)
        return sum(_is_entry(entry.path) for entry in entries)

    def _get(self, key: str) -> bytes | None:
        path = self._path(key)
        if path is None:
            return None
        try:
            files.check_folder(str(self.root))
            files.check_folder(os.path.dirname(path))
            data = files.read(path, self._limit)
            if data is None:
                return None
            content = data[_HEAD:]
            if data[:_HEAD] == _head(key, content):
                return content
            if _is_of_another_release(data):
                files.remove(path)
            else:
                self.discard(key)
        except files.DamagedError:
            self.discard(key)
        except files.UnsafeError as error:
            self._refuse(error)
        except OSError:
            pass  # as if there were nothing
        return None

    def _path(self, key: str) -> str | None:
        if self.root is None or self._refused:
            return None
        return os.path.join(self.root, key[:2], key)

    def _made(self, key: str) -> str | None:
        """The path of an entry, in folders that are there and safe."""
        path = self._path(key)
        if path is not None:
            files.make_folder(str(self.root))
            files.make_folder(os.path.dirname(path))
        return path

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """What goes wrong with the disk ends here."""
        try:
            yield
        except files.UnsafeError as error:
            self._refuse(error)
        except OSError as error:
            self._say_once("unusable", f"{self.root} cannot be written: {_reason(error)}; {_OFF}")

    def _refuse(self, error: files.UnsafeError) -> None:
        self._refused = str(error)
        self._say_once("unusable", f"{error}; {_OFF}")

    def _make_room(self, added: int) -> None:
        """Count what is about to be written; past the limit, the longest unused entries go, down to
        three quarters of it."""
        path = os.path.join(str(self.root), "ledger")
        count = ledger.add(path, ledger.blocks(added))
        if count is not None and count * ledger.BLOCK <= self._limit:
            return
        entries = self._entries()
        used = sum(ledger.blocks(e.bytes) for e in entries) + ledger.blocks(added)
        if used * ledger.BLOCK > self._limit:
            used = _remove_oldest(entries, used, self._limit // ledger.BLOCK * 3 // 4)
        ledger.reset(path, used)

    def _entries(self) -> list[_Entry]:
        """Every file of the store, those of locks and of broken writes among them; [] where the
        folder is not safe."""
        found: list[_Entry] = []
        if self.root is None:
            return found
        with suppress(OSError, files.UnsafeError):
            files.check_folder(str(self.root))
            for shard in sorted(_SHARDS.intersection(os.listdir(self.root))):
                found += _entries_of(os.path.join(self.root, shard))
        return found

    def _say_once(self, topic: str, message: str) -> None:
        if topic in self._said:
            return
        self._said.add(topic)
        say(f"the cache: {message}")


_OFF = "going on without (WEFT_CACHE=off silences this)"


@cache
def _store_at(root: Path | None, limit: int) -> Store:
    return Store(root, limit)


def default_store() -> Store:
    """The store that WEFT_CACHE and WEFT_CACHE_MB name."""
    return _store_at(knobs.cache(), knobs.cache_megabytes() << 20)


def spare_store() -> Store:
    """In the temporary folder: for the native runtime's own object, which every process needs,
    where the default store keeps nothing. A store of nothing if that folder is no better."""
    spare = _store_at(knobs.temporary_cache(), knobs.cache_megabytes() << 20)
    return spare if spare.problem() is None else Store(None)


def _head(key: str, content: bytes) -> bytes:
    """What an entry starts with: it is one of this format, of this key, and whole."""
    digest = hashlib.sha256(key.encode())
    digest.update(content)
    return _MAGIC + digest.digest()


def _is_of_another_release(data: bytes) -> bool:
    """Whether an entry has another version of this format: nothing that a user need know of."""
    magic = data[: len(_MAGIC)]
    return magic != _MAGIC and magic[:4] == _MAGIC[:4] and magic[4:].isdigit()


def _is_entry(path: str) -> bool:
    name = os.path.basename(path)
    return not name.startswith(".") and not name.endswith(".lock")


def _entries_of(shard: str) -> list[_Entry]:
    found = []
    with suppress(OSError, files.UnsafeError):
        files.check_folder(shard)
        with os.scandir(shard) as items:
            for item in filter(lambda item: _OURS.fullmatch(item.name), items):
                with suppress(OSError):
                    status = item.stat(follow_symlinks=False)
                    found.append(_Entry(status.st_mtime, status.st_size, item.path))
    return found


def _remove_oldest(entries: list[_Entry], used: int, goal: int) -> int:
    """Remove files until at most `goal` blocks are used; how many are."""
    for entry in sorted(entries):
        if used <= goal:
            break
        files.remove(entry.path)
        used -= ledger.blocks(entry.bytes)
    return used


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
