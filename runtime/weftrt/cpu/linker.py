"""LLVM IR text -> executable code in this process, through the object cache.

A module that is linked already is not linked again; one whose object file is in the disk cache is
not compiled again (0.2 ms instead of 7). The key of both is the text, with the target and LLVM's
version. Code is unloaded when its last user lets go of it.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from weftrt.cache.store import Store, default_store
from weftrt.cpu import objects
from weftrt.cpu.ahead import Ahead
from weftrt.cpu.code import MEMORY
from weftrt.cpu.failure import dump_failure
from weftrt.cpu.host import host
from weftrt.cpu.pages import libc
from weftrt.errors import CompileError
from weftrt.forks import ForkLock
from weftrt.interrupts import deferred
from weftrt.program import KernelCode
from weftrt.target import Target

if TYPE_CHECKING:
    from llvmlite.binding import ModuleRef, TargetMachine
    from llvmlite.binding.context import ContextRef

_llvm_lock = ForkLock(holds_off=True)
"""One thread at a time is inside of LLVM, and no fork happens meanwhile: a child could not go on
with LLVM's own locks."""

_externals: dict[str, int] = {}
"""Native routines that kernels may call, by name; the runtime provides them once."""


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Code:
    """A routine in memory, for as long as this object lives: `owner` unloads it with itself."""

    address: int
    owner: object


def provide(name: str, address: int) -> None:
    """Make a native routine of the runtime known to kernels under `name`."""
    _externals[name] = address


def link(symbol: str, llvm: str) -> Code:
    """The routine `symbol`, which the module `llvm` defines, for this CPU."""
    return default().link(symbol, llvm)


class Linker:
    """Links kernels for one target. Safe to use from several threads."""

    def __init__(
        self, target: Target, store: Store, externals: Mapping[str, int] = _externals
    ) -> None:
        self._target = target
        self._store = store
        self._externals = externals
        self._lock = _llvm_lock
        self._codes: WeakValueDictionary[str, Code] = WeakValueDictionary()
        self._libraries = 0
        self._machine: TargetMachine | None = None
        self._jit: Any = None
        self._ahead = Ahead(self._new_machine)

    def link(self, symbol: str, llvm: str) -> Code:
        """The routine `symbol`, which the module `llvm` defines."""
        return self.link_built(symbol, llvm, lambda: llvm)

    def link_built(
        self,
        symbol: str,
        identity: str,
        build: Callable[[], str],
        build_rare: Callable[[], str] | None = None,
    ) -> Code:
        """link, for a module that is costly to write: `identity` stands for its text, and `build`
        writes it only where its object is not at hand. The module that `build_rare` writes belongs
        to it; it is rarely run, so that its machine code is made quickly, not well."""
        key = self._key(identity)
        with self._lock:
            code = self._codes.get(key)
            if code is None:
                images = [self._object(key, symbol, build)]
                if build_rare is not None:
                    rare_key = self._key(f"{identity} rare")
                    images.append(self._object(rare_key, symbol, build_rare, opt=0))
                code = self._codes[key] = self._link(symbol, images)
            return code

    def object_file(self, symbol: str, llvm: str) -> bytes:
        """The object file of a module, from the cache or compiled now."""
        with self._lock:
            return self._object(self._key(llvm), symbol, lambda: llvm)

    def _object(self, key: str, symbol: str, build: Callable[[], str], opt: int = 2) -> bytes:
        found = self._store.get(key)
        if found is not None:
            return found
        found = self._ahead.take(key)
        if found is not None:
            self._store.put(key, found)
            return found
        with self._store.building(key):
            found = self._store.get(key)
            if found is None:
                found = self._compile(symbol, build(), opt)
                self._store.put(key, found)
        return found

    @contextmanager
    def ahead(self) -> Iterator[Callable[[KernelCode], None]]:
        """A function to be told of kernels that will be linked soon: free cores compile them. What
        is not linked until the end is forgotten."""
        keys: dict[str, str] = {}

        def begin(kernel: KernelCode) -> None:
            if kernel.symbol not in keys:
                key = keys[kernel.symbol] = self._key(kernel.llvm)
                if key not in self._codes and not self._store.holds(key):
                    self._ahead.start(key, kernel.llvm)

        try:
            yield begin
        finally:
            for key in keys.values():
                self._ahead.cancel(key)

    def lasts(self, identity: str) -> bool:
        """Whether the object of link_built is there, or would be for the next process."""
        return self._store.problem() is None or self._store.get(self._key(identity)) is not None

    def has(self, identity: str) -> bool:
        """Whether link_built finds the object, damaged or not."""
        key = self._key(identity)
        return key in self._codes or self._store.holds(key)

    def assembly(self, llvm: str) -> str:
        """The machine code of a module as text, to be read."""
        with self._lock, deferred(), self._parsed("assembly", llvm) as module:
            return str(self._target_machine().emit_assembly(module))

    def _key(self, identity: str) -> str:
        content = f"{_llvm_version()} {self._target}\n{identity}"
        return hashlib.sha256(content.encode()).hexdigest()

    def _link(self, symbol: str, images: list[bytes]) -> Code:
        found = objects.read(images[0]) if len(images) == 1 else None
        if found is None:
            return self._link_by_llvm(symbol, images)
        externals = {name: self._external(symbol, name) for name in found.externals}
        span = MEMORY.place(found.size, lambda address: found.bound(address, externals))
        return Code(span.address + found.offset(symbol), span)

    def _external(self, symbol: str, name: str) -> int:
        """The address of a routine: of the runtime's, or memset and the like."""
        if name in self._externals:
            return self._externals[name]
        try:
            routine = getattr(libc(), name)
        except AttributeError:
            raise CompileError(f"the kernel {symbol} cannot be linked: no {name}") from None
        return ctypes.cast(routine, ctypes.c_void_p).value or 0

    def _link_by_llvm(self, symbol: str, images: list[bytes]) -> Code:
        """For what is no kernel (the native runtime), and on other machines."""
        import llvmlite.binding as binding

        builder = binding.JITLibraryBuilder().export_symbol(symbol)
        for image in images:
            builder.add_object_img(image)
        builder.add_current_process()  # memset and the like; the runtime also calls CPython
        for name, address in self._externals.items():
            builder.import_symbol(name, address)
        library = f"{symbol}#{self._libraries}"
        self._libraries += 1
        try:
            with deferred():
                tracker = builder.link(self._lljit(), library)
        except RuntimeError as error:
            raise CompileError(f"the kernel {symbol} cannot be linked: {error}") from None
        return Code(int(tracker[symbol]), tracker)

    @contextmanager
    def _parsed(self, symbol: str, llvm: str) -> Iterator[ModuleRef]:
        """The module of a text, in a context of its own: what LLVM remembers goes with it."""
        import llvmlite.binding as binding

        context = binding.create_context()
        try:
            with closing(self._module(symbol, llvm, context)) as module:
                yield module
        except BaseException:
            context.detach()  # a traceback may hold a module yet, which must not outlive it
            raise
        context.close()

    def _module(self, symbol: str, llvm: str, context: ContextRef) -> ModuleRef:
        import llvmlite.binding as binding

        layout = str(self._target_machine().target_data)
        try:
            module = binding.parse_assembly(llvm, context)
            module.data_layout = layout
            module.verify()
        except RuntimeError as error:
            path = dump_failure(symbol, llvm, str(error))
            raise CompileError(
                f"LLVM refused the kernel {symbol}. This is a bug in Weft; please attach {path}"
            ) from None
        return module

    def _compile(self, symbol: str, llvm: str, opt: int = 2) -> bytes:
        with deferred(), self._parsed(symbol, llvm) as module:
            machine = self._target_machine() if opt == 2 else self._new_machine(opt)
            return bytes(machine.emit_object(module))

    def _target_machine(self) -> TargetMachine:
        if self._machine is None:
            self._machine = self._new_machine()
        return self._machine

    def _new_machine(self, opt: int = 2) -> TargetMachine:
        import llvmlite.binding as binding

        _initialize()
        features = ",".join(f"+{name}" for name in self._target.features)
        # PIC with the small model: constants by rip, calls out of the library by a stub.
        return binding.Target.from_triple(self._target.triple).create_target_machine(
            cpu="", features=features, opt=opt, reloc="pic", codemodel="small", jit=True
        )

    def _lljit(self) -> Any:
        if self._jit is None:
            import llvmlite.binding as binding

            self._jit = binding.create_lljit_compiler(self._target_machine(), use_jit_link=True)
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._jit))  # outlives what it linked
        return self._jit


def default() -> Linker:
    """The linker for the CPU this process runs on, and the cache in force."""
    return _linker(host(), default_store())


@cache
def _linker(target: Target, store: Store) -> Linker:
    return Linker(target, store)


@cache
def _initialize() -> None:
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()


@cache
def _llvm_version() -> str:
    import llvmlite
    import llvmlite.binding as binding

    return f"{llvmlite.__version__} {binding.llvm_version_info}"
