"""C functions in front of libraries: written as native modules, compiled when a program first needs
one, through the object cache, and kept for good."""

from __future__ import annotations

import ctypes
from functools import cache, partial
from types import ModuleType

from weftrt.cpu import linker
from weftrt.cpu.host import host
from weftrt.cpu.native import library


@cache
def address(symbol: str, module: ModuleType, function: str) -> int:
    """The address of the C function `symbol`, which calls `function` of a native module."""
    library.library()  # provides what it calls
    identity = f"{symbol} {library.source_digest()}"
    text = partial(_text, symbol, module, function, host().triple)
    code = linker.default().link_built(symbol, identity, text)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(code))
    return code.address


def _text(symbol: str, module: ModuleType, function: str, triple: str) -> str:
    """LLVM IR of the module that defines it."""
    text = library.translated((module,), triple)
    head = f"define i64 @{symbol}(ptr %buffers, ptr %sizes, ptr %context)"
    call = f"call i64 @{function}(ptr %buffers, ptr %sizes, ptr %context)"
    return library.optimized(f"{text}{head} {{\n  %1 = {call}\n  ret i64 %1\n}}\n", triple)
