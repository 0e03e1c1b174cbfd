"""Are CPython's and NumPy's objects laid out as python.py says? Checked on live objects, once."""

from __future__ import annotations

import ctypes
import struct
import sys
import sysconfig
from typing import Any

import numpy as np

from weftrt.cpu.native.python import (
    CellObject,
    Descriptor,
    FloatObject,
    ListObject,
    NumpyArray,
    SizedObject,
)
from weftrt.cpu.native.types import StructClass, mirror


def check_layout() -> None:
    """RuntimeError on an interpreter whose objects native code could not read."""
    reason = _unsupported_build() or _wrong_object()
    if reason:
        raise RuntimeError(
            f"weft's native runtime does not support this Python: {reason} "
            f"(Python {sys.version.split()[0]}, NumPy {np.__version__}). "
            "It needs a CPython with the GIL, on a 64-bit little-endian machine."
        )


def _unsupported_build() -> str | None:
    if sys.implementation.name != "cpython":
        return f"it is {sys.implementation.name}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "it is a free-threaded build"
    if sysconfig.get_config_var("Py_TRACE_REFS"):
        return "it is a build that traces references"
    if sys.byteorder != "little" or struct.calcsize("P") != 8:
        return "the machine is not 64-bit little-endian"
    return None


def _view(layout: StructClass, item: object) -> Any:
    return mirror(layout).from_address(id(item))


def _wrong_object() -> str | None:
    """The first kind of object that is laid out otherwise."""
    checks = {
        "tuple": _tuple_agrees,
        "list": _list_agrees,
        "float": _float_agrees,
        "cell": _cell_agrees,
        "ndarray": _ndarray_agrees,
        "NumPy dtype": _descriptor_agrees,
    }
    wrong = (name for name, agrees in checks.items() if not agrees())
    name = next(wrong, None)
    return f"a {name} has an unknown layout" if name else None


def _tuple_agrees() -> bool:
    first = object()
    item = (first, None, 1)
    view = _view(SizedObject, item)
    return (view.type, view.size, view.items[0]) == (id(tuple), 3, id(first))


def _list_agrees() -> bool:
    first = object()
    item = [first, None]
    view = _view(ListObject, item)
    if (view.type, view.size) != (id(list), 2) or not view.items:
        return False
    return ctypes.c_void_p.from_address(view.items).value == id(first)


def _float_agrees() -> bool:
    item = float("1.75")
    view = _view(FloatObject, item)
    return (view.type, struct.pack("=q", view.bits)) == (id(float), struct.pack("=d", item))


def _cell_agrees() -> bool:
    content = object()

    def closure() -> object:
        return content

    cells = closure.__closure__
    return cells is not None and _view(CellObject, cells[0]).value == id(content)


def _ndarray_agrees() -> bool:
    item = np.zeros((5, 3), np.float32)
    view = _view(NumpyArray, item)
    if (view.type, view.ndim, view.data) != (id(np.ndarray), 2, item.ctypes.data):
        return False
    sizes = tuple((ctypes.c_int64 * 2).from_address(view.dimensions))
    contiguous = view.flags & 0x101 == 0x101
    strided = _view(NumpyArray, np.zeros((4, 4))[:, ::2]).flags & 0x1 == 0
    same_descriptor = view.descriptor == id(np.dtype(np.float32))
    return sizes == (5, 3) and contiguous and strided and same_descriptor


def _descriptor_agrees() -> bool:
    return all(
        (view.number, view.characters >> 16 & 0xFF) == (dtype.num, ord(dtype.byteorder))
        for dtype in (np.dtype(np.int64), np.dtype(">f4"), np.dtype(np.bool_))
        if (view := _view(Descriptor, dtype))
    )
