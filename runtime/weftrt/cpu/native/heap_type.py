"""Heap types and built-in functions out of native addresses, through CPython's C API.

Descriptions handed to CPython must outlive the objects made from them; types and built-ins of the
runtime live as long as the process, so they are kept for good.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, cast

_API = ctypes.pythonapi
_KEPT: list[object] = []
"""The C structures behind types and built-ins."""

BUFFER_GET, BUFFER_RELEASE, TP_DEALLOC, TP_MEMBERS, TP_GETSET = 1, 2, 52, 72, 73
TP_CALL, TP_CLEAR, TP_DESCR_GET, TP_TRAVERSE = 50, 51, 54, 71
DEFAULT = 1 << 18
DISALLOW_INSTANTIATION = 1 << 7
HAVE_VECTORCALL = 1 << 11
HAVE_GC = 1 << 14
METHOD_DESCRIPTOR = 1 << 17

_FASTCALL = 0x80
_SSIZE_MEMBER, _READONLY = 19, 1


class _Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("function", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("basic_size", ctypes.c_int),
        ("item_size", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.c_void_p),
    ]


class _Member(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Property(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("get", ctypes.c_void_p),
        ("set", ctypes.c_void_p),
        ("doc", ctypes.c_char_p),
        ("closure", ctypes.c_void_p),
    ]


class _Method(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


def _keep(array: Any) -> int:
    _KEPT.append(array)
    return ctypes.addressof(array)


def heap_type(
    name: str,
    size: int,
    flags: int,
    slots: Mapping[int, int],
    properties: Mapping[str, tuple[int, str]],
    offsets: Mapping[str, int],
) -> type:
    """A type: slot addresses; read-only properties as (getter address, doc); special offsets such
    as __weaklistoffset__."""
    members = [_Member(n.encode(), _SSIZE_MEMBER, o, _READONLY, None) for n, o in offsets.items()]
    getters = [
        _Property(n.encode(), get, None, doc.encode(), None) for n, (get, doc) in properties.items()
    ]
    table = dict(slots)
    table[TP_MEMBERS] = _keep((_Member * (len(members) + 1))(*members))
    table[TP_GETSET] = _keep((_Property * (len(getters) + 1))(*getters))
    rows = [_Slot(slot, address) for slot, address in table.items()]
    first = _keep((_Slot * (len(rows) + 1))(*rows))
    spec = _Spec(name.encode(), size, 0, flags, first)
    _KEPT.append(spec)
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(("PyType_FromSpec", _API))
    return cast(type, make(ctypes.addressof(spec)))


def builtin(name: str, address: int) -> Callable[..., Any]:
    """A built-in function that runs native `ptr function(ptr, ptr arguments, i64 count)`."""
    method = _Method(name.encode(), address, _FASTCALL, None)
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
    )
    make = prototype(("PyCFunction_NewEx", _API))
    return cast(Callable[..., Any], make(_keep(method), None, None))


def api_address(name: str) -> int:
    """The address of a function of CPython's C API."""
    return cast(int, ctypes.cast(getattr(_API, name), ctypes.c_void_p).value)
