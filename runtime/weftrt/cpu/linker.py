"""LLVM IR text -> executable code in this process, through the object cache.

A module that is linked already is not linked again; one whose object file is in the disk cache is
not compiled again (0.2 ms instead of 7). The key of both is the text, with the target and LLVM's
version.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from weftrt.cache.store import Store, default_store
from weftrt.cpu.failure import dump_failure
from weftrt.cpu.host import host
from weftrt.errors import CompileError
from weftrt.target import Target

if TYPE_CHECKING:
    from llvmlite.binding import ModuleRef, TargetMachine

_externals: dict[str, int] = {}
"""Native routines that kernels may call, by name; the runtime provides them once."""


def provide(name: str, address: int) -> None:
    """Make a native routine of the runtime known to kernels under `name`."""
    _externals[name] = address


def link(symbol: str, llvm: str) -> int:
    """The address of `symbol`, which the module `llvm` defines, for this CPU."""
    return default().link(symbol, llvm)


class Linker:
    """Links kernels for one target. Safe to use from several threads."""

    def __init__(
        self, target: Target, store: Store, externals: Mapping[str, int] = _externals
    ) -> None:
        self._target = target
        self._store = store
        self._externals = externals
        self._renew_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)
        self._addresses: dict[str, int] = {}
        self._libraries = 0
        self._machine: TargetMachine | None = None
        self._jit: Any = None

    def _renew_lock(self) -> None:
        """A thread that linked while another forked is not there to open the child's lock."""
        self._lock = threading.RLock()

    def link(self, symbol: str, llvm: str) -> int:
        """The address of `symbol`, which the module `llvm` defines."""
        return self.link_built(symbol, llvm, lambda: llvm)

    def link_built(self, symbol: str, identity: str, build: Callable[[], str]) -> int:
        """link, for a module that is costly to write: `identity` stands for its text, and `build`
        writes it only where its object is not at hand."""
        key = self._key(identity)
        with self._lock:
            if key not in self._addresses:
                self._addresses[key] = self._link(symbol, self._object(key, symbol, build))
            return self._addresses[key]

    def object_file(self, symbol: str, llvm: str) -> bytes:
        """The object file of a module, from the cache or compiled now."""
        with self._lock:
            return self._object(self._key(llvm), symbol, lambda: llvm)

    def _object(self, key: str, symbol: str, build: Callable[[], str]) -> bytes:
        found = self._store.get(key)
        if found is not None:
            return found
        with self._store.building(key):
            found = self._store.get(key)
            if found is None:
                found = self._compile(symbol, build())
                self._store.put(key, found)
        return found

    def keeps(self) -> bool:
        """Whether an object compiled now is there for the next process."""
        return self._store.problem() is None

    def assembly(self, llvm: str) -> str:
        """The machine code of a module as text, to be read."""
        with self._lock:
            machine = self._target_machine()
            return str(machine.emit_assembly(self._parse("assembly", llvm)))

    def _key(self, identity: str) -> str:
        content = f"{_llvm_version()} {self._target}\n{identity}"
        return hashlib.sha256(content.encode()).hexdigest()

    def _link(self, symbol: str, image: bytes) -> int:
        import llvmlite.binding as binding

        builder = binding.JITLibraryBuilder().add_object_img(image).export_symbol(symbol)
        builder.add_current_process()  # memset and the like; the runtime also calls CPython
        for name, address in self._externals.items():
            builder.import_symbol(name, address)
        library = f"{symbol}#{self._libraries}"
        self._libraries += 1
        try:
            tracker = builder.link(self._lljit(), library)
        except RuntimeError as error:
            raise CompileError(f"the kernel {symbol} cannot be linked: {error}") from None
        _keep_forever(tracker)
        return int(tracker[symbol])

    def _parse(self, symbol: str, llvm: str) -> ModuleRef:
        import llvmlite.binding as binding

        machine = self._target_machine()
        try:
            module = binding.parse_assembly(llvm)
            module.data_layout = str(machine.target_data)
            module.verify()
        except RuntimeError as error:
            path = dump_failure(symbol, llvm, str(error))
            raise CompileError(
                f"LLVM refused the kernel {symbol}. This is a bug in Weft; please attach {path}"
            ) from None
        return module

    def _compile(self, symbol: str, llvm: str) -> bytes:
        return bytes(self._target_machine().emit_object(self._parse(symbol, llvm)))

    def _target_machine(self) -> TargetMachine:
        if self._machine is None:
            import llvmlite.binding as binding

            _initialize()
            features = ",".join(f"+{name}" for name in self._target.features)
            # PIC with the small model: constants by rip, calls out of the library by a stub.
            self._machine = binding.Target.from_triple(self._target.triple).create_target_machine(
                cpu="", features=features, opt=2, reloc="pic", codemodel="small", jit=True
            )
        return self._machine

    def _lljit(self) -> Any:
        if self._jit is None:
            import llvmlite.binding as binding

            self._jit = binding.create_lljit_compiler(self._target_machine(), use_jit_link=True)
            _keep_forever(self._jit)
        return self._jit


def _keep_forever(owner: object) -> None:
    """Code is never unloaded: arrays, threads and types that run it may outlive every module."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))


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
