"""A compiled function's slow path: what runs when the native guard knows no such call.

It normalizes arguments, finds or makes the entry for them, tells the native guard, and runs.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from weft import calls, engine, guards, specialize
from weft.calls import Call, LeafSpec, Reader
from weft.engine import Origin
from weft.guards import Guard
from weft.specialize import Traced
from weft.tracing import SCALAR_DTYPES, array_dtype, state
from weft.tree import Structure
from weftc.ir.types import TensorType
from weftrt import knobs
from weftrt.array import Array, as_array
from weftrt.cpu import callable as callables
from weftrt.cpu.executable import Executable
from weftrt.signature import Signature


@dataclass(frozen=True)
class CompileRecord:
    """One compile (or reuse of an equal program): for which call, why, and for how long."""

    function: str
    signature: str
    reason: str
    milliseconds: float
    origin: Origin

    def __str__(self) -> str:
        how = f"{self.origin.value} in {self.milliseconds:.1f} ms"
        return f"{self.function}({self.signature}): {how}; {self.reason}"


@dataclass(frozen=True)
class Entry:
    """One kind of call and the program that answers it."""

    call: Structure
    specs: tuple[LeafSpec, ...]
    guards: tuple[Guard, ...]
    executable: Executable
    captured: tuple[Array, ...]
    result: Structure
    outputs: tuple[int, ...]
    names: tuple[str, ...]
    native: Signature | None

    def fits(self, call: Call) -> bool:
        """Whether `call` has this entry's structure and types."""
        sizes: dict[int, int] = {}
        return self.call == call.structure and all(
            spec.fits(leaf, sizes) for spec, leaf in zip(self.specs, call.leaves, strict=True)
        )

    def run(self, call: Call) -> Any:
        """The result for a call that fits."""
        produced = self.executable.run((*call.leaves, *self.captured))
        return self.result.unflatten([produced[index] for index in self.outputs])


class Dispatcher:
    """The entries of one compiled function. Tracing and compiling may happen on any thread."""

    def __init__(self, function: Callable[..., Any], static: Sequence[str], symbolic: bool) -> None:
        self.function = function
        self.name = getattr(function, "__name__", "function")
        self.records: list[CompileRecord] = []
        compiled: Any = callables.new(self.slow_path)
        compiled.dispatcher = self
        self.compiled = compiled
        self._reader = Reader(function, static, freeze=symbolic)
        self._symbolic = symbolic
        self._entries: list[Entry] = []
        self._lock = threading.RLock()

    def slow_path(self, compiled: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call that the native guard does not know."""
        if state.trace is not None:
            return self.function(*args, **kwargs)
        plain = tuple(map(calls.plain, args))
        if any(a is not b for a, b in zip(plain, args, strict=True)):
            return compiled(*plain, **kwargs)
        call = self._reader.read(args, kwargs)
        return self._entry(call).run(call)

    def run_fixed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call for its own sizes, so that an error names them and the line."""
        call = self._reader.read(args, kwargs)
        traced = specialize.trace(self.function, self.name, call)
        produced = engine.executable(traced.graph)[0].run((*call.leaves, *traced.captured))
        return traced.result.unflatten([produced[index] for index in traced.outputs])

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """A call taken apart."""
        return self._reader.read(args, kwargs)

    def trace(self, call: Call) -> Traced:
        """The function's graph for `call`: with symbolic sizes for an eager operation."""
        found = None
        if self._symbolic:
            found = specialize.trace_symbolic(self.function, self.name, call)
        return found or specialize.trace(self.function, self.name, call)

    def _entry(self, call: Call) -> Entry:
        with self._lock:
            found, stale = self._find(call)
            if found is not None:
                return self._refreshed(found)
        started = time.perf_counter()
        entry, origin = self._specialize(call)
        milliseconds = (time.perf_counter() - started) * 1e3
        with self._lock:
            found, stale = self._find(call)  # another thread, or a signal handler, may have been
            if found is None:
                self._record(call, self._reason(call, stale), milliseconds, origin)
                if all(map(guards.holds, entry.guards)):
                    self._keep(entry, stale)
            return entry

    def _find(self, call: Call) -> tuple[Entry | None, Entry | None]:
        """The entry that answers `call`, or else one that did before something else changed."""
        stale = None
        for entry in self._entries:
            if entry.fits(call):
                if all(map(guards.holds, entry.guards)):
                    return entry, None
                stale = entry
        return None, stale

    def _keep(self, entry: Entry, stale: Entry | None) -> None:
        if stale is not None:
            self._entries.remove(stale)
        self._entries.append(entry)
        self._tell(entry, replaced=stale is not None)

    def _refreshed(self, entry: Entry) -> Entry:
        """An entry whose guards hold by value, with the guards naming the objects of now."""
        if all(guards.current(g) is g.expected for g in entry.guards):
            return entry
        fresh = tuple(map(guards.refreshed, entry.guards))
        native = entry.native
        if native is not None:
            native = Signature(native.positional, native.keywords, fresh)
        fields = {**vars(entry), "guards": fresh, "native": native}
        renewed = Entry(**fields)
        self._entries[self._entries.index(entry)] = renewed
        self._tell(renewed, replaced=True)
        return renewed

    def _tell(self, entry: Entry, replaced: bool) -> None:
        """Let the native guard know `entry`; all of them again if one was replaced."""
        if replaced:
            self.compiled.clear()
        for item in self._entries if replaced else [entry]:
            if item.native is not None:
                held = item.executable.program.results  # equal outputs share one array
                tree = calls.output_tree(item.result, [held[index] for index in item.outputs])
                self.compiled.add(item.native, item.executable, item.captured, tree)

    def _specialize(self, call: Call) -> tuple[Entry, Origin]:
        """Trace and compile, holding no lock: that runs the user's code."""
        with engine.uncollected():
            found = () if self._symbolic else tuple(guards.collect(self.function, call.statics()))
            traced = self.trace(call)
            executable, origin = engine.executable(traced.graph)
        specs = calls.leaf_specs(call.leaves, executable.program.inputs, traced.ranges)
        expressible = call.native and calls.output_tree(traced.result, traced.outputs) is not None
        entry = Entry(
            call.structure,
            specs,
            found,
            executable,
            tuple(map(as_array, traced.captured)),
            traced.result,
            traced.outputs,
            call.names,
            calls.signature(call, specs, found) if expressible else None,
        )
        return entry, origin

    def _record(self, call: Call, reason: str, milliseconds: float, origin: Origin) -> None:
        record = CompileRecord(self.name, signature_text(call), reason, milliseconds, origin)
        self.records.append(record)
        if "compile" in knobs.log():
            print(f"weft: {record}", file=sys.stderr)

    def _reason(self, call: Call, stale: Entry | None) -> str:
        if stale is not None:
            changed = (g for g in stale.guards if not guards.holds(g))
            return f"{guards.describe(next(changed, stale.guards[0]))} changed"
        if not self._entries:
            return "first call"
        return _difference(self._entries[-1], call)


def _difference(entry: Entry, call: Call) -> str:
    """Why `call` does not fit `entry`."""
    if entry.call != call.structure:
        return "the arguments have another structure or other static values"
    sizes: dict[int, int] = {}
    for name, spec, leaf in zip(call.names, entry.specs, call.leaves, strict=True):
        if not spec.fits(leaf, sizes):
            if spec.scalar is type(leaf):
                return f"{name} is {leaf}, not from {spec.range[0]} to {spec.range[1]}"
            return f"the type of {name} changed to {_leaf_text(leaf)}"
    return "the sizes are related in another way"


def signature_text(call: Call) -> str:
    """ "x: f32[3,4], lr: float"."""
    return ", ".join(f"{n}: {_leaf_text(leaf)}" for n, leaf in zip(call.names, call.leaves))


def _leaf_text(leaf: Any) -> str:
    if type(leaf) in SCALAR_DTYPES:
        return type(leaf).__name__
    assert isinstance(leaf, Array) or hasattr(leaf, "shape")
    return str(TensorType(array_dtype(leaf, "an argument"), tuple(leaf.shape)))
