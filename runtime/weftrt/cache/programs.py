"""Compiled programs on disk, by the compiler's key and a digest of the compiler's own files."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import pickle
from collections.abc import Iterator
from functools import cache
from typing import Any

from weftrt import dtypes, program
from weftrt.cache.store import Store, default_store
from weftrt.program import Program


def load(key: str, store: Store | None = None) -> Program | None:
    """The program saved under `key` by this very compiler, None if there is none."""
    data = (store or default_store()).get(_entry(key))
    if data is None:
        return None
    try:
        found = _ProgramUnpickler(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, AttributeError, TypeError, EOFError):
        return None
    return found if isinstance(found, Program) else None


def save(key: str, value: Program, store: Store | None = None) -> None:
    """Keep `value` under `key`."""
    (store or default_store()).put(_entry(key), pickle.dumps(value, protocol=5))


class _ProgramUnpickler(pickle.Unpickler):
    """Reads what a Program is made of and nothing else: a cache entry must not run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module == program.__name__:
            return getattr(program, name)
        if (module, name) == (dtypes.__name__, dtypes.by_name.__name__):
            return dtypes.by_name
        raise pickle.UnpicklingError(f"a program holds no {module}.{name}")


def _entry(key: str) -> str:
    return hashlib.sha256(f"program {compiler_digest()} {key}".encode()).hexdigest()


@cache
def compiler_digest() -> str:
    """Names, sizes and times of the compiler's and runtime's source files."""
    digest = hashlib.sha256()
    for package in ("weftc", "weftrt"):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            digest.update("".join(sorted(_source_files(folder))).encode())
    return digest.hexdigest()


def _source_files(root: str) -> Iterator[str]:
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    yield f"{entry.path} {status.st_size} {status.st_mtime_ns}\n"
                elif entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
