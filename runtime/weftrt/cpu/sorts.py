"""The C functions that sort: `int64 fn(void **buffers, int64 *sizes, void *context)`.

Each is weftrt.cpu.native.sorting with constants of its own, translated and compiled when a program
first needs it, through the object cache, and kept for good.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cache, partial

from weftrt.cpu import linker
from weftrt.cpu.host import host
from weftrt.cpu.native import library, sorting


def _sort(itemsize: int, is_float: bool, has_places: bool = True) -> Mapping[str, int]:
    return {"ITEMSIZE": itemsize, "IS_FLOAT": is_float, "HAS_PLACES": has_places}


ROUTINES: Mapping[str, Mapping[str, int]] = {
    "weft_sort_u8": _sort(1, False),
    "weft_sort_i32": _sort(4, False),
    "weft_sort_f32": _sort(4, True),
    "weft_sort_i64": _sort(8, False),
    "weft_sort_f64": _sort(8, True),
    "weft_sort_i64_values": _sort(8, False, has_places=False),
    "weft_sort_f64_values": _sort(8, True, has_places=False),
}
"""Their names, and their constants; `sorting.sort` says what they take."""


@cache
def address(name: str) -> int:
    """The address of the function called `name`; KeyError if there is none."""
    constants = ROUTINES[name]
    library.library()  # provides what the functions call
    identity = f"{name} {library.source_digest()}"
    build = partial(_text, name, host().triple, constants)
    code = linker.default().link_built(name, identity, build)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(code))
    return code.address


def _text(name: str, triple: str, constants: Mapping[str, int]) -> str:
    """LLVM IR of the module that defines `name`."""
    text = library.translated((sorting,), triple, constants)
    head = f"define i64 @{name}(ptr %buffers, ptr %sizes, ptr %context)"
    call = "call i64 @sort(ptr %buffers, ptr %sizes, ptr %context)"
    return library.optimized(f"{text}{head} {{\n  %1 = {call}\n  ret i64 %1\n}}\n", triple)
