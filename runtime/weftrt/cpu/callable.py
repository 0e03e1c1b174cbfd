"""Compiled functions: the native callable, and what the compiler adds to it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from weftrt.cpu.encode import Encoder
from weftrt.cpu.executable import Executable
from weftrt.cpu.native.entries import EntryList, EntryTable
from weftrt.cpu.native.library import library
from weftrt.cpu.native.types import mirror
from weftrt.errors import UsageError
from weftrt.signature import Hidden, OutputTree, Signature

if TYPE_CHECKING:

    class Compiled:
        """A callable that runs one of its programs whose signature matches the call."""

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
        def __get__(self, instance: Any, owner: Any = None) -> Any: ...

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
        hidden: Sequence[Hidden],
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
        places = patterns.hidden(hidden)
        code, build = patterns.array(), results.array()
        self._kept = (executable, patterns, results)
        self._memory = (keywords, guards, places, code, build)
        self.table = _Entry(
            program=executable.address,
            positional_count=len(signature.positional),
            keyword_count=len(names),
            keywords=ctypes.addressof(keywords),
            code=ctypes.addressof(code),
            guard_count=len(guards),
            guards=ctypes.addressof(guards),
            hidden_count=len(hidden),
            hidden=ctypes.addressof(places),
            results=ctypes.addressof(build),
        )

    @property
    def used(self) -> int:
        """When this last ran, in calls of the process; 0 if never."""
        return int(self.table.used)


Slow = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


def new(
    slow: Slow,
    function: Callable[..., Any] | None = None,
    failed: Slow | None = None,
    parameters: Sequence[str | None] = (),
) -> Compiled:
    """A compiled function without programs.

    A call runs slow(compiled, args, kwargs); while a trace is open on its thread,
    function(*args, **kwargs); and where a program raised IndexError or MemoryError,
    failed(compiled, args, kwargs) in its place. `parameters` are the positional ones in order:
    keywords of these names are bound to them; None is one that takes no keyword.
    """
    return cast(Compiled, library().compiled_new(slow, function, failed, tuple(parameters)))


def check_leaves(executable: Executable, patterns: Encoder, hidden: Sequence[Hidden]) -> None:
    """The leaves of the patterns and the hidden inputs are the program's inputs."""
    inputs = executable.program.inputs
    if len(inputs) != len(patterns.leaves) + len(hidden):
        raise UsageError(
            f"{executable.program.name} takes {len(inputs)} inputs; the signature has "
            f"{len(patterns.leaves)} and {len(hidden)} hidden"
        )
    for index, (wanted, given) in enumerate(zip(inputs, patterns.leaves)):
        if wanted != given:
            raise UsageError(f"leaf {index} of the signature is {given}, the input is {wanted}")


def tick() -> int:
    """Advance the clock that `Entry.used` reads."""
    state = library().state
    state.clock += 1
    return int(state.clock)


trace_opened: Callable[[], None] = library().trace_opened
"""From here on calls of compiled functions on this thread call the functions themselves."""
trace_closed: Callable[[], None] = library().trace_closed
"""The thread's outermost trace has ended. Built in, so that no interrupt comes before it acts."""


def set_traces(count: int) -> None:
    """In a child process: on how many threads a trace is open."""
    library().state.traces = count


def install(compiled: Compiled, entries: Sequence[Entry]) -> None:
    """From now on `compiled` runs these programs, and no others."""
    addresses = [ctypes.addressof(entry.table) for entry in entries]
    array = (ctypes.c_void_p * len(addresses))(*addresses)
    places = 1 << (4 * len(addresses)).bit_length()
    recent = (ctypes.c_void_p * places)()
    table = _EntryList(
        count=len(addresses),
        entries=ctypes.addressof(array),
        mask=places - 1,
        recent=ctypes.addressof(recent),
    )
    kept = (table, array, recent, *entries)
    library().compiled_install(compiled, ctypes.addressof(table), kept)


def installed(compiled: Compiled) -> tuple[Entry, ...]:
    """The programs of `compiled`."""
    kept = library().compiled_kept(compiled)
    return () if kept is None else kept[3:]
