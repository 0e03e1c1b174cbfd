"""The native runtime as one loaded library: translated, compiled or fetched from the cache, filled.

Everything here happens once per process; `library()` is the documented cache of the result. Nothing
is ever unloaded: arrays, types and threads outlive the interpreter's modules.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from weftrt import dtypes, forks, knobs, signature
from weftrt.cache.store import spare_store
from weftrt.cpu import linker
from weftrt.cpu.host import host
from weftrt.cpu.native import (
    arrays,
    boundary,
    calls,
    compiled,
    donation,
    entries,
    executor,
    guard,
    heap_type,
    intrinsics,
    parallel,
    parts,
    pool,
    python,
    results,
    scalars,
    signals,
    sizes,
    strided,
    tracing,
    translate,
)
from weftrt.cpu.native.layout import check_layout
from weftrt.cpu.native.types import fields, mirror, size_of
from weftrt.dtypes import DType
from weftrt.errors import DonatedError
from weftrt.interrupts import deferred
from weftrt.sizes import no_memory

MODULES: tuple[ModuleType, ...] = (
    python,
    pool,
    arrays,
    signals,
    donation,
    sizes,
    executor,
    calls,
    strided,
    scalars,
    guard,
    results,
    boundary,
    tracing,
    entries,
    compiled,
    parallel,
)

FLOATS = (float, np.float64, np.float32, np.float16)
_SIGNED, _UNSIGNED = (
    (np.int64, np.int32, np.int16, np.int8),
    (np.uint64, np.uint32, np.uint16, np.uint8),
)
INTEGERS = (int, *_SIGNED, *_UNSIGNED)
NUMBERS: tuple[type, ...] = (*FLOATS, *INTEGERS, bool, np.bool_)
"""Scalars that a call may pass: as float64, as int64 and as bool."""
EXPLAINED = (IndexError, MemoryError, np.linalg.LinAlgError)
"""What `failed` of a compiled function explains."""
TRACE_MARK = "weft is tracing"
"""The key of a thread's own dict that says so."""

HELD_BYTES = 1 << 30
"""Unused memory that the pool keeps at most, unless told otherwise."""


def translated(
    modules: tuple[ModuleType, ...], triple: str, constants: Mapping[str, int] | None = None
) -> str:
    """LLVM IR of native modules, in which some names are other constants."""
    return translate.translate(modules, intrinsics.table(triple), constants or {})


def written_text(triple: str, symbol: str) -> str:
    """LLVM IR of the whole native runtime; `symbol` is the table of its exports."""
    return translated(MODULES, triple) + _table(symbol)


def _table(symbol: str) -> str:
    names = [*exported(), "STATE"]
    entries = ", ".join(f"ptr @{name}" for name in names)
    return f"@{symbol} = constant [{len(names)} x ptr] [{entries}]\n"


def source_text(triple: str, symbol: str) -> str:
    """written_text, optimized."""
    return optimized(written_text(triple, symbol), triple)


@cache
def quick_texts(triple: str, symbol: str) -> tuple[str, str]:
    """The native runtime for an object that may not be kept, in two modules: what calls run, after
    a few passes, and what is rarely run, as written. Calls take a fifth longer, but the first one
    comes sooner: LLVM has half as much to do as with all of it in one, and a fifth of what it has
    for source_text."""
    frequent, rare = parts.split(translated(MODULES, triple), exported(), _rare())
    return optimized(frequent + _table(symbol), triple, thorough=False), rare


def optimized(text: str, triple: str, thorough: bool = True) -> str:
    """LLVM IR after LLVM's passes, or after a few quick ones."""
    with deferred():
        return _optimized(text, triple, thorough)


def _optimized(text: str, triple: str, thorough: bool) -> str:
    llvm.initialize_native_target()
    machine = llvm.Target.from_triple(triple).create_target_machine(opt=2)
    module = llvm.parse_assembly(text)
    module.data_layout = str(machine.target_data)
    module.verify()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(2))
    passes = builder.getModulePassManager() if thorough else _quick_passes()
    passes.run(module, builder)
    return str(module)


def _quick_passes() -> llvm.ModulePassManager:
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    return passes


def source_digest() -> str:
    """Names the text that source_text gives, without building it: it depends on the sources, and
    on how this Python lays out its objects."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    parts = [file.read_bytes() for file in files]
    parts.append(f"{sys.version_info[:2]} {tuple.__basicsize__}".encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class Library:
    """The loaded runtime: the native types and the built-in functions."""

    Array: type
    Compiled: type
    Boundary: type
    state: Any
    new: Callable[[int, tuple[int, ...]], Any]
    copy: Callable[[np.ndarray[Any, Any]], Any]
    borrow: Callable[[np.ndarray[Any, Any]], Any]
    view: Callable[[Any, tuple[int, ...]], Any]
    words: Callable[[Any], object]
    exports: Callable[[Any], int]
    pool_stats: Callable[[], tuple[int, ...]]
    pool_configure: Callable[[int, int], None]
    run: Callable[[int, tuple[Any, ...]], tuple[Any, ...] | None]
    trace_opened: Callable[[], None]
    trace_closed: Callable[[], None]
    compiled_new: Callable[..., Any]
    compiled_kept: Callable[[Any], Any]
    compiled_install: Callable[[Any, int, object], None]
    boundary_new: Callable[[Callable[..., Any]], Any]
    filter_tracebacks: Callable[[Callable[..., Any]], None]
    set_threads: Callable[[int, int], None]
    get_threads: Callable[[], tuple[int, int]]
    watch: Callable[[int, int], None]


TYPES = ("Array", "Compiled", "Boundary")
BUILTINS = tuple(
    member.name for member in dataclass_fields(Library) if member.name not in (*TYPES, "state")
)


@cache
def library() -> Library:
    """The native runtime of this process."""
    check_layout()
    addresses = _link()
    array_type = _array_type(addresses)
    compiled_type = _callable_type(addresses, "Compiled", compiled.CompiledObject)
    boundary_type = _callable_type(addresses, "Boundary", boundary.BoundaryObject)
    types = {"Array": array_type, "Compiled": compiled_type, "Boundary": boundary_type}
    state = _fill_state(addresses["STATE"], types)
    functions: dict[str, Any] = {
        name: heap_type.builtin(name, addresses[f"weft_{name}"]) for name in BUILTINS
    }
    functions["pool_configure"](HELD_BYTES, huge_page_advice())
    functions["set_threads"](knobs.threads(), futex_number())
    _watch_main_thread(functions["watch"])
    forks.repair_in_child(partial(_watch_main_thread, functions["watch"]))
    for name in ("weft_parallel", "weft_interrupted"):
        linker.provide(name, addresses[name])
    return Library(**types, state=state, **functions)


def _watch_main_thread(watch: Callable[[int, int], None]) -> None:
    """Tell native code which thread handles signals; in a child it is the one that forked."""
    ident = threading.main_thread().ident
    assert ident is not None
    watch(ident, watch_clock())


def watch_clock() -> int:
    """The monotonic clock that is cheapest to read: Linux's CLOCK_MONOTONIC_COARSE, which goes
    forward every few milliseconds."""
    return 6 if sys.platform.startswith("linux") else time.CLOCK_MONOTONIC


def huge_page_advice() -> int:
    """Linux's MADV_HUGEPAGE; 0 elsewhere."""
    return 14 if sys.platform.startswith("linux") else 0


def futex_number() -> int:
    """The number of Linux's futex system call; 0 where there is none: threads are not used."""
    if not sys.platform.startswith("linux"):
        return 0
    return {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 0)


def exported() -> list[str]:
    """The symbols that Python or kernels look up."""
    return [name for name, value in _natives() if value.__native__ == "exported"]


def _rare() -> list[str]:
    return [name for name, value in _natives() if hasattr(value, "__rare__")]


def _natives() -> Iterator[tuple[str, Any]]:
    """The native functions, where they are defined."""
    for module in MODULES:
        for name, value in vars(module).items():
            if hasattr(value, "__native__") and value.__module__ == module.__name__:
                yield name, value


@dataclass(frozen=True, eq=False)
class _Build:
    """How the runtime's code is had: who links it, under which symbol, and what stands for it."""

    native: linker.Linker
    symbol: str
    identity: str
    thorough: bool

    def code(self) -> linker.Code:
        """The code, from memory, from the disk or compiled now. It is kept for good: it is in use
        until the very end of the process."""
        code = self.native.link_built(self.symbol, self.identity, *self._modules())
        quick_texts.cache_clear()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(code))
        return code

    def _modules(self) -> list[Callable[[], str]]:
        """What writes the modules, should it come to that."""
        if self.thorough:
            return [partial(source_text, host().triple, self.symbol)]
        texts = partial(quick_texts, host().triple, self.symbol)
        return [lambda: texts()[0], lambda: texts()[1]]

    def attempt(self) -> None:
        """`code`, whose errors are left to who needs it."""
        with suppress(Exception):
            self.code()


@cache
def _build() -> _Build:
    symbol = f"weft_runtime_{source_digest()}"
    if linker.default().lasts(symbol):
        return _Build(linker.default(), symbol, symbol, thorough=True)
    spare = linker.Linker(host(), spare_store())
    return _Build(spare, symbol, f"{symbol} quick", thorough=False)


def begin() -> None:
    """Compile the runtime on another thread, should it have to be compiled; `library` waits for
    it. LLVM leaves the GIL, so that the caller can import the rest of Weft meanwhile. What a quick
    build takes of Python is done first: two threads that share the GIL keep LLVM waiting."""
    build = _build()
    if not build.native.has(build.identity):
        if not build.thorough:
            quick_texts(host().triple, build.symbol)
        with suppress(RuntimeError):  # no thread to be had
            threading.Thread(target=build.attempt, name="weft compiles").start()


def _link() -> dict[str, int]:
    """The addresses of the exports."""
    code = _build().code()
    names = [*exported(), "STATE"]
    return dict(zip(names, (ctypes.c_void_p * len(names)).from_address(code.address)))


def _array_type(addresses: dict[str, int]) -> type:
    getters = {
        name: (addresses[f"weft_array_{name}"], doc)
        for name, doc in (
            ("shape", "Sizes, a tuple of ints."),
            ("dtype", "The element type."),
            ("ndim", "Number of axes."),
            ("size", "Number of elements."),
            ("nbytes", "Bytes of data."),
        )
    }
    slots = {
        heap_type.TP_DEALLOC: addresses["weft_array_dealloc"],
        heap_type.BUFFER_GET: addresses["weft_array_getbuffer"],
        heap_type.BUFFER_RELEASE: addresses["weft_array_releasebuffer"],
    }
    return heap_type.heap_type(
        "weft.Array",
        size_of(arrays.ArrayObject),
        heap_type.DEFAULT | heap_type.DISALLOW_INSTANTIATION,
        slots,
        getters,
        {"__weaklistoffset__": fields(arrays.ArrayObject)["weak"].offset},
    )


def _callable_type(addresses: dict[str, int], name: str, struct: Any) -> type:
    """A type whose instances are called, by vectorcall, and become methods like functions."""
    layout = fields(struct)
    flags = heap_type.DEFAULT | heap_type.DISALLOW_INSTANTIATION | heap_type.HAVE_GC

    def address(slot: str) -> int:
        return addresses[f"weft_{name.lower()}_{slot}"]

    slots = {
        heap_type.TP_CALL: heap_type.api_address("PyVectorcall_Call"),
        heap_type.TP_DESCR_GET: address("get"),
        heap_type.TP_TRAVERSE: address("traverse"),
        heap_type.TP_CLEAR: address("clear"),
        heap_type.TP_DEALLOC: address("dealloc"),
    }
    return heap_type.heap_type(
        f"weft.{name}",
        size_of(struct),
        flags | heap_type.HAVE_VECTORCALL | heap_type.METHOD_DESCRIPTOR,
        slots,
        {"__dict__": (heap_type.api_address("PyObject_GenericGetDict"), "Attributes.")},
        {
            "__vectorcalloffset__": layout["vectorcall"].offset,
            "__dictoffset__": layout["attributes"].offset,
            "__weaklistoffset__": layout["weak"].offset,
        },
    )


def _synonym(descriptor: np.dtype[Any]) -> int:
    """The number of NumPy's other type with the same elements; the same number if it has none."""
    numbers = (np.dtype(char).num for char in "ilqILQ" if np.dtype(char) == descriptor)
    return next((number for number in numbers if number != descriptor.num), descriptor.num)


def _raise_failure(executable: Any, failure: int, buffers: int) -> None:
    failed = mirror(executor.Failure).from_address(failure)
    executable.fail(failed.site, failed.element, buffers)


def _call_back(executable: Any, number: int, buffers: int, sizes: int) -> None:
    executable.call_back(number, buffers, sizes)


def _raise_no_memory(executable: Any, count: int, sizes: int) -> None:
    executable.refuse(_numbers_at(sizes, count))


def _raise_no_array(dtype: DType, rank: int, shape: int) -> None:
    raise no_memory("an array", dtype, _numbers_at(shape, rank))


def _donation_words(executable: Any) -> object:
    words: object = executable.donation_words()
    return words


def _raise_donated(words: object, _first: int, _second: int) -> None:
    raise DonatedError(str(words))


def _numbers_at(address: int, count: int) -> tuple[int, ...]:
    return tuple((ctypes.c_int64 * count).from_address(address))


def _fill_state(address: int, types: dict[str, type]) -> Any:
    """Write the objects that native code compares with; all of them live forever."""
    objects: dict[str, object] = {
        **{f"{name.lower()}_type": kind for name, kind in types.items()},
        "ndarray_type": np.ndarray,
        "tuple_type": tuple,
        "list_type": list,
        "dict_type": dict,
        "int_type": int,
        "none": None,
        "true": True,
        "type_error": TypeError,
        "value_error": ValueError,
        "buffer_error": BufferError,
        "runtime_error": RuntimeError,
        "raise_failure": _raise_failure,
        "call_back": _call_back,
        "equal": signature.equal,
        "raise_no_memory": _raise_no_memory,
        "raise_no_array": _raise_no_array,
        "raise_donated": _raise_donated,
        "donation_words": _donation_words,
        "explained": EXPLAINED,
        "new_object": object.__new__,
        "trace_mark": TRACE_MARK,
    }
    state = mirror(python.PythonState).from_address(address)
    for name, value in objects.items():
        setattr(state, name, id(value))
    heap_type._KEPT.append(objects)
    _fill_numbers(state)
    _fill_dtypes(state)
    return state


def _fill_numbers(state: Any) -> None:
    """Write which types are scalars of each kind."""
    state.float_count, state.int_count = len(FLOATS), len(INTEGERS)
    state.number_count = len(NUMBERS)
    for index, kind in enumerate(NUMBERS):
        state.numbers[index] = id(kind)


def _fill_dtypes(state: Any) -> None:
    """Write what each dtype is to NumPy and to the buffer protocol."""
    for dtype in dtypes.ALL:
        descriptor = np.dtype(dtype.name)
        parts = np.dtype(dtype.part.name).char
        text = ctypes.c_char_p((f"Z{parts}" if dtype.is_complex else parts).encode())
        state.dtypes[dtype.code] = id(dtype)
        state.descriptors[dtype.code] = id(descriptor)
        state.synonyms[dtype.code] = _synonym(descriptor)
        state.item_sizes[dtype.code] = dtype.itemsize
        state.formats[dtype.code] = ctypes.cast(text, ctypes.c_void_p).value
        heap_type._KEPT.extend((descriptor, text))
