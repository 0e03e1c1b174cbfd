"""A compiled function's slow path: what runs when the native guard knows no such call.

It normalizes arguments, finds or makes the entry for them, tells the native guard, and runs.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weft import diagnostics, engine, guards, patterns, specialize
from weft.calls import Call, Leaf, Place, Reader, indirect
from weft.cells import Dependence, Surroundings
from weft.dynamic import Dynamic
from weft.patterns import LeafSpec
from weft.records import CompileRecord, Kind, leaf_text, signature_text
from weft.specialize import Traced
from weft.tracing import state
from weft.tree import Structure
from weftrt.array import Array
from weftrt.cpu import callable as callables
from weftrt.cpu.callable import Compiled
from weftrt.cpu.executable import Executable
from weftrt.errors import LinAlgError, OutOfBoundsError, OutOfMemoryError
from weftrt.forks import ForkLock
from weftrt.log import log
from weftrt.signature import (
    ABSENT,
    CellInput,
    FixedInput,
    Guard,
    Hidden,
    SameGuard,
    TypeGuard,
)
from weftrt.size_expressions import holds

MOST_ENTRIES = 2048
"""Of one function; those that have not run for longest go first."""
_OF_TYPES = (TypeGuard, SameGuard)
"""Guards like the types of arguments: where one fails, another call may have it hold again."""


@dataclass(eq=False)
class Entry:
    """One kind of call and the program that answers it.

    `hidden` are inputs besides the arguments; `shapes` are those of the arguments if none has a
    symbolic size; `record` tells when it was made. `native` is for the guard of the native
    callable, or `obstacle` says why that cannot run such calls.
    """

    call: Structure
    specs: tuple[LeafSpec, ...]
    guards: tuple[Guard, ...]
    executable: Executable
    hidden: tuple[Hidden, ...]
    result: Structure
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...] | None
    record: CompileRecord
    native: callables.Entry | None = None
    obstacle: str | None = None
    ran: int = 0

    def inputs(self, call: Call) -> tuple[Leaf, ...] | None:
        """What the program is run on, if `call` and what is bound now have its structure and
        types."""
        if self.shapes is not None and self.shapes != call.shapes:
            return None  # said at once: there may be very many entries
        sizes: dict[int, int] = {}
        leaves = (*call.leaves, *(item.read() for item in self.hidden))
        fit = (
            len(leaves) == len(self.specs)
            and all(spec.fits(leaf, sizes) for spec, leaf in zip(self.specs, leaves))
            and all(holds(check, sizes) for check in self.executable.program.constraints)
            and self.call == call.structure
        )
        return leaves if fit else None

    def is_alike(self, call: Call) -> bool:
        """Whether nothing but sizes may keep `call` from fitting."""
        return self.call == call.structure and all(map(LeafSpec.is_alike, self.specs, call.leaves))

    def changed(self, call: Call) -> set[Place]:
        """The sizes of `call` that are others than this entry's, or symbols of it, if nothing else
        keeps it from fitting."""
        if not self.is_alike(call):
            return set()
        specs = (spec.array for spec in self.specs)
        return {
            Place(leaf, axis)
            for leaf, (spec, shape) in enumerate(zip(specs, call.shapes))
            for axis, (own, size) in enumerate(zip(spec.shape if spec else (), shape))
            if own != size
        }

    def failing(self, inputs: Sequence[Leaf]) -> Guard | None:
        """A guard that does not hold."""
        return next((g for g in self.guards if not guards.holds(g, inputs)), None)

    def run(self, inputs: Sequence[Leaf]) -> Any:
        """The result for inputs that fit."""
        self.ran = callables.tick()
        produced = self.executable.run(inputs)
        return self.result.unflatten([produced[index] for index in self.outputs])

    def is_symbolic(self) -> bool:
        """Whether this answers calls of more than one size."""
        return self.shapes is None

    def used(self) -> int:
        """When this last ran."""
        return max(self.ran, self.native.used if self.native is not None else 0)

    def connect(self, call: Call) -> None:
        """Make the native entry, for calls like `call`."""
        self.obstacle = patterns.obstacle(call.structure, self.result)
        if self.obstacle is None:
            signature = patterns.signature(call, self.specs, self.guards)
            held = self.executable.program.results  # equal outputs share one array
            tree = patterns.output_tree(self.result, [held[index] for index in self.outputs])
            self.native = callables.Entry(signature, self.executable, self.hidden, tree)


@dataclass(frozen=True)
class Specialized:
    """A new entry and the inputs of the call that it was made for; it `lasts` if it answers other
    calls too."""

    entry: Entry
    inputs: tuple[Leaf, ...]
    lasts: bool


class Dispatcher:
    """The entries of one compiled function. Tracing and compiling may happen on any thread.

    `dynamic` says which sizes of a call are symbols; the memory of arrays in `donated` arguments is
    the program's to reuse. Of Weft's own functions (`freeze`), errors
    are said in its words, and lists among the static arguments count as tuples. Of its operations
    (`eager`), calls that fail are traced for their own sizes too, so that the error names these and
    the line.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        static: Sequence[str],
        dynamic: Dynamic,
        eager: bool = False,
        donated: Sequence[str] = (),
        freeze: bool = False,
    ) -> None:
        self.function = function
        self.name = getattr(function, "__name__", "function")
        self.records: deque[CompileRecord] = deque(maxlen=MOST_ENTRIES)
        self._reader = Reader(function, static, eager or freeze, donated)
        self._reader.check(dynamic.parameters, "dynamic")
        self._dynamic = dynamic
        self.static = tuple(static)
        self.eager = eager
        self.entries: tuple[Entry, ...] = ()
        self._lock = ForkLock()
        self._callables: list[Any] = []
        self.compiled = self.new_callable(function, self.slow_path)

    def new_callable(self, function: Callable[..., Any], slow_path: callables.Slow) -> Any:
        """A native callable that runs this function's programs; while a trace is open it calls
        `function`, and `slow_path` answers calls that are new."""
        failed = self._explained if self.eager else None
        made: Any = callables.new(slow_path, function, failed, self._reader.bindable)
        made._dispatcher = self
        self._callables.append(made)
        return made

    def slow_path(self, compiled: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call that the native guard does not know."""
        if state.trace is not None:
            return self.function(*args, **kwargs)
        call = self._reader.read(args, kwargs)
        try:
            entry, inputs = self._entry(call)
            return entry.run(inputs)
        except (LinAlgError, OutOfBoundsError, OutOfMemoryError):
            if not self.eager:
                raise
            return self._explained(compiled, args, kwargs)

    def _explained(self, compiled: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call that failed for its own sizes, so that the error names them and the line; or
        it succeeds, if an element that is missing is in no result."""
        return run_once(self.function, self.name, self._reader.read(args, kwargs))

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """A call taken apart."""
        return self._reader.read(args, kwargs)

    def trace(self, call: Call, known: Iterable[Entry] = ()) -> Traced:
        """The function's graph for `call`, with symbols for some sizes if it takes any: those that
        are named, and those that are others than in `known` entries."""
        places = self._dynamic.places(call, (entry.changed(call) for entry in known))
        places = dict(call.named) | places
        if not places:
            return specialize.trace(self.function, self.name, call)
        traced = specialize.trace_symbolic(
            self.function, self.name, call, places, locate=not self.eager
        )
        if isinstance(traced, Traced):
            return traced
        return replace(specialize.trace(self.function, self.name, call), fixed=(traced,))

    def clear(self) -> None:
        """Forget every program; the next calls compile, or find them in the cache."""
        with self._lock:
            self._install(())

    def _entry(self, call: Call) -> tuple[Entry, tuple[Leaf, ...]]:
        """The entry for `call`, and what it is run on."""
        with self._lock:
            found, stale = self._find(call)
            if found is not None:
                self._reconnect(*found, call)
                return found
        started = time.perf_counter()
        made = self._specialize(call)
        made.entry.record.milliseconds = (time.perf_counter() - started) * 1e3
        with self._lock:
            found, stale = self._find(call)  # another thread, or a signal handler, may have been
            if found is None:
                self._note(made.entry.record, call, stale)
                if made.lasts:
                    kept = self._recent() if len(self.entries) >= MOST_ENTRIES else self.entries
                    others = (e for e in kept if e is not stale)
                    self._install(tuple(sorted((made.entry, *others), key=Entry.is_symbolic)))
            return made.entry, made.inputs

    def _find(self, call: Call) -> tuple[tuple[Entry, tuple[Leaf, ...]] | None, Entry | None]:
        """The entry that answers `call` and what it is run on, or else one that did answer such
        calls before something else changed."""
        stale = None
        for entry in self.entries:
            inputs = entry.inputs(call)
            if inputs is not None:
                failing = entry.failing(inputs)
                if failing is None:
                    return (entry, inputs), None
                if not isinstance(failing, _OF_TYPES):
                    stale = entry
        return None, stale

    def _recent(self) -> list[Entry]:
        """The entries without the quarter that has not run for longest."""
        return sorted(self.entries, key=Entry.used, reverse=True)[: MOST_ENTRIES * 3 // 4]

    def _install(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        native = [entry.native for entry in entries if entry.native is not None]
        for compiled in self._callables:
            callables.install(compiled, native)

    def _reconnect(self, entry: Entry, inputs: tuple[Leaf, ...], call: Call) -> None:
        """See that the native guard knows an entry that answered a call which came here."""
        renamed = list(filter(guards.is_renamed, entry.guards))
        if renamed:  # equal values: the native guard compares objects
            entry.guards = tuple(map(guards.refreshed, entry.guards))
            entry.connect(call)
        obstacles = [entry.obstacle] if entry.obstacle is not None else list(call.indirect)
        read = zip(entry.hidden, inputs[len(call.leaves) :])
        obstacles += [f"{_described(item)} {why}" for item, a in read if (why := indirect(a))]
        if renamed or not obstacles:
            self._install(self.entries)
        log("calls", lambda: self._slow_text(call, obstacles, renamed))

    def _slow_text(self, call: Call, reasons: list[str], renamed: list[Guard]) -> str:
        reasons += [f"{guards.describe(guard)} is another, equal object" for guard in renamed]
        why = ", ".join(reasons) or "the native guard had not known it yet"
        return f"{self.name}({signature_text(call)}): a slow call, though not a new one: {why}"

    def _specialize(self, call: Call) -> Specialized:
        """Trace and compile, holding no lock: that runs the user's code. The graph is gone when the
        collector comes back, so that it does not look through all nodes."""
        with engine.uncollected():
            return self._compiled(call)

    def _compiled(self, call: Call) -> Specialized:
        traced, depends = self._traced(call)
        executable, origin = engine.executable(traced.graph, call.donated)
        inputs, accepted = (*call.leaves, *traced.captured), executable.program.inputs
        entry = Entry(
            call.structure,
            patterns.leaf_specs(inputs, accepted, traced.ranges, call.donated),
            depends.guards,
            executable,
            depends.hidden,
            traced.result,
            traced.outputs,
            None if traced.symbolic else call.shapes,
            CompileRecord(self.name, Kind.of(call, traced.graph, traced.fixed), origin),
        )
        entry.connect(call)
        log("guards", lambda: f"{self.name} depends on {_listed(entry)}")
        return Specialized(entry, inputs, depends.certain)

    def _traced(self, call: Call) -> tuple[Traced, Dependence]:
        """The trace for `call`, and what it depends on; that is not certain after a trace that
        changed it."""
        if self.eager:
            traced = self.trace(call, self.entries)
            return traced, Dependence(tuple(map(FixedInput, traced.captured)), ())
        before = Surroundings(self.function, call.statics())
        traced = self.trace(call, self.entries)
        unchanged = before.are_unchanged()
        depends = before.dependence(traced, len(call.leaves))
        return traced, replace(depends, certain=depends.certain and unchanged)

    def _note(self, record: CompileRecord, call: Call, stale: Entry | None) -> None:
        """Keep the record of a new program, and count what it says of the others."""
        alike = [entry.record for entry in self.entries if entry.is_alike(call)]
        record.reason = self._reason(call, stale, alike)
        self.records.append(record)
        if stale is None:
            for other in alike:
                other.misses += 1
        log("compile", lambda: str(record))

    def _reason(self, call: Call, stale: Entry | None, alike: Sequence[CompileRecord]) -> str:
        entry = stale or next(iter(self.entries), None)
        if entry is None:
            return "first call"
        sizes = alike[-1].kind.changes(call) if alike and stale is None else []
        return ", ".join(sizes) or _difference(entry, call)


def run_once(function: Callable[..., Any], name: str, call: Call) -> Any:
    """Trace a function for one call, and run its program, which nothing but the engine keeps."""
    with engine.uncollected():
        traced = specialize.trace(function, name, call)
        executable, _ = engine.executable(traced.graph)
    produced = executable.run((*call.leaves, *traced.captured))
    return traced.result.unflatten([produced[index] for index in traced.outputs])


def run_now(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Run what Weft does on concrete arrays for one call of the user's as a program of its own:
    traced at each call, for the user's functions are new ones as a rule, and compiled if no equal
    program has run before."""
    function.__name__ = name
    return run_once(function, name, Reader(function, (), freeze=True).read(args, {}))


def _listed(entry: Entry) -> str:
    found = {*map(guards.describe, entry.guards), *map(_described, entry.hidden)}
    return ", ".join(sorted(found)) or "its arguments only"


def _described(item: Hidden) -> str:
    """ "the array in the global w"."""
    if isinstance(item, CellInput):
        return f"the array in {guards.described(item.place)}"
    return "an array that it closes over"


def _difference(entry: Entry, call: Call) -> str:
    """Why `call` does not fit `entry`."""
    if entry.call != call.structure:
        return "the arguments have another structure or other static values"
    sizes: dict[int, int] = {}
    for name, spec, leaf in zip(call.names, entry.specs, call.leaves):
        if not spec.fits(leaf, sizes):
            if spec.scalar is type(leaf):
                return f"{name} is {leaf}, not from {spec.range[0]} to {spec.range[1]}"
            return f"the type of {name} changed to {leaf_text(leaf)}"
    for item, spec in zip(entry.hidden, entry.specs[len(call.leaves) :]):
        if isinstance(item, CellInput) and not spec.fits(item.read(), sizes):
            return f"{guards.described(item.place)} {_changed_text(item.place.read())}"
    inputs = entry.inputs(call)
    if inputs is None or (changed := entry.failing(inputs)) is None:
        return "the sizes are related in another way"
    if isinstance(changed, TypeGuard):
        return f"{guards.describe(changed)} {_changed_text(changed.place.read())}"
    return f"{guards.describe(changed)} changed"


def _changed_text(value: Any) -> str:
    """What has become of a name that held an array."""
    if isinstance(value, (Array, np.ndarray)):
        kind = "" if isinstance(value, Array) else "an ndarray, "
        return f"changed to {kind}{leaf_text(value)}"
    return "is gone" if value is ABSENT else f"changed to {diagnostics.kind_of(value)}"


def _repr(compiled: Any) -> str:
    if compiled._dispatcher.eager:
        return f"<function weft.{compiled.__name__}>"
    return f"<weft.jit {getattr(compiled, '__qualname__', compiled._dispatcher.name)}>"


def _reduce(compiled: Any) -> str:
    """Pickled by name, as functions are: one inside a function, or a lambda, has none to find."""
    name: str | None = getattr(compiled, "__qualname__", None)
    if name is None:
        raise pickle.PicklingError(f"cannot pickle {compiled!r}: it has no name to be found by")
    return name


for _name, _method in {"__repr__": _repr, "__reduce__": _reduce}.items():
    setattr(Compiled, _name, _method)
