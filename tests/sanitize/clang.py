"""Modules compiled by clang with a sanitizer, into shared libraries, in place of LLVM's own JIT."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from weftrt.cpu.host import host
from weftrt.cpu.linker import Code, Linker, _externals
from weftrt.cpu.native import library

CLANGS = ("clang", *(f"clang-{version}" for version in range(25, 15, -1)))
RUNTIMES = {"address": "asan", "thread": "tsan"}

_DEFINITION = re.compile(r"(?m)^(define .*\)) *(?=[^()]*\{$)")
_ROUTINE = re.compile(r"(?m)^declare void @(\w+)\((.*)\)$")


def find_clang() -> str | None:
    """A clang that is installed and reads Weft's IR: old ones know no opaque pointers."""
    for name in CLANGS:
        if shutil.which(name) is not None and _version(name) >= 16:
            return name
    return None


def _version(clang: str) -> int:
    text = subprocess.run([clang, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"version (\d+)", text)
    return int(found[1]) if found else 0


def runtime(clang: str, sanitizer: str) -> Path:
    """The library of a sanitizer, which a process must load before all others."""
    name = f"libclang_rt.{RUNTIMES[sanitizer]}-x86_64.so"
    command = [clang, f"--print-file-name={name}"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


@dataclass
class SanitizedCode:
    """Compiles and loads modules for this process. Nothing is unloaded."""

    clang: str
    sanitizer: str
    folder: Path
    codes: dict[str, Code] = field(default_factory=dict)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """From now on, every kernel and the native runtime are linked by this."""
        patch.setattr(Linker, "link_built", lambda _, *module: self.link(*module))
        patch.setattr(Linker, "lasts", lambda _, identity: True)  # as one module
        patch.setattr(library, "source_text", library.written_text)

    def link(self, symbol: str, identity: str, build: Callable[[], str]) -> Code:
        """What Linker.link_built does."""
        if identity not in self.codes:
            path = self.folder / f"{len(self.codes)}.so"
            self._compile(build(), path)
            loaded = ctypes.CDLL(str(path))
            address = ctypes.cast(getattr(loaded, symbol), ctypes.c_void_p).value or 0
            self.codes[identity] = Code(address, loaded)
        return self.codes[identity]

    def _compile(self, llvm: str, output: Path) -> None:
        source = output.with_suffix(".ll")
        text = _DEFINITION.sub(rf"\1 sanitize_{self.sanitizer} ", llvm)
        source.write_text(_ROUTINE.sub(_bound, text))
        command = [self.clang, "-x", "ir", "-O1", "-fPIC", "-shared", "-shared-libsan"]
        command += [f"-fsanitize={self.sanitizer}", "-Wno-override-module"]
        command += [f"-m{name}" for name in host().features]
        subprocess.run([*command, str(source), "-o", str(output)], check=True)


def _bound(declared: re.Match[str]) -> str:
    """A routine of the native runtime, defined by its address."""
    name, types = declared.groups()
    if name not in _externals:
        return declared[0]
    kinds = [part.split()[0] for part in types.split(",")]
    parameters = ", ".join(f"{kind} %{index}" for index, kind in enumerate(kinds))
    target = f"inttoptr (i64 {_externals[name]} to ptr)"
    return (
        f"define internal void @{name}({parameters}) {{\n"
        f"  call void {target}({parameters})\n  ret void\n}}"
    )
