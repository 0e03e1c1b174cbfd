"""Compiled programs on disk, by the compiler's key and a digest of the compiler's own files."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, get_args

from weftrt import dtypes, errors, size_expressions
from weftrt import program as parts
from weftrt.cache.store import Store, default_store
from weftrt.program import Program


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
        store.put(entry, pickle.dumps(program, protocol=5))
    return program, False


def _load(entry: str, store: Store) -> Program | None:
    data = store.get(entry)
    if data is None:
        return None
    try:
        found = _ProgramUnpickler(io.BytesIO(data)).load()
    except Exception:  # pickle promises no kind of error for what it did not write
        found = None
    if isinstance(found, Program):
        return found
    store.discard(entry)
    return None


_PARTS: tuple[type, ...] = (
    *get_args(parts.Instruction),
    parts.ArraySpec,
    parts.BufferUse,
    parts.KernelCode,
    parts.LaunchUse,
    parts.Program,
    parts.Role,
    parts.Site,
    size_expressions.SizeCheck,
    size_expressions.SizeOp,
    size_expressions.SizeSlot,
    parts.Temporary,
)
_ERRORS = {kind.__name__: kind for kind in errors.WeftError.__subclasses__()}
"""What a site may raise."""
_FINDS = {(part.__module__, part.__name__): part for part in _PARTS}


class _ProgramUnpickler(pickle.Unpickler):
    """Reads what a Program is made of and nothing else: a cache entry must not run code. (A whole
    module would be too much: what it imports can be called.)"""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (dtypes.__name__, dtypes.by_name.__name__):
            return dtypes.by_name
        found = _FINDS.get((module, name)) or _ERRORS.get(name)  # whose module may be its heir's
        if found is None:
            raise pickle.UnpicklingError(f"a program holds no {module}.{name}")
        return found


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
