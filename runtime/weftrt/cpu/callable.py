"""Compiled functions: the native callable, and what the compiler adds to it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from weftrt.array import Array
from weftrt.cpu.encode import Encoder
from weftrt.cpu.executable import Executable
from weftrt.cpu.native.compiled import EntryList, EntryTable
from weftrt.cpu.native.library import library
from weftrt.cpu.native.types import mirror
from weftrt.errors import UsageError
from weftrt.signature import OutputTree, Signature

_lock = threading.Lock()
"""Held while the entries of a compiled function are replaced."""

if TYPE_CHECKING:

    class Compiled:
        """A callable that runs the first of its programs whose signature matches the call."""

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
        def __get__(self, instance: Any, owner: Any = None) -> Any: ...
        def add(
            self,
            signature: Signature,
            executable: Executable,
            hidden: Sequence[Array],
            output_tree: OutputTree,
        ) -> None: ...
        def clear(self) -> None: ...
        def entries(self) -> int: ...

else:
    Compiled = library().Compiled


_Entry = mirror(EntryTable)
_EntryList = mirror(EntryList)


class Entry:
    """One signature with its program, as native tables and the objects they refer to."""

    def __init__(
        self,
        signature: Signature,
        executable: Executable,
        hidden: Sequence[Array],
        output_tree: OutputTree,
    ) -> None:
        patterns, results = Encoder(), Encoder()
        for pattern in (*signature.positional, *(p for _, p in signature.keywords)):
            patterns.pattern(pattern)
        results.output(output_tree)
        check_leaves(executable, patterns, hidden)
        names = [patterns.name(name) for name, _ in signature.keywords]
        keywords = (ctypes.c_void_p * len(names))(*names)
        guards = patterns.guards(signature.guards)
        arrays = (ctypes.c_void_p * len(hidden))(*map(id, hidden))
        code, build = patterns.array(), results.array()
        self.kept = (executable, tuple(hidden), patterns, results)
        self.memory = (keywords, guards, arrays, code, build)
        self.table = _Entry(
            program=executable.address,
            positional_count=len(signature.positional),
            keyword_count=len(names),
            keywords=ctypes.addressof(keywords),
            code=ctypes.addressof(code),
            guard_count=len(signature.guards),
            guards=ctypes.addressof(guards),
            hidden_count=len(hidden),
            hidden=ctypes.addressof(arrays),
            results=ctypes.addressof(build),
        )


def new(slow_path: Callable[..., Any]) -> Compiled:
    """A compiled function without programs: a call runs slow_path(compiled, args, kwargs)."""
    return cast(Compiled, library().compiled_new(slow_path))


def check_leaves(executable: Executable, patterns: Encoder, hidden: Sequence[Array]) -> None:
    """The leaves of the patterns and the hidden arrays are the program's inputs."""
    inputs = executable.program.inputs
    if len(inputs) != len(patterns.leaves) + len(hidden):
        raise UsageError(
            f"{executable.program.name} takes {len(inputs)} inputs; the signature has "
            f"{len(patterns.leaves)} and {len(hidden)} hidden"
        )
    for index, (wanted, given) in enumerate(zip(inputs, patterns.leaves)):
        if wanted != given:
            raise UsageError(f"leaf {index} of the signature is {given}, the input is {wanted}")


def _install(compiled: Compiled, entries: Sequence[Entry]) -> None:
    addresses = [ctypes.addressof(entry.table) for entry in entries]
    array = (ctypes.c_void_p * len(addresses))(*addresses)
    table = _EntryList(count=len(addresses), entries=ctypes.addressof(array))
    library().compiled_install(compiled, ctypes.addressof(table), (table, array, *entries))


def _entries(compiled: Compiled) -> tuple[Entry, ...]:
    kept = library().compiled_kept(compiled)
    return () if kept is None else kept[2:]


def _add(
    compiled: Compiled,
    signature: Signature,
    executable: Executable,
    hidden: Sequence[Array],
    output_tree: OutputTree,
) -> None:
    """Calls that match `signature`, and no earlier one, run `executable` from now on."""
    entry = Entry(signature, executable, hidden, output_tree)
    with _lock:
        _install(compiled, (*_entries(compiled), entry))


def _clear(compiled: Compiled) -> None:
    """Forget every program; the next call goes to the slow path."""
    with _lock:
        _install(compiled, ())


def _count(compiled: Compiled) -> int:
    """How many programs there are."""
    return len(_entries(compiled))


if not TYPE_CHECKING:
    Compiled.add, Compiled.clear, Compiled.entries = _add, _clear, _count
