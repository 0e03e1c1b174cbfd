"""Compiled programs on disk, by the compiler's key and a digest of the compiler's own files."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from weftrt.cache.store import Store, default_store
from weftrt.program import Program
from weftrt.program_bytes import from_bytes, to_bytes


def fetch(
    key: str, build: Callable[[], Program], store: Store | None = None
) -> tuple[Program, bool]:
    """The program of `key`, and whether it was saved already; else `build` makes it, in one of the
    processes that ask for it together."""
    store = store or default_store()
    entry = _entry(key)
    program = _load(entry, store)
    if program is not None:
        return program, True
    with store.building(entry):
        program = _load(entry, store)
        if program is not None:
            return program, True
        program = build()
        store.put(entry, to_bytes(program))
    return program, False


def _load(entry: str, store: Store) -> Program | None:
    data = store.get(entry)
    if data is None:
        return None
    try:
        return from_bytes(data)
    except ValueError:
        store.discard(entry)
        return None


def _entry(key: str) -> str:
    return hashlib.sha256(f"program {compiler_digest()} {key}".encode()).hexdigest()


@cache
def compiler_digest() -> str:
    """Names and contents of the compiler's and runtime's source files."""
    specs = map(importlib.util.find_spec, ("weftc", "weftrt"))
    return sources_digest(
        folder for spec in specs if spec for folder in spec.submodule_search_locations or ()
    )


def sources_digest(folders: Iterable[str]) -> str:
    """Names and contents of all Python files there. Sizes and times would not do: images and
    packages often set every time to the same value."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(_source_files(folder)):
            content = _content(path)
            digest.update(f"{path[len(folder) :]} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _source_files(root: str) -> Iterator[str]:
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    yield entry.path
                elif entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
